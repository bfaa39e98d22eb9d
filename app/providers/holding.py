"""What is held for a checkout, goods and uses of discount codes, and the systems that hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from app.providers.base import CartLine, Provider, Scope

#: A remote system keeps a hold for so much longer than we do: it never ends there while it lasts here.
HOLD_MARGIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Hold:
    """The name under which a remote system holds something, and until when we hold it.

    Holding under the same name again is the same hold. `replaces` names one that this one takes the place of.
    Of goods that are wanted `whole` nothing is to be held where not all can be.
    """

    key: str
    until: datetime
    replaces: str | None = None
    whole: bool = False

    @property
    def lapses_at(self) -> datetime:
        """When the system may let go by itself, where it hears no more of us."""
        return self.until + HOLD_MARGIN


@dataclass(frozen=True, slots=True)
class HeldLine:
    """What the inventory could hold of a line; `reserved_qty` may be less than asked for, also 0."""

    line_id: str
    sku: str
    location: str
    requested_qty: int
    reserved_qty: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that reservations keep."""
        return {
            "line_id": self.line_id,
            "sku": self.sku,
            "location": self.location,
            "requested_qty": self.requested_qty,
            "reserved_qty": self.reserved_qty,
        }


@dataclass(frozen=True, slots=True)
class Lot:
    """So many units of a SKU from one place, where the caller chooses the places."""

    sku: str
    location: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """From which places to take: `best_fit` one place that covers a line, else the fullest first;
    `fifo` the oldest place first; `explicit_lots` from `lots` alone."""

    strategy: str = "best_fit"
    lots: tuple[Lot, ...] = ()


BEST_FIT = Allocation()


class Inventory(Provider, Protocol):
    """Holds, sells and takes back stock. SKUs that it does not track are always available."""

    def hold(
        self,
        scope: Scope,
        lines: Sequence[CartLine],
        allocation: Allocation = BEST_FIT,
        hold: Hold | None = None,
    ) -> list[HeldLine]:
        """Hold what can be held of each line, in SKU order, never beyond what is on hand."""
        ...

    def release(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """Give a hold back."""
        ...

    def commit(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """Turn a hold into a sale."""
        ...

    def restock(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """Take sold goods back into stock."""
        ...

    def extend(self, scope: Scope, held: Sequence[HeldLine], hold: Hold) -> None:
        """Hold for longer."""
        ...

    def available(self, scope: Scope, skus: Sequence[str]) -> dict[str, int]:
        """Units that could be held now, for the SKUs that are tracked."""
        ...


@dataclass(frozen=True, slots=True)
class Promotion:
    """A discount in force: a percentage off the goods."""

    code: str
    percent: Decimal


@dataclass(frozen=True, slots=True)
class PromotionAnswer:
    """Which of the asked codes hold, and why the others do not (code → reason)."""

    applied: tuple[Promotion, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


class Promotions(Provider, Protocol):
    """Knows discount codes."""

    def resolve(self, scope: Scope, codes: Sequence[str], *, held: Sequence[str] = ()) -> PromotionAnswer:
        """Which codes are in force now; matching ignores case and spaces around (OP-77).

        `held` are canonical codes of which the asking checkout already holds a use.
        """
        ...

    def hold(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> list[str]:
        """Promise one use of each canonical code; those that could be promised, never beyond the limit."""
        ...

    def release(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """Give promised uses back."""
        ...

    def commit(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """Count promised uses."""
        ...

    def restore(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """Take back uses that were counted: their sale was undone."""
        ...

    def extend(self, scope: Scope, codes: Sequence[str], hold: Hold) -> None:
        """Promise for longer."""
        ...
