"""One world, one log, and what each method learns from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.bench.known import Known, contexts
from bestpolicy.bench.offline_prompts.grids import Cell, Fit
from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.kernel import Kernel, gaussian, uniform
from bestpolicy.offpolicy.kernel_lines import median_distance
from bestpolicy.offpolicy.learners.approximated import approximated
from bestpolicy.offpolicy.learners.material import Material, sampled, summed
from bestpolicy.offpolicy.learners.methods import Learnt, by_slope, learnt
from bestpolicy.offpolicy.learners.training import Slope, Training, scored
from bestpolicy.offpolicy.reward_nets import Fit as FitModel
from bestpolicy.offpolicy.reward_nets import Fitting, Predict, fit_net
from bestpolicy.worlds.prompts import D, PromptWorld, prompt_world

Floats = NDArray[Any]
TRAINING = Training()
UNIFORM = 3  # times as wide as a Gaussian kernel: published


@dataclass(frozen=True, slots=True)
class Place:
    """A world and its log."""

    world: PromptWorld
    log: Log
    seed: int

    @property
    def source(self) -> Known:
        """What is said, without the noise that published kernels add: ours add none, and an exact
        density must be that of the kernel in use."""
        return Known(replace(self.world, noise=0.0), self.seed)


def place(cell: Cell, seed: int) -> Place:
    """The same world and logging policy for any number of rows."""
    world = prompt_world(seed, actions=cell.prompts, sigma=cell.sigma, compat=cell.compat)
    policy = world.logging(stream(seed, "bench/offline-prompts/logging", cell.prompts))
    rng = stream(seed, "bench/offline-prompts/log", cell.prompts)
    return Place(world, world.log(cell.rows, rng, policy), seed)


def played(
    cell: Cell, seed: int, fits: list[Fit], training: Training = TRAINING
) -> list[dict[str, float]]:
    """Optimality of what each fit learns, and its processor time, reward models included."""
    at = place(cell, seed)
    least = at.world.value(at.world.uniform().table)
    most = at.world.value(at.world.best().table)
    made = []
    for fit in fits:
        begun = process_time()
        policy = method(fit.method, at)(material(at, fit, training))
        spent = process_time() - begun
        value = at.world.value(policy.table)
        made.append({"optimality": (value - least) / (most - least), "cpu_s": round(spent, 2)})
    return made


def material(at: Place, fit: Fit, training: Training = TRAINING) -> Material:
    """The log and what is known besides: the prompts, and what they say."""
    log = at.log
    if fit.shift:
        log = replace(log, rewards=log.rewards + fit.shift)
    return Material(
        log,
        at.seed,
        at.world.prompts,
        at.source,
        kernel(at, fit),
        density(fit.density),
        training,
        model(at, fit.model),
        fit.folds,
    )


def kernel(at: Place, fit: Fit) -> Kernel:
    """Of published units, |s - s'| / D <= tau, or of median distances between draws of pi_0."""
    unit = D if at.world.times != 1 else median_distance(at.log, at.source)
    if fit.kernel == "uniform":
        return uniform(UNIFORM * fit.tau * unit)
    return gaussian(fit.tau * unit)


def density(name: str) -> Callable[[Material], Floats]:
    """`exact`, `fa`, or `mc-` and the number of draws."""
    if name == "exact":
        return summed
    if name == "fa":
        return approximated()
    return sampled(int(name.removeprefix("mc-")))


def model(at: Place, name: str) -> FitModel:
    """How a reward is foreseen from context and sentence."""
    if name == "net":
        return fit_net
    if name == "net-long":
        return lambda inputs, rewards, rng: fit_net(inputs, rewards, rng, Fitting(held=0.0))
    if name == "linear":
        return fit_line
    if name != "exact":
        raise ConfigError(f"no model is called {name!r}; there are net, net-long, linear, exact")
    mean = float(at.log.rewards.mean())

    def known(inputs: Floats, rewards: Floats, rng: Rng) -> Predict:  # noqa: ARG001 - a Fit
        return lambda z: at.world.mean_reward(z[:, : 2 * D], z[:, 2 * D :]) - mean

    return known


def fit_line(inputs: Floats, rewards: Floats, rng: Rng) -> Predict:  # noqa: ARG001 - a Fit
    """Least squares by a line: wrong here, since rewards are products."""
    one = np.ones((len(inputs), 1))
    found = np.linalg.lstsq(np.hstack([one, inputs]), rewards, rcond=None)[0]
    return lambda z: z @ found[1:] + found[0]


def method(name: str, at: Place) -> Callable[[Material], Learnt]:
    """A method by name, or `online`: a fresh reward for what the learner itself would say."""
    if name != "online":
        return lambda material: learnt(material, name)
    return by_slope(lambda material: online(at, material))


def online(at: Place, material: Material) -> Slope:
    """score(a) r, in the contexts of the log: what no log can teach better."""
    x = contexts(material.log)

    def slope(rows: Ints, chances: Floats, rng: Rng) -> Floats:
        actions = drawn(chances, 1, rng)
        said = material.speaker(rows, actions, rng)[:, 0]
        return scored(chances, actions, at.world.rewards(x[rows], said, rng)[:, None])

    return slope
