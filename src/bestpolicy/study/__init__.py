"""The Python front: a study, from its policies to its verdict."""

from bestpolicy.study.study import Study

__all__ = ["Study"]
