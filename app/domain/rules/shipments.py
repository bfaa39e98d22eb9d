"""Sending one basket in several parcels: which units come from where, and what each parcel costs (CK-057).

Pure arithmetic over lines, stock by place, and a stored calculation. Amounts are minor units; what cannot be
told apart (discount and tax of a line, delivery, fees) is allotted by largest remainder, so that the parcels
sum exactly to the session's totals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from app.domain.money import allocate

#: Of so many places every choice is looked at; of more, the one that covers most is taken in turn.
MAX_EXACT = 10

#: The sums of a parcel that are not allotted but follow from the others.
_ALLOTTED = ("shipping_total", "fee_total")

#: Units by SKU and place.
Stock = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many units of a line."""

    line_id: str
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class _Piece:
    place: str
    line: Wanted
    quantity: int


def shortfall(lines: Sequence[Wanted], stock: Stock) -> list[dict[str, Any]]:
    """The SKUs of which all places together have too few."""
    return [
        {"sku": sku, "requested_qty": units, "available_qty": sum(stock[sku].values())}
        for sku, units in _units(lines).items()
        if sku in stock and sum(stock[sku].values()) < units
    ]


def serves(lots: Mapping[tuple[str, str], int], stock: Stock) -> bool:
    """Whether the places have the units that lots take from them."""
    return all(stock.get(sku, {}).get(place, 0) >= units for (sku, place), units in lots.items())


def fits(lots: Mapping[tuple[str, str], int], stock: Stock) -> bool:
    """Whether lots are still a way to have all that is tracked of a basket; `stock` is of its SKUs alone."""
    return {sku for sku, _ in lots} == set(stock) and serves(lots, stock)


def fewest(lines: Sequence[Wanted], stock: Stock) -> list[dict[str, Any]]:
    """From as few places as can be; a line may be parted among them. There has to be enough in all."""
    tracked = [line for line in lines if line.sku in stock]
    chosen = _few_places(_units(tracked), stock)
    left = {sku: {place: stock[sku].get(place, 0) for place in chosen} for sku in _units(tracked)}
    return _parcels(lines, [piece for line in tracked for piece in _take(line, left[line.sku])])


def whole_lines(lines: Sequence[Wanted], stock: Stock) -> list[dict[str, Any]]:
    """Each line from one place where one has enough of it, else from the fullest; one parcel a place."""
    tracked = [line for line in lines if line.sku in stock]
    left = {sku: dict(stock[sku]) for sku in _units(tracked)}
    return _parcels(lines, [piece for line in tracked for piece in _take(line, left[line.sku])])


def totals_of(parcels: Sequence[Mapping[str, Any]], calculation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The totals of each parcel, out of the outputs of a calculation of the whole."""
    whole = calculation["totals"]
    sums: list[dict[str, int]] = [defaultdict(int) for _ in parcels]
    for line in calculation["lines"]:
        units = [_units_of(parcel, line["line_id"]) for parcel in parcels]
        discount = -sum(item["amount"] for item in line["adjustments"])
        tax = sum(item["amount"] for item in line["tax_lines"])
        parts = zip(units, allocate(discount, units), allocate(tax, units), strict=True)
        for kept, (count, taken, taxed) in zip(sums, parts, strict=True):
            kept["sub_total"] += count * line["base_price"]
            kept["discount_total"] += taken
            kept["tax_total"] += taxed
    goods = [kept["sub_total"] - kept["discount_total"] for kept in sums]
    for name in _ALLOTTED:
        for kept, part in zip(sums, allocate(whole[name], goods), strict=True):
            kept[name] = part
    return [
        {
            "currency": whole["currency"],
            **{name: kept[name] for name in ("sub_total", "discount_total", "tax_total", *_ALLOTTED)},
            "grand_total": net + kept["tax_total"] + kept["shipping_total"] + kept["fee_total"],
        }
        for kept, net in zip(sums, goods, strict=True)
    ]


def _units(lines: Iterable[Wanted]) -> dict[str, int]:
    units: dict[str, int] = defaultdict(int)
    for line in lines:
        units[line.sku] += line.quantity
    return dict(units)


def _few_places(units: Mapping[str, int], stock: Stock) -> tuple[str, ...]:
    """The fewest places that have everything between them; of as few, the first by name."""
    places = sorted({place for sku in units for place, count in stock[sku].items() if count > 0})
    if len(places) > MAX_EXACT:
        return _greedy(units, stock, places)
    for size in range(len(places) + 1):
        for chosen in combinations(places, size):
            if not _missing(units, stock, chosen):
                return chosen
    return tuple(places)


def _greedy(units: Mapping[str, int], stock: Stock, places: Sequence[str]) -> tuple[str, ...]:
    chosen: tuple[str, ...] = ()
    while len(chosen) < len(places) and (missing := _missing(units, stock, chosen)):
        rest = [place for place in places if place not in chosen]
        helps = [sum(min(n, stock[sku].get(place, 0)) for sku, n in missing.items()) for place in rest]
        chosen += (rest[helps.index(max(helps))],)
    return chosen


def _missing(units: Mapping[str, int], stock: Stock, places: Sequence[str]) -> dict[str, int]:
    """Units by SKU that these places do not have."""
    lacks = {sku: n - sum(stock[sku].get(place, 0) for place in places) for sku, n in units.items()}
    return {sku: n for sku, n in lacks.items() if n > 0}


def _take(line: Wanted, left: dict[str, int]) -> list[_Piece]:
    """Take a line out of what is left of its SKU at each place."""
    covering = [place for place, units in left.items() if units >= line.quantity]
    order = (
        [min(covering, key=lambda place: (left[place], place))]
        if covering
        else sorted(left, key=lambda place: (-left[place], place))
    )
    pieces, wanted = [], line.quantity
    for place in order:
        count = min(wanted, max(left[place], 0))
        if count:
            left[place] -= count
            wanted -= count
            pieces.append(_Piece(place, line, count))
    return pieces


def _parcels(lines: Sequence[Wanted], pieces: Sequence[_Piece]) -> list[dict[str, Any]]:
    """One parcel a place; what is not tracked goes with the first, which is the fullest."""
    by_place: dict[str, list[_Piece]] = defaultdict(list)
    for piece in pieces:
        by_place[piece.place].append(piece)
    order = sorted(by_place, key=lambda place: (-sum(p.quantity for p in by_place[place]), place))
    parcels: list[dict[str, Any]] = [
        {"location": place, "lines": [_line(p.line, p.quantity, tracked=True) for p in by_place[place]]}
        for place in order
    ]
    known = {piece.line.line_id for piece in pieces}
    loose = [_line(line, line.quantity, tracked=False) for line in lines if line.line_id not in known]
    if not parcels:
        return [{"location": None, "lines": loose}]
    parcels[0]["lines"] += loose
    return parcels


def _line(line: Wanted, quantity: int, *, tracked: bool) -> dict[str, Any]:
    return {"line_id": line.line_id, "sku": line.sku, "quantity": quantity, "tracked": tracked}


def _units_of(parcel: Mapping[str, Any], line_id: str) -> int:
    return sum(line["quantity"] for line in parcel["lines"] if line["line_id"] == line_id)
