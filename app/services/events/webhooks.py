"""Webhook endpoints: where a merchant wants to be told, of what, and under which secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor, Mode
from app.domain.errors import InvalidRequest, NotFound, Unprocessable
from app.domain.event_types import PUBLISHED, EventType
from app.kit import clock, signing
from app.kit.http import AddressRefused, address_allowed, check_url
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.events.journal import record
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.operations import secrets_at_rest

MIN_SECRET = 16
MAX_URL = 2048
#: How long a rolled secret still signs (sandbox.md).
OVERLAP = timedelta(hours=24)
#: Why an endpoint is off whose owner wanted that.
SWITCHED_OFF = "switched off"


def create(
    actor: Actor, url: str, events: list[str], *, secret: str | None = None, description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint; the second value is its secret, which is not shown again (decisions.md 16).

    Raises:
        InvalidRequest: URL, event names or secret are not usable.
        Unprocessable: the merchant has as many as it may have.
    """
    _check(actor, url, events, secret)
    plaintext = secret or signing.generate_webhook_secret()
    endpoint_id = new_id("whk")
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        url=url,
        description=description,
        events=sorted(set(events)),
        secret=secrets_at_rest.encrypt(plaintext, actor.tenant_id, endpoint_id, "secret"),
    )
    with transaction(actor) as db:
        queue(db, actor)
        most = settings.current().max_webhook_endpoints
        if len(list_all(actor)) >= most:
            raise Unprocessable(f"There are {most} endpoints already", code="too_many_endpoints")
        db.add(endpoint)
        db.flush()
        _note(db, endpoint, "webhook_endpoint.created")
    return endpoint, plaintext


def list_all(actor: Actor) -> list[WebhookEndpoint]:
    """The merchant's endpoints in this mode, newest first."""
    with reading() as db:
        return list(db.scalars(_mine(actor).order_by(WebhookEndpoint.id.desc())))


def get(actor: Actor, endpoint_id: str, *, deleted: bool = False) -> WebhookEndpoint:
    """One endpoint; with `deleted` also one that was taken away (its deliveries stay to be seen).

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    statement = _all(actor) if deleted else _mine(actor)
    with reading() as db:
        found = db.scalars(statement.where(WebhookEndpoint.id == endpoint_id)).one_or_none()
    if found is None:
        raise NotFound("Webhook endpoint not found")
    return found


def newest_for(actor: Actor, event: str) -> WebhookEndpoint | None:
    """The newest endpoint that is on and lists the event (OP-52)."""
    return next((e for e in list_all(actor) if e.disabled_at is None and event in e.events), None)


def update(
    actor: Actor,
    endpoint_id: str,
    *,
    url: str | None = None,
    events: list[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> WebhookEndpoint:
    """Change what is given. At another address, or switched on again, nobody has failed yet.

    Raises:
        InvalidRequest: URL or event names are not usable.
        NotFound: there is no such endpoint.
    """
    with transaction(actor) as db:
        endpoint = _locked(db, actor, endpoint_id)
        before = facts(endpoint)
        _check(actor, url or endpoint.url, endpoint.events if events is None else events, None)
        if url is not None and url != endpoint.url:
            endpoint.url, endpoint.failing_since = url, None
        endpoint.events = endpoint.events if events is None else sorted(set(events))
        endpoint.description = endpoint.description if description is None else description
        if any(each is not None for each in (url, events, description)):
            _note(db, endpoint, "webhook_endpoint.updated", before=before)
        if enabled is not None and enabled != (endpoint.disabled_at is None):
            _switch(db, endpoint, enabled)
        return endpoint


def roll_secret(actor: Actor, endpoint_id: str, *, secret: str | None = None) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret, shown once; the old one signs beside it for 24 hours.

    Raises:
        InvalidRequest: the secret is too short.
        NotFound: there is no such endpoint.
    """
    _check_secret(secret)
    plaintext = secret or signing.generate_webhook_secret()
    with transaction(actor) as db:
        endpoint = _locked(db, actor, endpoint_id)
        endpoint.previous_secret = endpoint.secret
        endpoint.previous_until = clock.now() + OVERLAP
        endpoint.secret = secrets_at_rest.encrypt(plaintext, actor.tenant_id, endpoint.id, "secret")
        _note(db, endpoint, "webhook_endpoint.secret_rolled")
        return endpoint, plaintext


def delete(actor: Actor, endpoint_id: str) -> None:
    """Take an endpoint away; its deliveries stay to be seen."""
    with transaction(actor) as db:
        endpoint = _locked(db, actor, endpoint_id)
        endpoint.deleted_at = clock.now()
        _note(db, endpoint, "webhook_endpoint.deleted")


