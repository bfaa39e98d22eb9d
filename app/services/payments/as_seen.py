"""What people do who looked at a page: what they saw must still be so when they press the button."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict
from app.models.payments.dispute import Dispute
from app.models.payments.refund import Refund
from app.services.payments import disputes, intents, refunds
from app.services.payments.disputes import DisputeDraft


def refund(actor: Actor, intent_id: str, amount: int | None, reason: str | None, *, left: int) -> Refund:
    """Refund a payment of which `left` minor units could go back when the page was shown.

    A second click, or a colleague's refund meanwhile, finds less left and sends nothing. Else as
    `refunds.create`.

    Raises:
        Conflict: `left_changed`.
    """
    with _unchanged(actor, intent_id, left):
        return refunds.create(actor, intent_id, amount, reason)


def dispute(actor: Actor, intent_id: str, draft: DisputeDraft, *, left: int) -> Dispute:
    """Enter a dispute of a payment, as `refund` refunds it. Else as `disputes.create`.

    Raises:
        Conflict: `left_changed`.
    """
    with _unchanged(actor, intent_id, left):
        return disputes.create(actor, draft)


@contextmanager
def _unchanged(actor: Actor, intent_id: str, left: int) -> Iterator[None]:
    """The payment is locked while what is left of it is compared, and until all is done."""
    with transaction(actor) as db:
        if refunds.left_to_refund(intents.find(db, actor, intent_id, lock=True)) != left:
            raise Conflict(
                "Something was refunded or disputed since you opened this page."
                " Look at what is left before you go on.",
                code="left_changed",
            )
        yield
