"""CK-050 to CK-053: gift cards and store credit."""

from __future__ import annotations

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.models.checkout.session import CheckoutSession
from app.services.checkout import dues, stored_value
from app.services.checkout.stored_value import Part
from app.web.schemas import Body, Integer, Nothing, View
from app.web.surface import BROWSER, Idempotency


class GiftCardAsk(Body):
    """The code of a gift card, as it was typed."""

    code: str = Field(min_length=1, max_length=64)


class CreditAsk(Body):
    """How much of the customer's credit pays, in minor units; 0 takes it off again."""

    amount: Integer = Field(ge=0)


class InstrumentView(View):
    """An instrument of the wallet, minor units; of a gift card's code only the end is shown."""

    id: str | None
    type: str
    code: str | None
    currency: str
    applied: int
    remaining: int

    @classmethod
    def of(cls, part: Part) -> InstrumentView:
        """The view of a part."""
        return cls(
            id=part.id,
            type=part.kind,
            code=part.label,
            currency=part.currency,
            applied=part.applied,
            remaining=part.remaining,
        )


class AppliedView(InstrumentView):
    """What is now applied of an instrument, what it still has, and what is left to pay."""

    checkout_id: str
    amount_due: int
    version: int


class WalletView(View):
    """What is applied, what could be, and what is left to pay."""

    checkout_id: str
    currency: str
    applied: list[InstrumentView]
    available: list[InstrumentView]
    amount_applied: int
    amount_due: int


@surface.post(
    "/sessions/{checkout_id}/apply-giftcard",
    "CK-050",
    body=GiftCardAsk,
    returns=AppliedView,
    auth=BROWSER,
    permission="checkout:write",
    idempotency=Idempotency.LEASED,  # a try is counted although the call is refused
)
def apply_gift_card(actor: Actor, checkout_id: str, body: GiftCardAsk) -> AppliedView:
    """Apply a gift card: as much of it as is due is held for the session."""
    return _applied(*stored_value.apply_gift_card(actor, checkout_id, body.code))


@surface.post(
    "/sessions/{checkout_id}/remove-giftcard/{code}",
    "CK-051",
    body=Nothing,
    returns=AppliedView,
    auth=BROWSER,
    permission="checkout:write",
)
def remove_gift_card(actor: Actor, checkout_id: str, code: str, body: Nothing) -> AppliedView:
    """Take an applied gift card off again: by its code, or by its id in the wallet."""
    return _applied(*stored_value.remove_gift_card(actor, checkout_id, code))


@surface.post(
    "/sessions/{checkout_id}/apply-store-credit",
    "CK-052",
    body=CreditAsk,
    returns=AppliedView,
    auth=BROWSER,
    permission="checkout:write",
)
def apply_store_credit(actor: Actor, checkout_id: str, body: CreditAsk) -> AppliedView:
    """Apply store credit of the session's customer, in place of what was applied before."""
    return _applied(*stored_value.apply_store_credit(actor, checkout_id, body.amount))


@surface.get(
    "/sessions/{checkout_id}/wallet",
    "CK-053",
    returns=WalletView,
    auth=BROWSER,
    permission="checkout:read",
)
def show(actor: Actor, checkout_id: str) -> WalletView:
    """List what is applied, and what of the customer's credit could be."""
    session, found = stored_value.show(actor, checkout_id)
    return WalletView(
        checkout_id=session.id,
        currency=session.currency,
        applied=[InstrumentView.of(part) for part in found.applied],
        available=[InstrumentView.of(part) for part in found.available],
        amount_applied=dues.applied(session),
        amount_due=dues.due(session),
    )


def _applied(session: CheckoutSession, part: Part) -> AppliedView:
    return AppliedView(
        **InstrumentView.of(part).model_dump(),
        checkout_id=session.id,
        amount_due=dues.due(session),
        version=session.version,
    )
