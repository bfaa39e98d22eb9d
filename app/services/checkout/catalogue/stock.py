"""Stock counted by hand: a SKU is tracked at a place, and more or fewer units are there for a reason.

Sales and holds change the same rows at the same moment (providers/builtin/inventory.py), so units are added
to what is there by one UPDATE, which never takes what is held (reliability.md 16).
"""

from __future__ import annotations

from sqlalchemy import literal, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, Unprocessable
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.catalogue.stock import StockItem
from app.services.checkout.catalogue import rows

#: More units of one SKU nobody has.
MAX_UNITS = 1_000_000_000


def track(actor: Actor, sku: str, on_hand: int, *, location: str = "main") -> StockItem:
    """Count a SKU at a place from now on.

    Raises:
        InvalidRequest: naming the field that cannot be.
        Conflict: it is counted there.
    """
    name = rows.check_words(sku, "sku", "a SKU", 64)
    place = rows.check_words(location, "location", "a place", 40)
    if place == "-":
        raise InvalidRequest("Choose another name", field="location")
    if not 0 <= on_hand <= MAX_UNITS:
        raise InvalidRequest("Enter how many there are", field="on_hand")
    item = StockItem(id=new_id("stk"), sku=name, location=place, on_hand=on_hand, **rows.owned(actor))
    try:
        with transaction(actor) as db:
            db.add(item)
            db.flush()
            rows.note(db, item, "stock_item.tracked", _facts(item, on_hand))
    except IntegrityError as error:
        raise Conflict("This SKU is counted there already", code="stock_exists", field="sku") from error
    return item


def adjust(actor: Actor, item_id: str, by: int, reason: str) -> StockItem:
    """Add units, or take some away; why stays in the journal.

    Raises:
        NotFound: see `get`.
        InvalidRequest: nothing to add, or no reason.
        Unprocessable: so many are not there, or are held by checkouts.
    """
    why = rows.check_words(reason, "reason", "a reason", 200)
    if by == 0 or abs(by) > MAX_UNITS:
        raise InvalidRequest("Enter how many units more, or fewer", field="by")
    after = StockItem.on_hand + by
    with transaction(actor) as db:
        item = rows.find(db, actor, StockItem, item_id)
        statement = (
            update(StockItem)
            .where(StockItem.id == item.id, after >= StockItem.held, after <= MAX_UNITS)
            .values(on_hand=after)
            .returning(StockItem.on_hand)
            .execution_options(synchronize_session=False)
        )
        now = db.scalar(statement)
        if now is None:
            raise Unprocessable("So many are not there, or are held by checkouts", field="by")
        facts = {**_facts(item, now), "by": by, "reason": why}
        rows.note(db, item, "stock_item.adjusted", facts, _facts(item, now - by))
        db.refresh(item)
        return item


def get(actor: Actor, item_id: str) -> StockItem:
    """One SKU at one place, as it is now.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return rows.find(db, actor, StockItem, item_id)


def list_page(
    actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, sku: str | None = None
) -> Page[StockItem]:
    """What is counted, by SKU and place; `sku` narrows it to those that begin so.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    mine = rows.mine(StockItem, actor)
    statement = mine.where(StockItem.sku.startswith(sku, autoescape=True)) if sku else mine
    order = tuple_(StockItem.sku, StockItem.location)
    with reading() as db:
        if cursor:
            last = db.scalars(mine.where(StockItem.id == decode_cursor(cursor))).one_or_none()
            if last is None:
                raise InvalidRequest("Not a cursor of this list", field="cursor")
            statement = statement.where(order > tuple_(literal(last.sku), literal(last.location)))
        found = statement.order_by(StockItem.sku, StockItem.location).limit(limit + 1)
        items = list(db.scalars(found))
    return Page(items[:limit], encode_cursor(items[limit - 1].id) if len(items) > limit else None)


def _facts(item: StockItem, on_hand: int) -> dict[str, object]:
    return {"id": item.id, "sku": item.sku, "location": item.location, "on_hand": on_hand}
