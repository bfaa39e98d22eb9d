"""Subscriptions: read, changed, canceled; they begin with a checkout session (docs/adr/0029)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.services.checkout import subscriptions
from app.services.checkout.subscriptions import Change
from app.web.schemas import Body, Instant, Listing, NumberedQuery, View, pages_of


class SubscriptionChange(Body):
    """What to change; what is left out stays."""

    payment_method_id: str | None = Field(None, min_length=1, max_length=64)
    cancel_at_period_end: bool | None = None
    metadata: dict[str, Any] | None = Field(None, max_length=50)


class SubscriptionCancel(Body):
    """Whether it ends with the period that is paid, or now."""

    at_period_end: bool = True
    reason: str | None = Field(None, min_length=1, max_length=40)


class SubscriptionQuery(NumberedQuery):
    """Which subscriptions."""

    status: Literal["active", "past_due", "canceled"] | None = None
    customer_id: str | None = Field(None, min_length=1, max_length=64)


class SubscriptionView(View):
    """A subscription; `subscription_id` is the UUID of the sessions surface."""

    id: str
    subscription_id: str
    status: str
    customer_id: str | None
    customer: dict[str, Any]
    price_id: str | None
    title: str
    quantity: int
    unit_amount: int
    amount: int
    currency: str
    interval: str
    interval_count: int
    payment_method_id: str
    current_period_start: Instant
    current_period_end: Instant
    cancel_at_period_end: bool
    cancel_reason: str | None
    canceled_at: Instant | None
    checkout_id: str
    metadata: dict[str, Any]
    created_at: Instant

    @classmethod
    def of(cls, row: Subscription) -> SubscriptionView:
        """The view of a row."""
        taken = ("id", "subscription_id", "metadata")
        same = {name: getattr(row, name) for name in cls.model_fields if name not in taken}
        return cls.model_construct(id=row.id, subscription_id=row.public_id, metadata=row.metadata_, **same)


class PeriodView(View):
    """A period: what it costs, and who paid it."""

    number: int
    status: str
    amount: int
    currency: str
    starts_at: Instant
    ends_at: Instant
    payment_intent_id: str | None
    checkout_id: str | None
    tries: int
    next_try_at: Instant | None
    last_error: str | None
    paid_at: Instant | None

    @classmethod
    def of(cls, row: SubscriptionPeriod) -> PeriodView:
        """The view of a row."""
        return cls.model_construct(**{name: getattr(row, name) for name in cls.model_fields})


@surface.get(
    "/subscriptions",
    "OP-83-list",
    query=SubscriptionQuery,
    returns=pages_of(SubscriptionView),
    permission="subscriptions:read",
)
def list_all(actor: Actor, query: SubscriptionQuery) -> Listing[SubscriptionView]:
    """List subscriptions."""
    page = subscriptions.list_page(actor, status=query.status, customer_id=query.customer_id, **query.place())
    return Listing[SubscriptionView].of(page, SubscriptionView.of)


@surface.get(
    "/subscriptions/{subscription_id}",
    "OP-83-get",
    returns=SubscriptionView,
    permission="subscriptions:read",
)
def get(actor: Actor, subscription_id: str) -> SubscriptionView:
    """Read a subscription."""
    return SubscriptionView.of(subscriptions.get(actor, subscription_id))


@surface.get(
    "/subscriptions/{subscription_id}/periods",
    "OP-83-periods",
    query=NumberedQuery,
    returns=pages_of(PeriodView),
    permission="subscriptions:read",
)
def list_periods(actor: Actor, subscription_id: str, query: NumberedQuery) -> Listing[PeriodView]:
    """List the periods of a subscription."""
    page = subscriptions.periods_of(actor, subscription_id, **query.place())
    return Listing[PeriodView].of(page, PeriodView.of)


@surface.patch(
    "/subscriptions/{subscription_id}",
    "OP-83-update",
    body=SubscriptionChange,
    returns=SubscriptionView,
    permission="subscriptions:write",
)
def update(actor: Actor, subscription_id: str, body: SubscriptionChange) -> SubscriptionView:
    """Change how a subscription is paid, or whether it ends with its period."""
    change = Change(body.payment_method_id, body.cancel_at_period_end, body.metadata)
    return SubscriptionView.of(subscriptions.update(actor, subscription_id, change))


@surface.post(
    "/subscriptions/{subscription_id}/cancel",
    "OP-83-cancel",
    body=SubscriptionCancel,
    returns=SubscriptionView,
    permission="subscriptions:write",
)
def cancel(actor: Actor, subscription_id: str, body: SubscriptionCancel) -> SubscriptionView:
    """Cancel a subscription, with its period or now."""
    return SubscriptionView.of(
        subscriptions.cancel(actor, subscription_id, at_period_end=body.at_period_end, reason=body.reason)
    )
