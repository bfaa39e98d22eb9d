"""The built-in stock: exact holds, several places, and the last unit sold once whoever asks together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from app import db
from app.providers.base import CartLine, Scope
from app.providers.builtin.inventory import UNTRACKED, BuiltinInventory
from app.providers.holding import Allocation, Lot
from tests import catalogue
from tests.buyers import together
from tests.shops import Shop, make

INVENTORY = BuiltinInventory()


def scope(shop: Shop) -> Scope:
    return Scope(shop.actor.tenant, "test")


def line(sku: str, quantity: int, line_id: str = "line_1") -> CartLine:
    return CartLine(line_id, sku, sku, quantity, 100)


@contextmanager
def updates() -> Iterator[list[str]]:
    """The UPDATE statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE"):
            sent.append(statement)

    event.listen(db.engine(), "before_cursor_execute", note)
    yield sent
    event.remove(db.engine(), "before_cursor_execute", note)


def test_a_basket_is_held_sold_and_taken_back_with_one_update_each(shop: Shop) -> None:
    shop.stock("TEA", 5)
    basket = [line("TEA", 2, "line_2"), line("MUG", 3), line("FREE", 9, "line_3")]
    with updates() as sent:
        held = INVENTORY.hold(scope(shop), basket)
        assert (shop.left("MUG"), shop.left("TEA")) == ((100, 3, 0), (5, 2, 0))
        INVENTORY.commit(scope(shop), held)
        assert (shop.left("MUG"), shop.left("TEA")) == ((97, 0, 3), (3, 0, 2))
        INVENTORY.restock(scope(shop), held)
    assert (shop.left("MUG"), shop.left("TEA")) == ((100, 0, 0), (5, 0, 0))
    assert len(sent) == 3
    assert [(part.line_id, part.location, part.reserved_qty) for part in held] == [
        ("line_2", "main", 2),
        ("line_1", "main", 3),
        ("line_3", UNTRACKED, 9),
    ]


def test_what_is_not_there_is_held_in_part_and_given_back(shop: Shop) -> None:
    shop.stock("POT", 3)
    held = INVENTORY.hold(scope(shop), [line("POT", 5)])
    assert [part.reserved_qty for part in held] == [3]
    assert INVENTORY.available(scope(shop), ["POT", "FREE"]) == {"POT": 0}
    none = INVENTORY.hold(scope(shop), [line("POT", 1)])
    assert [part.reserved_qty for part in none] == [0]
    INVENTORY.release(scope(shop), held)
    INVENTORY.release(scope(shop), none)
    assert shop.left("POT") == (3, 0, 0)


def test_two_lines_of_one_sku_do_not_get_the_same_unit(shop: Shop) -> None:
    shop.stock("POT", 3)
    held = INVENTORY.hold(scope(shop), [line("POT", 2, "line_1"), line("POT", 2, "line_2")])
    assert [part.reserved_qty for part in held] == [2, 1]
    assert shop.left("POT") == (3, 3, 0)


@pytest.mark.parametrize(
    ("allocation", "expected"),
    [
        (Allocation("best_fit"), {"north": 0, "south": 4, "west": 0}),
        (Allocation("fifo"), {"north": 2, "south": 2, "west": 0}),
        (
            Allocation("explicit_lots", (Lot("POT", "west", 3), Lot("POT", "north", 1))),
            {"north": 1, "south": 0, "west": 3},
        ),
        (Allocation("explicit_lots", (Lot("POT", "south", 1),)), {"north": 0, "south": 1, "west": 0}),
        (Allocation("explicit_lots", (Lot("POT", "moon", 4),)), {"north": 0, "south": 0, "west": 0}),
    ],
    ids=["best_fit", "fifo", "lots", "too_few_lots", "unknown_lot"],
)
def test_strategies_choose_the_places(shop: Shop, allocation: Allocation, expected: dict[str, int]) -> None:
    for location, on_hand in (("north", 2), ("south", 5), ("west", 9)):
        catalogue.place(shop, "POT", location, on_hand)
    INVENTORY.hold(scope(shop), [line("POT", 4)], allocation)
    assert {name: row[1] for name, row in catalogue.places(shop, "POT").items()} == expected


def test_a_line_that_no_place_covers_takes_from_the_fullest_first(shop: Shop) -> None:
    for location, on_hand in (("north", 2), ("south", 5), ("west", 9)):
        catalogue.place(shop, "POT", location, on_hand)
    INVENTORY.hold(scope(shop), [line("POT", 12)])
    assert {name: row[1] for name, row in catalogue.places(shop, "POT").items()} == {
        "west": 9,
        "south": 3,
        "north": 0,
    }


def test_the_last_unit_goes_to_exactly_one_of_sixteen(shop: Shop) -> None:
    shop.stock("LAST", 1)
    results = together(16, lambda _: INVENTORY.hold(scope(shop), [line("LAST", 1), line("MUG", 1, "l2")]))
    taken = [held[0].reserved_qty for held in results if not isinstance(held, Exception)]
    assert sorted(taken) == [0] * 15 + [1]
    assert shop.left("LAST") == (1, 1, 0)
    assert shop.left("MUG") == (100, 16, 0)


def test_baskets_in_opposite_orders_do_not_deadlock(shop: Shop) -> None:
    shop.stock("TEA", 100)
    there, back = [line("MUG", 1), line("TEA", 1, "l2")], [line("TEA", 1), line("MUG", 1, "l2")]

    def buy(number: int) -> int:
        held = INVENTORY.hold(scope(shop), there if number % 2 else back)
        INVENTORY.commit(scope(shop), held)
        return sum(part.reserved_qty for part in held)

    assert together(12, buy) == [2] * 12
    assert (shop.left("MUG"), shop.left("TEA")) == ((88, 0, 12), (88, 0, 12))


def test_another_merchants_stock_is_untouched(shop: Shop) -> None:
    other = make("Other shop")
    INVENTORY.commit(scope(other), INVENTORY.hold(scope(other), [line("MUG", 7)]))
    assert (shop.left("MUG"), other.left("MUG")) == ((100, 0, 0), (93, 0, 7))
