"""Wallet holds: stored value that is promised to a checkout, taken with its order or given back."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Where a part of a gift card or of a customer's credit stands."""

    HELD = "held"
    TAKEN = "taken"
    RELEASED = "released"
    RETURNED = "returned"


class Trigger(StrEnum):
    """What happens to it."""

    APPLIED = "applied"
    CHANGED = "changed"
    TAKEN = "taken"
    RELEASED = "released"
    RETURNED = "returned"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "wallet_hold",
    (
        Edge(None, _T.APPLIED, _S.HELD),
        Edge(_S.HELD, _T.CHANGED, _S.HELD, note="more of it, or less, is applied"),
        Edge(_S.HELD, _T.TAKEN, _S.TAKEN, note="with the order"),
        Edge(_S.HELD, _T.RELEASED, _S.RELEASED),
        Edge(_S.TAKEN, _T.RETURNED, _S.RETURNED, note="the sale was undone"),
    ),
)
