"""The page's numbers for programs: what `--json` says, and what the page adds to it."""

from __future__ import annotations

from math import inf, isfinite, log
from typing import Any

from bestpolicy.core.nouns import Interval
from bestpolicy.core.watch import FALSE_ALARM
from bestpolicy.report.allocation import Allocation
from bestpolicy.report.dossier import Basis, Dossier
from bestpolicy.report.snapshot import Snapshot
from bestpolicy.report.tables import as_json


def data(dossier: Dossier, where: Allocation) -> dict[str, Any]:
    """One object of JSON values; an interval is [value, low, high]."""
    at = dossier.snapshot
    return as_json(at) | {
        "pairs": [
            {"left": at.policies[a], "right": at.policies[b], "comparisons": pair.n}
            | {"never_answered": pair.lost, "share": _numbers(at.against(a, b))}
            for (a, b), pair in sorted(at.pairs.items())
        ],
        "allocation": [
            {"loser": at.policies[one.loser], "rival": at.policies[one.rival]}
            | {"comparisons": one.n, "used": one.used, "optimal": _numbers(one.best)}
            for one in where.pairs
        ],
        "policy_costs": [
            {"policy": c.policy, "calls": c.calls, "failed": c.failed}
            | {"failed_share": _numbers(at.interval(c.failed, c.calls)) if c.calls else None}
            | {"reasons": dict(c.reasons), "usd": _numbers(c.usd), "seconds": _numbers(c.latency)}
            | {"tokens_in": c.tokens_in, "tokens_out": c.tokens_out}
            for c in dossier.costs
        ],
        "canaries": [
            {"about": c.about, "asked": c.asked, "right": c.right}
            | {"share": _numbers(at.interval(c.right, c.asked))}
            for c in dossier.canaries
        ],
        "bars": [at.standing.drop_bar, at.standing.proof_bar, -log(FALSE_ALARM)],
        "proof": [
            {
                "policy": at.policies[i],
                "log_proof": _finite(proof),
                "proven": is_proven(at, dossier.basis, i),
            }
            for i, proof in enumerate(at.standing.proof.tolist())
        ],
        "created": dossier.created,
    }


def is_proven(at: Snapshot, basis: Basis, i: int) -> bool:
    """Whether the leader is proven to beat this policy itself."""
    # Where a winner is assumed that is never claimed: `proof` is then of something else.
    if basis.assume_winner or i == at.standing.leader or at.policies[i] in at.left:
        return False
    return float(at.standing.proof[i]) == inf


def _numbers(value: Interval | None) -> list[float | None] | None:
    return None if value is None else [_finite(v) for v in (value.value, value.low, value.high)]


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
