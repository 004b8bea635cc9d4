"""Where live traffic stands, for programs and for people, and its log for what learns from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bestpolicy.config import StudyFile
from bestpolicy.core.nouns import StoreError, Verdict
from bestpolicy.core.ratio import ALPHA
from bestpolicy.live.stand import Reader, Replay, Share, Stand, replay
from bestpolicy.live.terms import terms_of
from bestpolicy.report.tables import headline, verdict_json
from bestpolicy.store import LastingStore
from bestpolicy.store.ledger import Ledger
from bestpolicy.store.rows import body, digest
from bestpolicy.study import Study

PART = 5000  # rows that are read at once
LOGGED = (
    *("number", "unit", "policy", "propensity", "reward", "ended", "counts", "at", "context"),
    "chances",
)  # columns of the log


@dataclass(frozen=True, slots=True)
class Look:
    """The live traffic of one study at one moment."""

    name: str
    hash: str
    seed: int
    policies: tuple[str, ...]
    stand: Stand
    record_hash: str

    @property
    def verdict(self) -> Verdict[str]:
        """The verdict by the policies' names."""
        return named(self.stand.verdict, self.policies)


def is_live(file: StudyFile) -> bool:
    """Whether rewards of live traffic decide this study."""
    live = file.section.judge.live
    return live is not None and live.by == "reward"


def ledger_of(study: Study) -> Ledger:
    """The ledger beside a study's record."""
    store = study.store
    if not isinstance(store, LastingStore):
        raise StoreError("live traffic needs a record on disk")
    return store.ledger()


def look(study: Study, file: StudyFile) -> Look:
    """Read the ledger, and say where it stands."""
    ledger = ledger_of(study)
    stand = Reader(ledger, terms_of(file)).stand()
    return Look(
        study.name,
        study.hash,
        study.seed,
        study.policies,
        stand,
        record_hash(study, ledger, stand),
    )


def record_hash(study: Study, ledger: Ledger, stand: Stand) -> str:
    """One hash of the settings, what units got and gave back, and the verdict that follows.
    Deleting a unit's name does not change it."""
    parts = []
    for rows in _parts(ledger):
        kept = [[r["number"], r["policy"], r["propensity"], r["reward"], r["counts"]] for r in rows]
        parts.append(digest(kept))
    return digest([study.settings, parts, stand.verdict.comparisons, body(stand.verdict)])


def replayed(study: Study, file: StudyFile) -> Replay:
    """Every verdict and snapshot on record, beside what the rows before it come to now."""
    return replay(ledger_of(study), terms_of(file))


def named(verdict: Verdict[int], policies: Sequence[str]) -> Verdict[str]:
    return Verdict(
        verdict.kind,
        None if verdict.policy is None else policies[verdict.policy],
        verdict.confidence,
        tuple(policies[survivor] for survivor in verdict.survivors),
        verdict.comparisons,
        verdict.reason,
        verdict.given,
    )


def as_json(at: Look) -> dict[str, Any]:
    """The object that `--json` promises, for a study that live traffic decides."""
    stand = at.stand
    return {
        "verdict": verdict_json(at.verdict),
        "policies": [_policy(at, i, share) for i, share in enumerate(stand.shares)],
        "warnings": warnings(at),
        "study": {"name": at.name, "hash": at.hash, "seed": at.seed},
        "progress": {
            "leader": at.policies[stand.standing.leader],
            "forecast": _finite(stand.standing.forecast),
            "units": stand.units,
            "read": stand.read,
            "told": stand.told,
            "snapshot": None if stand.snapshot is None else stand.snapshot.version,
        },
        "traffic": {
            kind: {
                "log_evidence": _finite(alarm.log_e),
                "raised": alarm.raised,
                "false_alarm": ALPHA,
            }
            for kind, alarm in (("sample_ratio", stand.ratio), ("answered", stand.answered))
        },
        "replay": at.record_hash,
    }


