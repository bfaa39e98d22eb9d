"""Events that gateways send us: verified on the raw body, stored once, then looked into (reliability.md 7-9).

An event is a hint: its job asks the gateway what is true. Which merchant it is for is told by the payment
that it names; the signature is then checked with that merchant's own secret, before anything is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app.connectors import registry
from app.connectors.base import InboundEvent, ReceivesWebhooks
from app.db import reading, transaction
from app.domain.errors import Unauthenticated
from app.kit import clock
from app.kit.ids import new_id
from app.models.events.provider_event import ProviderEvent
from app.models.payments.attempt import Attempt
from app.services.operations import inbound_secrets, jobs

_KEY = re.compile(r"authorize_[0-9a-z_]{1,40}")


def receive(raw: bytes, headers: Mapping[str, str], connector_name: str = "sandbox") -> bool:
    """Take a gateway's event; False for one that we had already.

    Raises:
        Unauthenticated: the signature is not good, or the event names nothing of ours.
    """
    connector = registry.get(connector_name)
    attempt = _named_attempt(raw)
    if attempt is None or not isinstance(connector, ReceivesWebhooks):
        raise Unauthenticated("The signature is not valid", code="invalid_signature")
    secret = inbound_secrets.find(attempt.tenant_id, "payment")
    event = connector.parse_webhook(raw, headers, [secret] if secret else [])
    if event is None:
        raise Unauthenticated("The signature is not valid", code="invalid_signature")
    return _store(connector_name, attempt, event)


def _named_attempt(raw: bytes) -> Attempt | None:
    """The attempt whose authorise key an event carries, read before it is trusted."""
    try:
        key = json.loads(raw)["data"]["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(key, str) or _KEY.fullmatch(key) is None:
        return None
    statement = select(Attempt).where(Attempt.id == key.removeprefix("authorize_"))
    with reading() as db:
        return db.scalars(statement).one_or_none()


def _store(provider: str, attempt: Attempt, event: InboundEvent) -> bool:
    row = ProviderEvent(
        id=new_id("pev"),
        tenant_id=attempt.tenant_id,
        mode=attempt.mode,
        provider=provider,
        event_id=event.event_id,
        type=event.type,
        payload=dict(event.payload),
        received_at=clock.now(),
    )
    try:
        with transaction() as db:
            db.add(row)
            db.flush()
            name, arguments = _work(attempt, event)
            arguments["provider_event_id"] = row.id
            jobs.enqueue(
                db,
                name,
                arguments,
                tenant_id=attempt.tenant_id,
                mode=attempt.mode,
                unique_key=f"inbound:{attempt.tenant_id}:{event.event_id}",
            )
    except IntegrityError:
        return False
    return True


def _work(attempt: Attempt, event: InboundEvent) -> tuple[str, dict[str, str]]:
    if event.refund_key:
        return "refunds.send", {"refund_id": event.refund_key.removeprefix("refund_")}
    if event.dispute_reference:
        return "disputes.look_again", {"attempt_id": attempt.id, "reference": event.dispute_reference}
    return "payments.look_again", {"attempt_id": attempt.id}


def mark_processed(provider_event_id: str) -> None:
    """Note that what an event hinted at has been looked into."""
    statement = (
        update(ProviderEvent)
        .where(ProviderEvent.id == provider_event_id, ProviderEvent.processed_at.is_(None))
        .values(processed_at=clock.now())
    )
    with transaction() as db:
        db.execute(statement)
