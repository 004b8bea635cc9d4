"""Learning: what each method makes of one log, and what that is worth.

A seed is another half of the users to learn from, another log, another noise, and other weights to
start from. The world stays the same, so that intervals over seeds say nothing of another
generator, other movies or other tastes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from time import process_time
from typing import Any

import numpy as np
from scipy import stats

from bestpolicy.bench.movies.world import FRESH, World
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.kernel import gaussian
from bestpolicy.offpolicy.kernel_lines import median_distance
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.learners.methods import learnt
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.offpolicy.reward_nets import fit_net

OF_PROMPTS = ("regression", "is", "dr", "potec")
OF_SENTENCES = ("dso", "sdm", "cf-dr-dso")
METHODS = (*OF_PROMPTS, *OF_SENTENCES)
TAU = 0.4  # width of the kernel, in medians of the distance of two draws in one context
CONFIDENCE = 0.95
TRAINING, FIT = Training(), fit_net
Found = dict[str, Any]


def one_seed(world: World, rows: int, seed: int) -> Found:
    """The worth of everything on one log: {method: {bank, fresh}}, and of what is known."""
    begun = process_time()
    name = "bench/movies"
    learn_from, valued_on = world.split(stream(seed, f"{name}/users"))
    policy = world.logging(learn_from, stream(seed, f"{name}/logging"))
    log = world.log(rows, learn_from, policy, stream(seed, f"{name}/log"))
    bank = world.bank()
    width = TAU * median_distance(log, bank)
    at = Material(log, seed, world.like, bank, gaussian(width), training=TRAINING, fit=FIT)
    tables = {
        "uniform": world.uniform,
        "logging": policy.table,
        **{method: learnt(at, method).table for method in METHODS},
    }
    made: Found = {
        method: {
            "bank": world.value(table, valued_on),
            "fresh": world.value(table, valued_on, (FRESH,)),
        }
        for method, table in tables.items()
    }
    return {
        "worth": made,
        "best": world.best(valued_on),
        "shrink": at.shrink,
        "width": width,
        "cpu_s": process_time() - begun,
    }


def table(found: Sequence[Found]) -> list[Found]:
    """One line a method: gains and optimality, each with an interval over seeds."""
    lines = []
    for method in found[0]["worth"]:
        worth, base = (
            np.array([[one["worth"][who][on] for on in ("bank", "fresh")] for one in found])
            for who in (method, "uniform")
        )
        room = np.array([one["best"] for one in found]) - base[:, 0]
        lines.append(
            {
                "method": method,
                "over_none": interval(worth[:, 0]),
                "over_uniform": interval(worth[:, 0] - base[:, 0]),
                "over_uniform_fresh": interval(worth[:, 1] - base[:, 1]),
                "optimality": interval((worth[:, 0] - base[:, 0]) / room),
                "seeds": worth[:, 0].tolist(),
            }
        )
    return lines


def differences(found: Sequence[Found]) -> list[Found]:
    """Each method of sentences against each of prompts, on the same logs; with intervals that hold
    for all of these differences at once (Bonferroni)."""
    pairs = list(product(OF_SENTENCES, OF_PROMPTS))
    level = 1 - (1 - CONFIDENCE) / len(pairs)
    made = []
    for one, other in pairs:
        off = np.array(
            [
                [f["worth"][one][on] - f["worth"][other][on] for on in ("bank", "fresh")]
                for f in found
            ]
        )
        made.append(
            {
                "method": one,
                "against": other,
                "bank": interval(off[:, 0], level),
                "fresh": interval(off[:, 1], level),
            }
        )
    return made


def interval(values: Any, confidence: float = CONFIDENCE) -> Found:
    """Mean, its standard error, and Student's interval; nothing is known from one seed."""
    values = np.asarray(values, dtype=np.float64)
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return {"mean": mean, "stderr": None, "low": None, "high": None}
    stderr = float(values.std(ddof=1) / n**0.5)
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * stderr
    return {"mean": mean, "stderr": stderr, "low": mean - reach, "high": mean + reach}


def claims(lines: Sequence[Mapping[str, Any]], apart: Sequence[Mapping[str, Any]]) -> list[str]:
    """In words, what the intervals allow to be said, and what not."""
    by = {line["method"]: line["over_uniform"] for line in lines if line["method"] in METHODS}
    better = [name for name, gain in by.items() if _above(gain)]
    worse = [name for name, gain in by.items() if _below(gain)]
    others = [name for name in by if name not in better + worse]
    made = [f"better than a random prompt: {', '.join(better) or 'none'}"]
    if others:
        made.append(f"not told apart from a random prompt: {', '.join(others)}")
    if worse:
        made.append(f"WORSE than a random prompt: {', '.join(worse)}")
    for on, where in (("bank", "under the bank, which they know"), ("fresh", "on fresh sentences")):
        ahead, behind = ([d for d in apart if test(d[on])] for test in (_above, _below))
        for what, found in (("ahead", ahead), ("behind", behind)):
            if found:
                said = ", ".join(f"{d['method']} of {d['against']}" for d in found)
                made.append(f"{what} {where}, all at once at {CONFIDENCE:.0%}: {said}")
        rest = len(apart) - len(ahead) - len(behind)
        made.append(f"{where}, nothing is claimed of {rest} of {len(apart)} differences")
    return made


def _above(gain: Mapping[str, Any]) -> bool:
    return gain["low"] is not None and gain["low"] > 0


def _below(gain: Mapping[str, Any]) -> bool:
    return gain["high"] is not None and gain["high"] < 0
