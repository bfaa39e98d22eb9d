"""Deliveries: leased, posted, signed in both styles, tried again, exhausted (reliability.md 25-28)."""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog
from sqlalchemy import ColumnElement, ScalarSelect, Select, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.domain.event_types import EventType
from app.domain.lifecycles import deliveries as lifecycle
from app.domain.rules.retry import delivery_delay
from app.kit import clock, signing
from app.kit.http import AddressRefused, Answer, ConnectionFailed, SafeClient
from app.kit.ids import new_id, random_token
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.events.delivery import Delivery, DeliveryAttempt
from app.models.events.journal import record
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import webhooks
from app.services.operations import alerts, paging

log = structlog.get_logger("till.events")

#: Longer than the 15 seconds that a receiver may take.
LEASE_SECONDS = 40
MAX_IN_FLIGHT_PER_ENDPOINT = 2
#: An endpoint that has failed for this long is switched off.
FAILING_FOR = timedelta(days=5)

_S, _T = lifecycle.Status, lifecycle.Trigger


def due(limit: int = 50) -> list[str]:
    """Deliveries that may be sent now, lapsed leases among them; at most two at once per endpoint.

    An endpoint that has its two is left out and the search goes on, so that a slow one with a long
    queue never hides what is due for the others.
    """
    now = clock.now()
    chosen: list[str] = []
    with reading() as db:
        flying: dict[str, int] = {row[0]: row[1] for row in db.execute(_in_flight(now))}
        while len(chosen) < limit:
            full = [e for e, count in flying.items() if count >= MAX_IN_FLIGHT_PER_ENDPOINT]
            rows = db.execute(_due(now, full, limit).where(Delivery.id.not_in(chosen))).all()
            for delivery_id, endpoint_id in rows:
                if flying.get(endpoint_id, 0) < MAX_IN_FLIGHT_PER_ENDPOINT:
                    flying[endpoint_id] = flying.get(endpoint_id, 0) + 1
                    chosen.append(delivery_id)
            if len(rows) < limit:
                break
    return chosen[:limit]


def _due(now: datetime, full: list[str], limit: int) -> Select[str, str]:
    waiting = Delivery.status.in_((_S.PENDING, _S.RETRY_WAIT)) & (Delivery.due_at <= now)
    lapsed = (Delivery.status == _S.LEASED) & (Delivery.lease_until < now)
    return (
        select(Delivery.id, Delivery.endpoint_id)
        .where(or_(waiting, lapsed), Delivery.endpoint_id.not_in(full))
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
    )


def _in_flight(now: datetime) -> Select[str, int]:
    return (
        select(Delivery.endpoint_id, func.count()).where(_live(Delivery, now)).group_by(Delivery.endpoint_id)
    )


def _live(row: type[Delivery], now: datetime) -> ColumnElement[bool]:
    """Whether a delivery is being sent; there is an index of the few that have a `lease_until`."""
    return (row.status == _S.LEASED) & (row.lease_until >= now)


