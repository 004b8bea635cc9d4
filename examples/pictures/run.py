"""Learn which style of picture to show to whom, from a log of clicks.

    python examples/pictures/run.py [--styles 60] [--rows 2000] [--worlds 3] [--sheet sheet.svg]

A renderer stands in for any frozen generator: all that is asked of it is `sample`, which makes
pictures for contexts and styles, and `embed`, which says where they lie. The world knows its
viewers' taste, so that what a policy is worth is not estimated here but known.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sheet import sheet

from bestpolicy.core.log import Log
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.generator import banked
from bestpolicy.offpolicy.kernel import gaussian
from bestpolicy.offpolicy.kernel_lines import median_distance
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.learners.methods import Learnt, learnt
from bestpolicy.worlds.pictures import PictureWorld, picture_world

METHODS = {
    "is": "IS, over styles",
    "dr": "DR, over styles",
    "dso": "DSO, over pictures",
    "cf-dr-dso": "CF-DR-DSO, over pictures",
}
WIDTH = 0.25  # of the kernel, in median distances of two pictures


def policies(world: PictureWorld, log: Log, seed: int) -> dict[str, Learnt]:
    """What each method learns from the log."""
    bank = banked(world, log, draws=16, seed=seed)  # pictures of every motif and style, made once
    kernel = gaussian(WIDTH * median_distance(log, bank))
    material = Material(log, seed, prompts=world.styles, source=bank, kernel=kernel)
    return {method: learnt(material, method) for method in METHODS}


def main(styles: int, rows: int, worlds: int, path: Path | None) -> dict[str, list[float]]:
    """Print true values with their spread over worlds; returns how near each came to the best."""
    near: dict[str, list[float]] = {name: [] for name in ("the log itself", *METHODS)}
    for seed in range(worlds):
        world = picture_world(seed, styles=styles)
        log = world.log(rows, stream(seed, "examples/pictures/log"))
        found = policies(world, log, seed)
        for name, policy in [("the log itself", world.logging()), *found.items()]:
            near[name].append(world.optimality(policy.table))
        least, most = world.bounds
        print(f"world {seed}: clicks at random {least:.3f}, at best {most:.3f}")
        if path is not None and seed == 0:
            viewers = world.contexts(3, stream(seed, "examples/pictures/viewers"))
            shown = {METHODS[name]: policy.table(viewers) for name, policy in found.items()}
            shown["the best there is"] = world.best().table(viewers)
            path.write_text(sheet(world, viewers, shown))
    print(
        f"\n{styles} styles, {rows:,} rows, {worlds} worlds: share of the way from random to best"
    )
    for name, values in near.items():
        reach = f" ± {np.std(values, ddof=1) / worlds**0.5:.3f}" if worlds > 1 else ""
        print(f"{METHODS.get(name, name):26}{np.mean(values):6.3f}{reach}")
    return near


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--styles", type=int, default=60)
    asked.add_argument("--rows", type=int, default=2000)
    asked.add_argument("--worlds", type=int, default=3)
    asked.add_argument("--sheet", type=Path, help="write a contact sheet of world 0, an .svg file")
    given = asked.parse_args()
    main(given.styles, given.rows, given.worlds, given.sheet)
