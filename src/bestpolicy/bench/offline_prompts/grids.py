"""What is learnt from what: cells (a world and its log), fits (a method and how), and grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

WORTH = 10  # worlds where a goal is at stake,
SEVERAL = 5  # where only the trend is,
FEW = 3  # and where fits are many
QUICK = 2
FIRST = 100  # number of the first world: fresh ones, on which nothing was chosen


@dataclass(frozen=True, slots=True)
class Cell:
    """A world and the log that methods learn from."""

    prompts: int = 1000
    rows: int = 8000
    sigma: float = 1.0
    compat: bool = True


@dataclass(frozen=True, slots=True)
class Fit:
    """A method, and all that may be chosen besides; defaults are ours."""

    method: str
    kernel: str = "gaussian"
    tau: float = 1.0  # published units in compat, else median distances
    density: str = "mc-100"
    model: str = "net"  # stopped by held-out rows; net-long, linear or exact
    folds: int = 5
    shift: float = 0.0  # added to all rewards

    @property
    def said(self) -> str:
        """The method, and what differs from the defaults."""
        plain = asdict(Fit(self.method))
        odd = [f"{k} {v}" for k, v in asdict(self).items() if v != plain[k]]
        return ", ".join([self.method, *odd])


@dataclass(frozen=True, slots=True)
class Play:
    """A line of a grid."""

    grid: str
    cell: Cell
    fit: Fit
    seeds: int


PUBLISHED = Fit("dso-published", density="fa")
LONG = tuple(  # nets fitted for long, in two folds: as near as ours come to the published ones
    Fit(method, model="net-long", folds=2) for method in ("regression", "dr", "potec")
)
OURS = (Fit("dso"), Fit("sdm"), Fit("cf-dr-dso"))
OFFLINE = (*LONG, Fit("is"), PUBLISHED, *OURS)
STANDARD = (*OFFLINE, Fit("online"))
STOPPED = tuple(map(Fit, ("regression", "dr", "potec")))  # with the same nets as our own methods
MORE = (  # at the main point: other forms of DSO
    *(Fit("dso", density=density) for density in ("exact", "mc-400")),
    *(Fit(method, density="exact") for method in ("dso-summed", "dso-self", "cf-dr-dso")),
)
SIZES, ROWS, NOISES = (10, 50, 100, 500, 1000), (500, 1000, 2000, 4000), (0.0, 2.0, 3.0)
KERNELS, TAUS, DENSITIES = ("gaussian", "uniform"), (0.5, 1.0, 2.0, 4.0), ("fa", "mc-100")
CLEAN = 0.25  # of a median distance: what published width comes to in compat
MODELS = Cell(prompts=100, rows=2000)


def prompts(quick: bool) -> Iterator[Play]:
    for size in (10, 100, 1000) if quick else SIZES:
        for fit in (*STANDARD, *STOPPED):
            yield Play("prompts", Cell(size), fit, WORTH)
    for fit in () if quick else MORE:
        yield Play("prompts", Cell(1000), fit, SEVERAL)


def rows(quick: bool) -> Iterator[Play]:
    for n in (2000,) if quick else ROWS:
        for fit in OFFLINE:
            yield Play("rows", Cell(rows=n), fit, SEVERAL)


def noise(quick: bool) -> Iterator[Play]:
    for sigma in () if quick else NOISES:
        for fit in STANDARD:
            yield Play("noise", Cell(sigma=sigma), fit, FEW)


def kernels(quick: bool) -> Iterator[Play]:
    taus: tuple[float, ...] = (1.0,) if quick else TAUS
    for kernel in KERNELS:
        for tau in taus:
            for density in DENSITIES:
                fit = Fit("dso-published", kernel, tau, density)
                yield Play("kernels", Cell(), fit, FEW)
            for density in ("mc-100", "exact"):
                yield Play("kernels", Cell(), Fit("dso", kernel, tau, density), FEW)
            yield Play("kernels", Cell(), Fit("cf-dr-dso", kernel, tau), FEW)
    for fit in () if quick else (*STOPPED, Fit("is"), *OURS):
        own = replace(fit, tau=CLEAN) if "dso" in fit.method else fit
        yield Play("kernels", Cell(compat=False), own, FEW)


def models(quick: bool) -> Iterator[Play]:
    """Models of the reward that are wrong by force, right by knowledge, or have seen the row; and
    rewards that are moved by a constant."""
    fits = [*OURS, Fit("dso", density="exact"), Fit("dso-self"), Fit("regression")]
    for model in ("linear", "exact"):
        fits += [Fit("sdm", model=model), Fit("cf-dr-dso", model=model)]
    fits.append(Fit("cf-dr-dso", model="net-long", folds=2))
    fits += [Fit("cf-dr-dso", model=model, folds=1) for model in ("net-long", "linear")]
    for shift in (0.0, 1.0, -1.0):
        fits.append(Fit("dso-published", density="exact", shift=shift))
    fits += [Fit("dso", density="exact", shift=shift) for shift in (1.0, -1.0)]
    for fit in fits:
        yield Play("models", MODELS, fit, SEVERAL if quick else WORTH)


GRIDS: Mapping[str, Callable[[bool], Iterator[Play]]] = {
    "prompts": prompts,
    "models": models,
    "rows": rows,
    "noise": noise,
    "kernels": kernels,
}


def plays(names: list[str], quick: bool, seeds: int | None) -> list[Play]:
    """All lines of these grids."""
    made = [play for name in names for play in GRIDS[name](quick)]
    if quick:
        made = [
            replace(p, seeds=min(p.seeds, SEVERAL if p.grid == "models" else QUICK)) for p in made
        ]
    return [replace(play, seeds=seeds or play.seeds) for play in made]


def tasks(
    lines: list[Play], first: int, kept: Mapping[str, Any]
) -> list[tuple[Cell, int, list[Fit]]]:
    """What is still to be learnt: by cell and world, so that fits share a log."""
    wanted: dict[tuple[int, int, Cell], dict[Fit, None]] = {}
    order = {cell: i for i, cell in enumerate(dict.fromkeys(line.cell for line in lines))}
    for line in lines:
        for seed in range(first, first + line.seeds):
            if key(line.cell, seed, line.fit) not in kept:
                wanted.setdefault((seed, order[line.cell], line.cell), {})[line.fit] = None
    return [(cell, seed, list(fits)) for (seed, _, cell), fits in wanted.items()]


def key(cell: Cell, seed: int, fit: Fit) -> str:
    """What a finished fit is kept under."""
    parts = [f"{k}={v}" for k, v in (asdict(cell) | {"seed": seed} | asdict(fit)).items()]
    return " ".join(parts)
