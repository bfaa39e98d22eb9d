"""PY-001 to PY-007: payment methods and the vault."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.models.payments.method import PaymentMethod
from app.models.payments.verification import MethodVerification
from app.services.payments import methods, saved_methods, verifications
from app.services.payments.methods import MethodDraft
from app.services.payments.saved_methods import MethodChange
from app.web.endpoint import Answer
from app.web.method_fields import NUMBER_FIELDS, Details
from app.web.method_views import MethodView
from app.web.schemas import Body, Instant, Integer, Listing, NumberedQuery, View, pages_of
from app.web.surface import Idempotency
from app.web.versions import etag, expected_version

MethodType = Literal["card", "bank_account", "apple_pay", "google_pay", "paypal", "sepa_debit"]
CustomerId = Annotated[str, Field(min_length=1, max_length=64)]
Token = Annotated[str, Field(min_length=1, max_length=128)]
Metadata = Annotated[dict[str, Any], Field(max_length=saved_methods.MAX_METADATA)]


class ServerSide(Details):
    """The form of a merchant's server: a token, or in test mode the details of a published test value."""

    token: Token | None = None


class MethodCreate(Body):
    """What a method is made from: a token, or `payment_method`."""

    type: MethodType | None = None
    token: Token | None = None
    payment_method: ServerSide | None = None
    customer_id: CustomerId | None = None
    consent: bool | None = None
    save_method: bool = False
    metadata: Metadata = Field(default_factory=dict)

    def draft(self) -> MethodDraft:
        """The draft that the service takes.

        Raises:
            InvalidRequest: no source, or more than one.
        """
        nested = self.payment_method or ServerSide()
        given = nested.given()
        sources: list[tuple[str, Any]] = []
        if self.token is not None:
            sources.append(("token", self.token))
        if nested.token is not None:
            sources.append(("payment_method.token", nested.token))
        if given is not None:
            sources.append((f"payment_method.{given[0]}", given[1]))
        if len(sources) != 1:
            text = "Send a token" if not sources else "Send one token, or the details of one method"
            raise InvalidRequest(
                text, code="missing_field" if not sources else "invalid_field", field="token"
            )
        place, source = sources[0]
        return MethodDraft(
            source,
            place,
            self.type,
            self.customer_id,
            self.consent,
            self.save_method,
            self.metadata,
        )


class Attach(Body):
    """Whom a method is kept for, with the customer's consent."""

    payment_method_id: str = Field(min_length=1, max_length=64)
    customer_id: CustomerId | None = None
    merchant_account_id: str | None = Field(None, min_length=1, max_length=40)
    consent: bool | None = None


class MethodPatch(Body):
    """A change; what is not sent stays. A metadata value of null takes its key away."""

    nickname: str | None = Field(None, max_length=100)
    metadata: Metadata | None = None
    is_default: bool | None = None
    version: Integer | None = Field(None, ge=1)

    def change(self) -> MethodChange:
        """The change that the service takes; the nickname is a metadata value."""
        metadata = self.metadata
        if "nickname" in self.model_fields_set:
            metadata = {**(metadata or {}), "nickname": self.nickname}
        return MethodChange(metadata, self.is_default, expected_version(self.version))


class Verify(Body):
    """Which proof; `amounts`, in minor units, confirm two deposits."""

    payment_method_id: str = Field(min_length=1, max_length=64)
    type: Literal["micro_deposit", "bank_verification", "3ds_enrollment"]
    amounts: list[Annotated[Integer, Field(ge=1, le=99_999)]] | None = Field(None, min_length=2, max_length=2)


class VerificationView(View):
    """A proof that a method is the customer's."""

    id: str
    verification_id: str
    payment_method_id: str
    type: str
    status: str
    reason: str | None
    tries_left: int | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: MethodVerification) -> VerificationView:
        """The view of a row."""
        return cls.model_construct(
            id=row.id,
            verification_id=row.id,
            payment_method_id=row.method_id,
            type=row.type,
            status=row.status,
            reason=row.reason,
            tries_left=row.tries_left,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class OfCustomer(NumberedQuery):
    """Whose methods."""

    customer_id: CustomerId


@surface.post(
    "/methods",
    "PY-001",
    body=MethodCreate,
    returns=MethodView,
    status=201,
    permission="methods:write",
    idempotency=Idempotency.LEASED,
    card_fields=tuple(f"payment_method.{field}" for field in NUMBER_FIELDS),
)
def create(actor: Actor, body: MethodCreate) -> Answer:
    """Create a payment method from a token, or from a published test value."""
    return _answer(methods.create(actor, body.draft()))


@surface.post("/methods/attach", "PY-002", body=Attach, returns=MethodView, permission="methods:attach")
def attach(actor: Actor, body: Attach) -> Answer:
    """Keep a method for a customer or a merchant account."""
    if body.customer_id is None and body.merchant_account_id is None:
        raise InvalidRequest("customer_id is required", code="missing_field", field="customer_id")
    return _answer(
        saved_methods.attach(
            actor,
            body.payment_method_id,
            customer_id=body.customer_id,
            merchant_account_id=body.merchant_account_id,
            consent=body.consent,
        )
    )


@surface.get("/methods/{payment_method_id}", "PY-003", returns=MethodView, permission="methods:read")
def get(actor: Actor, payment_method_id: str) -> Answer:
    """Read a payment method."""
    return _answer(methods.get(actor, payment_method_id))


@surface.get(
    "/methods",
    "PY-004",
    query=OfCustomer,
    returns=pages_of(MethodView),
    permission="methods:read",
)
def of_customer(actor: Actor, query: OfCustomer) -> Listing[MethodView]:
    """List a customer's methods, newest first; by `cursor`, or by `page` with a total."""
    page = saved_methods.list_page(actor, query.customer_id, **query.place())
    return Listing[MethodView].of(page, MethodView.of)


@surface.patch(
    "/methods/{payment_method_id}", "PY-005", body=MethodPatch, returns=MethodView, permission="methods:write"
)
def update(actor: Actor, payment_method_id: str, body: MethodPatch) -> Answer:
    """Change nickname, metadata and the default flag."""
    return _answer(saved_methods.update(actor, payment_method_id, body.change()))


@surface.delete("/methods/{payment_method_id}", "PY-006", status=204, permission="methods:write")
def revoke(actor: Actor, payment_method_id: str) -> None:
    """Revoke a payment method for good."""
    saved_methods.revoke(actor, payment_method_id, version=expected_version(None))


@surface.post(
    "/methods/verify",
    "PY-007",
    body=Verify,
    returns=VerificationView,
    permission="methods:write",
    idempotency=Idempotency.LEASED,
)
def verify(actor: Actor, body: Verify) -> VerificationView:
    """Verify a method: micro-deposits, a bank's word, or 3-D Secure enrolment."""
    amounts = (body.amounts[0], body.amounts[1]) if body.amounts else None
    return VerificationView.of(verifications.verify(actor, body.payment_method_id, body.type, amounts))


def _answer(row: PaymentMethod) -> Answer:
    return Answer(MethodView.of(row), etag(row.version))
