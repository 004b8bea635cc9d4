"""A budget in dollars holds, whatever fails, whoever is killed, and however many work at once."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from llm.fake_provider import FakeProvider, mixture
from run.playing import (
    MODEL,
    PRICE,
    calls,
    charged,
    completed,
    end,
    named,
    play,
    recorded_usd,
    start,
    told,
    write,
)

pytestmark = pytest.mark.slow  # every one of them starts a command several times

# Nothing is set aside, and what a call has cost is looked at when the next is due.
CHARGE_AFTER = """\
from bestpolicy.store.calls import Calls


def reserve(self, asks, cap):
    return [0] * len(asks) if cap is None or self.spent() <= cap else None


Calls.reserve = reserve
"""
# Reservations that a killed process has left are taken for unspent.
FORGETFUL = """\
from bestpolicy.store.calls import Calls

real = Calls._catch_up


def catch_up(self, db):
    fresh = self._read_to == 0
    real(self, db)
    if fresh:
        self._open.clear()


Calls._catch_up = catch_up
"""
FAULTS = {"ok": 80.0, "500": 5.0, "html": 5.0, "cut": 5.0, "refusal": 5.0}


def study(folder: Path, server: FakeProvider, usd: float | None, **more: Any) -> Path:
    budget: dict[str, float] = {"comparisons": 300}
    return write(
        folder,
        server,
        decide={"confidence": 1 - 1e-9},
        budget=budget if usd is None else budget | {"usd": usd},
        workers=8,
        **more,
    )


def holds(folder: Path, caps: list[float], *, twin: str = "") -> None:
    """Under each cap the run stops in time, and under the next it goes on where it stopped."""
    with FakeProvider(mixture(5, FAULTS), answer=named) as server:
        before = 0
        for cap in caps:
            done = play(path := study(folder, server, cap), twin=twin)
            rows = calls(path)
            assert done.code == 3, done.err
            assert charged(server) <= recorded_usd(rows) + 1e-12
            assert recorded_usd(rows) <= cap
            # Money that was set aside and not needed is not left lying.
            assert recorded_usd(rows) > cap - 0.0047
            assert any("the budget of dollars is spent" in said for said in done.said["warnings"])
            assert done.said["verdict"]["kind"] == "undecided"
            # What was open is asked before anything new, so that no number is left behind.
            assert before < len(told(path)) < 300
            before = len(told(path))
        assert set(completed(server).values()) == {1}
        assert play(study(folder, server, 5.0)).code == 3
        assert len(told(path)) == 300
        assert set(completed(server).values()) == {1}


def test_a_cap_in_dollars_holds_and_a_higher_one_goes_on(tmp_path: Path) -> None:
    holds(tmp_path, [0.01, 0.015])


def test_money_that_is_looked_at_after_the_call_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="<="):
        holds(tmp_path, [0.01], twin=CHARGE_AFTER)


def dead_calls_count(folder: Path, twin: str = "") -> None:
    def slow(body: Any, nonce: str) -> str:
        time.sleep(0.2)
        return named(body, nonce)

    with FakeProvider(answer=slow) as server:
        path = study(folder, server, 0.06)
        process = start("run", path, "--json")
        while len(server.requests) < 40:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        end(process)
        rows = calls(path)
        closed = {row["settles"] for row in rows}
        dead = sum(r["usd"] for r in rows if r["state"] == "reserved" and r["seq"] not in closed)
        assert dead > 0
        done = play(path, twin=twin)
        assert done.code == 3, done.err
        assert recorded_usd(calls(path)) <= 0.06
        assert any(
            f"calls worth up to ${dead:.4g} were under way when a run was killed" in said
            for said in done.said["warnings"]
        )


def test_calls_of_a_killed_run_count_as_spent_and_are_told(tmp_path: Path) -> None:
    dead_calls_count(tmp_path)


def test_calls_of_a_killed_run_that_are_forgotten_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        dead_calls_count(tmp_path, FORGETFUL)


def test_a_cap_in_dollars_needs_the_price_of_every_model(tmp_path: Path) -> None:
    with FakeProvider() as server:
        terms = {MODEL: {"timeout_s": 1.0}}
        done = play(study(tmp_path, server, 1.0, models=terms))
        assert done.code == 2
        (fault,) = done.said["error"]["faults"]
        assert fault["path"] == "budget.usd"
        assert "needs the price of openai/x" in fault["message"]
        assert not server.requests
        judge = {"llm": {"model": "openai/y", "base_url": server.url}}
        done = play(study(tmp_path, server, 1.0, judge=judge))
        assert done.code == 2
        assert "needs the price of openai/y" in done.said["error"]["message"]
        assert not server.requests
        # Without a cap nobody needs to know; what it cost is then not claimed to be nothing.
        path = write(tmp_path, server, models={MODEL: {"timeout_s": 1.0}}, budget=30)
        assert play(path).said["cost"]["usd"] is None


def test_what_costs_nothing_is_told_from_what_nobody_knows(tmp_path: Path) -> None:
    free = {"price": {"input": 0, "output": 0}, "timeout_s": 1.0}
    with FakeProvider() as server:
        path = write(tmp_path, server, models={MODEL: free}, budget=12)
        assert play(path).said["cost"]["usd"] == 0


def test_a_dear_call_is_not_begun(tmp_path: Path) -> None:
    with FakeProvider() as server:
        price = {MODEL: {"price": {k: 1e6 * v for k, v in PRICE.items()}}}
        done = play(study(tmp_path, server, 1.0, models=price))
        assert (done.code, server.requests) == (3, [])
