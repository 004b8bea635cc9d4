"""Which row a duel is about: never the same twice for a pair, unless told otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import binom

from bestpolicy.core.nouns import Comparison, Rng
from bestpolicy.inputs import Inputs
from bestpolicy.study import Study
from test_study import NAMES, ROWS, answered, tiny, url
from tiny import Tiny


def no_pair_meets_an_input_twice(study: Study) -> None:
    met = [(frozenset((d.left, d.right)), d.input) for d in answered(study)]
    assert met
    assert len(set(met)) == len(met)
    uses = [sum(row == given for _, given in met) for row in {row for _, row in met}]
    assert max(uses) - min(uses) <= 1 + len(met) // 20


def test_no_pair_meets_an_input_twice_and_rows_are_used_evenly() -> None:
    rows = [f"row {i}" for i in range(20)]
    study = Study(NAMES, design=Tiny(3, 99), inputs=rows)
    no_pair_meets_an_input_twice(study)
    assert study.verdict().kind == "undecided"
    assert "the inputs are used up" in study.verdict().reason
    assert "reuse_inputs" in study.verdict().reason


def test_drawing_without_regard_to_what_a_pair_has_had_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def careless(self: Inputs, asking: Comparison, planned: object, rng: Rng) -> int:
        return int(rng.integers(len(self.rows)))

    monkeypatch.setattr(Inputs, "draw", careless)
    with pytest.raises(AssertionError):
        no_pair_meets_an_input_twice(
            Study(NAMES, design=Tiny(3, 99), inputs=[f"row {i}" for i in range(20)], budget=60)
        )


def test_a_batch_does_not_repeat_an_input_either() -> None:
    study = Study(["a", "b"], design=Tiny(2, 99), inputs=[f"row {i}" for i in range(20)])
    duels = study.ask(30)
    assert len(duels) == 20
    assert len({duel.input for duel in duels}) == 20
    assert study.ask(5) == []


def test_inputs_drawn_with_replacement_never_run_out_and_are_even() -> None:
    study = Study(["a", "b"], design=Tiny(2, 1e9), inputs=["x", "y", "z"], reuse_inputs=True)
    counts = [sum(duel.input == row for duel in study.ask(900)) for row in "xyz"]
    low, high = binom.ppf([1e-7, 1 - 1e-7], 900, 1 / 3)
    assert all(low <= count <= high for count in counts)


def test_the_record_keeps_the_number_of_an_input_and_not_its_text(tmp_path: Path) -> None:
    with tiny(store=url(tmp_path)) as study:
        duel = study.ask()
        study.tell(duel, "left")
        (outcome,) = study.outcomes()
        assert ROWS[outcome.comparison.context] == duel.input
    assert b"what is" not in (tmp_path / "x.db").read_bytes()
