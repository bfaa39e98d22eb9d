"""Splitting a basket: nothing is lost or added, the fewest places, and parcels that sum to the whole."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.rules import pricing, shipments
from app.domain.rules.shipments import Wanted

LINES = [Wanted("a", "MUG", 4), Wanted("b", "TEA", 2), Wanted("c", "GIFT", 1)]
STOCK = {"MUG": {"east": 3, "north": 4, "west": 2}, "TEA": {"east": 1, "west": 5}}


def units(parcels: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for parcel in parcels:
        for line in parcel["lines"]:
            found[line["line_id"]] = found.get(line["line_id"], 0) + line["quantity"]
    return found


def places(parcels: list[dict[str, Any]]) -> list[str | None]:
    return [parcel["location"] for parcel in parcels]


def test_the_fewest_places_are_found_and_lines_stay_whole_where_they_can() -> None:
    few = shipments.fewest(LINES, STOCK)
    assert sorted(map(str, places(few))) == ["east", "west"]
    whole = shipments.whole_lines(LINES, STOCK)
    assert sorted(map(str, places(whole))) == ["north", "west"]
    for parcels in (few, whole):
        assert units(parcels) == {"a": 4, "b": 2, "c": 1}
    one = shipments.fewest([Wanted("a", "MUG", 4)], STOCK)
    assert places(one) == ["north"]


def test_what_is_not_tracked_goes_with_the_fullest_parcel() -> None:
    [parcel] = shipments.fewest([LINES[2]], STOCK)
    assert (parcel["location"], parcel["lines"][0]["tracked"]) == (None, False)
    fullest = shipments.whole_lines(LINES, STOCK)[0]
    assert [line["line_id"] for line in fullest["lines"]] == ["a", "c"]


def test_too_little_is_told_by_sku_over_all_lines() -> None:
    assert shipments.shortfall(LINES, STOCK) == []
    more = [*LINES, Wanted("d", "MUG", 6)]
    assert shipments.shortfall(more, STOCK) == [{"sku": "MUG", "requested_qty": 10, "available_qty": 9}]
    assert shipments.serves({("MUG", "east"): 3}, STOCK)
    assert not shipments.serves({("MUG", "east"): 4}, STOCK)
    assert not shipments.serves({("MUG", "south"): 1}, STOCK)


def test_many_places_are_chosen_one_by_one() -> None:
    stock = {"MUG": {f"p{n:02}": 1 for n in range(30)} | {"big": 5}}
    parcels = shipments.fewest([Wanted("a", "MUG", 7)], stock)
    assert len(parcels) == 3
    assert units(parcels) == {"a": 7}


_skus = st.sampled_from(["A", "B", "C"])
_lines = st.lists(st.tuples(_skus, st.integers(1, 9), st.integers(0, 5000)), min_size=1, max_size=5)
_stock = st.dictionaries(
    _skus, st.dictionaries(st.sampled_from(["e", "n", "s", "w"]), st.integers(0, 12), min_size=1), max_size=3
)


@given(_lines, _stock, st.integers(0, 100), st.integers(0, 30), st.integers(0, 999))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_any_basket_that_can_be_had_is_split_without_loss(
    basket: list[tuple[str, int, int]],
    stock: dict[str, dict[str, int]],
    percent: int,
    tax: int,
    shipping: int,
) -> None:
    lines = [Wanted(f"l{n}", sku, quantity) for n, (sku, quantity, _) in enumerate(basket)]
    if shipments.shortfall(lines, stock):
        return
    calculation = pricing.compute(
        "GBP",
        [pricing.PricedLine(f"l{n}", quantity, price) for n, (_, quantity, price) in enumerate(basket)],
        [pricing.Discount("X", Decimal(percent)), pricing.Discount("Y", amount=77, type="support_discount")],
        "VAT",
        Decimal(tax),
        shipping,
    )
    for split in (shipments.fewest, shipments.whole_lines):
        parcels = split(lines, stock)
        assert units(parcels) == {line.line_id: line.quantity for line in lines}
        taken: dict[tuple[str, str], int] = {}
        for parcel in parcels:
            for line in parcel["lines"]:
                if line["tracked"]:
                    key = (line["sku"], parcel["location"])
                    taken[key] = taken.get(key, 0) + line["quantity"]
        assert shipments.serves(taken, stock)
        totals = shipments.totals_of(parcels, calculation)
        for name, whole in calculation["totals"].items():
            if name != "currency":
                assert sum(part[name] for part in totals) == whole, name
        assert all(part["grand_total"] >= 0 for part in totals)
    wanted: dict[str, int] = {}
    for line in lines:
        if line.sku in stock:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    count = len([p for p in shipments.fewest(lines, stock) if p["location"] is not None])
    for fewer in combinations(["e", "n", "s", "w"], max(count - 1, 0)):
        enough = all(sum(stock[sku].get(p, 0) for p in fewer) >= n for sku, n in wanted.items())
        assert not enough or count == 0


@pytest.mark.parametrize("amount", [1, 999, 1000, 5000])
def test_an_amount_off_never_takes_more_than_the_goods_cost(amount: int) -> None:
    assert pricing.Discount("d", amount=amount).of(1000) == min(amount, 1000)
