"""What a study's YAML file may say, and what it means."""

from bestpolicy.config.connect import Players, connect
from bestpolicy.config.places import Fault, FaultyFile
from bestpolicy.config.study_file import StudyFile, load

__all__ = ["Fault", "FaultyFile", "Players", "StudyFile", "connect", "load"]
