"""MR-001, MR-002: sessions of an amount and a reference."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from app.api.merchant.amounts import Amount
from app.api.merchant.surface import surface
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.domain.lifecycles.checkout_sessions import merchant_word
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.services.checkout import hosted, merchant_sessions
from app.services.checkout.merchant_sessions import ReferenceDraft
from app.web.schemas import Body, Instant, View
from app.web.surface import SERVER, Limit

#: Methods that are paid by scanning a code.
QR_METHODS = frozenset({"promptpay"})


class SessionCreate(Body):
    """What is paid, under the merchant's own reference; names as the contract has them (OP-03)."""

    model_config = ConfigDict(json_schema_extra={"required": ["amount", "currency", "reference"]})

    amount: Amount = Field(None, validate_default=True)
    currency: str = Field(pattern="^[A-Z]{3}$")
    reference: str = Field(min_length=1, max_length=200)
    methodTypes: list[str] = Field(  # noqa: N815 - the contract's spelling
        default_factory=lambda: ["card"], min_length=1, max_length=10
    )
    successUrl: str | None = Field(None, max_length=2000)  # noqa: N815
    cancelUrl: str | None = Field(None, max_length=2000)  # noqa: N815

    def draft(self) -> ReferenceDraft:
        """The draft that the service takes."""
        return ReferenceDraft(
            amount=self.amount,
            currency=self.currency,
            reference=self.reference,
            method_types=tuple(dict.fromkeys(self.methodTypes)),
            success_url=self.successUrl,
            cancel_url=self.cancelUrl,
        )


class SessionCreated(View):
    """A session that waits for its payer."""

    id: str
    redirect_url: str
    qr_image_url: str | None
    status: str
    expires_at: Instant


class SessionStatus(SessionCreated):
    """How a session stands."""

    amount: int
    currency: str
    reference: str | None
    created_at: Instant
    remaining_seconds: int


def _shown(row: CheckoutSession) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "redirect_url": hosted.url_of(row),
        "qr_image_url": hosted.qr_url_of(row) if QR_METHODS.intersection(row.method_types) else None,
        "status": "expired" if hosted.has_lapsed(row) else merchant_word(row.status, row.cancel_reason),
        "expires_at": row.expires_at,
    }


@surface.post(
    "/v1/checkout/sessions",
    "MR-001",
    body=SessionCreate,
    returns=SessionCreated,
    status=201,
    auth=SERVER,
    permission="sessions:write",
    mfa="create-payment",
    limit=Limit(10, "tenant"),
)
def create(actor: Actor, body: SessionCreate) -> SessionCreated:
    """Create a payment checkout session."""
    return SessionCreated(**_shown(merchant_sessions.create(actor, body.draft())))


@surface.get(
    "/v1/checkout/sessions/{session_id}",
    "MR-002",
    returns=SessionStatus,
    auth=SERVER,
    permission="sessions:read",
    limit=Limit(30, "tenant"),
)
def get(actor: Actor, session_id: str) -> SessionStatus:
    """Read a checkout session's status."""
    row = hosted.find_public(actor, session_id)
    if row is None:
        raise NotFound("Checkout session not found")
    left = (row.expires_at - clock.now()).total_seconds()
    return SessionStatus(
        **_shown(row),
        amount=row.grand_total,
        currency=row.currency,
        reference=row.reference,
        created_at=row.created_at,
        remaining_seconds=max(0, int(left)),
    )
