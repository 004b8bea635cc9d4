"""Values from sentences, asked for in few words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bestpolicy.bench.sentences import Known
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.worlds.prompts import prompt_world


def test_a_bank_is_all_that_kernel_estimators_need_besides() -> None:
    world = prompt_world(3, actions=20)
    rng = stream(3, "tests/sentences")
    logging = world.logging(rng, steps=300)
    log = world.log(1500, rng, logging)
    target = world.towards_reward(3.0)
    found = evaluate(log, target.table, estimators=["kernel_is", "dr_kernel"], bank=Known(world))
    truth = world.value(target.table)
    assert abs(found["dr_kernel"].value - truth) < 6 * found["dr_kernel"].stderr
    names = [line.name for line in found.diagnosis.lines]
    assert sum("kernel" in name for name in names) >= 3
    assert len(names) == len(set(names))
    fixed = evaluate(log, target.table, estimators=["dr_kernel"], bank=Known(world), tau=1.0)
    assert np.isfinite(fixed["dr_kernel"].value)


def test_without_a_bank_they_say_what_to_give() -> None:
    world = prompt_world(3, actions=5)
    rng = stream(3, "tests/sentences")
    log = world.log(200, rng, world.uniform())
    with pytest.raises(ConfigError, match="give bank="):
        evaluate(log, "uniform", estimators=["dr_kernel"])
    bare = replace(log, columns={})
    with pytest.raises(ConfigError, match="sentence_emb"):
        evaluate(bare, "uniform", estimators=["dr_kernel"], bank=Known(world))
