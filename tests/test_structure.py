"""A study whose policies hang together: what it says, and what it costs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import expit

from bestpolicy import Study
from bestpolicy.cli import cli
from bestpolicy.config.features import features
from bestpolicy.core.forecast import PRIOR_REFUTED
from bestpolicy.core.likelihood import Likelihood
from bestpolicy.core.rng import stream
from bestpolicy.designs import llm_po

GRID = [(p, t) for p in ("short", "long", "kind") for t in (0.0, 0.3, 0.6, 0.9)]
WORTH = {"short": 0.0, "long": 0.8, "kind": 2.0}


def played(study: Study, seed: int = 0) -> Study:
    """A judge who likes kind prompts and low temperatures answers until it is decided."""
    names = list(study.policies)
    worth = [WORTH[p] - 2 * t for p, t in GRID]
    rng = stream(seed, "test/grid")
    while duel := study.ask():
        gap = worth[names.index(duel.left)] - worth[names.index(duel.right)]
        study.tell(duel, "left" if rng.random() < expit(gap) else "right")
    return study


def grid(**options: Any) -> Study:
    x = features([{"prompt": p, "temperature": t} for p, t in GRID])
    names = [f"{p} {t:g}" for p, t in GRID]
    given: dict[str, Any] = {"structure": "features", "features": x, "assume_winner": True}
    return Study(names, **given | {"budget": 4000} | options)


def test_keys_become_columns() -> None:
    x = features(
        [
            {"model": "m", "prompt": "a", "temperature": 0.2},
            {"model": "m", "prompt": "b", "temperature": 0.7},
            {"model": "m", "prompt": "c"},
        ]
    )
    assert x is not None
    # prompt b, prompt c; temperature 0.7, unset
    assert x.tolist() == [[0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    numbers = features([{"temperature": 0.2}, {"temperature": 0.7}])
    assert numbers is not None
    assert numbers.tolist() == [[0.2], [0.7]]
    assert features([{"model": "m"}, {"model": "m"}]) is None


def test_interactions_are_products_of_the_columns_of_two_keys() -> None:
    grid = [{"prompt": p, "temperature": t} for p in "abc" for t in (0.0, 1.0)]
    plain, crossed = features(grid), features(grid, interactions=True)
    assert plain is not None
    assert crossed is not None
    assert plain.shape == (6, 3)
    assert crossed[:, :3].tolist() == plain.tolist()
    assert crossed[:, 3:].T.tolist() == [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]]
    # A product that is the same for all says nothing.
    alone = [{"prompt": "a", "temperature": 0.0}, {"prompt": "b", "temperature": 0.0}]
    assert features(alone, interactions=True) is not None


def test_a_winner_that_rests_on_the_structure_says_so() -> None:
    verdict = played(grid(trust_structure=True)).verdict()
    assert (verdict.kind, verdict.policy) == ("winner", "kind 0")
    assert verdict.given == "the structure holds"


def test_a_winner_that_the_structure_only_hastened_needs_no_excuse() -> None:
    verdict = played(grid()).verdict()
    assert (verdict.kind, verdict.policy, verdict.given) == ("winner", "kind 0", "")


def test_what_is_known_of_the_grid_saves_duels() -> None:
    spent = {
        kind: sum(played(make(), seed).verdict().comparisons for seed in range(24))
        for kind, make in {
            "free": lambda: grid(structure="free", features=None),
            "structured": grid,
            "trusted": lambda: grid(trust_structure=True),
        }.items()
    }
    assert spent["trusted"] < spent["structured"] < spent["free"]


def test_a_stored_study_replays_and_resumes_under_its_structure_alone(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'grid.db'}"
    with played(grid(trust_structure=True, store=store)) as study:
        verdict, mark = study.verdict(), study.record_hash()
    with grid(trust_structure=True, store=store) as again:
        assert (again.verdict(), again.record_hash()) == (verdict, mark)
        assert all(announced == recomputed for announced, recomputed in again.replay())
        assert again.verdict().given == "the structure holds"
    with pytest.raises(Exception, match="trust_structure: stored true, given false"):
        grid(store=store)


def test_a_file_describes_its_policies_and_the_report_names_the_condition(
    study: Callable[..., Path], tmp_path: Path
) -> None:
    path = study()
    text = path.read_text().replace(
        "decide:", "design: {structure: bradley-terry, trust_structure: true}\ndecide:"
    )
    path.write_text(text)
    result = CliRunner().invoke(cli, ["run", str(path), "--json"])
    verdict = json.loads(result.stdout)["verdict"]
    assert verdict["kind"] == "winner"
    assert verdict["given"] == "the structure holds"
    assert "if the structure holds" in result.stderr


def the_others_are_out(*, trust: bool, interactions: bool) -> None:
    """Four policies tie at the top; nobody is to wait for what cannot be told apart."""
    x = features([{"prompt": p, "temperature": t} for p, t in GRID], interactions=interactions)
    names = [f"{p} {t:g}" for p, t in GRID]
    study = Study(
        names,
        structure="features",
        features=x,
        trust_structure=trust,
        assume_winner=True,
        budget=1500,
    )
    rng = stream(0, "test/tied")
    while duel := study.ask():  # the temperature makes no difference
        gap = WORTH[duel.left.split()[0]] - WORTH[duel.right.split()[0]]
        study.tell(duel, "left" if rng.random() < expit(gap) else "right")
    assert {name.split()[0] for name in study.verdict().survivors} == {"kind"}


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("interactions", [False, True])
def test_rivals_that_tie_with_the_best_do_not_keep_the_others_in(
    trust: bool, interactions: bool
) -> None:
    the_others_are_out(trust=trust, interactions=interactions)


def test_asking_only_the_likeliest_rival_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_po, "kept_waiting", lambda *about: about[4])
    with pytest.raises(AssertionError):
        the_others_are_out(trust=False, interactions=True)


def test_the_rows_of_a_wide_array_are_the_policies() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    study = Study(["a", "b", "c"], structure="auto", features=x)
    assert study.settings["features"].startswith("sha256:")
    assert study.ask() is not None


def cycle(study: Study, seed: int = 0) -> Study:
    """Every policy beats the next three by far, which no strengths explain; the first beats all."""
    names = list(study.policies)
    K, rng = len(names) - 1, stream(seed, "test/cycle")
    while duel := study.ask():
        i, k = names.index(duel.left), names.index(duel.right)
        p = 0.9 if (k - i) % K in (1, 2, 3) else 0.1
        if 0 in (i, k):
            p = 0.75 if i == 0 else 0.25
        study.tell(duel, "left" if rng.random() < p else "right")
    return study


def test_auto_drops_a_structure_that_fails_and_tells_of_it() -> None:
    names = [str(i) for i in range(8)]
    study = cycle(Study(names, structure="auto", design="uniform", confidence=0.9999, budget=900))
    misfit = study.standing().misfit
    assert misfit is not None
    assert misfit > 20
    state = study._record.reading.state
    assert not state.beliefs.follows_structure()
    assert state.beliefs.prior == PRIOR_REFUTED


def test_auto_keeps_a_structure_that_pays() -> None:
    study = played(grid(structure="auto"))
    assert study._record.reading.state.beliefs.follows_structure()
    assert study.verdict().policy == "kind 0"


def test_a_report_says_that_the_structure_is_contradicted(
    study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study()
    path.write_text(
        path.read_text().replace("decide:", "design: {structure: bradley-terry}\ndecide:")
    )
    result = CliRunner().invoke(cli, ["run", str(path), "--json"])
    known = json.loads(result.stdout)["progress"]["structure"]
    assert known["refuted"] is False
    assert "contradict" not in result.stderr
    monkeypatch.setattr(Likelihood, "refuted", lambda *_: True)  # as if it were certain
    result = CliRunner().invoke(cli, ["status", str(path)])
    assert "the answers contradict the structure" in " ".join(result.output.split())
