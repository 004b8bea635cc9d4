"""How obp_figures.json was made: the estimators of Open Bandit Pipeline 0.5.7 on our seeded log.

    python -m pip install --target TARGET --no-deps seaborn pyieoe      (what obp imports besides)
    PYTHONPATH=src:tests:TARGET python tests/offpolicy/obp_figures.py

The package names Python < 3.11 as its limit and runs on 3.11 all the same, but for MIPS with
estimated weights, which asks scikit-learn for an option that it no longer has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from logged import ACTIONS, known

HOME = Path(__file__).with_suffix(".json")
SEEDS = (0, 1, 2)


def figures(seed: int) -> dict[str, float]:
    """What its estimators say of one log."""
    from obp import ope

    one = known(seed=seed)
    log, n = one.log, len(one.log)
    rows = {"reward": log.rewards, "action": log.actions, "position": np.zeros(n, dtype=int)}
    rows["action_dist"] = one.target[:, :, None]
    weighed = {**rows, "pscore": log.propensity}
    modelled = {**weighed, "estimated_rewards_by_reg_model": one.predictions[:, :, None]}
    shares = np.bincount(log.loggers) / n
    mixed = {**rows, "pscore_avg": one.loggers @ shares}
    embedded = {
        **rows,
        "action_embed": one.embeddings,
        "pi_b": log.propensities[:, :, None],
        "p_e_a": one.p_e_a,
        "context": log.contexts,
    }
    asked = {
        "ips": (ope.InverseProbabilityWeighting(), weighed),
        "clipped_ips 10": (ope.InverseProbabilityWeighting(lambda_=10.0), weighed),
        "snips": (ope.SelfNormalizedInverseProbabilityWeighting(), weighed),
        "dm": (ope.DirectMethod(), modelled),
        "dr": (ope.DoublyRobust(), modelled),
        "switch_dr 3": (ope.SwitchDoublyRobust(lambda_=3.0), modelled),
        "dros 20": (ope.DoublyRobustWithShrinkage(lambda_=20.0), modelled),
        "mips": (ope.MarginalizedInverseProbabilityWeighting(n_actions=ACTIONS), embedded),
        "balanced ips": (ope.MultiLoggersBalancedInverseProbabilityWeighting(), mixed),
        "balanced dr": (
            ope.MultiLoggersBalancedDoublyRobust(),
            {**mixed, "estimated_rewards_by_reg_model": one.predictions[:, :, None]},
        ),
    }
    return {name: float(way.estimate_policy_value(**said)) for name, (way, said) in asked.items()}


if __name__ == "__main__":
    found = {str(seed): figures(seed) for seed in SEEDS}
    HOME.write_text(json.dumps(found, indent=1) + "\n")
    print(found, file=sys.stderr)
