"""Totals of a checkout: pure arithmetic over minor units (orders.md, OP-29, OP-70).

Percentages come off the goods and are rounded down; tax is taken on the discounted goods and rounded half
up; shipping is untaxed; what a line bears of a discount or tax is allotted by largest remainder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

from app.domain.money import allocate

_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line to price; `unit_price` in minor units."""

    line_id: str
    quantity: int
    unit_price: int

    @property
    def base(self) -> int:
        """Quantity times price."""
        return self.quantity * self.unit_price


@dataclass(frozen=True, slots=True)
class Discount:
    """A percentage off the goods, or an amount in minor units, under its code; `type` says who gave it."""

    code: str
    percent: Decimal = Decimal(0)
    amount: int = 0
    type: str = "promotion"

    def of(self, sub_total: int) -> int:
        """What it takes off goods that cost so much; never more than they do."""
        return min(self.amount or discount_amount(sub_total, self.percent), sub_total)


def discount_amount(sub_total: int, percent: Decimal) -> int:
    """A percentage of the goods, rounded down."""
    return int((sub_total * percent / 100).quantize(_ONE, ROUND_DOWN))


def tax_amount(net: int, percent: Decimal) -> int:
    """Tax on discounted goods, rounded half up."""
    return int((net * percent / 100).quantize(_ONE, ROUND_HALF_UP))


def compute(
    currency: str,
    lines: Sequence[PricedLine],
    discounts: Sequence[Discount],
    tax_name: str,
    tax_percent: Decimal,
    shipping_cost: int,
) -> dict[str, Any]:
    """The whole calculation as it is stored: `lines`, `shipping`, `fees`, `totals` (CK-014).

    Discounts apply one after the other, each to what the goods still cost.
    """
    bases = [line.base for line in lines]
    sub_total = sum(bases)
    adjustments: list[list[dict[str, Any]]] = [[] for _ in lines]
    left, nets = sub_total, list(bases)
    for discount in discounts:
        amount = discount.of(left)
        for index, part in enumerate(allocate(amount, nets)):
            if part:
                adjustments[index].append({"type": discount.type, "code": discount.code, "amount": -part})
                nets[index] -= part
        left -= amount
    tax = tax_amount(left, tax_percent)
    taxes = allocate(tax, nets)
    totals = {
        "currency": currency,
        "sub_total": sub_total,
        "discount_total": sub_total - left,
        "tax_total": tax,
        "shipping_total": shipping_cost,
        "fee_total": 0,
        "grand_total": left + tax + shipping_cost,
    }
    rows = [
        {
            "line_id": line.line_id,
            "quantity": line.quantity,
            "base_price": line.unit_price,
            "adjustments": adjustments[index],
            "tax_lines": [{"name": tax_name, "percent": str(tax_percent), "amount": taxes[index]}],
            "line_total": nets[index] + taxes[index],
        }
        for index, line in enumerate(lines)
    ]
    return {"lines": rows, "shipping": shipping_cost, "fees": [], "totals": totals}
