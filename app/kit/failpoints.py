"""Named points of a payment at which a test lets the process die (reliability.md, finalisation)."""

from __future__ import annotations

import os

from app import settings

#: Every point, in the order in which a card payment passes them.
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


def failpoint(name: str) -> None:
    """Die here, as `kill -9` would, when the test settings name this point; otherwise do nothing."""
    current = settings.current()
    if current.failpoint == name and current.env == "test":
        os._exit(137)
