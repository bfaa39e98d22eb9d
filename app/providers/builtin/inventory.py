"""Built-in inventory: holds and sales by conditional UPDATE, so that the last unit is sold once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import case, select, tuple_, update
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.models.catalogue.stock import StockItem
from app.providers.base import CartLine, Scope
from app.providers.holding import BEST_FIT, Allocation, HeldLine, Hold

#: The location of SKUs that are not tracked.
UNTRACKED = "-"


class BuiltinInventory:
    """Stock of the catalogue; a SKU without a stock row is not tracked and always available."""

    remote = False

    def hold(
        self,
        scope: Scope,
        lines: Sequence[CartLine],
        allocation: Allocation = BEST_FIT,
        hold: Hold | None = None,
    ) -> list[HeldLine]:
        """See `Inventory.hold`. Rows are locked in SKU order, so that two baskets cannot deadlock."""
        with transaction() as db:
            rows = self._locked(db, scope, {line.sku for line in lines})
            left = {(row.sku, row.location): row.on_hand - row.held for row in rows}
            oldest_first = [(row.sku, row.location) for row in sorted(rows, key=lambda row: row.id)]
            wishes = {(lot.sku, lot.location): lot.quantity for lot in allocation.lots}
            held = [
                part
                for line in lines
                for part in _allot(line, left, _places(line, left, oldest_first, allocation), wishes)
            ]
            _change(db, scope, held, held=+1)
            return held

    def release(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """See `Inventory.release`."""
        with transaction() as db:
            _change(db, scope, held, held=-1)

    def commit(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """See `Inventory.commit`."""
        with transaction() as db:
            _change(db, scope, held, held=-1, on_hand=-1, sold=+1)

    def restock(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """See `Inventory.restock`."""
        with transaction() as db:
            _change(db, scope, held, on_hand=+1, sold=-1)

    def extend(self, scope: Scope, held: Sequence[HeldLine], hold: Hold) -> None:
        """See `Inventory.extend`: what is held here is held until it is let go."""

    def available(self, scope: Scope, skus: Sequence[str]) -> dict[str, int]:
        """See `Inventory.available`."""
        return {sku: sum(units.values()) for sku, units in self.places(scope, skus).items()}

    def places(self, scope: Scope, skus: Sequence[str]) -> dict[str, dict[str, int]]:
        """See `Places.places`."""
        item = StockItem
        statement = select(item.sku, item.location, item.on_hand - item.held).where(
            item.tenant_id == scope.tenant.id, item.mode == scope.mode, item.sku.in_(set(skus))
        )
        found: dict[str, dict[str, int]] = defaultdict(dict)
        with reading() as db:
            for sku, location, units in db.execute(statement):
                found[sku][location] = units
        return dict(found)

    @staticmethod
    def _locked(db: Session, scope: Scope, skus: set[str]) -> list[StockItem]:
        statement = (
            select(StockItem)
            .where(
                StockItem.tenant_id == scope.tenant.id,
                StockItem.mode == scope.mode,
                StockItem.sku.in_(skus),
            )
            .order_by(StockItem.sku, StockItem.location)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return list(db.scalars(statement))


def _change(db: Session, scope: Scope, parts: Sequence[HeldLine], **signs: int) -> None:
    """One statement for all lines: `column = column ± CASE place WHEN … THEN quantity END` for each sign."""
    amounts: dict[tuple[str, str], int] = defaultdict(int)
    for part in parts:
        if part.location != UNTRACKED and part.reserved_qty:
            amounts[part.sku, part.location] += part.reserved_qty
    if not amounts:
        return
    quantity = case(
        *(
            ((StockItem.sku == sku) & (StockItem.location == location), number)
            for (sku, location), number in amounts.items()
        ),
        else_=0,
    )
    places = tuple_(StockItem.sku, StockItem.location).in_(sorted(amounts))
    mine = (StockItem.tenant_id == scope.tenant.id, StockItem.mode == scope.mode, places)
    locked = select(StockItem.id).where(*mine).order_by(StockItem.sku, StockItem.location).with_for_update()
    db.execute(
        update(StockItem)
        .where(StockItem.id.in_(locked))
        .values({name: getattr(StockItem, name) + sign * quantity for name, sign in signs.items()})
        .execution_options(synchronize_session=False)
    )


def _places(
    line: CartLine,
    left: dict[tuple[str, str], int],
    oldest_first: Sequence[tuple[str, str]],
    allocation: Allocation,
) -> list[tuple[str, str]]:
    """Where to look for a line, in this order; empty for a SKU that is not tracked."""
    places = [key for key in oldest_first if key[0] == line.sku]
    if allocation.strategy == "fifo":
        return places
    if allocation.strategy == "explicit_lots":
        named = [(lot.sku, lot.location) for lot in allocation.lots]
        return [key for key in dict.fromkeys(named) if key in places] or places[:1]
    covering = [key for key in places if left[key] >= line.quantity]
    if covering:
        return [min(covering, key=lambda key: left[key])]
    return sorted(places, key=lambda key: -left[key])


def _allot(
    line: CartLine,
    left: dict[tuple[str, str], int],
    places: Sequence[tuple[str, str]],
    wishes: dict[tuple[str, str], int],
) -> list[HeldLine]:
    """Take what the line wants from the places in turn; one part a place, at least one in all.

    Where the caller wished for lots, no more is taken than they say.
    """
    if not places:
        return [HeldLine(line.line_id, line.sku, UNTRACKED, line.quantity, line.quantity)]
    parts, wanted = [], line.quantity
    for key in places:
        limit = wishes.get(key, 0) if wishes else wanted
        taken = min(wanted, max(left[key], 0), limit)
        if taken:
            left[key] -= taken
            wanted -= taken
            if wishes:
                wishes[key] -= taken
            parts.append(HeldLine(line.line_id, line.sku, key[1], line.quantity, taken))
    return parts or [HeldLine(line.line_id, line.sku, places[0][1], line.quantity, 0)]
