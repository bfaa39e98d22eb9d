"""Named points of a payment at which a test lets the process die (reliability.md, finalisation)."""

from __future__ import annotations

import os

from app import settings

#: Every point of a card payment that finalises by itself, in the order in which it passes them.
POINTS = (
    "started",
    "reserved",
    "auth_submitted",
    "auth_answered",
    "action_required",
    "authorized",
    "capture_submitted",
    "capture_answered",
    "captured",
    "finishing",
    "finished",
)

#: Those of a split payment beside them.
PART_POINTS = ("part_submitted", "part_captured", "part_voided")
#: Further points of POST finalize and its job, before and after those of the capture (`finalize_begun` on).
FINALIZE_POINTS = ("finalize_started", "finalize_begun")
#: And where an order or a receipt is kept by another system.
HANDOVER_POINTS = ("order_answered", "receipt_answered")
#: A renewal is written down, and no gateway has heard of it.
RENEWAL_POINTS = ("renewal_written",)
#: The points of a rollback: after what will be undone is written, and after each of its steps.
ROLLBACK_POINTS = (
    "rollback_begun",
    "rollback_order",
    "rollback_receipt",
    "rollback_wallet",
    "rollback_reservation",
    "rollback_refund_written",
    "rollback_payment",
    "rolled_back",
)


def failpoint(name: str) -> None:
    """Die here, as `kill -9` would, when the test settings name this point; otherwise do nothing."""
    current = settings.current()
    if current.failpoint == name and current.env == "test":
        os._exit(137)
