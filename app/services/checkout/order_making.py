"""Making orders on the orders surface, and finding them again (OP-69).

They stand in the table of the orders that checkouts leave behind. An order keeps the price that it was made
at, and a use of its discount code until it is paid or cancelled, a week later at the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.domain.permissions import ORDERS_MANAGE
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.catalogue.product import Price, Product
from app.models.checkout.order import Order
from app.providers import registry
from app.providers.base import CartLine, Scope
from app.services.access import users
from app.services.checkout import order_quotes
from app.services.checkout.order_quotes import Quote
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings
from app.services.payments import intents

#: For so long may an order be paid.
PAYABLE_FOR = timedelta(days=7)
#: What the column of the numbers holds.
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Item:
    """Something to order; without `unit_price` (minor units) it costs what the catalogue says."""

    quantity: int
    sku: str | None = None
    name: str | None = None
    unit_price: int | None = None


@consulting
def create(actor: Actor, goods: Sequence[Item] | int, code: str | None) -> Order:
    """Make a pending order of items, or of goods of which only the sum is known, for the caller's person.

    Raises:
        InvalidRequest: an item without a price that is in no catalogue.
        PermissionDenied: the caller stands for no person.
        Unprocessable: it costs more than may be paid.
    """
    number = users.number_of(actor)
    lines = order_quotes.lump(goods) if isinstance(goods, int) else _lines(actor, goods)
    with transaction(actor) as db:
        priced, held = _promised(actor, order_quotes.quote(actor, lines, code))
        if priced.totals["grand_total"]:
            limit = checkout_settings(actor.tenant).amounts.largest(priced.currency)
            intents.check_amount(priced.totals["grand_total"], priced.currency, limit)
        order = _order(actor, number, priced, held)
        db.add(order)
        order.begin(cause="api")
        return order


def _promised(actor: Actor, priced: Quote) -> tuple[Quote, bool]:
    """The price with a use of its code promised to it; without the code where none is left.

    Of codes that another system keeps no use is counted: it is asked what they are worth, and no more.
    """
    codes = registry.promotions(actor.tenant)
    if priced.code is None or codes.remote:
        return priced, False
    if codes.hold(Scope(actor.tenant, str(actor.mode)), [priced.code]):
        return priced, True
    return order_quotes.quote(actor, priced.lines, None), False


def _order(actor: Actor, user_number: int, priced: Quote, held: bool) -> Order:
    sums = ("sub_total", "discount_total", "tax_total", "grand_total")
    return Order(
        id=new_id("ord"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        user_number=user_number,
        currency=priced.currency,
        discount_code=priced.code,
        code_held=held,
        expires_at=clock.now() + PAYABLE_FOR,
        lines=[line.as_dict() for line in priced.lines],
        **{name: priced.totals[name] for name in sums},
    )


def _lines(actor: Actor, items: Sequence[Item]) -> list[CartLine]:
    prices = _catalogue(actor, {item.sku for item in items if item.sku is not None})
    lines = []
    for index, item in enumerate(items):
        name, price = prices.get(item.sku or "", (None, None))
        if item.unit_price is not None:
            price = item.unit_price
        if price is None:
            raise InvalidRequest(
                f"items.{index}.unit_price is required",
                code="missing_field",
                field=f"items.{index}.unit_price",
            )
        text = item.name or name or item.sku or "Goods"
        lines.append(CartLine(f"line_{index + 1}", item.sku or "custom", text, item.quantity, price))
    return lines


def _catalogue(actor: Actor, skus: set[str]) -> dict[str, tuple[str, int]]:
    """Name and price of what the catalogue has, in the merchant's currency."""
    if not skus:
        return {}
    statement = (
        select(Product.sku, Product.name, Price.unit_amount)
        .join(Price, Price.product_id == Product.id)
        .where(
            Product.tenant_id == actor.tenant_id,
            Product.mode == str(actor.mode),
            Product.sku.in_(skus),
            Product.active,
            Price.active,
            Price.interval.is_(None),
            Price.currency == actor.tenant.default_currency,
        )
        .order_by(Price.id.desc())
    )
    with reading() as db:
        return {sku: (name, amount) for sku, name, amount in db.execute(statement)}


def number_of(text: str) -> int:
    """The number of an order in an address.

    Raises:
        NotFound: it is none.
    """
    number = _number(text)
    if number is None:
        raise _not_found()
    return number


def _number(text: str) -> int | None:
    """A number that an order may have; None for any other text."""
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST))
    return int(text) if digits and int(text) <= _LARGEST else None


def get(actor: Actor, number: int) -> Order:
    """One order: of the caller's person, or any of the merchant's for those who manage orders.

    Raises:
        NotFound: there is none, or it is another's.
    """
    with reading() as db:
        return _one(db, _seen_by(actor).where(Order.number == number))


def own(actor: Actor, number: int) -> Order:
    """One order of the caller's person, whatever else they may see.

    Raises:
        NotFound: there is none, or it is another's.
    """
    if not 0 < number <= _LARGEST:
        raise _not_found()
    with reading() as db:
        mine = _mine(actor).where(Order.user_number == users.number_of(actor))
        return _one(db, mine.where(Order.number == number))


def locked(db: Session, actor: Actor, number: int) -> Order:
    """One order of this merchant under lock, in the caller's transaction, as it is now.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    statement = _mine(actor).where(Order.number == number).with_for_update()
    return _one(db, statement.execution_options(populate_existing=True))


def of_shop(actor: Actor, number: int) -> Order:
    """One order of this merchant, for those who look at its whole shop.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return _one(db, _mine(actor).where(Order.number == number))


def list_page(
    actor: Actor,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    status: str | None = None,
    whole_shop: bool = False,
) -> Page[Order]:
    """Orders that the caller may see, newest first; `whole_shop` is for the merchant's own people.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor) if whole_shop else _seen_by(actor)
    if status:
        statement = statement.where(Order.status == status)
    if cursor:
        last = _number(decode_cursor(cursor) or "")
        if last is None:
            raise InvalidRequest("Not a cursor of this list", code="invalid_field", field="cursor")
        statement = statement.where(Order.number < last)
    with reading() as db:
        rows = list(db.scalars(statement.order_by(Order.number.desc()).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(str(rows[limit - 1].number)) if len(rows) > limit else None)


def settle_code(order: Order, actor: Actor, *, used: bool) -> None:
    """Count the use of a discount code that is promised to a locked order, or give it back."""
    if not order.code_held or order.discount_code is None:
        return
    codes, scope = registry.promotions_at(None), Scope(actor.tenant, order.mode)
    (codes.commit if used else codes.release)(scope, [order.discount_code])
    order.code_held = False


def _mine(actor: Actor) -> Select[Order]:
    return select(Order).where(Order.tenant_id == actor.tenant_id, Order.mode == str(actor.mode))


def _seen_by(actor: Actor) -> Select[Order]:
    if actor.can(ORDERS_MANAGE):
        return _mine(actor)
    return _mine(actor).where(Order.user_number == users.number_of(actor))


def _one(db: Session, statement: Select[Order]) -> Order:
    found = db.scalars(statement).one_or_none()
    if found is None:
        raise _not_found()
    return found


def _not_found() -> NotFound:
    return NotFound("Order not found", code="order_not_found")
