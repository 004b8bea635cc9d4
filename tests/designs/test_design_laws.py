"""Every design keeps every law, and each law has a design that breaks it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from bestpolicy import designs
from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState
from bestpolicy.core.nouns import Comparison, Context, Design, Outcome, Rng
from bestpolicy.core.strengths import Structure
from bestpolicy.designs import uniform
from laws import (
    DESIGN_LAWS,
    Maker,
    a_question_is_about_two_policies_and_its_context,
    no_number_is_worth_having,
    telling_in_pieces_is_telling_at_once,
    the_old_state_is_untouched,
    the_same_stream_asks_the_same_questions,
)


@pytest.mark.parametrize("law", DESIGN_LAWS)
@pytest.mark.parametrize("assume_winner", [True, False])
@pytest.mark.parametrize("name", designs.names())
def test_every_design_keeps_every_law(
    name: str, assume_winner: bool, law: Callable[[Maker], None]
) -> None:
    law(lambda K: designs.make(name, policies=K, assume_winner=assume_winner))


@pytest.mark.parametrize("name", designs.names())
def test_every_design_keeps_every_law_with_an_indifference_zone(name: str) -> None:
    for law in DESIGN_LAWS[:-1]:
        law(lambda K: designs.make(name, policies=K, indifference=0.1))


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("name", ["llm-po", "paper", "racing"])
def test_every_design_keeps_every_law_with_a_structure(
    name: str, described: bool, trust: bool
) -> None:
    def make(policies: int) -> Design[Any]:
        x = np.random.default_rng(policies).normal(size=(policies, 2)) if described else None
        structure = Structure.of(x, policies, trust=trust)
        return designs.make(name, policies=policies, structure=structure)

    # With features a number is worth knowing: the policies are told apart from the start.
    for law in DESIGN_LAWS[:-1] if described else DESIGN_LAWS:
        law(make)


OWN_RNG = np.random.default_rng(0)


def with_a_generator_of_its_own(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:
    return uniform.pair(state, ledger, OWN_RNG)


def with_itself(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:
    i, _ = uniform.pair(state, ledger, rng)
    return i, i


def ties_to_the_lowest_number(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:
    leader = int(state.beliefs.rating.argmax())
    return leader, (leader + 1 + int(rng.integers(state.policies - 1))) % state.policies


@dataclass(frozen=True)
class Wrapped:
    """Uniform duels whose `tell` is broken in some way."""

    inner: Duels
    broken: Callable[[Duels, DuelState, Sequence[Outcome]], DuelState]

    def init(self) -> DuelState:
        return self.inner.init()

    def ask(
        self, state: DuelState, contexts: Sequence[Context], rng: Rng, pending: Sequence[Comparison]
    ) -> list[Comparison]:
        return self.inner.ask(state, contexts, rng, pending)

    def tell(self, state: DuelState, outcomes: Sequence[Outcome]) -> DuelState:
        return self.broken(self.inner, state, outcomes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def counts_calls(duels: Duels, state: DuelState, outcomes: Sequence[Outcome]) -> DuelState:
    return replace(duels.tell(state, outcomes), told=state.told + 1)


def writes_into_its_state(duels: Duels, state: DuelState, outcomes: Sequence[Outcome]) -> DuelState:
    state.beliefs.rating += 1.0
    return duels.tell(state, outcomes)


def of_rule(rule: Any) -> Maker:
    return lambda K: Duels(K, Ledger.of(0.05), rule)


def of_tell(broken: Any) -> Maker:
    def make(K: int) -> Design[Any]:
        return Wrapped(Duels(K, Ledger.of(0.05), uniform.pair), broken)  # type: ignore[return-value]

    return make


@pytest.mark.parametrize(
    ("law", "twin"),
    [
        (the_same_stream_asks_the_same_questions, of_rule(with_a_generator_of_its_own)),
        (telling_in_pieces_is_telling_at_once, of_tell(counts_calls)),
        (the_old_state_is_untouched, of_tell(writes_into_its_state)),
        (a_question_is_about_two_policies_and_its_context, of_rule(with_itself)),
        (no_number_is_worth_having, of_rule(ties_to_the_lowest_number)),
    ],
)
def test_a_design_that_breaks_a_law_is_caught(law: Callable[[Maker], None], twin: Maker) -> None:
    with pytest.raises(AssertionError):
        law(twin)
