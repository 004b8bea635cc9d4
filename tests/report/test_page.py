"""The report says what is known, and says what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.report.dossier import Dossier
from bestpolicy.report.page import render
from bestpolicy.report.tables import as_json, in_words
from bestpolicy.study import Study
from report.scripted import (
    TICKETS,
    answer,
    dossier,
    elements,
    of_five,
    of_twenty,
    play,
    snapshot,
)
from report.seen import Text


@pytest.fixture
def five() -> Dossier:
    return of_five()


@pytest.fixture
def twenty() -> Dossier:
    return of_twenty()


# -- what it says ------------------------------------------------------------------------------


def test_the_sections_come_in_the_order_in_which_they_are_read(five: Dossier) -> None:
    page = render(five)
    ids = ["verdict", "grounds", "evidence", "pairs", "allocation", "cost", "failures", "examples"]
    places = [page.index(f'id="{one}"') for one in [*ids, "judge", "reproduce", "numbers"]]
    assert places == sorted(places)
    assert page.index('id="h-warnings"') < page.index('id="grounds"')


def test_the_verdict_is_the_first_thing_said_and_claims_what_was_proven(five: Dossier) -> None:
    text = Text(render(five)).text
    assert five.snapshot.verdict.kind == "winner"
    first = "The winner is kind-and-brief. Wrong at most 0.05 of the time, whenever you look."
    assert first in text[text.index("bestpolicy report") :][:200]
    assert "at most 5 in 100 ever name a wrong winner" in text


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("undecided", "not a finding that they are equal"),
        ("equivalent", "None of them loses"),
        ("no-winner", "nobody to name"),
        ("infeasible", "Nothing is claimed"),
    ],
)
def test_every_verdict_is_explained(five: Dossier, kind: Any, says: str) -> None:
    verdict = replace(five.snapshot.verdict, kind=kind, given="the structure holds")
    text = Text(render(replace(five, snapshot=replace(five.snapshot, verdict=verdict)))).text
    assert says.lower() in text.lower()
    assert "The winner is" not in text
    assert "if the structure holds" in text


def test_where_a_winner_is_assumed_nobody_is_said_to_be_proven_beaten_by_the_leader() -> None:
    study = play({"a": 1.5, "b": 0.0, "c": -1.5}, assume_winner=True, indifference=0.2)
    page = render(dossier(study))
    assert np.isinf(study.standing().proof).sum() > 1  # which is of equivalence here
    assert "✓" not in Text(page).text
    assert "Proof that the leader beats it" not in Text(page).text
    assert not any(told["proven"] for told in elements(page, "report")["proof"])
    assert "✓" in Text(render(dossier(play({"a": 1.5, "b": 0.0, "c": -1.5})))).text


def test_warnings_stand_before_what_the_verdict_rests_on(five: Dossier) -> None:
    warnings = five.snapshot.warnings()
    assert any("favours a position" in warning for warning in warnings)
    text = Text(render(five)).text
    for warning in warnings:
        assert text.index(warning) < text.index("What it rests on Judge")
    calm = replace(five.snapshot, outcomes=(), doubts=())
    assert "No warnings" in Text(render(replace(five, snapshot=calm))).text


def test_the_object_of_json_is_in_the_page_as_it_is(five: Dossier) -> None:
    told = elements(render(five), "report")
    assert told.items() >= json.loads(json.dumps(as_json(five.snapshot))).items()
    assert len(told["pairs"]) == len(five.snapshot.pairs)


def test_every_pair_is_shown_with_its_interval_and_count(five: Dossier) -> None:
    at, text = five.snapshot, Text(render(five)).text
    for (a, b), pair in at.pairs.items():
        share = at.against(a, b)
        assert share is not None
        low, high = f"{100 * share.low:.1f}", f"{100 * share.high:.1f}"
        cell = rf"{100 * share.value:.1f}( ✓)? {low}–{high} n {pair.n:,}"
        assert re.search(cell, text), cell


def numbers_of(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from numbers_of(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
    elif isinstance(value, str):
        yield from (float(n.replace(",", "")) for n in re.findall(NUMBER, value))


NUMBER = r"(?<![\w.])\d[\d,]*(?:\.\d+)?"
# Of the explanations: odds and their logarithms, one half, and the false alarms of a doubt.
CONSTANTS = {"0", "1", "2.3", "4.6", "6.9", "10", "50", "100", "1,000"}


def strangers(page: str) -> list[str]:
    """Numbers of the tables and sentences that no number of the page's data rounds to."""
    known = set(numbers_of([elements(page, "report"), elements(page, "fig-evidence")]))
    text = Text(page[: page.index('id="examples"')] + page[page.index('id="judge"') :]).text
    found = []
    for token in re.findall(NUMBER, text):
        digits = len(token.partition(".")[2])
        value = float(token.replace(",", ""))
        near = 0.5001 * 10**-digits
        if token not in CONSTANTS and not any(
            min(abs(x - value), abs(100 * x - value), abs(100 * x + 50 - value)) <= near
            or (x and abs(value / x - 1) < 6e-4 and digits > 2)  # significant digits, of money
            for x in map(abs, known)
        ):
            found.append(token)
    return found


