"""A study with a learned policy, really run: each duel has the prompt that its context drew, the
record finds it again, and a run that is killed draws the same."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from bestpolicy.config import FaultyFile, connect, load
from bestpolicy.config.choosing import Choosing, uniform
from bestpolicy.core.nouns import StoreError
from bestpolicy.llm.players import Prompted
from bestpolicy.run import open_study
from choosers import BY_TIER, NAMES, TEXTS, by_word, kept
from llm.fake_provider import FakeProvider
from run.playing import bestpolicy_, calls, end, play, policy, settled, start, write

N = 200  # inputs of each tier
WRONG = 1e-6  # how often the check of frequencies may fail where all is right, and does: seeds
JUDGING = "def judge(row, left, right):\n    return 'tie'\n"
IGNORES = """\
from bestpolicy.offpolicy.learned import LearnedPolicy

read = LearnedPolicy.of_row
LearnedPolicy.of_row = lambda self, row: read(self, {**row, "tier": "gold"})
"""
SHARES = """\
from bestpolicy.config.choosing import Choosing

Choosing.chooses = False
"""


def learned(**more: Any) -> dict[str, Any]:
    return {
        "id": "learned",
        "learned": "policy.npz",
        "prompts": TEXTS,
        "model": "scripted/echo",
        "temperature": 0,
    } | more


def study(folder: Path, **more: Any) -> Path:
    """400 inputs of two kinds, whose answers always tie."""
    kept(folder)
    (folder / "judging.py").write_text(JUDGING)
    told: dict[str, Any] = {
        "version": 1,
        "inputs": [{"input": f"{i}", "tier": tier} for i in range(N) for tier in BY_TIER],
        "policies": [
            learned(),
            {"id": "fixed", "model": "scripted/echo", "prompt": "plain to {{input}}"},
        ],
        "judge": {"call": "judging:judge", "order": "random"},
        "budget": {"comparisons": 2 * N},
        "seed": 11,
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps(told | more))
    return path


def drawn(path: Path) -> Counter[tuple[str, str]]:
    """How often each prompt answered an input of each tier, by the exported record."""
    out = path.with_suffix(".jsonl")
    done = bestpolicy_("export", path, "-o", out)
    assert done.code == 0, done.err
    rows, found = load(str(path)).rows, Counter[tuple[str, str]]()
    assert rows is not None
    for line in out.read_text().splitlines():
        told = json.loads(line)
        side = "left" if told["left"] == "learned" else "right"
        word, _, rest = told[f"{side}_text"].partition(" to ")
        row = rows[told["input"]]
        assert rest == row["input"]
        found[row["tier"], word] += 1
    return found


def agree_with_the_chances(found: Counter[tuple[str, str]]) -> None:
    for tier, chances in BY_TIER.items():
        many = sum(found[tier, name] for name in NAMES)
        assert many == N
        for name, chance in zip(NAMES, chances, strict=True):
            low, high = binom.interval(1 - WRONG / 6, many, chance)
            assert low <= found[tier, name] <= high, (tier, name, found[tier, name])


@pytest.mark.slow  # several commands
def test_each_input_gets_a_prompt_by_its_context(tmp_path: Path) -> None:
    path = study(tmp_path)
    done = play(path)
    assert done.code == 3, done.err  # ties prove nothing
    agree_with_the_chances(drawn(path))
    assert len({row["key"] for row in calls(path) if row["who"] == "learned"}) == 2 * N
    again = bestpolicy_("replay", path, "--json")
    assert again.said["replay"] == done.said["replay"]
    page = tmp_path / "report.html"
    assert bestpolicy_("report", path, "-o", page).code == 0
    assert "draws one of 3 prompts, with chances by tier" in page.read_text()
    pairs = tmp_path / "pairs.jsonl"
    assert bestpolicy_("export", path, "--format", "trl-dpo", "-o", pairs).code == 0


@pytest.mark.slow  # several commands
def test_a_chooser_that_ignores_the_context_is_caught(tmp_path: Path) -> None:
    path = study(tmp_path)
    play(path, twin=IGNORES)
    with pytest.raises(AssertionError):
        agree_with_the_chances(drawn(path))


def texts_are_found(folder: Path, twin: str = "") -> None:
    """The answer of each duel is the one that its own draw made, though all ask the same."""
    rows = [{"input": "the same", "tier": "gold", "n": i} for i in range(40)]
    path = study(folder, inputs=rows, budget={"comparisons": 40})
    done = play(path, twin=twin)
    assert done.code == 3, done.err
    with open_study(load(str(path))) as opened:
        duels = {o.comparison.id for o in opened.study.outcomes()}
    keys = {row["key"] for row in calls(path) if row["who"] == "learned"}
    assert keys == {f"duel {duel}: learned" for duel in duels}
    assert sum(drawn_of(path).values()) == len(duels)


def drawn_of(path: Path) -> Counter[str]:
    out = path.with_suffix(".jsonl")
    assert bestpolicy_("export", path, "-o", out).code == 0
    found: Counter[str] = Counter()
    for line in out.read_text().splitlines():
        told = json.loads(line)
        found[told["left_text" if told["left"] == "learned" else "right_text"].split()[0]] += 1
    return found


@pytest.mark.slow  # several commands
def test_answers_are_never_shared_though_nothing_is_drawn_but_the_prompt(tmp_path: Path) -> None:
    texts_are_found(tmp_path)


@pytest.mark.slow  # several commands
def test_answers_that_are_shared_by_content_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        texts_are_found(tmp_path, SHARES)


def test_the_draw_of_a_prompt_is_uniform_and_not_the_seed_of_the_model() -> None:
    n = 20_000
    at = sorted(uniform(seed) for seed in range(n))
    # Dvoretzky, Kiefer, Wolfowitz (Massart): the empirical distribution is off by more with
    # chance 2 exp(-2 n d^2) = 1e-6 at most.
    far = max(max(abs(x - i / n), abs(x - (i + 1) / n)) for i, x in enumerate(at))
    assert far < (7.254 / n) ** 0.5
    assert uniform(5) != 5 / 2**63


@pytest.mark.slow  # several commands
def test_check_foresees_what_the_drawn_prompts_take(tmp_path: Path) -> None:
    """A prompt of 4,000 characters that gold inputs get with chance 1/2: 500 tokens on average
    over both tiers, though a few samples say anything between 0 and 1,000."""
    policy_ = by_word({"gold": (0.5, 0.5), "free": (0.0001, 0.9999)}, names=("long", "short"))
    texts = {"long": "x " * 2000 + "{{input}}", "short": "{{input}}"}
    path = study(tmp_path, policies=[learned(prompts=texts, max_tokens=1), learned(id="b")])
    kept(tmp_path, policy_)
    told = json.loads(path.read_text())
    told["policies"][1]["prompts"] = texts
    path.write_text(json.dumps(told))
    players = connect(load(str(path)))
    player = players.answers["learned"]
    assert isinstance(player, Choosing)
    assert player.columns == ("tier", "input")
    gold = player.length({"tier": "gold", "input": "1"})
    assert gold == pytest.approx(0.5 * 4001 + 0.5 * 1)
    assert player.length({"tier": "free", "input": "1"}) == pytest.approx(1.4, abs=1e-6)
    done = bestpolicy_("check", path, "--json")
    assert done.code in (0, 3), done.err + done.out


def test_another_file_under_the_same_name_is_another_policy(tmp_path: Path) -> None:
    path = study(tmp_path, budget={"comparisons": 40})
    with open_study(load(str(path)), to_play=True):
        pass
    same = load(str(path)).definition
    kept(tmp_path)  # written anew, byte by byte the same policy
    told = load(str(path)).definition["policies"]["learned"]
    assert told["prompts"] == TEXTS
    assert told["learned"].startswith("sha256:")
    kept(tmp_path, by_word({"gold": (0.2, 0.2, 0.6), "free": (0.1, 0.3, 0.6)}))
    assert load(str(path)).definition != same
    with pytest.raises(StoreError, match="settings"), open_study(load(str(path)), to_play=True):
        pass


def test_prompts_come_from_a_file_or_a_mapping_and_are_the_same_policy(tmp_path: Path) -> None:
    path = study(tmp_path)
    same = load(str(path)).definition
    lines = [json.dumps({"id": name, "prompt": text}) for name, text in TEXTS.items()]
    (tmp_path / "prompts.jsonl").write_text(
        "\n".join([*lines, '{"id": "odd", "prompt": "{{no}}"}'])
    )
    (tmp_path / "warm.md").write_text(TEXTS["warm"])
    for prompts in ("prompts.jsonl", TEXTS | {"warm": "file://warm.md", "odd": "{{no}}"}):
        told = json.loads(path.read_text())
        told["policies"][0]["prompts"] = prompts
        path.write_text(json.dumps(told))
        assert load(str(path)).definition == same


def test_a_row_that_cannot_be_read_is_named_with_its_number(tmp_path: Path) -> None:
    rows = [{"input": "a", "tier": "gold"}, {"input": "b", "tier": "silver"}]
    with pytest.raises(FaultyFile, match=r"inputs row 2: .* 'tier' as gold, free; saw 'silver'"):
        load(str(study(tmp_path, inputs=rows, budget={})))


def provided(folder: Path, server: FakeProvider) -> Path:
    """The same, answered by a provider at temperature 0, and judged by a function."""
    folder.mkdir()
    path = write(folder, server, budget={"comparisons": 40})
    kept(folder)
    told = json.loads(path.read_text())
    for i, row in enumerate(told["inputs"]):
        told["inputs"][i] = {"input": row, "tier": ("gold", "free")[i % 2]}
    entry = policy("c", server, learned="policy.npz", temperature=0)
    del entry["prompt"]
    entry["prompts"] = {
        name: f"{letter}: {{{{input}}}}" for letter, name in zip("abc", NAMES, strict=True)
    }
    told["policies"] = [policy("a", server, temperature=0), policy("b", server), entry]
    path.write_text(json.dumps(told))
    return path


@pytest.mark.slow
def test_a_run_that_is_killed_chooses_the_same_prompts(tmp_path: Path) -> None:
    with FakeProvider(answer=settled) as server:
        whole = play(provided(tmp_path / "whole", server))
        many = len(server.requests)
    killed = 0
    with FakeProvider(answer=settled) as server:
        path = provided(tmp_path / "cut", server)
        for part in (0.3, 0.6):
            process = start("run", path, "--json")
            while len(server.requests) < part * many and process.poll() is None:
                pass
            process.send_signal(signal.SIGKILL)
            killed += end(process).code == -signal.SIGKILL
        done = play(path)
    assert killed >= 1
    assert (done.said["verdict"], done.said["replay"]) == (
        whole.said["verdict"],
        whole.said["replay"],
    )


def test_a_plain_player_is_no_chooser(tmp_path: Path) -> None:
    answers = connect(load(str(study(tmp_path)))).answers
    assert isinstance(answers["fixed"], Prompted)
    assert not answers["fixed"].chooses
