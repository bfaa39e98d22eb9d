"""Payments that a merchant's server makes by itself, without a checkout (PY-008, PY-017)."""

from __future__ import annotations

from app.domain.actor import Actor
from app.domain.errors import Unprocessable
from app.models.payments.intent import PaymentIntent
from app.services.payments import intents
from app.services.payments.intents import IntentDraft


def create(actor: Actor, draft: IntentDraft) -> PaymentIntent:
    """Make an intent; see `intents.create`. What began by a checkout goes on in its currency.

    Raises:
        Unprocessable: `unsupported_currency`: the merchant takes others.
    """
    narrowed = actor.tenant.settings.get("currencies")
    if narrowed and draft.currency not in narrowed:
        raise Unprocessable("This currency is not taken here", code="unsupported_currency", field="currency")
    return intents.create(actor, draft)
