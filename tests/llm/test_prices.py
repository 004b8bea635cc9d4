"""What a model costs, and what is not pretended to be known."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage
from genai_prices.types import Tier, TieredPrices

from bestpolicy.llm import prices
from bestpolicy.llm.prices import LIST, price_of
from bestpolicy.llm.terms import Price

CHAT = ("gpt-4o-mini", "gpt-4.1", "gpt-5-mini", "gpt-5.4", "o3")


@pytest.mark.parametrize("model", CHAT)
@pytest.mark.parametrize("tokens", [100, 1_000_000])
def test_a_price_is_never_below_what_the_list_charges(model: str, tokens: int) -> None:
    ours = price_of(model, "openai", tokens)
    assert ours is not None
    listed = LIST.calc(Usage(input_tokens=tokens, output_tokens=500), model, "openai", None, None)
    assert ours.of(tokens, 500) >= float(listed.total_price) * (1 - 1e-12)
    assert ours.of(tokens, 500) <= float(listed.total_price) * 1.5


def test_a_long_prompt_has_the_price_of_long_prompts() -> None:
    short, long = (price_of("gpt-5.4", "openai", tokens) for tokens in (1000, 300_000))
    assert short is not None
    assert long is not None
    assert long.input > short.input


def test_a_threshold_is_passed_and_not_met() -> None:
    rate = TieredPrices(base=Decimal(1), tiers=[Tier(start=100, price=Decimal(2))])
    assert [prices._at(rate, n) for n in (100, 101)] == [1.0, 2.0]
    assert prices._at(None, 5) is None


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-5-mini", None),
        ("my-own-model", "openai"),
        ("ft:gpt-4o-mini:me::x", "openai"),
        ("", "openai"),
        ("gpt-5-mini", "nobody"),
        ("text-embedding-3-small", "openai"),
    ],
)
def test_an_unknown_price_is_none_and_not_zero(model: str, provider: str | None) -> None:
    assert price_of(model, provider) is None


def test_the_list_is_the_one_that_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*anything: object) -> None:
        raise AssertionError("prices are not fetched")

    monkeypatch.setattr(socket.socket, "connect", refused)
    assert not LIST.from_auto_update
    assert price_of("gpt-5-mini", "openai") is not None


def test_a_price_that_begins_later_is_not_yet_charged() -> None:
    now = datetime.now(UTC)
    for model in next(p for p in LIST.providers if p.id == "openai").models:
        rates = model.get_prices(now)
        found = price_of(model.id, "openai")
        if found is not None and not isinstance(rates.output_mtok, TieredPrices):
            assert rates.output_mtok is not None
            assert found.output == float(rates.output_mtok)


def test_tokens_cost_per_million() -> None:
    assert Price(2.0, 8.0).of(500_000, 250_000) == 3.0
