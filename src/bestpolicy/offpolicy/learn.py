"""Learn: a log in, a policy out, with what it is worth on rows that it has not seen.

    rows ──► 70 % learn: width and trust chosen, three candidates fitted
         └─► 30 % are held out: each candidate valued, the best kept; intervals pay for all three

Where a bank says what prompts say, the candidates are CF-DR-DSO, DSO and the sentence model; where
none does, DR, IS and regression. A policy that does what the log hardly did is refused: nothing
could be said of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from bestpolicy.core.log import Estimate, Log, Logged, Target
from bestpolicy.core.nouns import Array, ConfigError, Interval
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.bank import Bank, compact
from bestpolicy.offpolicy.choosing import Chosen, chosen, kernel_of, narrowest
from bestpolicy.offpolicy.density import Source
from bestpolicy.offpolicy.evaluate import Evaluation, evaluate_all
from bestpolicy.offpolicy.kernel import dr_kernel
from bestpolicy.offpolicy.kernel_lines import variogram
from bestpolicy.offpolicy.learned import LearnedPolicy, features_of, written_out
from bestpolicy.offpolicy.learned_metric import by_slopes
from bestpolicy.offpolicy.learned_metric import chosen as better_metric
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.learners.measured import measured
from bestpolicy.offpolicy.learners.methods import METHODS, OF_SENTENCES, learnt
from bestpolicy.offpolicy.learners.support import quantiles
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.offpolicy.lines import Line
from bestpolicy.offpolicy.policy_file import write_policy
from bestpolicy.offpolicy.rows import Given, parts
from bestpolicy.offpolicy.rows_seen import RowsSeen
from bestpolicy.offpolicy.sides import Asked, with_sentences
from bestpolicy.offpolicy.targets import Tabled

AUTO = "auto"
BY_PROMPTS = ("dr", "is", "regression")
BY_SENTENCES = ("cf-dr-dso", "dso", "sdm")
HELD_OUT = 0.3
FEWEST = 100  # rows
TIED = 0.1  # standard errors, within which values are as good as equal
SURE = 0.999  # a chance that leaves nothing to compare,
MOST_SURE = 0.9  # and the share of rows that may have it
# Lines that tell of missing support; what else may say stop says it of a number, not of the policy.
SUPPORT = ("support",)
SENTENCE_SUPPORT = ("kernel-support", "kernel-density", "kernel-contrast")
Watch = Callable[[str], object]


class Unsupported(ConfigError):
    """The log cannot carry a policy: it did too little of what would have to be known."""


@dataclass(frozen=True)
class Learned:
    """A policy, and what speaks for it."""

    policy: LearnedPolicy
    candidates: Mapping[str, Evaluation]  # by method, on the rows held out
    chosen: Chosen | None  # width and trust, where sentences were compared
    rows: int  # that it learnt from
    gain: Interval  # beyond the policy that logged, in the long run, by the estimator that chose it
    notes: tuple[str, ...] = ()
    refused: Mapping[str, Line] = field(default_factory=dict)  # candidates, and what speaks against
    heard: Mapping[float, float] = field(default_factory=dict)  # quantiles of c over what it says

    @property
    def method(self) -> str:
        return self.policy.method

    @property
    def evaluation(self) -> Evaluation:
        """Of the policy, on rows held out."""
        return self.candidates[self.method]

    def on(self, log: Log) -> Array:
        """(m, A) the policy's chances in these rows, none of which it may have seen."""
        return self.policy.on(log)

    @property
    def estimate(self) -> Estimate:
        """Its value by the estimator that chose it."""
        return self.evaluation[by_which(self.evaluation)]

    def save(self, path: Path | str) -> None:
        """Keep the policy in a file, for `evaluate`, a study or `serve`."""
        write_policy(self.policy, path)


