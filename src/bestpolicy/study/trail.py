"""The trail: a study's record read once more, with the standing noted at some moments.

    answers ──tell, a slice at a time──► standing ──► (answers read, evidence, bar)

The state after a slice is the state after its answers one by one (a law of every design), so
slices are told at once. Where the judge was found changed, and who joined or left when, is taken
from the reading that the study has made: watching the answers again would find the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bestpolicy.core.nouns import Outcome, Standing
from bestpolicy.core.roster import Roster
from bestpolicy.report.dossier import Trail
from bestpolicy.study.reading import Reading
from bestpolicy.study.record import Record
from bestpolicy.study.study import Study

POINTS = 200


def trail(study: Study, points: int = POINTS) -> Trail:
    """How the evidence of a study came to be, at about so many moments and at every turn."""
    study.standing()  # what other processes have written is read first
    return retraced(study._record, points)


def retraced(record: Record, points: int = POINTS) -> Trail:
    """The same of a record, as far as it has been read."""
    end = record.reading
    # Changes that the verdict came before were never made.
    waiting = {change.number for change, _ in end.changes}
    turns = [change for change in record.changes if change.number not in waiting]
    resets = tuple(at for doubt, at in end.doubts if doubt == "drift")
    at_first = Roster.whole(len(record.names) - sum(change.joins for change in record.changes))
    reading = Reading(end.make, at_first, end.kept)
    seen = [(0, reading.roster.policies, reading.standing(len(record.names)))]
    for stop in _stops(end.told, points, {*resets, *(change.at for change in turns)}):
        if stop > reading.told:
            _tell(reading, record.answers, stop)
        if stop in resets:
            reading = Reading(reading.make, reading.roster, reading.kept)
            reading.told = reading.since = stop
        for change in turns:
            if change.at == stop:
                reading.change(change, record.names.index(change.policy))
        if reading.changes:
            reading.advance({n: record.answers[n] for n in range(reading.since, stop)})
        seen.append((stop, reading.roster.policies, reading.standing(len(record.names))))
    return _trail(seen, resets)


def _stops(told: int, points: int, turns: set[int]) -> list[int]:
    even = np.linspace(0, told, min(points, told + 1)).round().astype(int).tolist()
    return sorted({*even, *turns} - ({0} - turns))


def _tell(reading: Reading, answers: Mapping[int, Outcome], stop: int) -> None:
    """All answers before `stop`, at once."""
    seats = []
    for number in range(reading.told, stop):
        outcome = answers[number]
        # Those about somebody who has left are passed over.
        for seat in reading.seated((outcome.comparison,)):
            same = seat is outcome.comparison
            seats.append(outcome if same else replace(outcome, comparison=seat))
    reading.state = reading.design.tell(reading.state, seats)
    reading.told = stop


def _trail(seen: list[tuple[int, tuple[int, ...], Standing]], resets: tuple[int, ...]) -> Trail:
    known = len(seen[0][2].evidence)
    evidence, proof = np.full((2, len(seen), known), np.nan)
    for n, (_, policies, standing) in enumerate(seen):
        here = list(policies)
        evidence[n, here], proof[n, here] = standing.evidence[here], standing.proof[here]
    return Trail(
        at=np.array([at for at, _, _ in seen], np.intp),
        evidence=evidence,
        alive=np.array([standing.alive for _, _, standing in seen]),
        bar=np.array([standing.drop_bar for _, _, standing in seen]),
        leader=np.array([standing.leader for _, _, standing in seen], np.intp),
        proof=proof,
        proof_bar=np.array([standing.proof_bar for _, _, standing in seen]),
        resets=resets,
    )
