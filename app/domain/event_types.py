"""Names of events, and which of them a merchant can subscribe to (OP-17)."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """Events with a name of their own; every other change is `<entity>.<status>`."""

    CHECKOUT_CREATED = "checkout.created"
    CHECKOUT_COMPLETED = "checkout.completed"
    CHECKOUT_FAILED = "checkout.failed"
    CHECKOUT_CANCELED = "checkout.canceled"
    CHECKOUT_ROLLBACK_FAILED = "checkout.rollback_failed"
    CHECKOUT_SESSION_COMPLETED = "checkout.session.completed"
    CHECKOUT_SESSION_EXPIRED = "checkout.session.expired"
    INTENT_CREATED = "payment_intent.created"
    INTENT_UPDATED = "payment_intent.updated"
    INTENT_PROCESSING = "payment_intent.processing"
    INTENT_REQUIRES_ACTION = "payment_intent.requires_action"
    INTENT_CAPTURABLE = "payment_intent.amount_capturable_updated"
    INTENT_CANCELED = "payment_intent.canceled"
    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_FAILED = "payment.failed"
    CAPTURE_FAILED = "payment.capture_failed"
    PAYMENT_NEEDS_REVIEW = "payment.needs_review"
    METHOD_CREATED = "payment_method.created"
    REFUND_CREATED = "refund.created"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    DISPUTE_CREATED = "dispute.created"
    DISPUTE_NEEDS_RESPONSE = "dispute.needs_response"
    DISPUTE_UNDER_REVIEW = "dispute.under_review"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    DISPUTE_CLOSED = "dispute.closed"
    CONNECTOR_CREATED = "connector.created"
    REVIEW_ASSIGNED = "review.assigned"
    ORDER_CREATED = "order.created"
    ORDER_PAID = "order.paid"
    ORDER_SHIPPED = "order.shipped"
    ORDER_DELIVERED = "order.delivered"
    ORDER_CANCELLED = "order.cancelled"
    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_RENEWED = "subscription.renewed"
    SUBSCRIPTION_PAST_DUE = "subscription.past_due"
    SUBSCRIPTION_CANCELED = "subscription.canceled"
    ENDPOINT_DISABLED = "webhook_endpoint.disabled"


#: What endpoints may list.
PUBLISHED = frozenset(
    {
        EventType.CHECKOUT_CREATED,
        EventType.CHECKOUT_COMPLETED,
        EventType.CHECKOUT_FAILED,
        EventType.CHECKOUT_CANCELED,
        EventType.CHECKOUT_ROLLBACK_FAILED,
        EventType.CHECKOUT_SESSION_COMPLETED,
        EventType.CHECKOUT_SESSION_EXPIRED,
        EventType.PAYMENT_SUCCEEDED,
        EventType.PAYMENT_FAILED,
        EventType.REFUND_SUCCEEDED,
        EventType.REFUND_FAILED,
        EventType.DISPUTE_CREATED,
        EventType.DISPUTE_NEEDS_RESPONSE,
        EventType.DISPUTE_UNDER_REVIEW,
        EventType.DISPUTE_WON,
        EventType.DISPUTE_LOST,
        EventType.DISPUTE_CLOSED,
        EventType.ORDER_CREATED,
        EventType.ORDER_PAID,
        EventType.ORDER_SHIPPED,
        EventType.ORDER_DELIVERED,
        EventType.ORDER_CANCELLED,
        EventType.SUBSCRIPTION_CREATED,
        EventType.SUBSCRIPTION_RENEWED,
        EventType.SUBSCRIPTION_PAST_DUE,
        EventType.SUBSCRIPTION_CANCELED,
        EventType.ENDPOINT_DISABLED,
    }
)
