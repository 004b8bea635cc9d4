"""What a model costs, read from the price list that comes with `genai-prices`.

Nothing is fetched: a price is as old as the installed package. Where a list has several rates for
the same thing the dearest counts, so that a budget may end a little early and never late: what is
written to a provider's cache may cost more than what is merely read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import TieredPrices

from bestpolicy.llm.terms import Price

# Not the package's own current list, which whoever shares the process may have replaced.
LIST = DataSnapshot(providers=providers, from_auto_update=False)


def price_of(model: str, provider: str | None, tokens: int = 0) -> Price | None:
    """The price today of a call whose prompt has so many tokens; None when nobody knows it."""
    if provider is None:
        return None
    try:
        _, found = LIST.find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    rates = found.get_prices(datetime.now(UTC))
    read, written = _at(rates.input_mtok, tokens), _at(rates.cache_write_mtok, tokens)
    out = _at(rates.output_mtok, tokens)
    # A fee per call has no place in a price per token, and half a price is none.
    if read is None or out is None or rates.requests_kcount is not None:
        return None
    return Price(max(read, written or 0.0), out)


def _at(rate: Decimal | TieredPrices | None, tokens: int) -> float | None:
    """The rate for a prompt of that length: beyond a threshold another holds for all of it."""
    if not isinstance(rate, TieredPrices):
        return None if rate is None else float(rate)
    reached = [tier.price for tier in rate.tiers if tokens > tier.start]
    return float(reached[-1] if reached else rate.base)
