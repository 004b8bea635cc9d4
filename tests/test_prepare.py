"""The first steps: a study file that runs, its schema, and a look before it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from bestpolicy.cli import outcome
from bestpolicy.config import load
from bestpolicy.config.editor import schema

Command = Callable[..., tuple[int, dict[str, Any]]]
STUDY = """\
version: 1
inputs: [{question: How?}, {question: Why?}, {question: Who?}, {question: When?}]
policies:
  - {id: short, model: scripted/echo, prompt: "{{question}}"}
  - {id: long, model: scripted/echo, prompt: "Please, {{question}}"}
judge: JUDGE
decide: {reuse_inputs: true, confidence: 0.999999}
budget: {comparisons: 60}
"""


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = outcome([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_the_schema_takes_every_example_and_refuses_what_the_loader_refuses() -> None:
    validator = Draft202012Validator(schema())
    yaml = YAML(typ="safe", pure=True)
    root = Path(__file__).parents[1]
    for example in root.glob("examples/*/study.yaml"):
        assert not list(validator.iter_errors(yaml.load(example.read_text())))
    corpus = root / "tests" / "broken_yaml"
    for name in ("unknown_key", "judge_two", "check_two", "no_version", "confidence_in_percent"):
        wrong = yaml.load((corpus / f"{name}.yaml").read_text())
        assert list(validator.iter_errors(wrong)), name


def test_a_budget_may_be_a_number_for_editors_too() -> None:
    file = YAML(typ="safe", pure=True).load(STUDY.replace("JUDGE", "{call: 'a:b'}"))
    assert Draft202012Validator(schema()).is_valid(file | {"budget": 40})
    assert not Draft202012Validator(schema()).is_valid(file | {"budget": "40"})


def test_init_writes_an_example_that_loads_and_overwrites_nothing(command: Command) -> None:
    code, told = command("init")
    assert code == 0
    assert {"study.yaml", "study.schema.json", "data.csv"} <= set(told["init"]["files"])
    file = load("study.yaml")
    assert [policy.id for policy in file.policies] == ["plain", "worked"]
    assert file.judge_kind == "check"
    assert Path("study.yaml").read_text().startswith("# yaml-language-server: $schema=")
    before = Path("study.yaml").read_text()
    code, told = command("init")
    assert code == 2
    assert "was left as it is" in told["error"]["message"]
    assert Path("study.yaml").read_text() == before


def test_init_takes_prompts_and_data_and_guesses_the_judge_from_them(command: Command) -> None:
    Path("a.txt").write_text("Reply to {{question}}")
    Path("b.txt").write_text("Kindly reply to {{question}}")
    Path("words.csv").write_text("question,expected\nHow?,well\nWhy?,because\n")
    Path("talk.jsonl").write_text('{"question": "How?"}\n{"question": "Why?"}\n' * 10)
    assert command("init", "--prompts", "a.txt", "b.txt", "--data", "words.csv")[0] == 0
    assert load("study.yaml").section.judge.check is not None
    Path("study.yaml").unlink()
    Path("study.schema.json").unlink()
    assert command("init", "--prompts", "a.txt", "b.txt", "--data", "talk.jsonl")[0] == 0
    assert load("study.yaml").section.judge.llm is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prompts", "a.txt", "--data", "d.csv"), "at least two prompts"),
        (("--prompts", "a.txt", "c.txt", "--data", "d.csv"), "no file 'c.txt'"),
        (("--prompts", "a.txt", "b.txt", "--data", "d.csv"), "has a place for 'tone'"),
        (("--prompts", "a.txt", "a.txt", "--data", "e.csv"), "no file 'e.csv'"),
    ],
)
def test_init_refuses_what_cannot_run_and_writes_nothing(
    command: Command, arguments: tuple[str, ...], said: str
) -> None:
    Path("a.txt").write_text("Reply to {{question}}")
    Path("b.txt").write_text("In a {{tone}} tone")
    Path("d.csv").write_text("question\nHow?\n")
    code, told = command("init", *arguments)
    assert code == 2
    assert said in told["error"]["message"]
    assert not Path("study.yaml").exists()


def test_check_finds_a_judge_who_obeys_answers_and_leaves_no_record(command: Command) -> None:
    Path("study.yaml").write_text(STUDY.replace("JUDGE", "{llm: {model: scripted/gullible}}"))
    code, told = command("check", "study.yaml")
    assert code == 0
    canaries = told["check"]["judge"]["canaries"]
    assert canaries["injected"]["raised"]
    assert any("obeys instructions" in warning for warning in told["check"]["warnings"])
    assert [policy["answers"] for policy in told["check"]["policies"]]
    assert list(Path().iterdir()) == [Path("study.yaml")]


def test_check_says_how_a_judge_leans_to_a_side(command: Command) -> None:
    Path("study.yaml").write_text(STUDY.replace("JUDGE", "{llm: {model: scripted/first}}"))
    _, told = command("check", "study.yaml")
    judge = told["check"]["judge"]
    assert judge["self_agreement"] == 0.0
    assert judge["shown_first_wins"] == 1.0
    assert not judge["canaries"]["injected"]["raised"]


def test_check_fails_when_a_policy_gives_no_answer(command: Command) -> None:
    Path("mine.py").write_text("def answer(row):\n    raise RuntimeError('no model here')\n")
    text = STUDY.replace("JUDGE", "{check: {exact: question}}")
    text = text.replace(
        '{id: long, model: scripted/echo, prompt: "Please, {{question}}"}',
        '{id: mine, call: "mine:answer"}',
    )
    Path("study.yaml").write_text(text)
    code, told = command("check", "study.yaml")
    assert code == 5
    assert "no model here" in told["check"]["policies"][1]["failures"][0]


def test_the_forecast_is_of_the_order_of_what_the_run_then_takes(command: Command) -> None:
    text = STUDY.replace("JUDGE", "{check: {regex: '^Please'}}").replace("60", "400")
    Path("study.yaml").write_text(text)
    _, told = command("check", "study.yaml", "--samples", "4")
    forecast = told["check"]["forecast"]
    _, ran = command("run", "study.yaml")
    assert forecast["decided"] >= forecast["studies"] / 2
    for what, took in (
        ("comparisons", ran["verdict"]["comparisons"]),
        ("tokens", ran["cost"]["tokens"]),
    ):
        assert forecast[what]["low"] <= forecast[what]["middle"] <= forecast[what]["high"]
        assert 0.2 * forecast[what]["low"] <= took <= 3 * forecast[what]["high"]


def test_nothing_is_forecast_from_silence(command: Command) -> None:
    Path("mine.py").write_text("def answer(row):\n    raise RuntimeError('no model here')\n")
    text = STUDY.replace("JUDGE", "{check: {exact: question}}")
    text = text.replace(
        'model: scripted/echo, prompt: "Please, {{question}}"', 'call: "mine:answer"'
    )
    Path("study.yaml").write_text(text)
    _, told = command("check", "study.yaml")
    assert told["check"]["forecast"] is None
