"""The house: everything that the pages and the API of one served study share."""

from __future__ import annotations

from dataclasses import dataclass, field

from bestpolicy.config import Players, StudyFile
from bestpolicy.run.open import Opened
from bestpolicy.serve.guard import RATE
from bestpolicy.serve.pairs import Pairs
from bestpolicy.serve.signing import Signer
from bestpolicy.serve.traffic import Traffic


@dataclass(frozen=True, slots=True)
class House:
    """One served study. `local`: it is reached from this machine alone, and needs no tokens."""

    opened: Opened
    players: Players
    signer: Signer
    local: bool
    pairs: Pairs | None = None  # where people judge
    rate: float = field(default=RATE, kw_only=True)  # requests a second that one address has
    traffic: Traffic = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "traffic", Traffic.of(self.opened, self.signer))

    @property
    def file(self) -> StudyFile:
        return self.opened.file
