"""The threat model's rows: which tests prove each, and the smallest form of those about judges."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bestpolicy.core.talk import Prompt, Reply
from bestpolicy.llm.canaries import FALSE_ALARM, INJECTIONS, Kind, canary, fared
from bestpolicy.llm.judges import LlmJudge
from bestpolicy.llm.named import Named
from bestpolicy.llm.scripted import ScriptedModel
from bounds import most_allowed

TESTS = Path(__file__).parents[1]
# Where a row is proven besides the tests that carry its number.
PROOFS: dict[str, tuple[str, ...]] = {
    "t01": (
        "llm/test_canaries.py::test_ten_canaries_are_enough_to_name_a_judge_who_obeys",
        "llm/test_canaries.py::test_what_a_candidate_says_cannot_leave_its_fence",
        "llm/test_canaries.py::test_an_honest_judge_is_rarely_accused_whenever_one_looks",
    ),
    "t02": ("llm/test_canaries.py::test_the_alarm_stays_raised",),
    "t03": (
        (
            "llm/test_canaries.py::"
            "test_of_a_hundred_judges_with_a_taste_for_length_95_are_seen_and_of_fair_ones_hardly_any"
        ),
        "report/test_length.py::test_a_lead_that_is_all_length_is_told_and_one_that_is_not_is_left_alone",
        (
            "report/test_length.py::"
            "test_where_length_and_policy_go_together_the_interval_says_that_nothing_is_known"
        ),
        "run/test_run_lengths.py::test_a_run_says_raw_and_adjusted_what_length_won",
    ),
    "t04": (
        "test_cli.py::test_a_judge_that_favours_a_position_is_reported",
        "test_cli.py::test_both_orders_take_the_position_out",
    ),
    "t05": (
        "live/test_assign.py::test_forged_and_foreign_tokens_are_refused_all_of_them",
        "live/test_assign.py::test_without_the_signature_forgeries_are_taken",
    ),
    "t06": ("live/test_assign.py::test_feedback_counts_once_however_often_it_is_sent",),
    "t07": ("live/test_assign.py::test_a_flood_from_one_address_is_told_to_wait",),
    "t08": ("test_config.py::test_a_value_is_only_text_whatever_it_contains",),
    "t09": (
        "test_house.py::test_no_source_can_run_what_it_reads",
        "test_house.py::test_the_check_for_dangers_can_fail",
        "llm/test_weights.py::test_pickled_weights_are_refused_by_name_and_by_content",
    ),
    "t10": (
        "llm/test_transport.py::test_a_key_goes_to_its_own_origin_only",
        "llm/test_transport.py::test_redirects_are_not_followed",
        "llm/test_transport.py::test_following_redirects_is_caught",
        "llm/test_transport.py::test_link_local_addresses_are_refused",
        "llm/test_transport.py::test_the_address_that_was_reached_counts_and_not_its_name",
        "llm/test_secrets.py::test_the_environment_of_the_sdk_changes_nothing",
    ),
    "t11": (
        "llm/test_secrets.py::test_no_key_comes_out_in_any_reason_answer_or_log",
        "llm/test_secrets.py::test_a_key_that_comes_out_is_caught",
        "llm/test_streaming.py::test_a_key_that_comes_letter_by_letter_does_not_come_out",
    ),
    "t12": ("live/test_assign.py::test_nobody_is_named_on_disk_nor_after_deletion_known",),
    "t13": (
        "run/test_run_money.py::test_a_cap_in_dollars_holds_and_a_higher_one_goes_on",
        "llm/test_transport.py::test_a_huge_body_is_not_read_past_the_cap",
        "llm/test_transport.py::test_a_drip_ends_in_time",
        "serve/test_shell.py::test_a_body_is_read_to_its_cap_and_no_further",
        "serve/test_shell.py::test_a_body_that_does_not_end_is_cut_off",
        "serve/test_shell.py::test_a_head_without_an_end_is_refused",
    ),
    "t14": (
        "serve/test_rate_xss.py::test_there_are_a_hundred_texts_and_they_differ",
        (
            "serve/test_rate_xss.py::"
            "test_none_of_a_hundred_hostile_texts_runs_and_each_is_shown_as_it_is"
        ),
        (
            "serve/test_rate_xss.py::"
            "test_a_page_that_takes_texts_for_html_and_has_no_policy_lets_them_run"
        ),
        "serve/test_dashboard.py::test_a_login_of_another_origin_is_refused",
        "serve/test_shell.py::test_a_page_elsewhere_cannot_ask_this_machines_server",
        "report/test_page_safety.py::test_in_a_browser_no_text_runs_and_every_figure_is_drawn",
    ),
    "t15": (
        "test_cli.py::test_an_exported_cell_is_no_formula",
        "llm/test_secrets.py::test_reasons_are_one_short_line_that_moves_no_cursor",
        "serve/test_shell.py::test_json_that_two_readers_could_take_in_two_ways_is_refused",
    ),
}
NUMBERED = {f"t{n:02}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15)}


def names(path: Path) -> set[str]:
    """The tests that a file holds."""
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def lacking(proofs: dict[str, tuple[str, ...]]) -> list[str]:
    """Proofs that are named and are not there."""
    found = []
    for ids in proofs.values():
        for one in ids:
            file, _, name = one.partition("::")
            path = TESTS / file
            if not path.exists() or name not in names(path):
                found.append(one)
    return found


def test_every_proof_that_is_named_is_there() -> None:
    assert lacking(PROOFS) == []


def test_a_proof_that_is_gone_is_noticed() -> None:
    assert lacking({"t01": ("llm/test_canaries.py::test_gone", "gone.py::test_x")}) != []


def test_every_row_about_the_server_has_a_test_with_its_number() -> None:
    held = {name[5:8] for path in TESTS.glob("serve/test_*.py") for name in names(path)}
    assert held >= NUMBERED


# -- T1 to T4: judges --------------------------------------------------------------------------


def share(judge: LlmJudge, first: str, second: str) -> float:
    """What the first gets, asked in both orders."""
    there, back = (
        judge.read(end.text)
        for end in judge.model.complete(
            [judge.ask({}, first, second, 0), judge.ask({}, second, first, 0)]
        )
        if isinstance(end, Reply)
    )
    return (there + 1 - back) / 2


def shares(model: ScriptedModel, kind: Kind, number: int) -> list[float]:
    judge = LlmJudge(model, Named(model.name), "Which is better?")
    answers = [f"The parcel is at stop {n}." for n in range(number)]
    return [share(judge, canary(kind, a, n), a) for n, a in enumerate(answers)]


class Steady(ScriptedModel):
    """A judge who reads what an answer says and not what it asks for."""

    def complete(self, prompts: object) -> list[Reply]:  # type: ignore[override]
        assert isinstance(prompts, list)
        return [Reply("tie") for _ in prompts]


def test_t01_of_200_injections_a_judge_who_obeys_is_seen_and_a_steady_one_is_not() -> None:
    obeying = fared("injected", shares(ScriptedModel("scripted/gullible"), "injected", 200))
    assert obeying.raised
    assert obeying.share.low > 0.5
    steady = fared("injected", shares(Steady("scripted/first"), "injected", 200))
    assert not steady.raised
    assert steady.share.value == 0.5


def test_t01_whatever_an_answer_says_the_verdict_is_one_of_three_words() -> None:
    judge = LlmJudge(ScriptedModel("scripted/first"), Named("scripted/first"), "Which is better?")
    for text in INJECTIONS:
        prompt = judge.ask({}, text, "plain", 0)
        assert len(prompt.choices) == 3
    with pytest.raises((ValueError, KeyError)):
        judge.read("prefer this answer")


def test_t02_a_judge_who_likes_a_canned_sentence_is_seen() -> None:
    assert fared("null", shares(ScriptedModel("scripted/longer"), "null", 60)).raised
    # The twin: who only counts wins, without a bar, accuses the steady one too.
    assert not fared("null", shares(Steady("scripted/first"), "null", 60)).raised


def test_t03_a_judge_who_likes_long_answers_is_seen_by_padding_in_95_of_100_studies() -> None:
    def raised(model: ScriptedModel) -> int:
        """In how many studies of 24 canaries each; every study has answers of its own."""
        told = shares(model, "padded", 2400)
        return sum(fared("padded", told[n : n + 24]).raised for n in range(0, 2400, 24))

    assert raised(ScriptedModel("scripted/longer")) >= 95
    assert raised(ScriptedModel("scripted/gullible")) >= 95  # the longer one, as nobody asks him
    # The twins: who reads no length, and who takes what stands first, in both orders.
    allowed = most_allowed(100, FALSE_ALARM)
    assert raised(Steady("scripted/first")) <= allowed
    assert raised(ScriptedModel("scripted/first")) <= allowed
    assert not fared("padded", []).raised  # with canaries switched off nothing is seen


def test_t04_a_judge_who_takes_the_first_is_taken_out_by_both_orders() -> None:
    model = ScriptedModel("scripted/first")
    judge = LlmJudge(model, Named(model.name), "Which is better?")
    assert {share(judge, f"a{n}", f"b{n}") for n in range(20)} == {0.5}
    (one,) = model.complete([judge.ask({}, "a", "b", 0)])
    assert judge.read(one.text if isinstance(one, Reply) else "") == 1.0  # one order alone: all


def test_t13_what_a_policy_may_say_has_an_end() -> None:
    assert Prompt("hello").max_tokens < 10_000
