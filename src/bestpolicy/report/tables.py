"""A snapshot as one JSON object for programs, and as a few lines for people."""

from __future__ import annotations

from math import isfinite
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bestpolicy.core.nouns import Interval, Verdict
from bestpolicy.core.watch import FALSE_ALARM
from bestpolicy.report import length, raters
from bestpolicy.report.snapshot import Snapshot

MOST_ROWS = 20


def as_json(at: Snapshot) -> dict[str, Any]:
    """The object that `--json` promises, names and all. Numbers that are infinite become null."""
    judge = at.judge()
    return {
        "verdict": verdict_json(at.verdict),
        "policies": [_policy(at, i) for i in range(len(at.policies))],
        "cost": {
            "usd": at.usd,
            "calls": at.tries,
            "tokens": at.tokens,
            "seconds": round(at.seconds, 3),
            "calls_now": at.calls,
            "usd_of_unknown_end": at.reserved,
        },
        "judge": {
            "position_bias": None if judge.position is None else judge.position.value - 0.5,
            "position_bias_interval": _minus_half(judge.position),
            "tie_share": _value(judge.ties),
            "tie_share_interval": _bounds(judge.ties),
            "self_agreement": _value(judge.agreement),
            "self_agreement_interval": _bounds(judge.agreement),
            "doubts": {
                doubt.about: {
                    "log_evidence": doubt.evidence,
                    "raised_after": list(doubt.raised),
                    "false_alarm": FALSE_ALARM,
                }
                for doubt in at.doubts
            },
            "canaries": {
                canaries.kind: {
                    "share": canaries.share.value,
                    "share_interval": _bounds(canaries.share),
                    "asked": canaries.n,
                    "log_evidence": canaries.evidence,
                    "raised": canaries.raised,
                }
                for canaries in at.canaries
            },
            "length": length.as_json(at.length),
        },
        "people": raters.as_json(at.people),
        "warnings": at.warnings(),
        "changes": [
            {
                "policy": change.policy,
                "joins": change.joins,
                "from_duel": change.at,
                "why": change.why or None,
            }
            for change in at.changes
        ],
        "study": {"name": at.name, "hash": at.hash, "seed": at.seed},
        "constraints": [
            {
                "policy": kept.policy,
                "metric": kept.metric,
                "max": kept.most,
                "mean": kept.mean,
                "answers": kept.n,
                "log_evidence_above": _finite(kept.evidence),
                "broken": kept.broken,
            }
            for kept in at.kept
        ],
        "progress": {
            "leader": at.policies[at.standing.leader],
            "forecast": _finite(at.standing.forecast),
            "in_flight": at.in_flight,
            "budget": at.budget,
            "habitual_stop": _habit(at),
            "structure": None
            if at.standing.misfit is None
            else {"log_evidence_against": at.standing.misfit, "refuted": at.standing.refuted},
        },
        "replay": at.record_hash,
    }


def verdict_json(verdict: Verdict[str]) -> dict[str, Any]:
    """A verdict under the contract's names."""
    return {
        "kind": verdict.kind,
        "policy": verdict.policy,
        "confidence": verdict.confidence,
        "survivors": list(verdict.survivors),
        "comparisons": verdict.comparisons,
        "reason": verdict.reason,
        "given": verdict.given or None,
    }


def as_text(at: Snapshot) -> RenderableType:
    """The verdict, who stands where, and what to beware of."""
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in at.warnings()]
    return Group(
        Text(f"{at.name}: {headline(at.verdict)}", style="bold"),
        Text(f"{at.verdict.comparisons:,} comparisons. {at.verdict.reason}".strip()),
        policy_table(at),
        *([] if (habit := habit_in_words(at)) is None else [Text(habit, style="dim")]),
        *[Text(line) for line in at.news()],
        *warnings,
    )


def headline(verdict: Verdict[str]) -> str:
    """One line that claims exactly what was proven."""
    wrong = f"wrong at most {1 - verdict.confidence:.3g} of the time, whenever you look"
    if verdict.given:
        wrong += f", if {verdict.given}"
    names = ", ".join(verdict.survivors[:8]) + (" …" if len(verdict.survivors) > 8 else "")
    match verdict.kind:
        case "winner":
            return f"the winner is {verdict.policy} ({wrong})"
        case "equivalent":
            return f"{names} are equally good within the indifference zone ({wrong})"
        case "no-winner":
            return f"no policy beats all others; {names} beat each other in a cycle ({wrong})"
        case "infeasible":
            return "no policy meets the constraints"
        case _:
            still = (
                "no policy is ruled out" if not verdict.survivors else f"still possible: {names}"
            )
            return f"undecided; {still}" + (f" (if {verdict.given})" if verdict.given else "")


