"""CK-021 to CK-029 and CK-034: the payment of a session."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.services.checkout import finalization, payments, sessions, splits
from app.services.checkout import intents as session_intents
from app.services.checkout.intents import Terms
from app.services.checkout.payment import Order
from app.services.checkout.splits import Allocation
from app.services.payments import intents, refunds
from app.services.payments.attempts import nonce_of
from app.services.payments.threeds import Completion, Result
from app.web import intent_views
from app.web.endpoint import Answer
from app.web.intent_views import IntentView, NextActionView
from app.web.refund_views import RefundView
from app.web.schemas import Body, Integer, View
from app.web.surface import BROWSER, Idempotency

#: OP-22: what the payments surface calls `redirect_to_url`.
REDIRECT = "redirect"

CheckoutMethod = Literal["card", "paypal", "apple_pay", "bank_transfer", "buy_now_pay_later"]
AllocationType = Literal[
    "card", "paypal", "apple_pay", "bank_transfer", "buy_now_pay_later", "gift_card", "store_credit"
]


class IntentOpen(Body):
    """The terms of the payment; what is left out comes from the session and its totals (minor units)."""

    amount: Integer | None = Field(None, ge=1)
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    capture_mode: Literal["auto", "manual"] | None = None
    payment_methods: list[CheckoutMethod] | None = Field(None, min_length=1, max_length=5)
    metadata: dict[str, Any] | None = Field(None, max_length=50)

    def terms(self) -> Terms:
        """The terms that the service takes; a method that is named twice counts once."""
        names = self.payment_methods
        return Terms(
            amount=self.amount,
            currency=self.currency,
            capture_mode=self.capture_mode,
            method_types=tuple(dict.fromkeys(names)) if names else None,
            metadata=self.metadata,
        )


class MethodChoice(Body):
    """The method to pay with: its id, or a token that a client was given; and whether the buyer keeps it."""

    payment_method_id: str = Field(min_length=1, max_length=64)
    save_method: bool = False
    consent: bool | None = None


class Confirm(Body):
    """The method to pay with, when it is not attached yet; where the shopper goes after 3DS or a bank."""

    payment_method_id: str | None = Field(None, max_length=64)
    return_url: str | None = Field(None, max_length=2000)


class ThreeDSComplete(Body):
    """How the challenge ended, as the client saw it."""

    result: Result = Field(Result.AUTHENTICATED, strict=False)
    transaction_id: str | None = Field(None, max_length=64)
    cres: str | None = Field(None, max_length=20_000)


class Capture(Body):
    """How much to take; without an amount all that was authorised."""

    amount: Integer | None = Field(None, ge=1)


class CancelAsk(Body):
    """Why."""

    reason: Literal["user_cancel", "timeout", "fraud"] = "user_cancel"


class RefundAsk(Body):
    """How much goes back, and why; without an amount all that is left."""

    amount: Integer | None = None
    reason: str | None = Field(None, max_length=500)


class FinalizationView(View):
    """How far the sale is: `completed` with its order, or where the session stands."""

    status: str
    order_id: str | None
    receipt_id: str | None
    failure_reason: str | None

    @classmethod
    def of(cls, row: CheckoutSession) -> FinalizationView:
        """The view of a session."""
        return cls(
            status=row.status,
            order_id=row.order_id,
            receipt_id=row.receipt_id,
            failure_reason=row.failure_reason,
        )


class AllocationAsk(Body):
    """A part of the payment: of a type of method or from one in the vault; `code` is a gift card's."""

    method_type: AllocationType | None = None
    payment_method_id: str | None = Field(None, min_length=1, max_length=64)
    code: str | None = Field(None, min_length=1, max_length=64)
    amount: Integer = Field(ge=1)

    def allocation(self, place: str) -> Allocation:
        """The allocation that the service takes.

        Raises:
            InvalidRequest: neither or both of the two, or a code where none belongs.
        """
        if (self.method_type is None) == (self.payment_method_id is None):
            raise InvalidRequest("Send method_type or payment_method_id", field=f"{place}.method_type")
        if (self.code is None) == (self.method_type == "gift_card"):
            raise InvalidRequest("code and method_type gift_card go together", field=f"{place}.code")
        return Allocation(self.amount, self.method_type, self.payment_method_id, self.code)


class Split(Body):
    """How the amount is divided; it adds up to what is due."""

    allocations: list[AllocationAsk] = Field(min_length=1, max_length=splits.MAX_PARTS)

    def parts(self) -> list[Allocation]:
        """The allocations that the service takes."""
        return [ask.allocation(f"allocations.{number}") for number, ask in enumerate(self.allocations)]


class AllocationView(View):
    """A part of a split payment: a method is attached and a challenge completed under its own id."""

    payment_intent_id: str
    part: int
    method_type: str
    payment_method_id: str | None
    amount: int
    status: str
    next_action: NextActionView | None
    last_error: dict[str, Any] | None

    @classmethod
    def of(cls, row: PaymentIntent) -> AllocationView:
        """The view of a part."""
        action = row.next_action
        return cls.model_construct(
            payment_intent_id=row.id,
            part=row.part or 0,
            method_type=row.method_types[0],
            payment_method_id=row.payment_method_id,
            amount=row.amount,
            status=row.status,
            next_action=NextActionView.of(action, redirect_word=REDIRECT) if action else None,
            last_error=row.last_error,
        )


class SessionPaymentView(IntentView):
    """The payment of a session; its parts where it is split, and whose part it is."""

    allocations: list[AllocationView]
    parent_intent_id: str | None


