"""Settlement: Stripe's balance transactions, as one statement for each day (UTC) and currency.

Stripe has no statements of its own that fit every account: a payout names its transactions only where
payouts are automatic. A balance transaction never changes, so a day that is over is a closed statement.

A capture in part is booked twice: all that was authorised, and the rest back, as a refund without our
metadata (docs.stripe.com/reports/reporting-categories). Here that is one line, of what was captured.

Several merchants may share the deployment's account. Each then sees the lines of its own payments, refunds
and disputes, with their fees; the account's other fees and its payouts are the operator's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from app.connectors.base import ConnectorContext, Unknown
from app.connectors.settling import (
    LineType,
    SettlementBatch,
    SettlementBatches,
    SettlementLine,
    SettlementPage,
)
from app.connectors.stripe import api, errors, mapping, marks
from app.connectors.stripe.amounts import from_stripe
from app.connectors.stripe.api import Api, Json
from app.kit import clock

_TRANSACTIONS = "/v1/balance_transactions"
_RELEASED = "partial_capture_reversal"

#: How far back the first reading goes: further than Stripe takes to settle anything.
FIRST_DAYS = 60
#: A day is closed so long after its end.
CLOSING = timedelta(hours=1)

_TYPES = {
    "charge": LineType.CHARGE,
    "payment": LineType.CHARGE,
    "refund": LineType.REFUND,
    "payment_refund": LineType.REFUND,
    "refund_failure": LineType.REFUND,
    "payment_failure_refund": LineType.REFUND,
    "payout": LineType.PAYOUT,
    "payout_cancel": LineType.PAYOUT,
    "payout_failure": LineType.PAYOUT,
}


def batches(context: ConnectorContext, since: datetime | None) -> SettlementBatches | Unknown:
    """See `Settles.settlement_batches`; without `since` the last `FIRST_DAYS` days."""
    end = _midnight((clock.now() - CLOSING).date())
    first = since.astimezone(UTC) if since is not None else end - timedelta(days=FIRST_DAYS)
    try:
        at = api.of(context)
        found = [batch for day in _days(first, end) for batch in _of_day(at, context, day)]
        return SettlementBatches(tuple(found), complete_until=end)
    except errors.Failure as error:
        return errors.unknown(error)


def lines(context: ConnectorContext, batch: str, cursor: str | None) -> SettlementPage | Unknown:
    """See `Settles.settlement_lines`."""
    day, _, currency = batch.partition(".")
    window = _window(date.fromisoformat(day))
    after = {"starting_after": cursor} if cursor else {}
    try:
        at = api.of(context)
        more = {**window, **after, "limit": api.PAGE, "expand": ["data.source"]}
        page = at.get(_TRANSACTIONS, currency=currency, **more)
        following = page["data"][-1]["id"] if page.get("has_more") and page["data"] else None
        mine = (entry for entry in page["data"] if _concerns(at, context, entry))
        return SettlementPage(tuple(_line(_whole(at, entry)) for entry in mine), following)
    except errors.Failure as error:
        return errors.unknown(error)


def _of_day(at: Api, context: ConnectorContext, day: date) -> Iterator[SettlementBatch]:
    """The statements of a day, one for each currency; all of its money is available when the last line is."""
    available: dict[str, int] = {}
    for page in at.pages(_TRANSACTIONS, **_window(day), expand=["data.source"]):
        for entry in page:
            if _concerns(at, context, entry):
                currency = entry["currency"]
                available[currency] = max(available.get(currency, 0), entry["available_on"])
    for currency in sorted(available):
        yield SettlementBatch(
            reference=f"{day.isoformat()}.{currency}",
            currency=currency.upper(),
            settled_at=_midnight(day + timedelta(days=1)),
            available_on=mapping.instant(available[currency]),
        )


def _concerns(at: Api, context: ConnectorContext, entry: Json) -> bool:
    """Whether a transaction is the merchant's: all of its own account are, of a shared one those it made."""
    if entry.get("reporting_category") == _RELEASED:
        return False  # it is in its charge's line
    if context.credentials.get("secret_key"):
        return True
    source = entry.get("source")
    if not isinstance(source, dict):
        return False
    named = marks.TENANT in (source.get("metadata") or {})
    if not named and source["object"] in ("dispute", "refund") and source.get("payment_intent"):
        source = at.get(f"/v1/payment_intents/{source['payment_intent']}")  # made by Stripe, or by hand there
    return marks.mine(context, source)


def _whole(at: Api, entry: Json) -> Json:
    """A charge together with what was booked back of it when only a part was captured."""
    source = entry.get("source")
    if not isinstance(source, dict) or source["object"] != "charge":
        return entry
    if source.get("amount_captured") in (None, source["amount"]):
        return entry
    found = at.pages("/v1/refunds", charge=source["id"], expand=["data.balance_transaction"])
    moved = [refund["balance_transaction"] for page in found for refund in page]
    back = [m for m in moved if isinstance(m, dict) and m["reporting_category"] == _RELEASED]
    return entry | {name: sum(m[name] for m in [entry, *back]) for name in ("amount", "fee", "net")}


def _days(first: datetime, end: datetime) -> Iterator[date]:
    """The days whose end is at or after `first` and not after `end`."""
    day = first.date() - timedelta(days=1)
    while _midnight(day + timedelta(days=1)) <= end:
        if _midnight(day + timedelta(days=1)) >= first:
            yield day
        day += timedelta(days=1)


def _window(day: date) -> dict[str, Any]:
    start, end = _midnight(day), _midnight(day + timedelta(days=1))
    return {"created": {"gte": int(start.timestamp()), "lt": int(end.timestamp())}}


def _line(entry: Json) -> SettlementLine:
    source, currency = entry.get("source"), entry["currency"].upper()
    disputed = isinstance(source, dict) and source["object"] == "dispute"
    return SettlementLine(
        line_id=entry["id"],
        type=LineType.DISPUTE if disputed else _TYPES.get(entry["type"], LineType.FEE),
        reference=_reference(source),
        gross=from_stripe(entry["amount"], currency),
        fee=from_stripe(entry["fee"], currency),
        net=from_stripe(entry["net"], currency),
        currency=currency,
        settled_at=mapping.created(entry),
        available_on=mapping.instant(entry["available_on"]),
    )


def _reference(source: Json | str | None) -> str | None:
    if not isinstance(source, dict):
        return source
    if source["object"] == "charge" and source.get("payment_intent"):
        return str(source["payment_intent"])
    return str(source["id"])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
