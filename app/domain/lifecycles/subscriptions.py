"""Subscriptions, which are charged again each period until somebody cancels them or nobody pays."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """`past_due`: a renewal was declined, and is tried again."""

    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELED = "canceled"


class Trigger(StrEnum):
    """What happens to a subscription."""

    CREATED = "created"
    RENEWED = "renewed"
    DECLINED = "declined"
    CANCELED = "canceled"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "subscription",
    (
        Edge(None, _T.CREATED, _S.ACTIVE, EventType.SUBSCRIPTION_CREATED),
        Edge(_S.ACTIVE, _T.RENEWED, _S.ACTIVE, EventType.SUBSCRIPTION_RENEWED),
        Edge(_S.PAST_DUE, _T.RENEWED, _S.ACTIVE, EventType.SUBSCRIPTION_RENEWED),
        Edge(_S.ACTIVE, _T.DECLINED, _S.PAST_DUE, EventType.SUBSCRIPTION_PAST_DUE),
        Edge(_S.PAST_DUE, _T.DECLINED, _S.PAST_DUE, EventType.SUBSCRIPTION_PAST_DUE),
        Edge(_S.ACTIVE, _T.CANCELED, _S.CANCELED, EventType.SUBSCRIPTION_CANCELED),
        Edge(_S.PAST_DUE, _T.CANCELED, _S.CANCELED, EventType.SUBSCRIPTION_CANCELED),
    ),
)
