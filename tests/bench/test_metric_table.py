"""The table of learned distances is played and told, and what is added means nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bestpolicy.bench import metric
from bestpolicy.bench.known import Known
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import EMBEDDING, embeddings
from bestpolicy.offpolicy.kernel import gaussian, squares
from bestpolicy.offpolicy.learned_metric import raw
from bestpolicy.offpolicy.learners.measured import measured
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.worlds.prompts import prompt_world

SMALL = metric.Setting("prompts", 5, 200, 4)


@pytest.mark.slow
def test_a_line_is_played_and_told() -> None:
    found = [metric.one(SMALL, number, Training(steps=20)) for number in (0, 1)]
    row = metric._row(SMALL, found)
    assert row["worlds"] == 2
    for method in metric.METHODS:
        told = metric.cells(row, method)
        assert told["world"] == "prompts, 5 of them, 200 rows, 4 numbers added"
        assert " ± " in told["oracle"]
        values = row["optimality"][method]
        used = "by slopes" if found[0]["learned"] else "raw"
        assert values["chosen"]["worlds"][0] == values[used]["worlds"][0]


def test_a_diluted_source_is_as_near_as_its_draws() -> None:
    world, n = prompt_world(1, actions=3), 4
    log = world.log(n, stream(1, "tests/metric"), world.uniform())
    wide = np.hstack([embeddings(log), stream(2, "tests/metric").normal(size=(n, 2))])
    added = replace(log, columns={EMBEDDING: wide})
    source, kernel = metric.Diluted(Known(world), 2, 1.5), gaussian(6.0)
    say, draws = source.speaker(added), 4000
    asked = np.tile(np.arange(3).repeat(draws), (n, 1))
    said = say(np.arange(n), asked, stream(3, "tests/metric"))
    near = kernel(squares(wide[:, None], said)[:, 0]).reshape(n, 3, draws)
    error = near.std(axis=2) / draws**0.5
    found = source.closeness(added, kernel)
    assert (np.abs(found - near.mean(axis=2)) < 6 * error + 1e-12).all()
    assert np.abs(Known(world).closeness(log, kernel) - near.mean(axis=2)).max() > 6 * error.max()


def test_by_the_raw_metric_material_is_what_it_was_but_for_its_width() -> None:
    at, _ = metric.played(SMALL, 0)
    own = measured(at, raw(at.log), width=1.0)
    plain = replace(at, kernel=own.kernel)
    rows, actions = np.arange(6), np.zeros((6, 3), dtype=np.intp)
    said = own.speaker(rows, actions, stream(1, "tests/metric"))
    before = plain.speaker(rows, actions, stream(1, "tests/metric"))
    assert np.allclose(
        own.near(own.said[rows, None], said), plain.near(plain.said[rows, None], before)
    )
    assert np.allclose(own.foreseen(rows, said), plain.foreseen(rows, before))
    assert (own.density > 0).all()


def test_an_oracle_sees_nothing_of_what_was_added() -> None:
    at, _ = metric.played(SMALL, 0)
    found = metric.oracle(at.log, SMALL.extra)(np.arange(200), embeddings(at.log))
    assert np.array_equal(found, embeddings(at.log)[:, : -SMALL.extra])
