"""Where a run's duels come from and where their answers go.

`bestpolicy run` has a study for itself; `bestpolicy work` shares it with others (run/work.py).
"""

from __future__ import annotations

from typing import Protocol

from bestpolicy.core.shares import Winner
from bestpolicy.duel import Duel


class Source(Protocol):
    """Hands out duels and takes their answers; `Superseded` when somebody else plays one now."""

    def ask(self, n: int) -> list[Duel]: ...

    def tell(
        self, duel: Duel, winner: Winner, *, cost: float = 0.0, feedback: str = ""
    ) -> None: ...

    def abandon(self, duel: int, *, cost: float = 0.0, feedback: str = "") -> None: ...