def claim(
    delivery_id: str, *, lease_seconds: int = LEASE_SECONDS, beside_others: bool = False
) -> Delivery | None:
    """Lease a due delivery with a fresh fencing token; None when another worker has it.

    None, too, while two others of the same endpoint are being sent: what `due` chose may be out of date by
    now, or have been chosen by two workers at once. It stays due and is chosen again when one of those has
    ended. `beside_others` leases it all the same (test events).
    """
    now = clock.now()
    fresh = Delivery.status.in_((_S.PENDING, _S.RETRY_WAIT)) & (Delivery.due_at <= now)
    lapsed = (Delivery.status == _S.LEASED) & (Delivery.lease_until < now)
    claimed = (
        update(Delivery)
        .where(Delivery.id == delivery_id, or_(fresh, lapsed))
        .values(
            status=str(_S.LEASED),
            tries=Delivery.tries + 1,
            lease_token=random_token(),
            lease_until=now + timedelta(seconds=lease_seconds),
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    with transaction() as db:
        if not beside_others:
            db.execute(_endpoint_of(delivery_id))
            claimed = claimed.where(_beside(now) < MAX_IN_FLIGHT_PER_ENDPOINT)
        if not db.execute(claimed).rowcount:  # type: ignore[attr-defined]
            return None
        return db.get_one(Delivery, delivery_id, populate_existing=True)


def _endpoint_of(delivery_id: str) -> Select[str]:
    """The lock under which one after the other counts what is in flight to an endpoint, and adds to it.

    Always taken before a delivery's own. SQLite, whose writers queue, has no need of it.
    """
    mine = select(Delivery.endpoint_id).where(Delivery.id == delivery_id).scalar_subquery()
    return select(WebhookEndpoint.id).where(WebhookEndpoint.id == mine).with_for_update(key_share=True)


def _beside(now: datetime) -> ScalarSelect[int]:
    other = aliased(Delivery)
    count = select(func.count()).where(other.endpoint_id == Delivery.endpoint_id, _live(other, now))
    return count.scalar_subquery()


def deliver(delivery: Delivery, client: SafeClient, *, last: bool = False) -> bool:
    """Post a leased delivery and record what came back; whether the receiver took it.

    `last` says that no other try follows (test events). What waits for an endpoint that was deleted or
    switched off is given up without a call.
    """
    with reading() as db:
        endpoint = db.get_one(WebhookEndpoint, delivery.endpoint_id)
    if endpoint.deleted_at is not None or endpoint.disabled_at is not None:
        return _record(delivery, clock.now(), None, "the endpoint is switched off", last=True)
    started, body = clock.now(), delivery.body.encode()
    answer: Answer | None = None
    error: str | None = None
    try:
        answer = client.post(endpoint.url, body, _headers(delivery, endpoint, started))
    except (AddressRefused, ConnectionFailed) as failed:
        error = str(failed)
    except Exception as failed:  # else its lease would lapse and it be tried for ever, before all others
        log.exception("delivery_broke", delivery_id=delivery.id)
        error = f"it could not be sent: {type(failed).__name__}"
    return _record(delivery, started, answer, error, last=last)


def _record(
    seen: Delivery, started: datetime, answer: Answer | None, error: str | None, *, last: bool
) -> bool:
    taken = answer is not None and 200 <= answer.status < 300
    with transaction() as db:
        endpoint = db.get_one(WebhookEndpoint, seen.endpoint_id, with_for_update={"key_share": True})
        row = db.get_one(Delivery, seen.id, with_for_update=True)
        db.execute(insert(DeliveryAttempt), _attempt_row(seen, started, answer, error))
        if row.lease_token != seen.lease_token:
            return taken
        if taken:
            row.move(_T.DELIVERED, delivered_at=clock.now(), lease_token=None, lease_until=None)
            endpoint.failing_since = None
        else:
            _defer(db, row, endpoint, answer, last=last)
    return taken


def _defer(
    db: Session, row: Delivery, endpoint: WebhookEndpoint, answer: Answer | None, *, last: bool
) -> None:
    now = clock.now()
    delay = None if last else delivery_delay(row.tries)
    gone = answer is not None and answer.status == 410
    if endpoint.disabled_at is None and endpoint.deleted_at is None:
        endpoint.failing_since = endpoint.failing_since or now
        if gone or now - endpoint.failing_since > FAILING_FOR:
            _switch_off(db, endpoint, "answered 410 Gone" if gone else "failed for five days")
    if endpoint.disabled_at is not None or delay is None:
        row.move(_T.EXHAUSTED, lease_token=None, lease_until=None)
        return
    wait = max(delay, _retry_after(answer))
    row.move(_T.DEFERRED, due_at=now + timedelta(seconds=wait), lease_token=None, lease_until=None)


def _switch_off(db: Session, endpoint: WebhookEndpoint, reason: str) -> None:
    """Its owner is told by the dashboard and, at another endpoint, by the event; the operator by an alert."""
    endpoint.disabled_at, endpoint.disabled_reason = clock.now(), reason
    record(
        db,
        EventType.ENDPOINT_DISABLED,
        tenant_id=endpoint.tenant_id,
        mode=endpoint.mode,
        entity="webhook_endpoint",
        entity_id=endpoint.id,
        cause="delivery",
        after=webhooks.facts(endpoint),
    )
    alerts.raise_alert(
        db,
        str(EventType.ENDPOINT_DISABLED),
        tenant_id=endpoint.tenant_id,
        mode=endpoint.mode,
        entity_id=endpoint.id,
    )


def _retry_after(answer: Answer | None) -> int:
    """What the receiver asks for: seconds or an HTTP date (RFC 9110, 10.2.3), at most a day."""
    value = (answer.headers.get("retry-after") or "").strip() if answer is not None else ""
    if value.isascii() and value.isdigit() and len(value) < 9:
        return min(int(value), 86_400)
    try:
        wait = (parsedate_to_datetime(value) - clock.now()).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date, or one without its zone, or in no calendar
        return 0
    return min(max(round(wait), 0), 86_400)


def _attempt_row(
    delivery: Delivery, started: datetime, answer: Answer | None, error: str | None
) -> dict[str, object]:
    text = answer.body.decode("utf-8", "replace").replace("\x00", "") if answer else None
    return {
        "id": new_id("dla"),
        "delivery_id": delivery.id,
        "number": delivery.tries,
        "started_at": started,
        "duration_ms": answer.duration_ms if answer else int((clock.now() - started).total_seconds() * 1000),
        "http_status": answer.status if answer else None,
        "error": error,
        "answer": text,
    }


def get(actor: Actor, delivery_id: str) -> tuple[Delivery, list[DeliveryAttempt]]:
    """A delivery with what each attempt brought.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    tries = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery_id)
    with reading() as db:
        found = db.scalars(mine(actor).where(Delivery.id == delivery_id)).one_or_none()
        if found is None:
            raise NotFound("Delivery not found")
        return found, list(db.scalars(tries.order_by(DeliveryAttempt.number)))


def list_page(
    actor: Actor,
    *,
    endpoint_id: str | None = None,
    event_id: str | None = None,
    statuses: tuple[str, ...] = (),
    off: bool | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[Delivery]:
    """Deliveries of this merchant, newest first; `off`: of endpoints that are off or gone, or on."""
    statement = mine(actor)
    if endpoint_id:
        statement = statement.where(Delivery.endpoint_id == endpoint_id)
    if event_id:
        statement = statement.where(Delivery.event_id == event_id)
    if statuses:
        statement = statement.where(Delivery.status.in_(statuses))
    if off is not None:
        statement = statement.where(Delivery.endpoint_id.in_(_that_are(actor, off)))
    return paging.newest_first(statement, Delivery.id, limit=limit, cursor=cursor, page=page)


def _that_are(actor: Actor, off: bool) -> Select[str]:
    gone = WebhookEndpoint.disabled_at.is_not(None) | WebhookEndpoint.deleted_at.is_not(None)
    return select(WebhookEndpoint.id).where(
        WebhookEndpoint.tenant_id == actor.tenant_id, gone if off else ~gone
    )


def as_curl(actor: Actor, delivery_id: str) -> str:
    """A command that posts what a delivery carries, signed as of now: it shows no secret.

    Raises:
        NotFound: there is no such delivery of this merchant.
    """
    row, _ = get(actor, delivery_id)
    endpoint = webhooks.get(actor, row.endpoint_id, deleted=True)
    headers = _headers(row, endpoint, clock.now())
    words = ["curl", "-i", "-X", "POST", endpoint.url]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "--data-binary", row.body])


def _headers(row: Delivery, endpoint: WebhookEndpoint, at: datetime) -> dict[str, str]:
    secrets = webhooks.secrets_of(endpoint)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Till-Webhooks/1",
        **signing.webhook_headers(row.event_id, row.body.encode(), secrets, at),
    }


def new_client() -> SafeClient:
    """The client that deliveries go out by."""
    return SafeClient(allow_loopback=settings.current().loopback_webhooks_allowed)


def mine(actor: Actor) -> Select[Delivery]:
    """The deliveries of this merchant and mode."""
    return select(Delivery).where(Delivery.tenant_id == actor.tenant_id, Delivery.mode == actor.mode)
