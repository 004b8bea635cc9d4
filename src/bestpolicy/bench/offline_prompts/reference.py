"""Figures of others at the same points: a re-run of the public code, tables of the method note.

20 worlds each, standard errors .01 to .03. Those of the kernels were read off the authors' plot.
"""

from __future__ import annotations

from bestpolicy.bench.offline_prompts.grids import Cell, Fit

STDERR = 0.02
METHODS = ("dso-published", "is", "dr", "regression", "potec", "online")
MAIN = (0.458, 0.217, 0.245, 0.133, 0.173, 0.705)
PROMPTS = {
    10: (0.774, 0.789, 0.814, 0.827, 0.736, 0.955),
    50: (0.552, 0.568, 0.603, 0.476, 0.476, 0.872),
    100: (0.507, 0.467, 0.510, 0.352, 0.364, 0.845),
    500: (0.464, 0.273, 0.300, 0.118, 0.195, 0.770),
    1000: MAIN,
}
ROWS = {
    500: (0.262, 0.139, 0.016, 0.019, 0.003, 0.705),
    1000: (0.337, 0.143, 0.134, 0.038, 0.040, 0.705),
    2000: (0.397, 0.157, 0.191, 0.037, 0.067, 0.705),
    4000: (0.436, 0.181, 0.228, 0.093, 0.117, 0.705),
    8000: MAIN,
}
NOISE = {
    0.0: (0.519, 0.494, 0.610, 0.525, 0.660, 0.742),
    1.0: MAIN,
    2.0: (0.392, 0.123, 0.141, 0.094, 0.107, 0.696),
    3.0: (0.316, 0.092, 0.106, 0.044, 0.087, 0.679),
}
TAUS = (0.5, 1.0, 2.0, 4.0)
KERNELS = {
    ("gaussian", "fa"): (0.45, 0.455, 0.45, 0.36),
    ("uniform", "fa"): (0.42, 0.43, 0.35, -0.01),
    ("gaussian", "mc-100"): (0.38, 0.475, 0.505, 0.445),
    ("uniform", "mc-100"): (0.0, 0.02, 0.43, 0.0),
}


def reference(cell: Cell, fit: Fit) -> float | None:
    """What others found at this very point, if it is one of theirs."""
    if not cell.compat or fit.method not in METHODS or fit.shift:
        return None
    if fit.method == "dso-published" and (fit.kernel, fit.tau, fit.density) != PLAIN:
        plot = KERNELS.get((fit.kernel, fit.density)) if cell == Cell() else None
        return None if plot is None else plot[TAUS.index(fit.tau)]
    if fit.method in ("regression", "dr", "potec") and fit.model != "net-long":
        return None
    found = None
    if cell == Cell(rows=cell.rows):
        found = ROWS.get(cell.rows)
    elif cell == Cell(prompts=cell.prompts):
        found = PROMPTS.get(cell.prompts)
    elif cell == Cell(sigma=cell.sigma):
        found = NOISE.get(cell.sigma)
    return None if found is None else found[METHODS.index(fit.method)]


PLAIN = ("gaussian", 1.0, "fa")
