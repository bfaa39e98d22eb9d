"""Pricing: the contracts' exact figures, and totals that always add up."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rules.pricing import Discount, PricedLine, compute, discount_amount, tax_amount
from app.domain.rules.refundable import refundable

PERCENTS = st.decimals(0, 100, places=3)
LINES = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10**9)), min_size=1, max_size=12)


def priced(
    lines: list[tuple[int, int]], *percents: Decimal, tax: str = "8", shipping: int = 0
) -> dict[str, object]:
    return compute(
        "GBP",
        [PricedLine(f"line_{index}", quantity, price) for index, (quantity, price) in enumerate(lines)],
        [Discount(f"CODE{index}", percent) for index, percent in enumerate(percents)],
        "VAT",
        Decimal(tax),
        shipping,
    )


@pytest.mark.parametrize(
    ("percent", "discount", "net", "tax", "total"),
    [(10, 12999, 117000, 9360, 126360), (0, 0, 129999, 10400, 140399)],
)
def test_the_orders_surface_gets_its_figures(
    percent: int, discount: int, net: int, tax: int, total: int
) -> None:
    assert discount_amount(129999, Decimal(percent)) == discount
    assert 129999 - discount == net
    assert tax_amount(net, Decimal(8)) == tax
    totals = priced([(1, 129999)], Decimal(percent))["totals"]
    assert totals == {
        "currency": "GBP",
        "sub_total": 129999,
        "discount_total": discount,
        "tax_total": tax,
        "shipping_total": 0,
        "fee_total": 0,
        "grand_total": total,
    }


def test_the_checkout_sample_adds_up() -> None:
    found = priced([(1, 4995)], Decimal(100) * 500 / 4995, tax="0", shipping=399)["totals"]
    assert isinstance(found, dict)
    assert found["grand_total"] + 300 == 4995 - found["discount_total"] + 300 + 399
    assert found["discount_total"] in (499, 500)


@pytest.mark.parametrize(
    ("net", "percent", "tax"), [(50, "1", 1), (49, "1", 0), (150, "1", 2), (250, "1", 3), (103, "8.875", 9)]
)
def test_tax_is_rounded_half_up(net: int, percent: str, tax: int) -> None:
    assert tax_amount(net, Decimal(percent)) == tax


def test_discounts_follow_one_another_and_are_rounded_down() -> None:
    found = priced([(1, 999), (2, 500)], Decimal(10), Decimal(50), tax="0")
    assert found["totals"]["discount_total"] == 199 + 900  # type: ignore[index]
    lines = found["lines"]
    assert isinstance(lines, list)
    assert [[row["amount"] for row in line["adjustments"]] for line in lines] == [[-99, -450], [-100, -450]]


@given(LINES, st.lists(PERCENTS, max_size=3), PERCENTS, st.integers(0, 10**6))
def test_lines_and_totals_always_agree(
    lines: list[tuple[int, int]], percents: list[Decimal], tax: Decimal, shipping: int
) -> None:
    found = priced(lines, *percents, tax=str(tax), shipping=shipping)
    totals, rows = found["totals"], found["lines"]
    assert isinstance(totals, dict)
    assert isinstance(rows, list)
    assert totals["grand_total"] == (
        totals["sub_total"]
        - totals["discount_total"]
        + totals["tax_total"]
        + totals["shipping_total"]
        + totals["fee_total"]
    )
    assert (
        0
        <= totals["discount_total"]
        <= totals["sub_total"]
        == sum(quantity * price for quantity, price in lines)
    )
    assert sum(row["line_total"] for row in rows) == totals["grand_total"] - shipping
    assert sum(row["tax_lines"][0]["amount"] for row in rows) == totals["tax_total"]
    assert -sum(a["amount"] for row in rows for a in row["adjustments"]) == totals["discount_total"]
    assert all(row["line_total"] >= 0 for row in rows)


def test_a_discount_of_everything_leaves_no_tax() -> None:
    totals = priced([(3, 333)], Decimal(100), shipping=50)["totals"]
    assert isinstance(totals, dict)
    assert (totals["tax_total"], totals["grand_total"]) == (0, 50)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_no_more_goes_back_than_came_in(captured: int, refunding: int, disputed: int) -> None:
    left = refundable(captured, refunding, disputed)
    assert 0 <= left <= captured
    assert left == 0 or left + refunding + disputed == captured
