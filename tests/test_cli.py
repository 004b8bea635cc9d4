"""The commands as a user types them: exit codes, one JSON object, nothing lost or invented."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from bestpolicy import designs
from bestpolicy.cli import cli
from bestpolicy.core.evidence import by_counts
from conftest import answers

Study = Callable[..., Path]
Command = Callable[..., tuple[int, Any, str]]
CORPUS = Path(__file__).parent / "broken_yaml"
ALWAYS_LEFT = "def judge(row, left, right):\n    return 'left'"
ALWAYS_TIE = "def judge(row, left, right):\n    return 'tie'"


def test_a_run_ends_in_a_verdict_and_exit_0(study: Study, command: Command) -> None:
    code, said, _ = command("run", study())
    assert code == 0
    assert "the winner is good" in said
    assert "\x1b" not in said  # nobody sees colours in a pipe


def test_a_winner_is_told_under_the_promised_names(study: Study, command: Command) -> None:
    code, told, _ = command("run", study(), "--json")
    assert code == 0
    assert set(told["verdict"]) == {
        "kind", "policy", "confidence", "survivors", "comparisons", "reason", "given",
    }  # fmt: skip
    assert (told["verdict"]["kind"], told["verdict"]["policy"]) == ("winner", "good")
    assert told["verdict"]["given"] is None
    assert [policy["id"] for policy in told["policies"]] == ["good", "fair", "poor"]
    assert set(told["policies"][0]) >= {
        "alive", "log_evidence_against", "comparisons", "wins", "ties", "losses", "strongest_rival",
    }  # fmt: skip
    assert set(told["cost"]) >= {"usd", "calls", "tokens", "seconds"}
    assert set(told["judge"]) >= {
        "position_bias", "position_bias_interval", "tie_share", "self_agreement",
    }  # fmt: skip
    assert set(told["study"]) == {"name", "hash", "seed"}
    assert told["replay"].startswith("sha256:")
    assert told["warnings"] == []


def test_every_share_has_its_interval(study: Study, command: Command) -> None:
    _, told, _ = command("run", study(), "--json")
    for policy in told["policies"]:
        low, high = policy["share_against_rival_interval"]
        assert 0 <= low <= policy["share_against_rival"] <= high <= 1


def test_an_auditor_can_redo_the_evidence_from_the_exported_answers(
    study: Study, command: Command
) -> None:
    _, told, _ = command("run", study(), "--json")
    _, raw, _ = command("export", study(), "--format", "csv")
    rows = list(csv.DictReader(raw.splitlines()))
    for policy in told["policies"]:
        won: dict[str, float] = {p["id"]: 0.0 for p in told["policies"] if p is not policy}
        lost = dict(won)
        for row in rows:
            sides = (row["left"], row["right"])
            if policy["id"] in sides:
                mine = float(row["left_share"])
                rival = sides[1] if sides[0] == policy["id"] else sides[0]
                mine = mine if sides[0] == policy["id"] else 1 - mine
                won[rival] += mine
                lost[rival] += 1 - mine
        again = by_counts(np.array(list(won.values())), np.array(list(lost.values())))
        assert policy["log_evidence_by_counts"] == pytest.approx(again)


def test_a_decided_study_is_not_played_again(study: Study, command: Command) -> None:
    _, first, _ = command("run", study(), "--json")
    _, again, _ = command(
        "run", study(judge="def judge(*about):\n    raise RuntimeError"), "--json"
    )
    assert again["verdict"] == first["verdict"]
    assert again["replay"] == first["replay"]
    assert again["cost"]["calls_now"] == 0


def test_status_says_the_same_and_plays_nothing(study: Study, command: Command) -> None:
    _, ran, _ = command("run", study(), "--json")
    (study().parent / "players.py").write_text("raise RuntimeError('status imports nothing')")
    code, told, _ = command("status", study().parent / "study.yaml", "--json")
    assert code == 0
    assert told["verdict"] == ran["verdict"]
    assert told["replay"] == ran["replay"]


@pytest.mark.parametrize("name", ["status", "replay", "export"])
def test_before_the_first_run_there_is_nothing_to_read(
    name: str, study: Study, command: Command
) -> None:
    code, _, complaint = command(name, study())
    assert code == 2
    assert "start with: bestpolicy run" in complaint
    assert not list(study().parent.glob("*.db*"))


def test_a_replay_is_the_same_to_the_bit(study: Study, command: Command) -> None:
    command("run", study())
    code, told, _ = command("replay", study(), "--json")
    assert code == 0
    assert told["same"] is True
    assert [pair["same"] for pair in told["replayed"]] == [True]


def test_a_replay_by_changed_code_exits_1(
    study: Study, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("run", study())
    honest = designs.make

    def hasty(name: str, **told: Any) -> Any:
        return honest(name, **(told | {"confidence": 0.6}))

    monkeypatch.setattr(designs, "make", hasty)
    code, told, _ = command("replay", study(), "--json")
    assert code == 1
    assert told["same"] is False


def test_a_record_changed_by_hand_exits_5(study: Study, command: Command) -> None:
    command("run", study())
    with sqlite3.connect(study().with_suffix(".db")) as database:
        database.execute("UPDATE event SET body = replace(body, '1.0', '0.5') WHERE kind = 'told'")
    code, told, _ = command("replay", study(), "--json")
    assert code == 5
    assert told["error"]["kind"] == "store"


def test_an_undecided_run_exits_3_and_names_nobody(study: Study, command: Command) -> None:
    code, told, _ = command("run", study(judge=ALWAYS_TIE, budget=60), "--json")
    assert code == 3
    assert told["verdict"]["kind"] == "undecided"
    assert told["verdict"]["policy"] is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("float('nan')", "nan"),
        ("1.3", "1.3"),
        ("'lft'", "left"),
        ("None", "None"),
        ("True", "True"),
        ("{}", "empty"),
        ("object()", "object"),
        ("1 / 0", "ZeroDivisionError"),
        ("__import__('sys').exit(0)", "SystemExit"),
    ],
)
def test_a_judge_without_an_answer_is_a_failure_and_never_a_loss(
    answer: str, said: str, study: Study, command: Command
) -> None:
    broken = f"def judge(row, left, right):\n    return {answer}"
    code, told, _ = command("run", study(judge=broken), "--json")
    assert code == 5
    assert told["error"]["kind"] == "play"
    assert said in told["error"]["message"]
    assert answers(study().with_suffix(".db")) == {}


def test_a_policy_that_fails_half_way_costs_nothing(study: Study, command: Command) -> None:
    whole = command("run", study(), "--json")[1]
    for part in study().parent.glob("*.db*"):
        part.unlink()
    fails = "calls = iter(range(20))\n\n\ndef fair(row):\n    next(calls)\n    return 'fair'"
    code, _, complaint = command("run", study(judge=fails))
    assert code == 5
    assert "policy 'fair' raised StopIteration" in complaint
    told = len(answers(study().with_suffix(".db")))
    assert 0 < told < whole["verdict"]["comparisons"]
    code, resumed, _ = command("run", study(), "--json")
    assert code == 0
    assert resumed["verdict"] == whole["verdict"]
    assert resumed["replay"] == whole["replay"]


def test_a_policy_must_return_text(study: Study, command: Command) -> None:
    code, _, complaint = command("run", study(judge="def poor(row):\n    return 7"))
    assert code == 5
    assert "policy 'poor' must return text, saw 7" in complaint


def test_several_workers_find_the_same_winner(study: Study, command: Command) -> None:
    code, told, _ = command("run", study(workers=8), "--json")
    assert code == 0
    assert told["verdict"]["policy"] == "good"


def test_a_judge_that_favours_a_position_is_reported(study: Study, command: Command) -> None:
    _, told, _ = command("run", study(judge=ALWAYS_LEFT, budget=60), "--json")
    assert told["judge"]["position_bias"] == 0.5
    assert told["judge"]["position_bias_interval"][0] > 0
    assert "favours a position" in told["warnings"][0]


def test_both_orders_take_the_position_out(study: Study, command: Command) -> None:
    code, told, _ = command("run", study(judge=ALWAYS_LEFT, budget=60, order="both"), "--json")
    assert code == 3
    assert all(policy["ties"] == policy["comparisons"] for policy in told["policies"])
    assert told["judge"]["self_agreement"] == 0.0
    assert told["judge"]["position_bias"] == 0.5


def test_a_judge_whose_orders_agree_is_reported_so(study: Study, command: Command) -> None:
    code, told, _ = command("run", study(order="both"), "--json")
    assert code == 0
    assert told["judge"]["self_agreement"] == 1.0
    assert told["judge"]["position_bias"] == 0.0


def test_changed_prompts_do_not_join_an_old_record(study: Study, command: Command) -> None:
    command("run", study())
    path = study()
    path.write_text(path.read_text().replace("players:fair", "players:poor"))
    code, told, _ = command("run", path, "--json")
    assert code == 5
    assert told["error"]["kind"] == "store"
    assert "players:fair" in told["error"]["message"]
    assert "players:poor" in told["error"]["message"]


def test_what_a_judge_prints_stays_out_of_the_json(study: Study, command: Command) -> None:
    loud = "quiet = judge\n\n\ndef judge(*about):\n    print('hm')\n    return quiet(*about)"
    code, _, complaints = command("run", study(judge=loud), "--json")
    assert code == 0
    assert "hm" in complaints


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_export_is_the_whole_record(kind: str, study: Study, command: Command) -> None:
    _, ran, _ = command("run", study(), "--json")
    file = study().parent / f"record.{kind}"
    code, told, _ = command("export", study(), "-o", file, "--json")
    assert code == 0
    if kind == "csv":
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
    else:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == told["export"]["rows"] == ran["verdict"]["comparisons"]
    shares = {int(row["id"]): float(row["left_share"]) for row in rows}
    stored = answers(study().with_suffix(".db"))
    assert shares == {duel: scores[0] for duel, scores in stored.items()}


def test_an_exported_cell_is_no_formula() -> None:
    from bestpolicy.core.nouns import Comparison, Outcome
    from bestpolicy.report.raw import raw_rows, written

    outcome = Outcome(Comparison((0, 1), id=0), (1.0, 0.0), feedback="=cmd()")
    text = written(raw_rows([outcome], ["+a", "b"]), "csv")
    assert text.splitlines()[1].startswith("0,'+a,b,")
    assert text.splitlines()[1].endswith(",'=cmd(),,")


def test_no_broken_file_leaves_anything_behind(command: Command) -> None:
    before = sorted(p.name for p in CORPUS.iterdir())
    for path in sorted(CORPUS.glob("*.yaml")):
        code, told, complaint = command("run", path, "--json")
        assert code == 2, path.name
        assert told["error"]["faults"][0]["line"] >= 1
        assert "Traceback" not in complaint
    after = sorted(p.name for p in CORPUS.iterdir() if p.name != "__pycache__")
    assert after == [name for name in before if name != "__pycache__"]


def test_a_missing_study_is_a_usage_error(command: Command, tmp_path: Path) -> None:
    code, told, _ = command("run", tmp_path / "none.yaml", "--json")
    assert code == 2
    assert told["error"]["faults"][0]["message"].startswith("no such file")


def test_a_spoilt_database_exits_5_and_is_left_alone(study: Study, command: Command) -> None:
    record = study().with_suffix(".db")
    record.write_bytes(b"not a database at all" * 100)
    code, told, complaint = command("run", study(), "--json")
    assert code == 5
    assert told["error"]["kind"] == "store"
    assert "Traceback" not in complaint
    assert record.read_bytes() == b"not a database at all" * 100


def test_a_wrong_word_gets_the_nearest_right_one(command: Command) -> None:
    for arguments in (["stauts", "x"], ["simulate", "esy4"], ["bench", "duelling"]):
        code, told, _ = command(*arguments, "--json")
        assert code == 2
        assert "id you mean" in told["error"]["message"]


def test_a_simulation_tells_comparisons_ratio_and_wrong_share(command: Command) -> None:
    arguments = ["simulate", "easy4", "--reps", 6, "--processes", 1, "--assume-winner", "--json"]
    code, told, _ = command(*arguments)
    assert code == 0
    simulation = told["simulation"]
    assert simulation["ratio"] == simulation["comparisons"] / simulation["lower_bound"]
    low, high = simulation["wrong_interval"]
    assert low <= simulation["wrong"] <= high
    assert simulation["habitual_stop"] is None


def commands(group: click.Group, *path: str) -> Iterator[tuple[list[str], click.Command]]:
    """Every command with the words that call it; a group is no command by itself."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield [*path, name], command


def test_every_command_takes_json_and_has_help() -> None:
    for path, command in commands(cli):
        assert "--json" in {flag for parameter in command.params for flag in parameter.opts}
        shown = CliRunner().invoke(cli, [*path, "--help"])
        assert shown.exit_code == 0
        assert command.help
        assert command.help.split(".")[0] in " ".join(shown.output.split())