def learn(
    log: Logged,
    method: str = AUTO,
    *,
    bank: Source | None = None,
    prompts: Array | None = None,
    tau: float | None = None,
    held_out: float = HELD_OUT,
    confidence: float = 0.95,
    steps: int = 2000,
    seed: int = 0,
    watch: Watch | None = None,
) -> Learned:
    """A policy that picks a prompt for each context, by the method of this name or, by itself, the
    best of three on rows held out.

    `bank` says what prompts say (read_bank); `prompts` (A, d) what they are like, for models of the
    reward and for clusters. `tau` is the kernel's width in median distances, chosen by value if it
    is not given.
    """
    said = watch or (lambda _: None)
    whole = _at_hand(log)
    features = features_of(whole)
    _check(whole, method, held_out, steps, prompts)
    if isinstance(bank, Bank):
        whole, bank = compact(whole, bank)
    order = stream(seed, "learn/held out").permutation(len(whole))
    cut = max(1, round(len(whole) * held_out))
    seen = RowsSeen.of(whole.picked(order[cut:]))
    # Words are written out for models of rewards too: as ranks they would mean little.
    whole = replace(whole, contexts=written_out(whole.contexts, features, len(whole)), features=())
    mine, kept = whole.picked(order[cut:]), whole.picked(order[:cut])
    at = Material(mine, seed, prompts, bank, training=Training(steps=steps))
    methods, notes = _candidates(method, mine, bank)
    choice = None
    if bank is not None and set(methods) & set(OF_SENTENCES):
        if tau is None:
            choice = chosen(at, bank, stream(seed, "learn/choosing"), said=said)
        else:
            choice = Chosen(tau, None)
        kernel = kernel_of(mine, bank, choice.tau)
        at = replace(at, kernel=kernel, shrinks=choice.shrink)
        said("looking whether other distances foretell rewards better")
        at, more = _by_distances(at, choice.tau, seed)
        notes += more
    policies: dict[str, LearnedPolicy] = {}
    for name in methods:
        core = learnt(replace(at, watch=_telling(said, name, steps)), name)
        policies[name] = LearnedPolicy(whole.names, features, core, name, seen)
    said("valuing the candidates on the rows held out")
    targets = {name: _on_rows(policy) for name, policy in policies.items()}
    asked = Asked()
    if bank is not None and choice is not None:
        asked = Asked(bank=bank, tau=narrowest(kept, bank))
    found = evaluate_all(
        *(kept, targets),
        estimators=["ips", "snips", "dr_kernel" if choice else "dr"],
        confidence=confidence,
        asked=asked,
        seed=seed,
    )
    best, refused = _best(found)
    alpha = (1 - confidence) / len(found)
    gain, heard = found[best].uplift.asymptotic, {}
    if bank is not None and choice is not None:
        said("looking how much of what it would say was logged")
        gain = kernel_gain(kept, targets[best], asked, alpha)
        kernel = kernel_of(kept, bank, choice.tau)
        heard = quantiles(kept, bank, kernel, targets[best].table(kept))
    policy = replace(policies[best], about=_about(found[best], gain, choice, len(mine)))
    return Learned(policy, found, choice, len(mine), gain, tuple(notes), refused, heard)


def _by_distances(at: Material, tau: float, seed: int) -> tuple[Material, list[str]]:
    """The same material, with learned distances between sentences where rows that these have not
    seen say that they go with rewards better than distances as they are."""
    found = better_metric(at.log, by_slopes(at.log, seed=seed))
    if not found.learned:
        return at, []
    gain = f"{found.gain:.2g} ± {found.error:.1g}"
    note = f"distances between sentences were learnt, as they go with rewards better by {gain}"
    return measured(at, found.metric, width=tau), [note]


def _telling(said: Watch, name: str, steps: int) -> Callable[[int], object]:
    return lambda step: said(f"learning {name}: {step} of {steps} steps")


def _at_hand(log: Logged) -> Log:
    """All rows in memory, with the ids of their requests where they have any."""
    if isinstance(log, Log):
        return log
    plan = getattr(log, "plan", None)
    if plan is not None and plan.id is not None:
        log = log.keeping(plan.id)
    load = getattr(log, "load", None)
    if load is None:
        raise ConfigError("learn needs a log at hand, or a file that read_log has opened")
    made: Log = load()
    return made


