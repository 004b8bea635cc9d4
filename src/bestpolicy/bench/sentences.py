"""Errors of value estimates that look at sentences, beside those that only weigh prompts.

In the world of prompts with its published quirks: 2,000 rows a log, targets softmax(beta E[R|x,a]),
the Gaussian kernel of published width. DR has a ridge on (context, prompt), DR-kernel one on
(context, sentence), both with products; in this world that is the right form for sentences, so the
same is shown for a model whose parts only add up, which is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.known import Known, contexts
from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import Softmax
from bestpolicy.offpolicy.density import EMBEDDING, Sampled, Shared, Summed
from bestpolicy.offpolicy.kernel import dr_kernel, gaussian, kernel_is
from bestpolicy.offpolicy.regression import dm, dr
from bestpolicy.offpolicy.rows import Estimator, Given, Rows, Side
from bestpolicy.offpolicy.sentence_model import SentenceModel, sentence_model
from bestpolicy.offpolicy.targets import target_of
from bestpolicy.offpolicy.weighting import ips, snips
from bestpolicy.worlds.prompts import D, PromptWorld, prompt_world

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# prompts, beta -> the method note's RMSE of IPS and of DR-kernel, in one world of 9 logs
SETTINGS = {(100, 5.0): (0.047, 0.033), (1000, 5.0): (0.068, 0.051), (1000, 20.0): (0.139, 0.080)}
ROWS = 2000
GOAL = 0.8  # of IPS's error, at most
BEST, SHOWN = "DR-kernel", ("IPS", "SNIPS", "DR", "kernel IS", "DR-kernel", "DR-kernel, additive")


def main(
    quick: bool,
    out: Path,
    *,
    worlds: int | None = None,
    logs: int | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Value the targets, print the table, and write `sentences.json` and `sentences.svg`."""
    console = console or Console()
    worlds, logs = worlds or (3 if quick else 10), logs or (2 if quick else 5)
    begun = process_time()
    errors: dict[tuple[int, float], list[dict[str, list[float]]]] = {at: [] for at in SETTINGS}
    for actions in dict.fromkeys(actions for actions, _ in SETTINGS):
        betas = [beta for a, beta in SETTINGS if a == actions]
        for number in range(worlds):
            world = prompt_world(seed + number, actions=actions, compat=True)
            for beta, found in in_world(world, betas, logs, seed).items():
                errors[actions, beta].append(found)
    rows = [row(actions, beta, errors[actions, beta]) for actions, beta in SETTINGS]
    report = {
        "quick": quick, "seed": seed, "worlds": worlds, "logs": worlds * logs, "rows_a_log": ROWS,
        "goal": GOAL, "cpu_s": round(process_time() - begun, 1), "rows": rows,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "sentences.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"RMSE (bias) over {worlds * logs} logs in {worlds} worlds")
    for column in ("estimator", *(f"{r['prompts']:,} prompts, beta {r['beta']:g}" for r in rows)):
        table.add_column(column, justify="left" if column == "estimator" else "right")
    for name in rows[0]["errors"]:
        said = (r["errors"][name] for r in rows)
        table.add_row(name, *(f"{one['rmse']:.3f} ({one['bias']:+.3f})" for one in said))
    table.add_row(f"{BEST} / IPS (goal {GOAL})", *(f"{r['ratio']:.2f}" for r in rows))
    console.print(table)
    figures.save(lambda axes: _draw(axes, rows), out / "sentences.svg", console, wide=7)
    return report


def in_world(
    world: PromptWorld, betas: list[float], logs: int, seed: int
) -> dict[float, dict[str, list[float]]]:
    """Errors of every estimator in each log of one world, by target."""
    name = f"bench/sentences/{world.actions}/{world.seed}"
    policy = world.logging(stream(seed, f"{name}/policy"))
    targets = {beta: world.towards_reward(beta) for beta in betas}
    truth = {beta: world.value(target.table) for beta, target in targets.items()}
    found: dict[float, dict[str, list[float]]] = {beta: {} for beta in betas}
    for number in range(logs):
        log = world.log(ROWS, stream(seed, name, number), policy)
        for beta, target in targets.items():
            values, effective = valued(world, log, target, seed=number)
            for key, value in values.items():
                found[beta].setdefault(key, []).append(value - truth[beta])
            found[beta].setdefault("_effective", []).append(effective)
            found[beta].setdefault("_value", []).append(truth[beta])
    return found


def valued(
    world: PromptWorld, log: Log, policy: Softmax, *, seed: int
) -> tuple[dict[str, float], float]:
    """The target's value by every estimator, and the effective rows of its prompt weights."""
    target, source = target_of(policy.table(contexts(log)), log), Known(world, seed)
    kernel, centre = gaussian(D), float(log.rewards.mean())  # tau = 1 in d / D
    right, wrong = (sentence_model(log, source, products=on) for on in (True, False))
    exact: Side = Once(Summed(source, kernel))
    asked: dict[str, tuple[Estimator, Given]] = {
        "IPS": (ips, Given()),
        "SNIPS": (snips, Given()),
        "DR": (dr, Given(pair=prompt_pair(world, log))),
        "kernel IS": (kernel_is, Given(kernel=exact, centre=centre)),
        "kernel IS, not centred": (kernel_is, Given(kernel=exact, centre=0.0)),
        "DR-kernel": (dr_kernel, Given(kernel=exact, sentences=right)),
        "DR-kernel, 100 draws": _dr(Sampled(source, kernel, 100), right),
        "DR-kernel, 400 draws": _dr(Sampled(source, kernel, 400), right),
        "DR-kernel, 200 shared draws": _dr(Shared(source, kernel, 200), right),
        "model of sentences alone": (dm, Given(pair=right)),
        "DR-kernel, additive": (dr_kernel, Given(kernel=exact, sentences=wrong)),
        "additive model alone": (dm, Given(pair=wrong)),
    }
    values = {name: one(log, target, given=given).value for name, (one, given) in asked.items()}
    w = target.chances(log) / log.propensity
    return values, float(w.sum() ** 2 / (w @ w))


class Once:
    """A side that several estimators ask for the same rows of the same target."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._known: dict[int, Any] = {}

    def __call__(self, rows: Rows) -> Any:
        if rows.log.start not in self._known:
            self._known[rows.log.start] = self._side(rows)
        return self._known[rows.log.start]


def prompt_pair(world: PromptWorld, log: Log) -> Side:
    """Cross-fitted ridge on (context, prompt, products): as for sentences, with e_a for emb(s)."""
    seen = replace(log, columns={EMBEDDING: world.prompts[log.actions]})
    model = sentence_model(seen, Known(world))

    def pair(rows: Rows) -> tuple[Array, Array]:
        part, prompts = rows.log, world.prompts
        q = model.predicted(part, prompts[part.actions])
        return q, model.predicted(part, rows.table @ prompts)

    return pair


def row(actions: int, beta: float, worlds: list[dict[str, list[float]]]) -> dict[str, Any]:
    """One setting's errors over all logs, and in how many worlds the best form errs less."""
    names = [name for name in worlds[0] if not name.startswith("_")]
    pooled = {name: np.concatenate([found[name] for found in worlds]) for name in names}
    rmse = {name: float(np.sqrt((off**2).mean())) for name, off in pooled.items()}
    less = [np.mean(np.square(found[BEST])) < np.mean(np.square(found["IPS"])) for found in worlds]
    reference = dict(zip(("IPS", BEST), SETTINGS[actions, beta], strict=True))
    return {
        "prompts": actions,
        "beta": beta,
        "effective": round(float(np.mean([found["_effective"] for found in worlds]))),
        "value": round(float(np.mean([found["_value"] for found in worlds])), 3),
        "errors": {
            name: {"rmse": round(rmse[name], 4), "bias": round(float(pooled[name].mean()), 4)}
            for name in names
        },
        "reference": reference,
        "ratio": round(rmse[BEST] / rmse["IPS"], 3),
        "median_ratio": round(
            float(np.median(np.abs(pooled[BEST])) / np.median(np.abs(pooled["IPS"]))), 3
        ),
        "worlds_with_less_error": int(np.sum(less)),
        "passes": bool(rmse[BEST] <= GOAL * rmse["IPS"]),
    }


def _dr(kernel: Side, model: SentenceModel) -> tuple[Estimator, Given]:
    return dr_kernel, Given(kernel=kernel, sentences=model)


def _draw(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for at, name in enumerate(SHOWN):
        places = [i + (at - len(SHOWN) / 2) * 0.13 for i in range(len(rows))]
        axes.bar(places, [r["errors"][name]["rmse"] for r in rows], 0.12, label=name)
    axes.set_xticks(range(len(rows)), list(_labels(rows)))
    axes.set_ylabel("RMSE of the target's value")
    axes.legend()


def _labels(rows: list[dict[str, Any]]) -> Iterator[str]:
    for r in rows:
        yield f"{r['prompts']:,} prompts, beta {r['beta']:g}\n{r['effective']:,} effective rows"
