"""MR-003: refunds by the id of a payment or of its session."""

from __future__ import annotations

from pydantic import Field

from app.api.merchant.amounts import MaybeAmount
from app.api.merchant.surface import surface
from app.domain.actor import Actor
from app.domain.lifecycles.refunds import Status
from app.domain.permissions import REFUNDS_CREATE
from app.models.payments.refund import Refund
from app.services.checkout import merchant_refunds
from app.web.schemas import Body, View
from app.web.surface import CONFIRMED, Idempotency, Limit


class RefundCreate(Body):
    """What goes back; without an amount all that is left. `paymentId` may be that of a checkout session."""

    amount: MaybeAmount = None
    paymentId: str = Field(min_length=1, max_length=64)  # noqa: N815 - the contract's spelling
    reason: str | None = Field(None, max_length=500)


class RefundMade(View):
    """A refund on its way, or `failed`; `providerRefundId` is null until the gateway has taken it."""

    refundId: str  # noqa: N815
    status: str
    amount: int
    providerRefundId: str | None  # noqa: N815

    @classmethod
    def of(cls, row: Refund) -> RefundMade:
        """The view of a row."""
        failed = row.status == Status.FAILED
        return cls(
            refundId=row.id,
            status=str(Status.FAILED if failed else Status.PENDING),  # how it ends is told by its events
            amount=row.amount,
            providerRefundId=row.gateway_reference,
        )


@surface.post(
    "/v1/refunds",
    "MR-003",
    body=RefundCreate,
    returns=RefundMade,
    status=201,
    auth=CONFIRMED,
    permission=REFUNDS_CREATE,
    mfa="refund",
    limit=Limit(5, "tenant"),
    idempotency=Idempotency.LEASED,
)
def create(actor: Actor, body: RefundCreate, idempotency_key: str | None) -> RefundMade:
    """Refund a payment."""
    made = merchant_refunds.create(actor, body.paymentId, body.amount, body.reason, key=idempotency_key)
    return RefundMade.of(made)