def set_enabled(actor: Actor, endpoint_id: str, enabled: bool) -> None:
    """Switch an endpoint on or off."""
    with transaction(actor) as db:
        _switch(db, _locked(db, actor, endpoint_id), enabled)


def _switch(db: Session, endpoint: WebhookEndpoint, enabled: bool) -> None:
    endpoint.disabled_at = None if enabled else clock.now()
    endpoint.disabled_reason = None if enabled else SWITCHED_OFF
    endpoint.failing_since = None
    _note(db, endpoint, "webhook_endpoint.enabled" if enabled else EventType.ENDPOINT_DISABLED)


def in_trouble(actor: Actor) -> list[WebhookEndpoint]:
    """Endpoints that their owner should look at: failing now, or switched off because they did."""
    off = WebhookEndpoint.disabled_at.is_not(None) & (WebhookEndpoint.disabled_reason != SWITCHED_OFF)
    troubled = off | WebhookEndpoint.disabled_at.is_(None) & WebhookEndpoint.failing_since.is_not(None)
    with reading() as db:
        return list(db.scalars(_mine(actor).where(troubled).order_by(WebhookEndpoint.id)))


def secrets_of(endpoint: WebhookEndpoint) -> list[str]:
    """The secrets that sign now: while one is rolled, both."""
    place = (endpoint.tenant_id, endpoint.id, "secret")
    found = [secrets_at_rest.decrypt(endpoint.secret, *place)]
    rolled = endpoint.previous_until is not None and endpoint.previous_until > clock.now()
    if rolled and endpoint.previous_secret is not None:
        found.append(secrets_at_rest.decrypt(endpoint.previous_secret, *place))
    return found


def _check(actor: Actor, url: str, events: list[str], secret: str | None) -> None:
    _check_address(actor, url)
    if not events:
        raise InvalidRequest("Choose at least one event", field="events")
    unknown = set(events) - {str(name) for name in PUBLISHED}
    if unknown:
        raise InvalidRequest(f"There is no event {min(unknown)}", field="events")
    _check_secret(secret)


def _check_address(actor: Actor, url: str) -> None:
    """What can be said of an address before anything is sent; each delivery checks where it leads."""
    try:
        if len(url) > MAX_URL:
            raise AddressRefused("too long")
        check_url(url)
    except AddressRefused as refused:
        raise InvalidRequest("Enter an http or https address", field="url") from refused
    parts = urlsplit(url)
    if actor.mode == Mode.LIVE and parts.scheme != "https":
        raise InvalidRequest("In live mode an endpoint has an https address", field="url")
    loopback = settings.current().loopback_webhooks_allowed
    host = (parts.hostname or "").rstrip(".")
    try:
        public = address_allowed(host, allow_loopback=loopback)
    except ValueError:  # a name
        public = loopback or not (host == "localhost" or host.endswith(".localhost"))
    if not public:
        raise InvalidRequest("Enter an address that can be reached from the internet", field="url")


def _check_secret(secret: str | None) -> None:
    if secret is not None and len(secret) < MIN_SECRET:
        raise InvalidRequest(f"A secret has at least {MIN_SECRET} characters", field="secret")


def _all(actor: Actor) -> Select[WebhookEndpoint]:
    return select(WebhookEndpoint).where(
        WebhookEndpoint.tenant_id == actor.tenant_id, WebhookEndpoint.mode == actor.mode
    )


def _mine(actor: Actor) -> Select[WebhookEndpoint]:
    return _all(actor).where(WebhookEndpoint.deleted_at.is_(None))


def _locked(db: Session, actor: Actor, endpoint_id: str) -> WebhookEndpoint:
    """One endpoint, to be changed: whoever comes at the same time waits, and sees what was done."""
    statement = _mine(actor).where(WebhookEndpoint.id == endpoint_id)
    found = db.scalars(statement.with_for_update(key_share=True)).one_or_none()
    if found is None:
        raise NotFound("Webhook endpoint not found")
    return found


def queue(db: Session, actor: Actor) -> None:
    """Let those who count a merchant's things, and then add some, do it one after the other."""
    db.execute(select(Tenant.id).where(Tenant.id == actor.tenant_id).with_for_update(key_share=True))


def facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What the journal and receivers are told of an endpoint."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "disabled_reason": endpoint.disabled_reason,
    }


def _note(db: Session, endpoint: WebhookEndpoint, type_: str, before: dict[str, Any] | None = None) -> None:
    record(
        db,
        type_,
        tenant_id=endpoint.tenant_id,
        mode=endpoint.mode,
        entity="webhook_endpoint",
        entity_id=endpoint.id,
        cause="api",
        before=before,
        after=facts(endpoint),
    )
