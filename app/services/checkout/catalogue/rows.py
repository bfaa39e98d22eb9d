"""What the catalogue's services share: a merchant's rows of one mode, pages of them, facts in the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.models.base import Base
from app.models.events.journal import record
from app.services.operations.settings import checkout_settings

T = TypeVar("T", bound=Base)
#: What the journal tells of a row.
Facts: TypeAlias = Callable[[T], dict[str, Any]]


def mine(kind: type[T], actor: Actor) -> Select[T]:
    """The rows of this merchant and mode."""
    table: Any = kind
    return select(kind).where(table.tenant_id == actor.tenant_id, table.mode == str(actor.mode))


def owned(actor: Actor) -> dict[str, str]:
    """Whose a new row is."""
    return {"tenant_id": actor.tenant_id, "mode": str(actor.mode)}


def find(db: Session, actor: Actor, kind: type[T], row_id: str, *, lock: bool = False) -> T:
    """One row; with `lock` as it is now, and kept so for this transaction.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    table: Any = kind
    statement = mine(kind, actor).where(table.id == row_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("There is no such thing in the catalogue")
    return found


def add(db: Session, row: T, type_: str, facts: Facts[T]) -> None:
    """Write a new row and journal it; see `note`."""
    db.add(row)
    db.flush()
    note(db, row, type_, facts(row))


def change(db: Session, row: T, values: Mapping[str, Any], type_: str, facts: Facts[T]) -> T:
    """Change a row that was found with `lock`, and journal it; see `note`."""
    before = facts(row)
    for name, value in values.items():
        setattr(row, name, value)
    db.flush()
    note(db, row, type_, facts(row), before)
    return row


def switch(actor: Actor, kind: type[T], row_id: str, active: bool, entity: str, facts: Facts[T]) -> T:
    """Offer something, or stop; as it may be already.

    Raises:
        NotFound: see `find`.
    """
    with transaction(actor) as db:
        row = find(db, actor, kind, row_id, lock=True)
        what = f"{entity}.activated" if active else f"{entity}.deactivated"
        return change(db, row, {"active": active}, what, facts)


def note(
    db: Session,
    row: Any,
    type_: str,
    after: dict[str, Any],
    before: dict[str, Any] | None = None,
) -> None:
    """Put a change on the journal, unless nothing has changed; `type_` is `<entity>.<what happened>`."""
    if before == after:
        return
    record(
        db,
        type_,
        tenant_id=row.tenant_id,
        mode=row.mode,
        entity=type_.partition(".")[0],
        entity_id=row.id,
        cause="catalogue",
        before=before,
        after=after,
    )


def check_words(text: str, field: str, what: str, limit: int) -> str:
    """A text that has to be there, without the spaces around it.

    Raises:
        InvalidRequest: it is empty, or longer than `limit`.
    """
    trimmed = text.strip()
    if not trimmed:
        raise InvalidRequest(f"Enter {what}", field=field)
    if len(trimmed) > limit:
        raise InvalidRequest(f"Use at most {limit} characters", field=field)
    return trimmed


def check_currency(actor: Actor, currency: str) -> None:
    """Raises InvalidRequest: there is no such currency, or the merchant does not take it."""
    narrowed = checkout_settings(actor.tenant).currencies
    if not money.is_currency(currency) or (narrowed and currency not in narrowed):
        raise InvalidRequest("This currency is not supported", code="unsupported_currency", field="currency")
