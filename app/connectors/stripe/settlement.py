"""Settlement: Stripe's balance transactions, as one statement for each day (UTC) and currency.

Stripe has no statements of its own that fit every account: a payout names its transactions only where
payouts are automatic. A balance transaction never changes, so a day that is over is a closed statement.

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
        currencies = _currencies(at)
        found = [batch for day in _days(first, end) for batch in _of_day(at, context, day, currencies)]
        return SettlementBatches(tuple(found), complete_until=end)
    except errors.Failure as error:
        return errors.unknown(error)


def lines(context: ConnectorContext, batch: str, cursor: str | None) -> SettlementPage | Unknown:
    """See `Settles.settlement_lines`."""
    day, _, currency = batch.partition(".")
    window = _window(date.fromisoformat(day), currency)
    after = {"starting_after": cursor} if cursor else {}
    try:
        at = api.of(context)
        page = at.get(_TRANSACTIONS, **window, **after, limit=api.PAGE, expand=["data.source"])
        following = page["data"][-1]["id"] if page.get("has_more") and page["data"] else None
        return SettlementPage(tuple(_line(e) for e in page["data"] if _concerns(at, context, e)), following)
    except errors.Failure as error:
        return errors.unknown(error)


def _of_day(
    at: Api, context: ConnectorContext, day: date, currencies: list[str]
) -> Iterator[SettlementBatch]:
    for currency in currencies:
        available_on = _available_on(at, context, _window(day, currency))
        if available_on is not None:
            yield SettlementBatch(
                reference=f"{day.isoformat()}.{currency}",
                currency=currency.upper(),
                settled_at=_midnight(day + timedelta(days=1)),
                available_on=mapping.instant(available_on),
            )


def _available_on(at: Api, context: ConnectorContext, window: dict[str, Any]) -> int | None:
    """When the last of the merchant's money of a window is available; None where there is none of it.

    Lines of one day are available on several: refunds at once, charges after days.
    """
    pages = at.pages(_TRANSACTIONS, **window, expand=["data.source"])
    mine = (entry for page in pages for entry in page if _concerns(at, context, entry))
    return max((entry["available_on"] for entry in mine), default=None)


def _concerns(at: Api, context: ConnectorContext, entry: Json) -> bool:
    """Whether a transaction is the merchant's: all of its own account are, of a shared one those it made."""
    if context.credentials.get("secret_key"):
        return True
    source = entry.get("source")
    if isinstance(source, dict) and source["object"] == "dispute" and source.get("payment_intent"):
        source = at.get(f"/v1/payment_intents/{source['payment_intent']}")
    return isinstance(source, dict) and marks.mine(context, source)


def _currencies(at: Api) -> list[str]:
    """The currencies that the account has a balance in."""
    balance = at.get("/v1/balance")
    return sorted({entry["currency"] for part in ("available", "pending") for entry in balance[part]})


def _days(first: datetime, end: datetime) -> Iterator[date]:
    """The days whose end is at or after `first` and not after `end`."""
    day = first.date() - timedelta(days=1)
    while _midnight(day + timedelta(days=1)) <= end:
        if _midnight(day + timedelta(days=1)) >= first:
            yield day
        day += timedelta(days=1)


def _window(day: date, currency: str) -> dict[str, Any]:
    start, end = _midnight(day), _midnight(day + timedelta(days=1))
    return {
        "currency": currency,
        "created": {"gte": int(start.timestamp()), "lt": int(end.timestamp())},
    }


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
