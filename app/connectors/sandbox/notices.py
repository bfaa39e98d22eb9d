"""The sandbox's webhooks to us: queued in its book, signed and sent by the worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.orm import Session

from app.connectors.sandbox import book
from app.connectors.sandbox.cards import Behaviour
from app.db import Command, reading, transaction
from app.kit import clock, signing
from app.kit.ids import new_id

#: Attempts of the sandbox to reach us; the sweep asks anyway.
MAX_TRIES = 5

_INSERT = Command(lambda _: insert(book.webhooks))


def queue(
    db: Session,
    payment: Mapping[str, Any],
    type_: str,
    *,
    refund_key: str | None = None,
    due_at: datetime | None = None,
    **extra: Any,
) -> None:
    """Queue an event about a payment, as late, doubled or disordered as its card has it."""
    behaviour = payment["behaviour"]
    event_id = new_id("sbe")
    delay = timedelta(hours=48) if behaviour == Behaviour.WEBHOOK_LATE else timedelta()
    if behaviour == Behaviour.WEBHOOK_DISORDER and type_ == "payment.authorized":
        delay = timedelta(seconds=3)
    body = {
        "id": event_id,
        "type": type_,
        "data": {"reference": payment["reference"], "key": payment["key"], "refund_key": refund_key, **extra},
    }
    row = {
        "event_id": event_id,
        "tenant_id": payment["tenant_id"],
        "mode": payment["mode"],
        "url": payment["webhook_url"],
        "body": body,
        "due_at": (due_at or clock.now()) + delay,
        "tries": 0,
    }
    times = 2 if behaviour == Behaviour.WEBHOOK_TWICE else 1
    _INSERT.later(db, *({"id": new_id("sbw"), **row} for _ in range(times)))


def send_due(
    post: Callable[[str, bytes, dict[str, str]], int],
    secret_for: Callable[[str], str],
    limit: int = 50,
) -> int:
    """Send what is due; `post` answers the HTTP status, 0 where nobody answered. Returns how many."""
    due = [row for row in due_webhooks(limit) if _claim(row)]
    for row in due:
        raw = json.dumps(row["body"], separators=(",", ":")).encode()
        signature = signing.timestamped_signature(raw, [secret_for(row["tenant_id"])], clock.now())
        headers = {"Content-Type": "application/json", "X-Webhook-Signature": signature}
        if 200 <= post(row["url"], raw, headers) < 300:
            _set(row, sent_at=clock.now())
    return len(due)


def due_webhooks(limit: int) -> list[RowMapping]:
    """What is to be sent now, in the order in which it became due."""
    hooks = book.webhooks.c
    statement = (
        select(book.webhooks)
        .where(hooks.sent_at.is_(None), hooks.due_at <= clock.now(), hooks.tries < MAX_TRIES)
        .order_by(hooks.due_at, hooks.id)
        .limit(limit)
    )
    with reading() as db:
        return list(db.execute(statement).mappings())


def _claim(row: RowMapping) -> bool:
    """Count the try before it is made, so that one of two workers makes it; unanswered, it is due again."""
    return _set(row, tries=row["tries"] + 1, due_at=clock.now() + timedelta(seconds=2 ** row["tries"]))


def _set(row: RowMapping, **changes: Any) -> bool:
    hooks = book.webhooks.c
    statement = update(book.webhooks).where(hooks.id == row["id"], hooks.sent_at.is_(None))
    if "tries" in changes:
        statement = statement.where(hooks.tries == row["tries"])
    with transaction() as db:
        return bool(db.execute(statement.values(changes)).rowcount)  # type: ignore[attr-defined]
