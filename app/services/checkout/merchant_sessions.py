"""Sessions of an amount and a reference: what the merchant surface makes (MR-001)."""

from __future__ import annotations

from dataclasses import dataclass

from app.db import transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import sessions
from app.services.checkout.drafts import SessionDraft
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings


@dataclass(frozen=True, slots=True)
class ReferenceDraft:
    """A payment of `amount` minor units under the merchant's own `reference`."""

    amount: int
    currency: str
    reference: str
    method_types: tuple[str, ...] = ("card",)
    success_url: str | None = None
    cancel_url: str | None = None


@consulting
def create(actor: Actor, draft: ReferenceDraft) -> CheckoutSession:
    """Make a hosted session of half an hour that charges exactly the amount.

    Raises:
        InvalidRequest: `invalid_amount`, or a method that the merchant does not take.
        Unprocessable: `unsupported_currency`, `tx_limit_exceeded`.
    """
    if not 0 < draft.amount <= money.MAX_AMOUNT:
        raise InvalidRequest("Valid amount is required", code="invalid_amount", field="amount")
    settings = checkout_settings(actor.tenant)
    for method in draft.method_types:
        if method not in settings.allowed_methods:
            raise InvalidRequest(f"The method {method} is not supported", field="methodTypes")
    line = CartLine("line_1", "custom", draft.reference, 1, draft.amount)
    with transaction(actor) as db:
        session = sessions.add(
            db,
            actor,
            SessionDraft(
                surface="merchant",
                cart=CartSnapshot(draft.currency, (line,)),
                lifetime_seconds=settings.link_ttl_seconds,
                title=draft.reference,
                reference=draft.reference,
                options={"tax": "included"},
                success_url=draft.success_url,
                cancel_url=draft.cancel_url,
                hosted=True,
                method_types=draft.method_types,
            ),
        )
        record(
            db,
            "checkout.session.created",
            tenant_id=session.tenant_id,
            mode=session.mode,
            entity="checkout",
            entity_id=session.id,
            cause=str(actor.kind),
            after=session.facts(),
            **session.journal_links(),
        )
        return session
