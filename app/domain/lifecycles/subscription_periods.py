"""Periods of subscriptions: each is owed once, and paid once or not at all."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """`failed`: nobody paid it in time; `void`: the subscription was canceled meanwhile."""

    OPEN = "open"
    PAID = "paid"
    FAILED = "failed"
    VOID = "void"


class Trigger(StrEnum):
    """What happens to a period."""

    OPENED = "opened"
    BOUGHT = "bought"
    PAID = "paid"
    GIVEN_UP = "given_up"
    VOIDED = "voided"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "subscription_period",
    (
        Edge(None, _T.OPENED, _S.OPEN),
        Edge(None, _T.BOUGHT, _S.PAID),
        Edge(_S.OPEN, _T.PAID, _S.PAID),
        Edge(_S.OPEN, _T.GIVEN_UP, _S.FAILED),
        Edge(_S.OPEN, _T.VOIDED, _S.VOID),
    ),
)
