"""Periods of subscriptions: where each begins, and when a renewal that was declined is tried again."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta

INTERVALS = ("day", "week", "month", "year")

#: Days from one declined try of a renewal to the next; after the last the subscription ends.
DUNNING_DAYS = (1, 3, 5, 7)

#: Declines that stand: a card that was declined so is not asked again, another one is.
FINAL_DECLINES = frozenset(
    {
        "lost_card",
        "stolen_card",
        "fraudulent",
        "incorrect_number",
        "payment_method_revoked",
        "consent_required",
    }
)


def start_of(anchor: datetime, interval: str, count: int, number: int) -> datetime:
    """Where the period of that number begins (1 at the anchor), `count` intervals each.

    Counted from the anchor, so that what began on the 31st is due on the last day of shorter months and on
    the 31st again after them.
    """
    steps = count * (number - 1)
    if interval in ("day", "week"):
        return anchor + timedelta(days=steps * (7 if interval == "week" else 1))
    months = anchor.month - 1 + steps * (12 if interval == "year" else 1)
    year, month = anchor.year + months // 12, months % 12 + 1
    day = min(anchor.day, calendar.monthrange(year, month)[1])
    return anchor.replace(year=year, month=month, day=day)


def dunning_delay(declined: int) -> timedelta | None:
    """How long to wait after so many declined tries; None when it is enough."""
    return timedelta(days=DUNNING_DAYS[declined - 1]) if declined <= len(DUNNING_DAYS) else None
