"""Carts and prices of a merchant's own systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.domain import money
from app.domain.errors import Unprocessable
from app.domain.rules import providers
from app.providers.base import MAX_LINES, MAX_QUANTITY, CartLine, CartSnapshot, Scope
from app.providers.remote.questions import ask
from app.providers.remote.reading import distinct, items, text, understood, whole


class HttpCarts:
    """Carts behind a URL."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, scope: Scope, cart_id: str) -> CartSnapshot | None:
        """See `Carts.get`."""
        answer = ask(scope, providers.CARTS, self._url, "get", {"cart_id": cart_id})
        return understood(providers.CARTS, answer, _cart)


class HttpPricing:
    """Prices behind a URL."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def price(self, scope: Scope, currency: str, lines: Sequence[CartLine]) -> list[CartLine]:
        """See `Pricing.price`."""
        asked = {"currency": currency, "lines": [line.as_dict() for line in lines]}
        answer = ask(scope, providers.PRICING, self._url, "price", asked)
        prices = understood(providers.PRICING, answer, lambda said: _prices(said, currency, lines))
        unsold = sorted(line_id for line_id, price in prices.items() if price is None)
        if unsold:
            explain = {"reason": "no_price", "lines": unsold}
            raise Unprocessable("Some of it is not sold", code="no_price", explain=explain)
        return [replace(line, unit_price=prices[line.line_id] or 0) for line in lines]


def _cart(said: Mapping[str, Any]) -> CartSnapshot | None:
    cart = said["cart"]
    if cart is None:
        return None
    if not money.is_currency(text(cart["currency"])):
        raise ValueError("not a currency")
    lines = tuple(_line(item) for item in items(cart["lines"], MAX_LINES))
    distinct([line.line_id for line in lines])
    return CartSnapshot(cart["currency"], lines)


def _line(item: Mapping[str, Any]) -> CartLine:
    return CartLine(
        text(item["line_id"], 64),
        text(item["sku"], 64),
        text(item["name"], 500),
        whole(item["quantity"], 1, MAX_QUANTITY),
        whole(item["unit_price"]),
    )


def _prices(said: Mapping[str, Any], currency: str, lines: Sequence[CartLine]) -> dict[str, int | None]:
    """Unit prices by line, of exactly these lines, in exactly this currency; None for what is not sold."""
    if said["currency"] != currency:
        raise ValueError("another currency")
    found = items(said["lines"], len(lines))
    prices = {text(item["line_id"], 64): _price(item["unit_price"]) for item in found}
    if len(prices) != len(found) or set(prices) != {line.line_id for line in lines}:
        raise ValueError("other lines")
    return prices


def _price(value: Any) -> int | None:
    return None if value is None else whole(value)
