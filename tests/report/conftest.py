"""The dossiers that several tests read and none changes."""

from __future__ import annotations

import pytest

from bestpolicy.report.dossier import Dossier
from report.scripted import TICKETS, dossier, play, spread


@pytest.fixture(scope="session")
def five() -> Dossier:
    return dossier(play(TICKETS, lean=1.0))


@pytest.fixture(scope="session")
def twenty() -> Dossier:
    return dossier(play(spread(20), most=150))
