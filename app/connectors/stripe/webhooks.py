"""Stripe's events, verified by Stripe's own library (docs.stripe.com/webhooks).

An event names a payment or refund of ours by the metadata that we wrote; disputes, and refunds that others
made, carry none and name the PaymentIntent. Each is a hint only: the objects are fetched again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.connectors.base import InboundEvent
from app.connectors.stripe import account, marks
from app.connectors.subjects import EventSubject

HEADER = "stripe-signature"
TOLERANCE_SECONDS = 300

_NAME = re.compile(r"[\w.]{1,64}", re.ASCII)

#: Kinds of objects whose own metadata name a payment of ours.
_PAYMENTS = frozenset({"payment_intent", "charge", "checkout.session"})
_DISPUTES = frozenset({"dispute", "radar.early_fraud_warning"})


def parse(raw: bytes, headers: Mapping[str, str], secrets: list[str]) -> InboundEvent | None:
    """See `ReceivesWebhooks`; the deployment's signing secrets count beside those given."""
    header = next((value for name, value in headers.items() if name.lower() == HEADER), "")
    if not any(_signed(raw, header, secret) for secret in account.webhook_secrets(secrets)):
        return None
    event = _event(raw)
    if event is None:
        return None
    about = event["data"]["object"]
    named, kind = _subject(about), _text(about.get("object"))
    return InboundEvent(
        event_id=str(event["id"]),
        type=str(event["type"]),
        attempt_key=named.attempt_key,
        refund_key=_text((about.get("metadata") or {}).get(marks.KEY)) if kind == "refund" else None,
        payload=_hint(event),
        dispute_reference=_text(about.get("id")) if kind in _DISPUTES else None,
    )


def subject(raw: bytes) -> EventSubject:
    """See `NamesSubjects`: which payment an event is about, before it is trusted."""
    event = _event(raw)
    return _subject(event["data"]["object"]) if event is not None else EventSubject()


def _subject(about: Mapping[str, Any]) -> EventSubject:
    metadata, kind = about.get("metadata") or {}, _text(about.get("object"))
    if kind in _PAYMENTS:
        return EventSubject(attempt_key=_text(metadata.get(marks.KEY)))
    if kind == "refund" and marks.PAYMENT_KEY in metadata:
        return EventSubject(attempt_key=_text(metadata[marks.PAYMENT_KEY]))
    if kind == "refund":  # made in Stripe's dashboard
        return EventSubject(payment_reference=_text(about.get("payment_intent")))
    if kind in _DISPUTES:
        return EventSubject(payment_reference=_text(about.get("payment_intent")))
    return EventSubject()


def _hint(event: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth keeping of an event: neither the shopper's data nor the client secret."""
    about = event["data"]["object"]
    kept = {name: about.get(name) for name in ("id", "object", "status", "amount", "currency")}
    return {name: event.get(name) for name in ("id", "type", "created", "livemode")} | {"object": kept}


def _event(raw: bytes) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(raw)
        about = event["data"]["object"]
        whole = bool(_NAME.fullmatch(event["id"]) and _NAME.fullmatch(event["type"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not whole or not isinstance(about, dict) or not isinstance(about.get("metadata"), dict | None):
        return None
    return event


def _signed(raw: bytes, header: str, secret: str) -> bool:
    import stripe

    try:
        return bool(stripe.WebhookSignature.verify_header(raw, header, secret, TOLERANCE_SECONDS))
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        return False


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