def as_text(at: Look) -> RenderableType:
    """The verdict, who earned what, and what to beware of."""
    stand = at.stand
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy")
    for title in ("mean reward", "interval", "traffic", "units", "answered", "evidence against"):
        table.add_column(title, justify="right")
    for policy, share, evidence, alive in zip(
        at.policies, stand.shares, stand.standing.evidence, stand.standing.alive, strict=True
    ):
        mean = share.mean
        told = f"{max(float(evidence), 0.0):.1f} of {stand.standing.drop_bar:.1f}"
        table.add_row(
            Text(policy, style="" if alive else "dim"),
            f"{mean.value:.3f}" if share.answered else "-",
            f"{mean.low:.3f} to {mean.high:.3f}",
            f"{share.chance:.0%}",
            f"{share.assigned:,}",
            f"{share.answered:,}",
            told if alive else "out",
        )
    waiting = stand.units - stand.read
    ahead = stand.standing.forecast
    more = f"; about {ahead:,.0f} more to a verdict" if 0 < ahead < float("inf") else ""
    return Group(
        Text(f"{at.name}: {headline(at.verdict)}", style="bold"),
        Text(f"{stand.told:,} units read, {waiting:,} wait for feedback{more}. "
             f"{at.verdict.reason}".strip()),
        table,
        *[Text(f"warning: {warning}", style="yellow") for warning in warnings(at)],
    )  # fmt: skip


def warnings(at: Look) -> list[str]:
    """What a reader of the verdict should know before acting on it."""
    stand, told = at.stand, []
    if stand.ratio.raised:
        told.append(
            "units do not come in the shares that they were drawn with (a false alarm in at most "
            f"{ALPHA:.1%} of studies): something drops or doubles them, and the verdict is not to "
            "be trusted before that is found"
        )
    if stand.answered.raised:
        worst = "; ".join(
            f"{policy} {share.missing / max(1, share.missing + share.answered):.1%} missing, mean "
            f"between {share.worst[0]:.3f} and {share.worst[1]:.3f} whatever they would have said"
            for policy, share in zip(at.policies, stand.shares, strict=True)
        )
        told.append(
            "whether a unit gives feedback depends on its policy (a false alarm in at most "
            f"{ALPHA:.1%} of studies), so that the means of those who answered may mislead: {worst}"
        )
    return told


def log_rows(study: Study) -> Iterator[dict[str, Any]]:
    """Every unit in the order of assignment: what it got, by which chance, what it gave back.

    `propensity` is the chance of this very policy and `chances` that of each, fixed before the
    draw. `reward` is None where none has come, and `counts` is false for a unit that was moved
    away from a policy that had been proven worse.
    """
    policies = study.policies
    for rows in _parts(ledger_of(study)):
        for row in rows:
            chances = dict(zip(policies, row["chances"], strict=True))
            yield row | {"policy": policies[row["policy"]], "chances": json.dumps(chances)}


def _parts(ledger: Ledger) -> Iterator[list[dict[str, Any]]]:
    chances = {snapshot.version: snapshot.chances for snapshot in ledger.snapshots()}
    last = -1
    while assigned := ledger.assigned(last, PART):
        last = assigned[-1].number
        ends = ledger.ends(row.number for row in assigned)
        yield [
            {
                "number": row.number,
                "unit": row.unit,
                "policy": row.policy,
                "propensity": row.propensity,
                "reward": ends[row.number].reward if row.number in ends else None,
                "ended": row.number in ends,
                "counts": row.counts,
                "at": row.seconds,
                "context": row.context or None,
                "chances": chances[row.snapshot],
            }
            for row in assigned
        ]


def _policy(at: Look, i: int, share: Share) -> dict[str, Any]:
    standing = at.stand.standing
    rival = int(standing.rival[i])
    return {
        "id": at.policies[i],
        "alive": bool(standing.alive[i]),
        "log_evidence_against": _finite(float(standing.evidence[i])),
        "comparisons": share.answered,
        "mean_reward": share.mean.value if share.answered else None,
        "mean_reward_interval": [share.mean.low, share.mean.high],
        "mean_reward_worst_case": list(share.worst),
        "chance": share.chance,
        "assigned": share.assigned,
        "missing": share.missing,
        "waiting": share.waiting,
        "strongest_rival": at.policies[rival] if rival >= 0 else None,
    }


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


__all__ = [
    "LOGGED",
    "Look",
    "as_json",
    "as_text",
    "is_live",
    "ledger_of",
    "log_rows",
    "look",
    "named",
    "record_hash",
    "replayed",
    "warnings",
]
