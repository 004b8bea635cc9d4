"""A configured study, played: models and functions answer, the judge compares, all is kept."""

from bestpolicy.run.desk import PlayError
from bestpolicy.run.look import constraints, snapshot
from bestpolicy.run.open import Opened, open_study, opened
from bestpolicy.run.play import Played, play
from bestpolicy.run.work import Worker

__all__ = [
    "Opened",
    "PlayError",
    "Played",
    "Worker",
    "constraints",
    "open_study",
    "opened",
    "play",
    "snapshot",
]
