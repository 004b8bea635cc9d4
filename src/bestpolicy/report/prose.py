"""What the page says in words: the verdict's meaning, its grounds, and an outcome."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bestpolicy.core.nouns import Verdict
from bestpolicy.report import tables
from bestpolicy.report.dossier import Basis, Example
from bestpolicy.report.snapshot import Snapshot

STRUCTURES = {
    "free": "none: any shares are possible",
    "bradley-terry": "one strength per policy (Bradley-Terry)",
    "features": "strengths that follow from what the policies are made of",
    "auto": "strengths that follow from what the policies are made of, where that is known",
}
ALWAYS = (
    "This holds at every moment: looking early, looking often and stopping at will were allowed."
)
SURE = " (wrong at most"  # what a headline that claims something ends with
# What it is, what it means, and what is said where it is not known.
JUDGE = (
    (
        "What is shown first wins",
        "50% without a position bias; an interval that leaves 50% out is a bias",
        (
            "not to be told: every duel was judged in both orders and only their mean was kept, or "
            "nothing has been answered"
        ),
    ),
    ("Ties", "the share of answered duels without a winner", "nothing has been answered"),
    (
        "Agrees with itself",
        "the share of duels where both orders of the same two answers name the same side",
        "not measured: duels were judged in one order",
    ),
)
DOUBTS = {
    "drift": "The judge has changed",
    "repeats": "Answers repeat each other",
    "lateness": "Late answers say other things",
}


def headline(verdict: Verdict[str]) -> tuple[str, str]:
    """The one line of the tables as a sentence: its claim, and how sure that is."""
    text = tables.headline(verdict)
    # A line that begins with a policy's name is left as it is.
    if verdict.kind != "equivalent":
        text = text[0].upper() + text[1:]
    claim, mark, sure = text.rpartition(SURE)
    if mark:
        return f"{claim}.", f"Wrong at most{sure.removesuffix(')')}."
    return (text if text.endswith("…") else f"{text}."), ""


def numbers(of: Iterable[int]) -> str:
    return " and ".join(f"{number:,}" for number in of)


def meaning(at: Snapshot, basis: Basis) -> list[str]:
    """What the verdict claims, how surely, and what it does not claim."""
    told = [_claim(at, basis)]
    if at.verdict.kind == "winner":
        told.append("It does not say by how much the winner is better; the shares below do.")
    if at.verdict.given:
        told.append(f"All of this rests on one condition: if {at.verdict.given}.")
    return told


def _claim(at: Snapshot, basis: Basis) -> str:
    wrong = f"{100 * (1 - at.confidence):.3g} in 100"
    match at.verdict.kind:
        case "winner":
            beats = (
                "every other policy loses to some policy, and that a winner exists was assumed"
                if basis.assume_winner
                else "against each other policy, this judge prefers it more than half of the time"
            )
            return (
                f"“Winner” means: {beats}. Of studies like this one, at most {wrong} ever name "
                f"a wrong winner. {ALWAYS}"
            )
        case "equivalent":
            return (
                "“Equally good” means: none of them loses to any other policy by more than "
                f"{100 * basis.indifference:.3g} points of share. Of studies like this one, at "
                f"most {wrong} ever say so wrongly. {ALWAYS}"
            )
        case "no-winner":
            return (
                "Every policy loses to some other policy, so that there is nobody to name. Of "
                f"studies like this one, at most {wrong} ever say so wrongly. {ALWAYS}"
            )
        case "infeasible":
            return "Nothing is claimed about which policy is best."
    open_still = (
        "The answers so far do not prove which policy is best, so that none is named; this is not "
        "a finding that they are equal."
    )
    if not 0 < len(at.verdict.survivors) < len(at.policies) - len(at.left):
        return open_still
    return (
        f"{open_still} Of studies like this one, at most {wrong} ever rule out a policy that loses "
        f"to nobody. {ALWAYS}"
    )


def facts(at: Snapshot) -> list[tuple[str, str]]:
    """Counts that a reader looks for first."""
    told = at.verdict.comparisons if at.verdict.final else len(at.outcomes)
    found = [
        ("confidence", f"{100 * at.confidence:.6g}%"),
        ("comparisons", f"{told:,}" + (f" of {at.budget:,}" if at.budget else "")),
        ("policies", f"{len(at.policies):,}"),
    ]
    if at.verdict.kind not in ("winner", "infeasible"):
        found.append(("survive", f"{len(at.verdict.survivors):,}"))
    if at.lost:
        found.append(("never answered", f"{at.lost:,}"))
    return found


def grounds(basis: Basis, more: Iterable[str]) -> list[tuple[str, str]]:
    """What has to be true for the verdict to mean what it says."""
    structure = STRUCTURES.get(basis.structure, basis.structure)
    trust = (
        "Proofs may rest on it: the verdict holds if it does"
        if basis.trust_structure
        else "It chose what to ask, and no proof rests on it"
    )
    zone = (
        f"shares within {100 * basis.indifference:.3g} points of 50% count as equally good"
        if basis.indifference
        else "none: any share above 50% is better, however little"
    )
    rows = (
        "Rows are drawn again and again, so the verdict is about this very list"
        if basis.reuse_inputs
        else "The verdict is about inputs like these"
    )
    winner = "not assumed: that a winner exists has to be proven as well"
    if basis.assume_winner:
        winner = "assumed: some policy beats all others"
    elif basis.trust_structure:
        winner = "it follows from the structure, if that holds"
    return [
        ("Judge", f"{basis.judge}. Better means: preferred by this judge"),
        (
            "Answers are separate",
            (
                "the judge answers the same pair in the same manner throughout, and no answer "
                "depends on another; the record is watched for signs that this fails, see Judge "
                "health"
            ),
        ),
        ("Inputs", f"{basis.inputs}. {rows}"),
        ("Structure", structure if basis.structure == "free" else f"{structure}. {trust}"),
        ("Indifference", zone),
        ("A winner exists", winner),
        ("What was asked next", f"chosen by the design {basis.design!r} from the answers so far"),
        *[("Assumed too", text) for text in more],
    ]


def outcome(example: Example) -> str:
    """Who won, in words."""
    if example.share is None:
        return "It was never answered."
    if example.share == 0.5:
        return "A tie."
    side, name = ("left", example.left) if example.share > 0.5 else ("right", example.right)
    if example.share in (0.0, 1.0):
        return f"{name} won ({side})."
    most = max(example.share, 1 - example.share)
    return f"{name} won ({side}), with {100 * most:.3g}% of the share."


def said(feedback: str) -> str:
    """What the judge said; two orders are told in words."""
    try:
        told = json.loads(feedback) if feedback.startswith("{") else None
    except ValueError:
        return feedback
    if not isinstance(told, dict) or set(told) != {
        "left_share_shown_first",
        "left_share_shown_second",
    }:
        return feedback
    first, second = told["left_share_shown_first"], told["left_share_shown_second"]
    return f"left's share when shown first: {first}, when shown second: {second}"


def people(at: Snapshot) -> dict[str, Any] | None:
    """Who answered, as numbers, and how they agree with each other and with what is known."""
    found = at.people
    if found is None:
        return None
    return {
        "rows": [
            (
                one.name,
                one.answered,
                one.skipped,
                f"{one.right} of {one.gold}" if one.gold else "",
                tables.in_words(one.accuracy) if one.accuracy else "no gold pair answered",
            )
            for one in found.people
        ],
        "facts": [
            (
                "Two people say the same",
                tables.in_words(found.agreement) if found.agreement else "no duel has two answers",
                f"of {found.twice:,} duels",
            ),
            (
                "Krippendorff's α",
                "not to be told"
                if found.alpha is None
                else f"{found.alpha.value:.2f} [{found.alpha.low:.2f}, {found.alpha.high:.2f}]",
                "agreement beyond chance, 0 for none and 1 for all; chance is taken as it is seen",
            ),
            (
                "Both answers were bad",
                tables.in_words(found.both_bad) if found.both_bad else "nothing has been answered",
                f"of {found.answered:,} answers",
            ),
        ],
    }
