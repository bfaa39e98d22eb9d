"""Rotation of the keys at rest: everything encrypted comes under the first key while the app serves.

`PLACES` names every encrypted column; what encrypts something new adds a line there. Only what stands under
an older key is touched, a few rows in each transaction, so that the work can be broken off and begun again.
Stored answers of idempotent calls are left out: they are dropped after a day (docs/operating.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Column, select, update
from sqlalchemy.orm import Session

from app.db import reading, retrying, transaction
from app.kit.crypto import DecryptionError
from app.models.access.tenant import Tenant
from app.models.access.user import User
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.models.payments.connector import ConnectorAccount
from app.services.operations import secrets_at_rest

log = structlog.get_logger("till.encryption")

#: Rows changed in one transaction.
BATCH = 50
#: Rows looked at in one query.
LOOK = 500
#: A row may be written under an old key while we pass it (a rolled secret keeps its text): look again.
MAX_PASSES = 5


@dataclass(frozen=True, slots=True)
class Place:
    """An encrypted column: a text, or an object of texts; `context` is what its texts are bound to."""

    model: Any
    column: str
    context: Callable[[Any, str], Sequence[str]]

    @property
    def name(self) -> str:
        """`table.column`."""
        return f"{self.model.__tablename__}.{self.column}"


PLACES = (
    Place(ConnectorAccount, "config", lambda row, _: (row.tenant_id, row.id, "config")),
    Place(ConnectorAccount, "previous_config", lambda row, _: (row.tenant_id, row.id, "config")),
    Place(User, "totp_secret", lambda row, _: (row.tenant_id, row.id, "totp")),
    Place(WebhookEndpoint, "secret", lambda row, _: (row.tenant_id, row.id, "secret")),
    Place(WebhookEndpoint, "previous_secret", lambda row, _: (row.tenant_id, row.id, "secret")),
    Place(Tenant, "inbound_secrets", lambda row, kind: (row.id, "inbound", kind)),
)


@dataclass(slots=True)
class Count:
    """What was done in one column: rows re-encrypted, and rows that no key of the ring opens."""

    name: str
    rotated: int = 0
    unreadable: int = 0


def rotate() -> list[Count]:
    """Re-encrypt what is not under the first key, column by column."""
    return [_rotate_column(place) for place in PLACES]


def _rotate_column(place: Place) -> Count:
    count = Count(place.name)
    for _ in range(MAX_PASSES):
        rotated, count.unreadable = 0, 0
        for ids in _batches(place):
            done, failed = retrying(lambda ids=ids: _rotate_rows(place, ids))  # type: ignore[misc]
            rotated += done
            count.unreadable += failed
        count.rotated += rotated
        if not rotated:
            break
    return count


def _batches(place: Place) -> Iterator[list[str]]:
    """Ids of rows with something under an older key, a batch at a time, without a transaction."""
    column, last = getattr(place.model, place.column), ""
    while True:
        statement = (
            select(place.model.id, column)
            .where(column.is_not(None), place.model.id > last)
            .order_by(place.model.id)
            .limit(LOOK)
        )
        with reading() as db:
            rows = db.execute(statement).all()
        due = [row_id for row_id, value in rows if any(map(secrets_at_rest.needs_rotation, _texts(value)))]
        for start in range(0, len(due), BATCH):
            yield due[start : start + BATCH]
        if len(rows) < LOOK:
            return
        last = rows[-1][0]


def _rotate_rows(place: Place, ids: list[str]) -> tuple[int, int]:
    """Re-encrypt these rows under lock: (done, unreadable)."""
    model = place.model
    # Not a full lock: inserts that refer to the row (payments of a merchant) need not wait.
    statement = select(model).where(model.id.in_(ids)).order_by(model.id).with_for_update(key_share=True)
    done = failed = 0
    with transaction() as db:
        for row in db.scalars(statement):
            try:
                value = _again(place, row)
            except DecryptionError:
                failed += 1
                log.exception("cannot_be_decrypted", name=place.name, entity_id=row.id)
                continue
            if value is not None:
                _write(db, place, row, value)
                done += 1
    return done, failed


def _again(place: Place, row: Any) -> Any:
    """The column's value under the first key, or None where it is already."""
    value = getattr(row, place.column)
    if value is None or not any(map(secrets_at_rest.needs_rotation, _texts(value))):
        return None
    if isinstance(value, dict):
        return {key: secrets_at_rest.renew(text, *place.context(row, key)) for key, text in value.items()}
    return secrets_at_rest.renew(value, *place.context(row, ""))


def _write(db: Session, place: Place, row: Any, value: Any) -> None:
    """Beside the unit of work: neither version nor time of change move, since nothing has changed."""
    table = place.model.__table__
    unmoved: dict[Column[Any] | str, Any] = {place.column: value}
    if "updated_at" in table.c:
        unmoved["updated_at"] = table.c.updated_at
    db.execute(update(table).where(table.c.id == row.id).values(unmoved))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for text in value.values() if isinstance(text, str)]
    return [value] if isinstance(value, str) else []
