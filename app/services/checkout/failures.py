"""Failed checkouts, the latest first, with what they failed of (CK-061)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_moment, encode_moment
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent


@dataclass(frozen=True, slots=True)
class Filters:
    """Which failures: their class, and when they happened; `until` itself is left out."""

    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed checkout; `explain` says more of its reason."""

    session: CheckoutSession
    explain: dict[str, Any]

    @property
    def at(self) -> datetime:
        """Since when it has been failed."""
        assert self.session.failed_at is not None, "the list has no other"
        return self.session.failed_at


def list_page(
    actor: Actor, which: Filters, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Failure]:
    """Sessions that are failed now; one that was resolved is no longer among them.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    row = CheckoutSession
    statement = (
        select(row, PaymentIntent.last_error)
        .outerjoin(PaymentIntent, PaymentIntent.id == row.payment_intent_id)
        .where(row.tenant_id == actor.tenant_id, row.mode == actor.mode, row.failed_at.is_not(None))
    )
    if which.reason is not None:
        statement = statement.where(row.failure_reason == which.reason)
    if which.since is not None:
        statement = statement.where(row.failed_at >= which.since)
    if which.until is not None:
        statement = statement.where(row.failed_at < which.until)
    if cursor:
        last = decode_moment(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(tuple_(row.failed_at, row.id) < last)
    ordered = statement.order_by(row.failed_at.desc(), row.id.desc()).limit(limit + 1)
    with reading() as db:
        found = [Failure(session, _explain(session, error)) for session, error in db.execute(ordered)]
    if len(found) <= limit:
        return Page(found)
    last_shown = found[limit - 1]
    return Page(found[:limit], encode_moment(last_shown.at, last_shown.session.id))


def _explain(session: CheckoutSession, error: dict[str, Any] | None) -> dict[str, Any]:
    """A payment says itself what became of it; of anything else the class is all there is."""
    of_payment = session.failure_reason in ("payment_declined", "fraud")
    if of_payment and error is not None and error.get("explain"):
        return dict(error["explain"])
    return {"reason": session.failure_reason}
