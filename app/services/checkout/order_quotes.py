"""What an order costs: the one calculation behind the preview and the order itself (OR-001, OP-70).

It is the calculation of checkouts (services/checkout/totals.py), with the same discount codes and tax rates,
over goods that go nowhere: no delivery, and the merchant's default rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import Unprocessable
from app.providers.base import CartLine
from app.services.checkout import totals
from app.services.operations.consulting import consulting

#: What a longer text says is no discount code.
MAX_CODE = 64


@dataclass(frozen=True, slots=True)
class Quote:
    """Lines with their totals, minor units of `currency`; `code` is the discount code that was applied."""

    currency: str
    lines: tuple[CartLine, ...]
    totals: dict[str, Any]
    code: str | None


def lump(subtotal: int) -> list[CartLine]:
    """Goods of which only the sum is known, as a line."""
    return [CartLine("line_1", "custom", "Goods", 1, subtotal)]


@consulting
def preview(actor: Actor, subtotal: int, code: str | None) -> Quote:
    """What goods of that sum would cost; nothing is stored (OR-001)."""
    return quote(actor, lump(subtotal), code)


def quote(actor: Actor, lines: Sequence[CartLine], code: str | None) -> Quote:
    """The price of lines in the merchant's currency; a code that is not good is ignored.

    Raises:
        Unprocessable: they cost more than Till counts.
    """
    if sum(line.quantity * line.unit_price for line in lines) > money.MAX_AMOUNT:
        raise Unprocessable("The order costs too much", code="tx_limit_exceeded")
    wanted = code.strip() if code else ""
    _, outputs = totals.compute(
        actor.tenant,
        str(actor.mode),
        actor.tenant.default_currency,
        list(lines),
        codes=[wanted] if 0 < len(wanted) <= MAX_CODE else [],
        address=None,
        shipping=None,
    )
    applied = [promotion["code"] for promotion in outputs["promotions"]]
    return Quote(
        actor.tenant.default_currency, tuple(lines), outputs["totals"], applied[0] if applied else None
    )