class CapturedView(SessionPaymentView):
    """A captured payment, and the sale that it led to; null where the payment has no checkout."""

    finalization: FinalizationView | None


def answer(actor: Actor, row: PaymentIntent, *, driving: bool = True) -> Answer:
    """An intent as this surface shows it; whoever drives it from a server may hand its secret on."""
    whole = intent_views.answer(actor, row, driving=driving, redirect_word=REDIRECT)
    view = SessionPaymentView.model_construct(
        **whole.value.__dict__,
        allocations=[AllocationView.of(part) for part in splits.allocations_of(actor, row)],
        parent_intent_id=row.parent_intent_id,
    )
    return Answer(view, whole.headers)


@surface.post(
    "/sessions/{checkout_id}/payment-intents",
    "CK-021",
    body=IntentOpen,
    returns=SessionPaymentView,
    status=201,
    auth=BROWSER,
    permission="intents:write",
)
def create(actor: Actor, checkout_id: str, body: IntentOpen) -> Answer:
    """Create the session's payment intent, or let its open one take these terms."""
    return answer(actor, session_intents.open_for(actor, checkout_id, body.terms()))


@surface.get(
    "/payment-intents/{payment_intent_id}",
    "CK-022",
    returns=SessionPaymentView,
    auth=BROWSER,
    permission="intents:read",
    tells_payers=True,
)
def get(actor: Actor, payment_intent_id: str) -> Answer:
    """Read a payment intent."""
    return answer(actor, intents.get(actor, payment_intent_id), driving=False)


@surface.post(
    "/payment-intents/{payment_intent_id}/attach-method",
    "CK-023",
    body=MethodChoice,
    returns=SessionPaymentView,
    auth=BROWSER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def attach(actor: Actor, payment_intent_id: str, body: MethodChoice) -> Answer:
    """Attach a token or saved method to the intent."""
    done = session_intents.attach(
        actor, payment_intent_id, body.payment_method_id, save=body.save_method, consent=body.consent
    )
    return answer(actor, done)


@surface.post(
    "/payment-intents/{payment_intent_id}/confirm",
    "CK-024",
    body=Confirm,
    returns=SessionPaymentView,
    auth=BROWSER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def confirm(actor: Actor, payment_intent_id: str, body: Confirm, idempotency_key: str | None) -> Answer:
    """Confirm the intent; may answer requires_action with next_action."""
    order = Order(nonce_of(idempotency_key), return_url=body.return_url)
    done = payments.confirm(actor, payment_intent_id, order, method_id=body.payment_method_id)
    return answer(actor, done)


@surface.post(
    "/payment-intents/{payment_intent_id}/3ds/complete",
    "CK-025",
    body=ThreeDSComplete,
    returns=SessionPaymentView,
    auth=BROWSER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def complete_three_ds(actor: Actor, payment_intent_id: str, body: ThreeDSComplete) -> Answer:
    """Take the result of 3-D Secure and go on; the gateway is asked whether it is true."""
    told = Completion(body.result, body.transaction_id, body.cres)
    return answer(actor, payments.complete_three_ds(actor, payment_intent_id, told))


@surface.post(
    "/payment-intents/{payment_intent_id}/capture",
    "CK-026",
    body=Capture,
    returns=CapturedView,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def capture(actor: Actor, payment_intent_id: str, body: Capture, idempotency_key: str | None) -> Answer:
    """Capture an authorised payment, then go on to the order."""
    done, session = finalization.capture_and_finalize(
        actor, payment_intent_id, body.amount, nonce=nonce_of(idempotency_key)
    )
    whole = answer(actor, done)
    sale = FinalizationView.of(session) if session is not None else None
    return Answer(CapturedView.model_construct(**whole.value.__dict__, finalization=sale), whole.headers)


@surface.post(
    "/payment-intents/{payment_intent_id}/cancel",
    "CK-027",
    body=CancelAsk,
    returns=SessionPaymentView,
    auth=BROWSER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def cancel(actor: Actor, payment_intent_id: str, body: CancelAsk) -> Answer:
    """Cancel a pending intent and release its reservations."""
    return answer(actor, payments.cancel(actor, payment_intent_id, body.reason))


@surface.post(
    "/payment-intents/{payment_intent_id}/split",
    "CK-029",
    body=Split,
    returns=SessionPaymentView,
    auth=BROWSER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def split(actor: Actor, payment_intent_id: str, body: Split) -> Answer:
    """Split the payment over several methods, gift cards and store credit among them."""
    return answer(actor, splits.split(actor, payment_intent_id, body.parts()))


@surface.post(
    "/payment-intents/{payment_intent_id}/refund",
    "CK-028",
    body=RefundAsk,
    returns=RefundView,
    status=201,
    permission="refunds:create",
)
def refund(actor: Actor, payment_intent_id: str, body: RefundAsk) -> Any:
    """Trigger a refund through the payment service."""
    return RefundView.of(refunds.create(actor, payment_intent_id, body.amount, body.reason))


@surface.get(
    "/sessions/{checkout_id}/next-action",
    "CK-034",
    returns=NextActionView,
    auth=BROWSER,
    permission="intents:read",
    may_be_empty=True,
    tells_payers=True,
)
def next_action(actor: Actor, checkout_id: str) -> Answer:
    """What the client has to do next to pay; 204 when there is nothing."""
    session = sessions.get(actor, checkout_id)
    if session.payment_intent_id is None:
        return Answer(None, status=204)
    action = intents.get(actor, session.payment_intent_id).next_action
    if action is None:
        return Answer(None, status=204)
    return Answer(NextActionView.of(action, redirect_word=REDIRECT))
