"""A study file means exactly what it says, and a wrong one says where it is wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ConfigDict

from bestpolicy.config import FaultyFile, StudyFile, connect, load, study_file
from bestpolicy.config.schema import StudySection
from bestpolicy.core.rng import stream
from bestpolicy.core.talk import Reply
from bestpolicy.llm.judges import FunctionJudge
from bestpolicy.llm.players import Prompted
from bestpolicy.llm.prompts import Row, fill

CORPUS = Path(__file__).parent / "broken_yaml"
BROKEN = sorted(CORPUS.glob("*.yaml"))
HEADERLESS = dict(
    line.split(" ", 1) for line in (CORPUS / "without_header.txt").read_text().splitlines()
)

GOOD = """\
version: 1
name: tickets
inputs: [{question: How?}, {question: Why?}, {question: "Who, {{question}}?"}]
policies:
  - {id: plain, model: scripted/echo, prompt: "Answer {{ question }}", max_tokens: 2}
  - matrix:
      {prompt: [file://kind.md, "{{question}}"], model: [scripted/echo], temperature: [0, 0.7]}
judge: {call: "one_judge:judge", order: both}
design: {name: llm-po, structure: free, trust_structure: false}
decide: {confidence: 0.95, indifference: 0.0, assume_winner: true, reuse_inputs: true}
budget: {comparisons: 200, minutes: 30}
store: sqlite:///tickets.db
seed: 7
workers: 8
"""
ONE_JUDGE = "def judge(row, left, right):\n    return 'left'\n"


def expected(path: Path) -> list[tuple[str, str]]:
    """Where a broken file is wrong, and what is said of it; its first line tells."""
    text = HEADERLESS.get(path.name) or path.read_text().splitlines()[0].removeprefix("# ")
    return [(fault.split(" ")[0], fault.split(" ", 1)[1]) for fault in text.split(" || ")]


def is_refused_as_expected(path: Path) -> bool:
    """The check that every broken file must pass, and that a lenient loader must not."""
    try:
        connect(load(str(path)))
    except FaultyFile as error:
        said = str(error).splitlines()
        return all(
            any(_says(line, f"{path}:{place}: {what}") for line in said)
            for place, what in expected(path)
        )
    return False


def _says(line: str, words: str) -> bool:
    """Whether the line holds the words in this order; … stands for anything."""
    return re.search(".*".join(map(re.escape, words.split("…"))), line) is not None


@pytest.fixture
def good(tmp_path: Path) -> Callable[[str], StudyFile]:
    def write(text: str = GOOD) -> StudyFile:
        (tmp_path / "study.yaml").write_text(text)
        (tmp_path / "kind.md").write_text("Kindly: {{question}}")
        (tmp_path / "one_judge.py").write_text(ONE_JUDGE)
        return load(str(tmp_path / "study.yaml"))

    return write


def test_the_corpus_is_large() -> None:
    assert len(BROKEN) >= 60


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_is_refused_at_its_place(path: Path) -> None:
    assert is_refused_as_expected(path)


def test_a_loader_that_ignores_unknown_keys_fails_the_corpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lenient(StudySection):
        model_config = ConfigDict(extra="ignore")

    monkeypatch.setattr(study_file, "StudySection", Lenient)
    missed = [path.stem for path in BROKEN if not is_refused_as_expected(path)]
    assert "unknown_key" in missed


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(FaultyFile) as caught:
        load(str(CORPUS / "several_at_once.yaml"))
    assert len(caught.value.faults) == len(str(caught.value).splitlines()) == 3


def test_no_code_runs_before_the_whole_file_is_right(tmp_path: Path) -> None:
    (tmp_path / "marks.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
        "def judge(row, left, right): ...\n"
    )
    text = 'version: 1\npolicies: [{id: a, call: "marks:judge"}]\njudge: {call: "marks:judge"}\n'
    (tmp_path / "study.yaml").write_text(f"{text}sead: 1\n")
    with pytest.raises(FaultyFile, match="sead"):
        load(str(tmp_path / "study.yaml"))
    assert not (tmp_path / "ran").exists()


def test_every_part_of_a_right_file_arrives(good: Callable[..., StudyFile], tmp_path: Path) -> None:
    settings = good().settings()
    assert settings.pop("inputs")[1] == {"question": "Why?"}
    assert settings == {
        "policies": ["plain", "kind/0", "kind/0.7", "prompt2/0", "prompt2/0.7"],
        "confidence": 0.95,
        "structure": "free",
        "features": None,
        "trust_structure": False,
        "indifference": 0.0,
        "assume_winner": True,
        "reuse_inputs": True,
        "cluster": None,
        "sentinels": 0.0,
        "reserve": 0.02,
        "design": "llm-po",
        "budget": {"comparisons": 200, "minutes": 30.0},
        "store": f"sqlite:///{tmp_path.resolve()}/tickets.db",
        "seed": 7,
        "name": "tickets",
    }


def test_prompts_are_filled_from_the_row(good: Callable[..., StudyFile]) -> None:
    file = good()
    answers = connect(file).answers
    rows = file.settings()["inputs"]

    def answer(policy: str, row: Row) -> str:
        player = answers[policy]
        assert isinstance(player, Prompted)
        (reply,) = player.model.complete([player.ask(row, 0)])
        assert isinstance(reply, Reply)
        return reply.text

    assert answer("kind/0", rows[0]) == "Kindly: How?"
    assert answer("plain", rows[0]) == "Answer How?"
    assert answer("plain", rows[2]) == "Answer Who,"  # two words at most


def test_a_value_is_only_text_whatever_it_contains() -> None:
    row = {"a": "{{b}} {{7*7}} {% x %} ${HOME} \\g<0>", "b": "secret", "n": [1, "é"]}
    assert fill("<{{a}}> {{ n }}", row) == '<{{b}} {{7*7}} {% x %} ${HOME} \\g<0>> [1, "é"]'


def test_a_csv_keeps_its_quotes_and_line_breaks(
    good: Callable[..., StudyFile], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_bytes('question\r\n"a, ""b""\r\nc"\r\nnext\u2028line\r\n'.encode())
    inputs = GOOD[GOOD.index("inputs") : GOOD.index("policies")]
    rows = good(GOOD.replace(inputs, "inputs: t.csv\n")).settings()["inputs"]
    assert [row["question"] for row in rows] == ['a, "b"\r\nc', "next\u2028line"]


def test_two_studies_may_call_modules_of_one_name(tmp_path: Path) -> None:
    said = []
    for folder in ("one", "two"):
        home = tmp_path / folder
        home.mkdir()
        (home / "one_judge.py").write_text(ONE_JUDGE.replace("left'", f"{folder}'"))
        (home / "kind.md").write_text("Kindly: {{question}}")
        (home / "study.yaml").write_text(GOOD)
        said.append(connect(load(str(home / "study.yaml"))).judge.function({}, "", ""))
    assert said == ["one", "two"]


def test_a_module_may_be_on_the_python_path_instead(good: Callable[..., StudyFile]) -> None:
    text = GOOD.replace("one_judge:judge", "operator:countOf")
    with pytest.raises(FaultyFile, match=r"must take \(row, left, right\)"):
        connect(good(text))
    assert connect(good(GOOD.replace("one_judge:judge", "builtins:max"))).judge == FunctionJudge(
        max
    )


def test_a_file_that_would_hide_a_module_in_use_is_refused(
    good: Callable[..., StudyFile], tmp_path: Path
) -> None:
    (tmp_path / "json.py").write_text(ONE_JUDGE)
    with pytest.raises(FaultyFile, match="rename the file"):
        connect(good(GOOD.replace("one_judge:judge", "json:judge")))


def test_mutated_files_are_refused_or_understood_and_nothing_else(
    good: Callable[..., StudyFile],
) -> None:
    letters = "\t\n\0:-#{}[]&*!|>%@`'\",.~01eé\ufeff\u2028 abz"
    rng = random.Random(int(stream(0, "mutations").integers(2**32)))
    places = []
    for _ in range(300):
        text = list(GOOD)
        for _ in range(rng.randint(1, 4)):
            i = rng.randrange(len(text))
            match rng.randrange(3):
                case 0:
                    text[i] = rng.choice(letters)
                case 1:
                    del text[i : i + rng.randint(1, 30)]
                case _:
                    text.insert(i, rng.choice(letters))
        try:
            good("".join(text))
        except FaultyFile as error:
            places.append(min((fault.line, fault.column) for fault in error.faults))
    assert 0 < len(places) < 300
    assert min(places) >= (1, 1)
