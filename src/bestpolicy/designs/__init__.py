"""What to compare next: one file per published rule, all behind the `Design` protocol.

Every module in this folder is a design of the same name (dashes for underscores) and has one
function, `design(policies, ledger) -> Design`. A design that can use a structure has `given`.
`gate` alone is no such module: it tells two policies apart that are not alike, and has a front door
of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, runtime_checkable

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.nouns import ConfigError, Design
from bestpolicy.core.strengths import Structure


@runtime_checkable
class Steerable(Protocol):
    """A design that a structure can steer, and whose policies may come later."""

    def given(self, structure: Structure) -> Design[Any]: ...

    def seated(self, joined: Sequence[int], capital: Sequence[float]) -> Design[Any]: ...


def names() -> list[str]:
    """Every design, by the name that a study gives."""
    modules = {module.name for module in iter_modules(__path__)} - {"gate"}
    return sorted(name.replace("_", "-") for name in modules)


def make(
    name: str,
    *,
    policies: int,
    confidence: float = 0.95,
    delta: float | None = None,
    indifference: float = 0.0,
    assume_winner: bool = False,
    structure: Structure | None = None,
    spare: float = 0.0,
) -> Design[Any]:
    """The design `name` for that many policies; `delta` is 1 - confidence where that rounds off,
    and `spare` the share of it that is kept for other errors than the certificate's."""
    if name not in names():
        near = get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"design: there is no {name!r}{hint} Known: {', '.join(names())}")
    ledger = Ledger.of(
        1 - confidence if delta is None else delta,
        indifference=indifference,
        assume_winner=assume_winner,
        spare=spare,
    )
    made: Design[Any] = import_module(f"{__name__}.{name.replace('-', '_')}").design(
        policies, ledger
    )
    if structure is None:
        return made
    if not isinstance(made, Steerable):
        raise ConfigError(
            f"design: {name} stops by bounds of its own and can use no structure: take llm-po, or "
            'structure="free"'
        )
    return made.given(structure)


def seated(design: Design[Any], joined: Sequence[int], capital: Sequence[float]) -> Design[Any]:
    """The same design, told that some policies came after so many answers, and with what."""
    if not isinstance(design, Steerable):
        raise ConfigError(
            "policies can join a study whose design has the certificate of this package: "
            "savage, knockout and designs of your own stop by bounds of theirs"
        )
    return design.seated(joined, capital)
