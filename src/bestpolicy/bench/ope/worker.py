"""Runs inside the environment of the other libraries: one case, timed by gauge.py.

    python worker.py '{"case": "obp DR", "n": 100000, "actions": 100, "seed": 1}'

Nothing of this project is imported here but gauge.py, which needs numpy alone. obp imports torch
for learners that no case calls; a stand-in spares the environment 200 MB.
"""

from __future__ import annotations

import json
import runpy
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


class _Anything(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})


class _StandIn(ModuleType):
    __path__: list[str] = []  # noqa: RUF012 (what makes a module a package)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})


def stand_in(*names: str) -> None:
    """Modules that can be imported and subclassed, and do nothing."""
    if find_spec(names[0]) is None:
        sys.modules.update({name: _StandIn(name) for name in names})


def obp_case(name: str, columns: Any, switch: float) -> Any:
    """One estimator of Open Bandit Pipeline on these columns."""
    stand_in("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils.data")
    import numpy as np

    ope: Any = import_module("obp.ope")

    def wide(table: str) -> Any:
        return columns[table][:, :, None]

    log = {"reward": columns["r"], "action": columns["a"], "pscore": columns["p"]}
    if name in ("IPS", "SNIPS"):
        kinds = {"IPS": "", "SNIPS": "SelfNormalized"}
        made = getattr(ope, f"{kinds[name]}InverseProbabilityWeighting")()
        return lambda: [float(made.estimate_policy_value(**log, action_dist=wide("pi")))]
    if name in ("DR", "Switch-DR"):
        made = ope.DoublyRobust() if name == "DR" else ope.SwitchDoublyRobust(lambda_=switch)
        given = {"action_dist": wide("pi"), "estimated_rewards_by_reg_model": wide("predictions")}
        return lambda: [float(made.estimate_policy_value(**log, **given))]
    given = {"action_embed": columns["e"][:, None], "pi_b": wide("pi_0"), "action_dist": wide("pi")}
    if name == "MIPS":
        given["p_e_a"] = columns["looks"][:, :, None]
    else:
        given["context"] = columns["x"]
    del log["pscore"]
    made = ope.MarginalizedInverseProbabilityWeighting(n_actions=columns["looks"].shape[0])
    return lambda: [float(np.asarray(made.estimate_policy_value(**log, **given)))]


def vw_case(name: str, columns: Any) -> Any:
    """One estimator or interval of vw-estimators, fed row by row as it wants to be."""
    cressieread, cs, ips, snips = (
        import_module(f"estimators.bandits.{kind}")
        for kind in ("cressieread", "cs", "ips", "snips")
    )

    makers = {"IPS": ips.Estimator, "SNIPS": snips.Estimator, "Cressie-Read": cressieread.Interval}
    made = (makers | {"sequence": cs.Interval})[name]()

    def call() -> list[float]:
        add = made.add_example
        rows = (columns[c].tolist() for c in ("p", "r", "chances"))
        for p, r, chance in zip(*rows, strict=True):
            add(p, r, chance)
        if name in ("IPS", "SNIPS"):
            return [float(made.get())]
        return [float(end) for end in made.get(0.05)]

    return call


TABLES = {
    "obp IPS": ("pi",),
    "obp SNIPS": ("pi",),
    "obp DR": ("pi", "predictions"),
    "obp Switch-DR": ("pi", "predictions"),
    "obp MIPS": ("pi_0", "pi"),
    "obp MIPS, estimated": ("pi_0", "pi"),
}


def played(job: dict[str, Any], gauge: dict[str, Any]) -> dict[str, Any]:
    """A case, by its library and name."""
    library, _, name = job["case"].partition(" ")
    tables = TABLES.get(job["case"], ())
    columns = gauge["columns"](job["n"], job["actions"], job["seed"], tables)
    vw = library == "vw-estimators"
    call = vw_case(name, columns) if vw else obp_case(name, columns, gauge["SWITCH"])
    found: dict[str, Any] = gauge["gauged"](call)
    return found | {"versions": {name: version(name) for name in ("numpy", "scikit-learn")}}


if __name__ == "__main__":
    _gauge = runpy.run_path(str(Path(__file__).with_name("gauge.py")))
    print(json.dumps(played(json.loads(sys.argv[1]), _gauge)))
