"""Editing an intent before its money is asked for (PY-010, OP-25)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidState
from app.domain.event_types import EventType
from app.domain.lifecycles.intents import EDITABLE
from app.domain.rules import card_options
from app.models.payments.intent import PaymentIntent
from app.services.operations.settings import checkout_settings
from app.services.payments import intents


@dataclass(frozen=True, slots=True)
class IntentChange:
    """What is to be changed; None leaves it. `version` is the one that the caller has read."""

    amount: int | None = None
    capture_mode: str | None = None
    payment_method_options: Mapping[str, Any] | None = None
    description: str | None = None
    metadata: Mapping[str, Any] | None = None
    version: int | None = None

    @property
    def touches_money(self) -> bool:
        """Whether it is more than words."""
        return (self.amount, self.capture_mode, self.payment_method_options) != (None, None, None)


def change(actor: Actor, intent_id: str, wanted: IntentChange) -> PaymentIntent:
    """Change an intent; metadata and description at any time, the rest before it is authorised.

    Raises:
        InvalidState: the authorisation was sent, or a checkout's totals, or an order, decide the amount.
        Unprocessable: the amount is over the limit, or the capture modes contradict each other.
        VersionConflict: it is no longer at `wanted.version`.
    """
    with transaction(actor) as db:
        intent = intents.find(db, actor, intent_id, lock=True)
        intent.expect_version(wanted.version)
        before = intent.facts()
        if wanted.touches_money:
            _change_money(actor, intent, wanted)
        if wanted.description is not None:
            intent.description = wanted.description
        if wanted.metadata is not None:
            intent.metadata_ = dict(wanted.metadata)
        db.flush()
        if intent.version != before["version"]:
            intent.note(EventType.INTENT_UPDATED, cause="api", before=before)
        return intent


def _change_money(actor: Actor, intent: PaymentIntent, wanted: IntentChange) -> None:
    if intent.parent_intent_id is not None:
        raise InvalidState("This is a part of a split payment", code="part_of_split")
    if intent.status not in EDITABLE:
        raise InvalidState(f"A payment that is {intent.status} cannot be changed; its metadata can")
    options = wanted.payment_method_options
    by_options = card_options.capture_mode(None, options or {})
    if intent.paid_for is not None and (wanted.amount, wanted.capture_mode, by_options) != (None, None, None):
        raise InvalidState("What it pays for decides the amount", code="amount_follows_order")
    if wanted.amount is not None and wanted.amount != intent.amount:
        if intent.checkout_id is not None:
            raise InvalidState("The totals of its checkout decide the amount", code="amount_follows_checkout")
        largest = checkout_settings(actor.tenant).amounts.largest(intent.currency)
        intents.check_amount(wanted.amount, intent.currency, largest)
        intent.amount = wanted.amount
    if options is not None:
        intent.payment_method_options = dict(options)
    if options is not None or wanted.capture_mode is not None:
        said = card_options.capture_mode(wanted.capture_mode, intent.payment_method_options)
        intent.capture_mode = said or intent.capture_mode
