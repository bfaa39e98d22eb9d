"""Events that gateways send us: verified on the raw body, stored once, then looked into (reliability.md 7-9).

An event is a hint: its job asks the gateway what is true. Which merchant it is for is told by the payment
that it names; the signature is then checked with that merchant's own secret, before anything is stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors import registry
from app.connectors.base import InboundEvent
from app.connectors.subjects import EventSubject, NamesSubjects
from app.db import reading, transaction
from app.domain.errors import Unauthenticated
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.rules.retry import COMPENSATION_TRIES
from app.kit import clock
from app.kit.ids import new_id
from app.models.events.provider_event import ProviderEvent
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund
from app.services.operations import connector_configs, inbound_secrets, jobs

#: Say that some of a charge went back, by a refund that they do not name or that is none of ours.
REFUNDED = frozenset({"charge.refunded", "refund.created", "refund.updated", "refund.failed"})

_KEY = re.compile(r"authorize_[0-9a-z_]{1,40}")
_REFUND = re.compile(r"refund_([0-9a-z_]{1,40})")
_REFERENCE = re.compile(r"[0-9A-Za-z_]{1,128}")


def receive(
    raw: bytes, headers: Mapping[str, str], connector_name: str | None = None, *, tenant_id: str | None = None
) -> bool:
    """Take a gateway's event; False for one that we had already, or that is about nothing of ours.

    Without `connector_name` the header that signs the event tells the gateway. With `tenant_id` (from the
    address that the gateway calls) a merchant's other events are acknowledged, as those of the deployment's
    own account are: an account may be used for more than Till.

    Raises:
        Unauthenticated: the signature is not good.
    """
    name = connector_name or _signer(headers)
    connector = registry.get(name)
    if not isinstance(connector, NamesSubjects):
        raise _refusal()
    attempt = _named_attempt(connector.subject(raw))
    owner = attempt.tenant_id if attempt is not None else tenant_id
    event = connector.parse_webhook(raw, headers, _secrets(name, owner, attempt))
    if event is None:
        raise _refusal()
    return attempt is not None and _store(name, attempt, event)


def _signer(headers: Mapping[str, str]) -> str:
    """Stripe signs under its own header, everybody else under ours (decisions.md 15)."""
    names = {name.lower() for name in headers}
    return "stripe" if "stripe-signature" in names and "x-webhook-signature" not in names else "sandbox"


def _secrets(connector_name: str, tenant_id: str | None, attempt: Attempt | None) -> list[str]:
    kind = "stripe" if connector_name == "stripe" else "payment"
    found = inbound_secrets.find(tenant_id, kind) if tenant_id is not None else None
    if attempt is not None:
        own = connector_configs.webhook_secrets(attempt.connector_id)
    elif tenant_id is not None:
        own = connector_configs.all_webhook_secrets(tenant_id, connector_name)
    else:
        own = []
    return [*([found] if found else []), *own]


def _refusal() -> Unauthenticated:
    return Unauthenticated("The signature is not valid", code="invalid_signature")


def _named_attempt(subject: EventSubject) -> Attempt | None:
    """The attempt that an event names, before it is trusted: by our key, or by the gateway's reference."""
    if subject.attempt_key is not None and _KEY.fullmatch(subject.attempt_key):
        mine = Attempt.id == subject.attempt_key.removeprefix("authorize_")
    elif subject.payment_reference is not None and _REFERENCE.fullmatch(subject.payment_reference):
        mine = Attempt.gateway_reference == subject.payment_reference
    else:
        return None
    with reading() as db:
        return db.scalars(select(Attempt).where(mine)).first()


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
            name, arguments = _work(db, attempt, event)
            arguments["provider_event_id"] = row.id
            jobs.enqueue(
                db,
                name,
                arguments,
                tenant_id=attempt.tenant_id,
                mode=attempt.mode,
                unique_key=f"inbound:{attempt.tenant_id}:{event.event_id}",
                max_tries=COMPENSATION_TRIES if name == "payments.undo_late_success" else 10,
            )
    except IntegrityError:
        return False
    return True


def _work(db: Session, attempt: Attempt, event: InboundEvent) -> tuple[str, dict[str, str]]:
    refund_id = _refund_of(db, attempt, event.refund_key)
    if refund_id is not None:
        return "refunds.send", {"refund_id": refund_id}
    if event.type in REFUNDED:
        return "refunds.look_again", {"attempt_id": attempt.id}
    if event.dispute_reference:
        return "disputes.look_again", {"attempt_id": attempt.id, "reference": event.dispute_reference}
    if attempt.status in attempt_lifecycle.DEAD:
        return "payments.undo_late_success", {"attempt_id": attempt.id}
    return "payments.look_again", {"attempt_id": attempt.id}


def _refund_of(db: Session, attempt: Attempt, key: str | None) -> str | None:
    """The refund that an event names: one of the payment whose merchant has signed it, and no other."""
    named = _REFUND.fullmatch(key or "")
    if named is None:
        return None
    return db.scalar(select(Refund.id).where(Refund.id == named[1], Refund.attempt_id == attempt.id))


def mark_processed(provider_event_id: str) -> None:
    """Note that what an event hinted at has been looked into."""
    statement = (
        update(ProviderEvent)
        .where(ProviderEvent.id == provider_event_id, ProviderEvent.processed_at.is_(None))
        .values(processed_at=clock.now())
    )
    with transaction() as db:
        db.execute(statement)
