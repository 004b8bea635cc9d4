"""What a step costs as prompts grow in number: the part that is about sentences must not.

sentences   drawing what prompts say, kernel, weights        the same for any number of prompts
output      the last layer forth and back, softmax, drawing prompts, the optimiser       O(A)
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np

from bestpolicy.bench.known import Known
from bestpolicy.core.log import Ints, Log
from bestpolicy.core.net import Adam, Net
from bestpolicy.core.nouns import Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn, softmax
from bestpolicy.offpolicy.density import EMBEDDING
from bestpolicy.offpolicy.kernel import gaussian
from bestpolicy.offpolicy.learners.sentences import DRAWS, MOST, alone, weights
from bestpolicy.offpolicy.learners.training import Training, scored
from bestpolicy.worlds.prompts import BOUNDS, D, prompt_world

SIZES = (100, 1000, 10_000)
ROWS, ROUNDS, STEPS = 512, 15, 20
GROWS = 0.2  # at most


def costs(seed: int = 0) -> list[dict[str, Any]]:
    """Milliseconds of processor time a step, least of many rounds, by number of prompts."""
    timed = {size: _parts(size, seed) for size in SIZES}
    found = {size: dict.fromkeys(parts, np.inf) for size, parts in timed.items()}
    for _ in range(ROUNDS):  # sizes in turn, so that a busy moment meets all of them
        for size, parts in timed.items():
            for name, part in parts.items():
                begun = process_time()
                for _ in range(STEPS if name == "sentences" else 2):
                    part()
                steps = STEPS if name == "sentences" else 2
                spent = 1e3 * (process_time() - begun) / steps
                found[size][name] = min(found[size][name], spent)
    least = min(found[size]["sentences"] for size in SIZES)
    return [
        {
            "prompts": size,
            "sentences_ms": round(found[size]["sentences"], 4),
            "output_ms": round(found[size]["output"], 4),
            "grows": round(found[size]["sentences"] / least - 1, 3),
            "passes": bool(found[size]["sentences"] <= (1 + GROWS) * least),
        }
        for size in SIZES
    ]


def _parts(size: int, seed: int) -> dict[str, Callable[[], object]]:
    """The two parts of a DSO step."""
    world, rng = prompt_world(seed, actions=size), stream(seed, "bench/offline-prompts/cost", size)
    log, batch = _log(world, rng), Training().batch
    speaker, kernel = Known(world, seed).speaker(log), gaussian(D)
    sentences, density = log.columns[EMBEDDING], np.full(ROWS, 0.5)
    rows = rng.integers(ROWS, size=batch)
    actions = rng.integers(size, size=(batch, DRAWS))
    x: Any = rng.normal(size=(batch, 2 * D)).astype(np.float32)
    net = Net.drawn(rng, 2 * D, Training().hidden, size, single=True)
    adam = Adam.fresh(net)

    def near(one: Any, other: Any) -> Any:
        return kernel(((one - other) ** 2).sum(-1))

    def about_sentences() -> object:
        said = speaker(rows, actions, rng)
        return alone(weights(rows, said, sentences, density, near, MOST))

    worth = rng.normal(size=(batch, DRAWS))

    def output() -> object:
        chances = softmax(net(x))
        slopes: Any = scored(chances, drawn(chances, DRAWS, rng), worth)
        return adam.step(net, net.back(x, slopes), 1e-3)

    return {"sentences": about_sentences, "output": output}


def _log(world: Any, rng: Rng) -> Log:
    """Rows of prompts taken at random."""
    size = world.actions
    contexts, actions = world.contexts(ROWS, rng), rng.integers(size, size=ROWS)
    said = world.sentences(contexts, actions, rng)
    named = tuple(map(str, range(size)))
    chance = np.full(ROWS, 1 / size)
    made: Ints = actions.astype(np.intp)
    return Log(
        made, world.rewards(contexts, said, rng), chance, named, BOUNDS, contexts,
        columns={EMBEDDING: said},
    )  # fmt: skip
