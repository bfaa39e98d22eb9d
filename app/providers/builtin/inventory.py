"""Built-in inventory: holds and sales by conditional UPDATE, so that the last unit is sold once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.models.catalogue.stock import StockItem
from app.providers.base import CartLine, HeldLine, Scope

#: The location of SKUs that are not tracked.
UNTRACKED = "-"


class BuiltinInventory:
    """Stock of the catalogue; a SKU without a stock row is not tracked and always available."""

    remote = False

    def hold(self, scope: Scope, lines: Sequence[CartLine]) -> list[HeldLine]:
        """See `Inventory.hold`. Rows are locked in SKU order, so that two baskets cannot deadlock."""
        with transaction() as db:
            left = {
                (row.sku, row.location): row.on_hand - row.held
                for row in self._locked(db, scope, {line.sku for line in lines})
            }
            held = [part for line in lines for part in _allot(line, left)]
            self._change(db, scope, held, +1)
            return held

    def release(self, scope: Scope, held: Sequence[HeldLine]) -> None:
        """See `Inventory.release`."""
        with transaction() as db:
            self._change(db, scope, held, -1)

    def commit(self, scope: Scope, held: Sequence[HeldLine]) -> None:
        """See `Inventory.commit`."""
        amounts = _by_place(held)
        if not amounts:
            return
        with transaction() as db:
            for (sku, location), quantity in sorted(amounts.items()):
                db.execute(
                    update(StockItem)
                    .where(*_place(scope, sku, location))
                    .values(
                        on_hand=StockItem.on_hand - quantity,
                        held=StockItem.held - quantity,
                        sold=StockItem.sold + quantity,
                    )
                )

    def restock(self, scope: Scope, held: Sequence[HeldLine]) -> None:
        """See `Inventory.restock`."""
        with transaction() as db:
            for (sku, location), quantity in sorted(_by_place(held).items()):
                db.execute(
                    update(StockItem)
                    .where(*_place(scope, sku, location))
                    .values(on_hand=StockItem.on_hand + quantity, sold=StockItem.sold - quantity)
                )

    def available(self, scope: Scope, skus: Sequence[str]) -> dict[str, int]:
        """See `Inventory.available`."""
        statement = select(StockItem.sku, StockItem.on_hand, StockItem.held).where(
            StockItem.tenant_id == scope.tenant.id,
            StockItem.mode == scope.mode,
            StockItem.sku.in_(set(skus)),
        )
        totals: dict[str, int] = defaultdict(int)
        with reading() as db:
            for sku, on_hand, held in db.execute(statement):
                totals[sku] += on_hand - held
        return dict(totals)

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

    @staticmethod
    def _change(db: Session, scope: Scope, held: Sequence[HeldLine], sign: int) -> None:
        """One statement for all lines: `held = held ± CASE …`."""
        amounts = _by_place(held)
        if not amounts:
            return
        conditions = [
            ((StockItem.sku == sku) & (StockItem.location == location), sign * quantity)
            for (sku, location), quantity in amounts.items()
        ]
        db.execute(
            update(StockItem)
            .where(
                StockItem.tenant_id == scope.tenant.id,
                StockItem.mode == scope.mode,
                StockItem.sku.in_({sku for sku, _ in amounts}),
            )
            .values(held=StockItem.held + case(*conditions, else_=0))
            .execution_options(synchronize_session=False)
        )


def _allot(line: CartLine, left: dict[tuple[str, str], int]) -> list[HeldLine]:
    """Take what the line wants from the fullest places first; one part a place, at least one in all."""
    places = sorted((key for key in left if key[0] == line.sku), key=lambda key: -left[key])
    if not places:
        return [HeldLine(line.line_id, line.sku, UNTRACKED, line.quantity, line.quantity)]
    parts, wanted = [], line.quantity
    for key in places:
        taken = min(wanted, max(left[key], 0))
        if taken:
            left[key] -= taken
            wanted -= taken
            parts.append(HeldLine(line.line_id, line.sku, key[1], line.quantity, taken))
    return parts or [HeldLine(line.line_id, line.sku, places[0][1], line.quantity, 0)]


def _by_place(held: Sequence[HeldLine]) -> dict[tuple[str, str], int]:
    amounts: dict[tuple[str, str], int] = defaultdict(int)
    for line in held:
        if line.location != UNTRACKED and line.reserved_qty:
            amounts[(line.sku, line.location)] += line.reserved_qty
    return dict(amounts)


def _place(scope: Scope, sku: str, location: str) -> tuple[ColumnElement[bool], ...]:
    return (
        StockItem.tenant_id == scope.tenant.id,
        StockItem.mode == scope.mode,
        StockItem.sku == sku,
        StockItem.location == location,
    )
