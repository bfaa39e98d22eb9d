"""PY-008 to PY-012, PY-014 to PY-017, PY-022: intents."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.checkout import payments
from app.services.checkout.payment import Order
from app.services.payments import bulk, charges, editing, intents, standalone
from app.services.payments.attempts import nonce_of
from app.services.payments.editing import IntentChange
from app.services.payments.intents import IntentDraft
from app.web.charge_views import CaptureView, ChargeView, TransactionView
from app.web.endpoint import Answer
from app.web.intent_views import IntentView, answer
from app.web.job_views import JobAccepted
from app.web.schemas import Body, Integer, Listing, NumberedQuery, pages_of
from app.web.surface import PAYER, Idempotency
from app.web.versions import expected_version

#: As many as fit in one body.
MAX_BULK = 1000


class CardOptions(Body):
    """How cards are taken: `capture_method` says the same as `capture_mode` (OP-24)."""

    capture_method: Literal["automatic", "manual"] | None = None
    request_three_d_secure: Literal["automatic", "any"] | None = None


class MethodOptions(Body):
    """Options of the payment methods."""

    card: CardOptions | None = None


class IntentCreate(Body):
    """What an intent is made from; `amount` in minor units."""

    request_id: str | None = Field(None, min_length=1, max_length=128)
    amount: Integer
    currency: str = Field(pattern="^[A-Z]{3}$")
    customer_id: str | None = Field(None, max_length=64)
    payment_method_id: str | None = Field(None, max_length=64)
    capture_mode: Literal["auto", "manual"] | None = None
    description: str | None = Field(None, max_length=500)
    metadata: dict[str, Any] = Field(default_factory=dict)
    payment_method_options: MethodOptions = Field(default_factory=MethodOptions)
    merchant_account_id: str | None = Field(None, max_length=40)

    def draft(self) -> IntentDraft:
        """The draft that the service takes."""
        options = self.payment_method_options.model_dump(exclude_none=True)
        return IntentDraft(**{**self.model_dump(), "payment_method_options": options})


class IntentsCreate(Body):
    """Many intents at once."""

    intents: list[IntentCreate] = Field(min_length=1, max_length=MAX_BULK)


class IntentPatch(Body):
    """What is to be changed: amount, capture mode and options only before it is authorised."""

    amount: Integer | None = None
    capture_mode: Literal["auto", "manual"] | None = None
    payment_method_options: MethodOptions | None = None
    description: str | None = Field(None, max_length=500)
    metadata: dict[str, Any] | None = None
    version: Integer | None = Field(None, ge=1)

    def change(self, version: int | None) -> IntentChange:
        """The change that the service takes."""
        options = self.payment_method_options
        return IntentChange(
            amount=self.amount,
            capture_mode=self.capture_mode,
            payment_method_options=options.model_dump(exclude_none=True) if options else None,
            description=self.description,
            metadata=self.metadata,
            version=version,
        )


class MethodChoice(Body):
    """The method to pay with: its id, or a token that a client was given."""

    payment_method_id: str = Field(min_length=1, max_length=64)


class Confirm(Body):
    """The method, when it is not attached yet; and where the shopper goes after 3-D Secure or a bank.

    `off_session` says that the shopper is not there.
    """

    payment_method_id: str | None = Field(None, max_length=64)
    return_url: str | None = Field(None, max_length=2000)
    off_session: bool = False


class Capture(Body):
    """How much to take; without an amount all that was authorised."""

    amount: Integer | None = Field(None, ge=1)


class CancelAsk(Body):
    """Why."""

    reason: Literal["user_cancel", "timeout", "fraud"] = "user_cancel"


@surface.post(
    "/intents",
    "PY-008",
    body=IntentCreate,
    returns=IntentView,
    status=201,
    permission="intents:write",
    key_required=True,
)
def create(actor: Actor, body: IntentCreate) -> Answer:
    """Create a payment intent."""
    return answer(actor, standalone.create(actor, body.draft()), driving=True)


@surface.post(
    "/intents/bulk",
    "PY-017",
    body=IntentsCreate,
    returns=JobAccepted,
    status=202,
    permission="intents:write",
    key_required=True,
)
def create_many(actor: Actor, body: IntentsCreate) -> JobAccepted:
    """Create many intents as a job; what cannot be is told item by item."""
    return JobAccepted.of(bulk.enqueue_intents(actor, [item.draft() for item in body.intents]))


@surface.get(
    "/intents/{intent_id}",
    "PY-009",
    returns=IntentView,
    auth=PAYER,
    permission="intents:read",
    tells_payers=True,
)
def get(actor: Actor, intent_id: str) -> Answer:
    """Read a payment intent."""
    return answer(actor, intents.get(actor, intent_id))


@surface.patch(
    "/intents/{intent_id}", "PY-010", body=IntentPatch, returns=IntentView, permission="intents:write"
)
def change(actor: Actor, intent_id: str, body: IntentPatch) -> Answer:
    """Change metadata, and before it is authorised amount and capture mode."""
    wanted = body.change(expected_version(body.version))
    return answer(actor, editing.change(actor, intent_id, wanted), driving=True)


@surface.post(
    "/intents/{intent_id}/attach-method",
    "PY-011",
    body=MethodChoice,
    returns=IntentView,
    auth=PAYER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def attach(actor: Actor, intent_id: str, body: MethodChoice) -> Answer:
    """Attach a payment method."""
    return answer(actor, intents.attach(actor, intent_id, body.payment_method_id), driving=True)


@surface.post(
    "/intents/{intent_id}/confirm",
    "PY-012",
    body=Confirm,
    returns=IntentView,
    auth=PAYER,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
    key_required=True,
)
def confirm(actor: Actor, intent_id: str, body: Confirm, idempotency_key: str | None) -> Answer:
    """Confirm: authorise at the gateway; may answer requires_action."""
    order = Order(nonce_of(idempotency_key), return_url=body.return_url, off_session=body.off_session)
    done = payments.confirm(actor, intent_id, order, method_id=body.payment_method_id)
    return answer(actor, done, driving=True)


@surface.post(
    "/intents/{intent_id}/capture",
    "PY-014",
    body=Capture,
    returns=CaptureView,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
    key_required=True,
)
def capture(actor: Actor, intent_id: str, body: Capture, idempotency_key: str | None) -> CaptureView:
    """Capture what was authorised, or part of it, which is final and releases the rest."""
    payments.capture(actor, intent_id, body.amount, nonce=nonce_of(idempotency_key))
    return CaptureView.of(charges.latest(actor, intent_id))


@surface.post(
    "/intents/{intent_id}/cancel",
    "PY-015",
    body=CancelAsk,
    returns=IntentView,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def cancel(actor: Actor, intent_id: str, body: CancelAsk) -> Answer:
    """Cancel; a pre-authorisation is released."""
    return answer(actor, payments.cancel(actor, intent_id, body.reason))


@surface.get(
    "/intents/{intent_id}/charges",
    "PY-016",
    query=NumberedQuery,
    returns=pages_of(ChargeView),
    permission="intents:read",
)
def list_charges(actor: Actor, intent_id: str, query: NumberedQuery) -> Listing[ChargeView]:
    """List the intent's charge, authorisation and capture records, newest first."""
    page = charges.of_intent(actor, intent_id, **query.place())
    return Listing[ChargeView].of(page, ChargeView.of)


@surface.get(
    "/intents/{intent_id}/transactions",
    "PY-022",
    query=NumberedQuery,
    returns=pages_of(TransactionView),
    permission="intents:read",
)
def list_transactions(actor: Actor, intent_id: str, query: NumberedQuery) -> Listing[TransactionView]:
    """List the intent's authorisations, captures, refunds and reversals, newest first."""
    page = charges.transactions(actor, intent_id, **query.place())
    return Listing[TransactionView].of(page, TransactionView.of)