def _check(log: Log, method: str, held_out: float, steps: int, prompts: Array | None) -> None:
    if method != AUTO and method not in METHODS:
        from difflib import get_close_matches

        near = get_close_matches(method, [AUTO, *METHODS], 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {AUTO}, {', '.join(METHODS)}"
        raise ConfigError(f"no method is called {method!r}; {hint}")
    if not 0.05 <= held_out <= 0.9:
        raise ConfigError(f"held_out must be a share between 0.05 and 0.9, saw {held_out:g}")
    if steps < 1:
        raise ConfigError(f"steps must be 1 or more, saw {steps}")
    if len(log) < FEWEST:
        raise Unsupported(
            f"the log has {len(log)} rows, and a policy is learnt from {FEWEST} at least: log more"
        )
    if len(log.names) < 2:
        raise Unsupported("the log has one prompt only: there is nothing to choose from")
    if prompts is not None and len(prompts) != len(log.names):
        raise ConfigError(
            f"prompts must have a row for each of the {len(log.names)} prompts, saw {len(prompts)}"
        )
    if log.weight is not None:
        raise ConfigError(
            "rows of this log stand for different numbers of rows (weight), which learning does "
            "not know; leave the weight out, or log every row"
        )
    highest = log.propensity if log.propensities is None else log.propensities.max(axis=1)
    sure = float((highest > SURE).mean())
    if sure > MOST_SURE:
        raise Unsupported(
            f"in {sure:.0%} of rows one prompt had all the chance: the log never tried another one "
            "there, and cannot say what it would have earned; let the policy that logs explore"
        )


def _candidates(method: str, log: Log, bank: Source | None) -> tuple[Sequence[str], list[str]]:
    """The methods to fit, and what is to be said of the choice."""
    if method != AUTO:
        if bank is None and method not in (*BY_PROMPTS, "potec"):
            raise ConfigError(
                f"{method} compares sentences: give bank=, a bank of what prompts say (read_bank)"
            )
        return [method], []
    if bank is None:
        return BY_PROMPTS, ["without a bank of sentences prompts are compared by name alone"]
    line = variogram(log)
    if line.verdict == "stop":  # too noisy to tell, or the embedding hears nothing of the reward
        return (*BY_SENTENCES, "dr"), [f"dr competes, which looks at prompts only, as {line.said}"]
    return BY_SENTENCES, []


def _on_rows(policy: LearnedPolicy) -> Tabled:
    """As a target on rows whose contexts are written out, none of which it has seen."""

    def table(log: Log) -> Array:
        assert log.contexts is not None
        return np.asarray(policy.core.table(log.contexts), dtype=np.float64)

    return Tabled(table, policy.method)


def kernel_gain(kept: Log, target: Target, asked: Asked, alpha: float) -> Interval:
    """What a target earns beyond the policy that logged by DR-kernel, paired row by row."""
    given, _ = with_sentences(Given(), kept, target, [dr_kernel], asked)
    more = [dr_kernel.each(rows)[0] - rows.r for rows in parts(kept, target, given)]
    each = np.concatenate(more) * (kept.bounds[1] - kept.bounds[0])
    value, reach = (
        float(each.mean()),
        float(norm.ppf(1 - alpha / 2) * each.std() / len(each) ** 0.5),
    )
    return Interval(value, value - reach, value + reach)


def by_which(evaluation: Evaluation) -> str:
    """The estimator that compares candidates."""
    return "dr_kernel" if "dr_kernel" in evaluation else "dr"


def _best(found: Mapping[str, Evaluation]) -> tuple[str, dict[str, Line]]:
    """The candidate to hand over, and what speaks against which others."""
    refused = {
        name: line for name, one in found.items() if (line := against(name, one)) is not None
    }
    fit = [name for name in found if name not in refused]
    if not fit:
        name, line = next(iter(refused.items()))
        raise Unsupported(
            f"no policy is handed over: of the one that {name} learnt, {line.said}"
            + (f"; {line.advice}" if line.advice else "")
        )
    by = {name: found[name][by_which(found[name])] for name in fit}
    top = max(by.values(), key=lambda one: one.value)
    # Candidates come in the order of trust: what is as good is taken first.
    best = next(name for name, one in by.items() if one.value >= top.value - TIED * top.stderr)
    return best, refused


def _about(one: Evaluation, gain: Interval, choice: Chosen | None, rows: int) -> dict[str, Any]:
    """What a policy's file says of where it comes from."""
    estimate = one[by_which(one)]
    return {
        "rows": rows,
        "held_out": estimate.n,
        "estimator": by_which(one),
        "value": estimate.value,
        "stderr": estimate.stderr,
        "gain": [gain.value, gain.low, gain.high],
        "uplift": [one.uplift.low, one.uplift.high],
        "verdict": one.verdict,
        "confidence": one.confidence,
        "candidates": one.candidates,
        "tau": None if choice is None else choice.tau,
    }


def against(method: str, one: Evaluation) -> Line | None:
    """The line of the diagnosis that forbids this policy, if any does."""
    names = SENTENCE_SUPPORT if method in OF_SENTENCES else SUPPORT
    lines = {line.name: line for line in one.diagnosis.lines}
    for name in names:
        if name in lines and lines[name].verdict == "stop":
            return lines[name]
    return None