def in_letters(made: Dossier) -> Dossier:
    """Without the numbers that are a user's own words."""
    basis = replace(made.basis, judge="a model", inputs="rows of a table")
    costs = tuple(replace(cost, reasons={"timed out": cost.failed}) for cost in made.costs)
    at = replace(made.snapshot, hash="sha", record_hash="sha")
    return replace(
        made, basis=basis, costs=costs, cost_note="", created="now", version="this", snapshot=at
    )


def test_every_number_shown_is_in_the_data(five: Dossier) -> None:
    page = render(in_letters(five))
    assert strangers(page) == []


def test_the_check_of_numbers_can_fail(five: Dossier) -> None:
    page = render(in_letters(five))
    share = in_words(five.snapshot.against(0, 1)).split("%")[0]
    assert strangers(page.replace(f"{share}%", "77.7777%"))
    assert strangers(page.replace("</h1>", " 87654</h1>")) == ["87654"]


def test_every_share_has_its_interval(five: Dossier) -> None:
    text = Text(render(five)).text
    explained = ("95%", "50%", "5%", "100%")
    for found in re.finditer(r"(\d+(?:\.\d+)?%)( \[)?", text):
        before = text[max(0, found.start() - 40) : found.start()]
        inside = re.search(r"\[[^\]]*$", before) is not None
        used = re.search(r"against [\w-]+ [\d,]+ $", before) is not None  # n of all: a count
        assert found[2] or inside or used or found[1] in explained, text[found.start() - 60 :][:90]


# -- many policies, and missing parts -------------------------------------------------------------


def test_many_policies_are_shown_in_part_and_the_rest_is_said(twenty: Dossier) -> None:
    page = render(twenty)
    text = Text(page).text
    assert "8 more policies, with more evidence against them, are not drawn" in text
    assert "8 more policies are left out" in text
    lines = [t for t in elements(page, "fig-evidence")["data"] if t["mode"] == "lines"]
    assert len(lines) == 12 + 1
    assert page.count('<tr><th scope="row">') >= 12
    for policy in twenty.snapshot.policies:
        assert policy in text


def test_what_is_missing_is_said_and_leaves_no_empty_box() -> None:
    for study in (play(TICKETS, most=30), Study(["a", "b"])):
        bare = replace(dossier(study, full=False), trail=None)
        page = render(bare)
        text = Text(page).text
        for sentence in (
            "How the evidence came to be is not drawn",
            "no log of calls was kept, as the policies",
            "Not known: no log of calls was kept.",
            "None: nothing has been answered yet, or the texts were not kept.",
            "None: the judge was not asked questions whose answer is known.",
            "No command lines",
        ):
            assert sentence in text
        assert ("Nothing has been compared yet" in text) == (not study.outcomes())
        held = set(re.findall(r'data-figure="([\w-]+)"', page))
        assert held == set(re.findall(r'json" id="(fig-[\w-]+)"', page))
        assert not re.search(r"<tbody>\s*</tbody>|<ul>\s*</ul>|<dl[^>]*>\s*</dl>", page)


def test_costs_without_prices_and_examples_without_texts_say_so(five: Dossier) -> None:
    costs = tuple(replace(cost, usd=None) for cost in five.costs)
    silent = tuple(replace(one, left_text=None, row=None, said="") for one in five.examples)
    page = render(replace(five, costs=costs, examples=silent))
    text = Text(page).text
    assert "No price is known" in text
    assert "Cost per call" not in text
    assert "Seconds per call" in text
    assert text.count("The text of this answer was not kept.") == len(silent)


def test_a_study_with_guests_and_a_changed_judge_is_told() -> None:
    study = play({"a": 1.0, "b": 0.0, "c": 0.3}, most=30)
    study.add("d")
    study.retire("b")
    answer(study, {"a": 1.0, "c": 0.3, "d": 0.5}, most=20)
    made = dossier(study)
    assert made.trail is not None
    gone = Text(render(made)).text
    # Nothing is claimed of whoever has left: as a rival it is out of the way, not beaten.
    assert re.search(r"b left – – – – \d+ / \d+ / \d+", gone)
    assert not np.isinf(made.trail.proof[:, 1]).any()
    assert not any(told["proven"] for told in elements(render(made), "report")["proof"])
    text = Text(render(replace(made, trail=replace(made.trail, resets=(20,))))).text
    assert "d joined at duel 30" in text
    assert "b left at duel 30" in text
    assert "the judge was found changed" in text
    assert "not there" in text


def test_a_snapshot_alone_makes_a_page() -> None:
    study = Study(["a", "b"])
    made = replace(dossier(study, full=False), snapshot=snapshot(study))
    assert "Undecided" in render(made)
