"""Our own side of the cost table: one case, in a process of its own.

python -m bestpolicy.bench.ope.ours '{"case": "DR", "n": 100000, "actions": 100, "seed": 1}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from bestpolicy.bench.ope import files, gauge
from bestpolicy.bench.ope.accuracy import GIVEN
from bestpolicy.core.log import Estimate, Log
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import ESTIMATORS, evaluate
from bestpolicy.offpolicy.marginal import cluster_marginal, mips, true_marginal
from bestpolicy.offpolicy.marginal_models import estimated_marginal
from bestpolicy.offpolicy.regression import dr, switch_dr
from bestpolicy.offpolicy.reward_models import fitted, predicted
from bestpolicy.offpolicy.rows import Given
from bestpolicy.offpolicy.weighting import ips, snips

Columns = dict[str, Any]
Case = Callable[[Columns], Callable[[], Any]]


def both(columns: Columns) -> Callable[[], Any]:
    """IPS and SNIPS, each with its effective rows and its betting interval."""
    log, chances = log_of(columns), columns["chances"]

    def call() -> list[float]:
        found: list[Estimate] = [ips(log, chances), snips(log, chances)]
        return [found[0].value, found[1].value, found[0].low, found[0].high]

    return call


def checked(columns: Columns) -> Callable[[], Any]:
    """Making the log, which checks every row."""
    return lambda: [float(len(log_of(columns)))]


def doubly(columns: Columns) -> Callable[[], Any]:
    log, given = log_of(columns), Given(predictions=predicted(columns["predictions"]))
    return lambda: [dr(log, columns["pi"], given=given).value]


def switched(columns: Columns) -> Callable[[], Any]:
    log, given = log_of(columns), Given(predictions=predicted(columns["predictions"]))
    return lambda: [switch_dr(log, columns["pi"], given=given, most=gauge.SWITCH).value]


def marginal(columns: Columns) -> Callable[[], Any]:
    log, given = log_of(columns, tables=True), Given(marginal=true_marginal(columns["looks"], "e"))
    return lambda: [mips(log, columns["pi"], given=given).value]


def learnt(columns: Columns) -> Callable[[], Any]:
    """DR with a cross-fitted ridge, learnt inside the clock."""
    log = log_of(columns)

    def call() -> list[float]:
        model = fitted(log, rng=stream(0, "bench/ope/cost"))
        return [dr(log, columns["pi"], given=Given(pair=model.pair)).value]

    return call


def estimated(columns: Columns) -> Callable[[], Any]:
    """MIPS with weights learnt inside the clock."""
    log, chances = log_of(columns), columns["chances"]

    def call() -> list[float]:
        weights = estimated_marginal(log, chances, "e", rng=stream(0, "bench/ope/cost"))
        return [mips(log, chances, given=Given(marginal=weights)).value]

    return call


def everything(columns: Columns) -> Callable[[], Any]:
    """Every estimator that can be given what it needs, the uplift and all diagnostics."""
    log, looks = log_of(columns, tables=True), columns["looks"]
    given = Given(
        predictions=predicted(columns["predictions"]),
        marginal=true_marginal(looks, "e"),
        cluster=cluster_marginal(looks.argmax(axis=1)),
    )
    asked = [name for name, one in ESTIMATORS.items() if set(one.needs) <= GIVEN]
    return lambda: [evaluate(log, columns["pi"], estimators=asked, given=given)["dr"].value]


CASES: dict[str, tuple[Case, tuple[str, ...]]] = {  # and the tables that each needs
    "a log made and checked": (checked, ()),
    "IPS and SNIPS": (both, ()),
    "DR": (doubly, ("pi", "predictions")),
    "Switch-DR": (switched, ("pi", "predictions")),
    "DR, model learnt": (learnt, ("pi",)),
    "MIPS": (marginal, ("pi_0", "pi")),
    "MIPS, estimated": (estimated, ()),
    "evaluate, everything": (everything, gauge.TABLES),
}


def log_of(columns: Columns, *, tables: bool = False) -> Log:
    names = tuple(f"prompt {i}" for i in range(len(columns["looks"])))
    return Log(
        columns["a"],
        columns["r"],
        columns["p"],
        names,
        contexts=columns["x"],
        propensities=columns["pi_0"] if tables else None,
        columns={"e": columns["e"]},
    )


def played(job: dict[str, Any]) -> dict[str, Any]:
    if job["case"] in files.CASES:
        return gauge.gauged(lambda: files.CASES[job["case"]](job["file"]))
    case, tables = CASES[job["case"]]
    columns = gauge.columns(job["n"], job["actions"], job["seed"], tables)
    return gauge.gauged(case(columns))


if __name__ == "__main__":
    print(json.dumps(played(json.loads(sys.argv[1]))))
