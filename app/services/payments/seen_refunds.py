"""Refunds by people who looked at a page: what they saw must still be so when they press the button."""

from __future__ import annotations

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict
from app.models.payments.refund import Refund
from app.services.payments import intents, refunds


def create(actor: Actor, intent_id: str, amount: int | None, reason: str | None, *, left: int) -> Refund:
    """Refund a payment of which `left` minor units could go back when the page was shown.

    A second click, or a colleague's refund meanwhile, finds less left and sends nothing: the payment is
    locked while it is compared. Else as `refunds.create`.

    Raises:
        Conflict: `left_changed`.
    """
    with transaction(actor) as db:
        if refunds.left_to_refund(intents.find(db, actor, intent_id, lock=True)) != left:
            raise Conflict(
                "Something was refunded since you opened this page. Look at what is left before you go on.",
                code="left_changed",
            )
        return refunds.create(actor, intent_id, amount, reason)
