"""Logs as people have them, read as they are."""

from bestpolicy.offpolicy.readers.formats import FORMATS
from bestpolicy.offpolicy.readers.guess import guess_columns
from bestpolicy.offpolicy.readers.logfile import LogFile
from bestpolicy.offpolicy.readers.read import read_log

__all__ = ["FORMATS", "LogFile", "guess_columns", "read_log"]
