"""Densities that learners divide by, against the closed form: exact, by draws, and by a net.

Prints the median |log error| of each (`pytest -s`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.bench.known import Known
from bestpolicy.bench.offline_prompts.grids import Cell, Fit
from bestpolicy.bench.offline_prompts.play import Place, material, place
from bestpolicy.core.net import Net
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import embeddings, logged
from bestpolicy.offpolicy.kernel import Kernel, gaussian, uniform
from bestpolicy.offpolicy.learners.approximated import (
    Approximation,
    approximated,
    fitted,
    foreseen,
    positive,
    two_draws,
)
from bestpolicy.offpolicy.learners.material import Material, sampled, summed

KERNELS = {"gaussian": gaussian(5.0), "uniform": uniform(15.0)}
MANY = 20_000


@pytest.fixture(scope="module")
def here() -> Place:
    """Published quirks on: the noise that published kernels add must enter nothing here."""
    return place(Cell(12, 300), 4)


def at(here: Place, kernel: Kernel, density: Any) -> Material:
    return Material(here.log, 1, here.world.prompts, here.source, kernel, density)


def by_brute_force(here: Place, kernel: Kernel) -> tuple[Any, Any]:
    """D of ten rows as a mean over many draws, and its standard error."""
    some = here.log.at(slice(0, 10))
    rng = stream(5, "tests/density")
    _, said = here.world.draws(some.contexts, logged(some), MANY, rng)
    near = kernel(((embeddings(some)[:, None] - said) ** 2).sum(-1))
    return near.mean(axis=1), near.std(axis=1) / MANY**0.5


@pytest.mark.parametrize("name", KERNELS)
def test_the_exact_density_is_what_draws_come_to(here: Place, name: str) -> None:
    mean, error = by_brute_force(here, KERNELS[name])
    exact = at(here, KERNELS[name], summed).density[:10]
    assert (np.abs(exact - mean) < 6 * error + 1e-6).all()


@pytest.mark.parametrize("name", KERNELS)
def test_noise_within_the_kernel_would_be_another_density(here: Place, name: str) -> None:
    """The twin: the world with its quirk asked, where learners compare sentences as they are."""
    mean, error = by_brute_force(here, KERNELS[name])
    noisy = replace(at(here, KERNELS[name], summed), source=Known(here.world, 1))
    assert (np.abs(noisy.density[:10] - mean) > 6 * error + 1e-6).any()


def test_a_kernel_that_no_world_knows_is_refused(here: Place) -> None:
    odd = Kernel("triangular", 5.0, lambda z: np.maximum(0, 1 - z))
    with pytest.raises(ConfigError, match=r"'triangular'.*gaussian, uniform"):
        _ = at(here, odd, summed).density
    uneven = replace(here.world, spread=np.array([1.0, 1.0, 1.0, 1.0, 2.0]), noise=0.0)
    with pytest.raises(ConfigError, match=r"vary alike.*1, 1, 1, 1, 2"):
        _ = replace(at(here, uniform(15.0), summed), source=Known(uneven, 1)).density


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_draws_tend_to_the_exact_density_and_a_net_is_far_from_it(here: Place, name: str) -> None:
    exact = at(here, KERNELS[name], summed).density

    def error(density: Any) -> float:
        found = at(here, KERNELS[name], density).density
        assert (found >= 0).all()
        return float(np.median(np.abs(np.log(np.maximum(found, 1e-12) / exact))))

    errors = {f"MC {m}": error(sampled(m)) for m in (30, 100, 400, 1600)}
    errors["FA"] = error(approximated(Approximation(rounds=30)))
    print(f"\n{name}: median |log error| " + ", ".join(f"{k} {v:.2f}" for k, v in errors.items()))
    # Four times the draws halve an error; 300 rows know its median to a tenth.
    by_draws = list(errors.values())[1:4]
    assert by_draws[1] < 0.75 * by_draws[0]
    assert by_draws[2] < 0.75 * by_draws[1]
    assert errors["FA"] > errors["MC 400"]


def test_the_nets_slope_is_that_of_its_squared_error() -> None:
    """softplus by finite differences, through the net."""
    rng = stream(6, "tests/density")
    net, x, aims = Net.drawn(rng, 4, 6), rng.normal(size=(30, 4)), rng.random(30)

    def loss(net: Net) -> float:
        return float(((foreseen(net, x) - aims) ** 2).mean())

    z = net(x)
    off = positive(z)[:, 0] - aims
    gradient = net.back(x, (2 / 30) * off[:, None] / (1 + np.exp(-0.5 * z)))
    for part, slope in zip(net.parts(), gradient.parts(), strict=True):
        at = tuple(0 for _ in part.shape)
        part[at] += 1e-6
        up = loss(net)
        part[at] -= 2e-6
        down = loss(net)
        part[at] += 1e-6
        assert slope[at] == pytest.approx((up - down) / 2e-6, abs=1e-6)


def test_the_net_learns_the_mean_nearness_where_all_sentences_are_alike(here: Place) -> None:
    """With a kernel that is flat the density is 1; two draws are drawn for two contexts' rows."""
    flat = at(here, gaussian(1e6), None)
    net = fitted(flat, Approximation(rounds=20, rate=1e-3))
    found = foreseen(net, np.hstack([flat.x, flat.said]))
    assert abs(float(np.median(found)) - 1) < 0.1
    pair = two_draws(flat, np.arange(300), stream(1, "pairs"))
    assert pair.shape == (300, 2, 5)
    assert not np.allclose(pair[:, 0], pair[:, 1])


def test_published_width_is_a_fifth_of_a_median_distance_or_so(here: Place) -> None:
    """What `tau` means: published units with the quirks, median distances without."""
    assert material(here, Fit("dso")).kernel.width == 5.0
    assert material(here, Fit("dso", "uniform", 2.0)).kernel.width == 30.0
    clean = place(Cell(12, 300, compat=False), 4)
    own = material(clean, Fit("dso", tau=0.25)).kernel.width
    pairs = clean.log.columns["sentence_emb"]
    apart = np.linalg.norm(pairs[:150] - pairs[150:], axis=1)
    assert 0.1 < own / np.median(apart) < 0.4