def habit_in_words(at: Snapshot) -> str | None:
    """Where the customary stop of a design would be, if it has one; never a proof."""
    habit = at.standing.habit
    if habit is None:
        return None
    ratio = f"GLR {habit.value:.2f} of {habit.bar:.2f}"
    if habit.after is None or habit.policy is None:
        return f"customary stop, not certified: not reached, {ratio}"
    return (
        f"customary stop, not certified: would have named {at.policies[habit.policy]} after "
        f"{habit.after:,} comparisons; now {ratio}"
    )


def policy_table(at: Snapshot) -> Table:
    """Survivors first, those with most against them last; every share has its interval."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption_justify="left")
    table.add_column("policy", overflow="fold")
    table.add_column("state")
    table.add_column("comparisons", justify="right")
    table.add_column("won/tied/lost", justify="right")
    table.add_column("strongest rival", overflow="fold")
    table.add_column(f"share against it [{100 * at.confidence:.6g}% at any time]", justify="right")
    order = ranking(at)
    for i in order[:MOST_ROWS]:
        tally, rival = at.tallies[i], at.rival(i)
        table.add_row(
            at.policies[i],
            state(at, i),
            f"{tally.comparisons:,}",
            f"{tally.wins}/{tally.ties}/{tally.losses}",
            "" if rival is None else at.policies[rival],
            in_words(at.against(i, rival)),
        )
    if len(order) > MOST_ROWS:
        table.caption = f"and {len(order) - MOST_ROWS} more; --json lists all"
    return table


def state(at: Snapshot, i: int) -> str:
    """Where a policy stands: decided by the verdict once there is one."""
    if at.policies[i] in at.left:
        return "left"
    if at.verdict.kind == "winner":
        return "wins" if at.policies[i] == at.verdict.policy else "beaten"
    return "survives" if at.standing.alive[i] else "out"


def ranking(at: Snapshot) -> list[int]:
    """The leader, then the other survivors, then the rest; least evidence against first."""
    standing = at.standing
    return sorted(
        range(len(at.policies)),
        key=lambda i: (i != standing.leader, not standing.alive[i], standing.evidence[i]),
    )


def in_words(interval: Interval | None) -> str:
    """A share with its interval, or nothing."""
    if interval is None:
        return "not compared"
    return f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


def _policy(at: Snapshot, i: int) -> dict[str, Any]:
    tally, rival = at.tallies[i], at.rival(i)
    share = at.against(i, rival)
    return {
        "id": at.policies[i],
        "alive": bool(at.standing.alive[i]),
        "log_evidence_against": _finite(float(at.standing.evidence[i])),
        "log_evidence_by_counts": at.counted(i),
        "comparisons": tally.comparisons,
        "wins": tally.wins,
        "ties": tally.ties,
        "losses": tally.losses,
        "strongest_rival": None if rival is None else at.policies[rival],
        "share_against_rival": _value(share),
        "share_against_rival_interval": _bounds(share),
        "cost": _cost(at, at.policies[i]),
    }


def _cost(at: Snapshot, policy: str) -> dict[str, Any] | None:
    """What a policy's calls came to; None if it was never called."""
    account = at.account(policy)
    if account is None:
        return None
    return {
        "answers": account.answered,
        "failed": account.failed,
        "failure_rate_interval": _bounds(at.failure_rate(policy)),
        "reasons": dict(account.reasons.most_common(10)),
        "usd": sum(account.usd) + account.failed_usd if at.priced else None,
        "seconds": sum(account.seconds),
        "tokens": account.tokens,
    }


def _habit(at: Snapshot) -> dict[str, Any] | None:
    habit = at.standing.habit
    if habit is None:
        return None
    return {
        "certified": False,
        "glr": _finite(habit.value),
        "bar": habit.bar,
        "reached": habit.after is not None,
        "after": habit.after,
        "policy": None if habit.policy is None else at.policies[habit.policy],
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _value(interval: Interval | None) -> float | None:
    return None if interval is None else interval.value


def _bounds(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _minus_half(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low - 0.5, interval.high - 0.5]
