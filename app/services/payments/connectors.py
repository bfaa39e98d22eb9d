"""Connectors: a merchant's accounts at gateways, their credentials and test (PY-034 to PY-039, OP-38).

A type that no connector here is of can be stored, so that a configuration may be prepared; it stands as
`error` with the reason `connector_not_installed` and never takes a payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from app.connectors import registry
from app.connectors.configuring import Ping
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound, Unprocessable
from app.domain.lifecycles.connectors import LIFECYCLE, Status, Trigger
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.events.journal import record
from app.models.payments.attempt import Attempt
from app.models.payments.connector import ConnectorAccount, RoutingRule
from app.services.operations import connector_configs, paging
from app.services.payments import gateway, routing

#: All of them are read for each payment: a bound on what one merchant makes of that.
MAX_CONNECTORS = 50
#: How long a rotated secret may still be good for webhooks, in seconds.
MAX_GRACE_SECONDS = 7 * 24 * 3600

NOT_INSTALLED, REFUSED = "connector_not_installed", "credentials_refused"


@dataclass(frozen=True, slots=True)
class ConnectorDraft:
    """What a connector is made from; the lower number of two priorities is tried first."""

    name: str
    type: str
    config: Mapping[str, str | None] = field(repr=False)
    priority: int = 100
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectorChange:
    """What is given is changed; `values` are name, priority and region, `status` is active or disabled."""

    values: Mapping[str, Any]
    config: Mapping[str, str | None] | None = field(default=None, repr=False)
    status: str | None = None
    version: int | None = None


def create(actor: Actor, draft: ConnectorDraft) -> ConnectorAccount:
    """Add a connector.

    Raises:
        InvalidRequest: the configuration is not one of this type.
        Unprocessable: the merchant has as many as it may have.
    """
    config = connector_configs.merge(draft.type, {}, draft.config)
    installed = registry.get(draft.type) is not None
    account = ConnectorAccount(
        id=new_id("con"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        name=draft.name,
        type=draft.type,
        priority=draft.priority,
        region=draft.region,
        status=str(Status.ACTIVE if installed else Status.ERROR),
        status_reason=None if installed else NOT_INSTALLED,
    )
    account.config = connector_configs.encrypt(config, account.tenant_id, account.id)
    with transaction(actor) as db:
        count = select(func.count()).select_from(_mine(actor).subquery())
        if (db.scalar(count) or 0) >= MAX_CONNECTORS:
            raise Unprocessable(f"There are {MAX_CONNECTORS} connectors already", code="too_many_connectors")
        db.add(account)
        account.begin(cause="api")
    routing.look_again(actor)
    return account


def get(actor: Actor, connector_id: str) -> ConnectorAccount:
    """One connector of this merchant and mode.

    Raises:
        NotFound: there is none, it was deleted, or it is another merchant's.
    """
    with reading() as db:
        return find(db, actor, connector_id)


def find(db: Session, actor: Actor, connector_id: str, *, lock: bool = False) -> ConnectorAccount:
    """See `get`; in the caller's transaction, locked when asked."""
    statement = _mine(actor).where(ConnectorAccount.id == connector_id)
    found = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Connector not found", code="connector_not_found")
    return found


def list_page(
    actor: Actor,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
    status: str | None = None,
) -> Page[ConnectorAccount]:
    """Connectors of this merchant, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    if status:
        statement = statement.where(ConnectorAccount.status == status)
    return paging.newest_first(statement, ConnectorAccount.id, limit=limit, cursor=cursor, page=page)


def change(actor: Actor, connector_id: str, change: ConnectorChange) -> ConnectorAccount:
    """Change what is given; credentials that are replaced here are no longer good for anything at once.

    Raises:
        InvalidRequest: the configuration is not one of this type.
        Unprocessable: it cannot be switched on, since no connector of its type is installed.
        VersionConflict: it changed since it was read.
    """
    with transaction(actor) as db:
        account = find(db, actor, connector_id, lock=True)
        account.expect_version(change.version)
        before = account.facts()
        for name, value in change.values.items():
            setattr(account, name, value)
        renewed: list[str] = []
        if change.config is not None:
            renewed = _replace_config(account, change.config)
        db.flush()
        if change.values or renewed:
            _note(db, account, "connector.updated", before, config_fields=renewed)
        if change.status is not None:
            _switch(account, change.status)
        elif renewed:
            _recover(account)
        return account


def rotate(
    actor: Actor,
    connector_id: str,
    config: Mapping[str, str | None],
    *,
    grace_seconds: int = 0,
    version: int | None = None,
) -> ConnectorAccount:
    """Give a connector new credentials: every call uses them from now on.

    For `grace_seconds` webhooks that are signed under the old secret are still taken.

    Raises:
        InvalidRequest: the configuration is not one of this type.
        VersionConflict: it changed since it was read.
    """
    with transaction(actor) as db:
        account = find(db, actor, connector_id, lock=True)
        account.expect_version(version)
        before, old = account.facts(), account.config
        renewed = _replace_config(account, config)
        if not renewed:
            raise InvalidRequest(
                "These are the credentials that it has", code="invalid_config", field="config"
            )
        account.previous_config = old if grace_seconds else None
        account.previous_until = clock.now() + timedelta(seconds=grace_seconds) if grace_seconds else None
        db.flush()
        _note(
            db,
            account,
            "connector.credentials_rotated",
            before,
            config_fields=renewed,
            grace_seconds=grace_seconds,
        )
        _recover(account)
        return account


def delete(actor: Actor, connector_id: str, *, version: int | None = None) -> None:
    """Take a connector away, and the rules that lead to it.

    Payments that went through it can still be captured, asked about and refunded; where there are none its
    credentials are destroyed at once.

    Raises:
        VersionConflict: it changed since it was read.
    """
    with transaction(actor) as db:
        account = find(db, actor, connector_id, lock=True)
        account.expect_version(version)
        used = select(Attempt.id).where(
            Attempt.tenant_id == account.tenant_id,
            Attempt.mode == account.mode,
            Attempt.connector_id == account.id,
        )
        if db.scalar(used.limit(1)) is None:
            account.config = None
        account.previous_config = account.previous_until = None
        for rule in db.scalars(select(RoutingRule).where(RoutingRule.connector_id == account.id)):
            note_rule(db, rule, "routing_rule.deleted", cause="connector deleted", before=rule.facts())
            db.delete(rule)
        account.advance(Trigger.DELETED, cause="api", status_reason=None)


def test(actor: Actor, connector_id: str) -> tuple[Ping, int]:
    """Try a connector's credentials and connectivity; the second value is milliseconds.

    Refused credentials take it out of routing (`error`); a test that passes puts it back. A gateway that
    cannot be reached just now changes nothing: that is what fail-over is for.
    """
    seen = get(actor, connector_id)
    found, took = gateway.ping(seen)
    with transaction(actor) as db:
        account = find(db, actor, connector_id, lock=True)
        account.last_test = {
            "ok": found.ok,
            "message": found.message,
            "latency_ms": took,
            "at": clock.to_rfc3339(clock.now()),
        }
        db.flush()
        _note(db, account, "connector.tested", None, ok=found.ok)
        if account.config == seen.config:  # else it is not about these credentials
            _follow(account, found)
    return found, took


def forget_rotated() -> int:
    """Destroy credentials whose grace period is over. Returns how many."""
    statement = (
        update(ConnectorAccount)
        .where(ConnectorAccount.previous_until <= clock.now())
        .values(previous_config=None, previous_until=None, updated_at=ConnectorAccount.updated_at)
        .execution_options(synchronize_session=False)
    )
    with transaction() as db:
        return int(db.execute(statement).rowcount)  # type: ignore[attr-defined]


def note_rule(
    db: Session, rule: RoutingRule, type_: str, *, cause: str = "api", before: dict[str, Any] | None = None
) -> None:
    """Journal what happened to a routing rule."""
    record(
        db,
        type_,
        tenant_id=rule.tenant_id,
        mode=rule.mode,
        entity="routing_rule",
        entity_id=rule.id,
        cause=cause,
        before=before,
        after=rule.facts(),
    )


def _replace_config(account: ConnectorAccount, given: Mapping[str, str | None]) -> list[str]:
    """Put the given fields over the stored ones; the names of those that changed."""
    stored = connector_configs.readable(account)
    merged = connector_configs.merge(account.type, stored, given)
    changed = sorted(name for name in stored.keys() | merged.keys() if stored.get(name) != merged.get(name))
    if changed:
        account.config = connector_configs.encrypt(merged, account.tenant_id, account.id)
    return changed


def _switch(account: ConnectorAccount, wanted: str) -> None:
    if account.status == wanted:
        return
    if wanted == Status.DISABLED:
        account.advance(Trigger.DISABLED, cause="api", status_reason=None)
        return
    if registry.get(account.type) is None:
        raise Unprocessable(
            f"No connector of type {account.type} is installed here", code=NOT_INSTALLED, field="status"
        )
    connector_configs.merge(account.type, connector_configs.readable(account), {})  # is it whole?
    account.advance(Trigger.ENABLED, cause="api", status_reason=None)


def _recover(account: ConnectorAccount) -> None:
    """New credentials, or a good test: what they were in error for is over."""
    if LIFECYCLE.allows(account.status, Trigger.RECOVERED) and registry.get(account.type) is not None:
        account.advance(Trigger.RECOVERED, cause="api", status_reason=None)


def _follow(account: ConnectorAccount, found: Ping) -> None:
    if found.ok:
        _recover(account)
    elif found.refused and account.status == Status.ACTIVE:
        account.advance(Trigger.FAILED, cause="test", status_reason=REFUSED)


def _note(
    db: Session, account: ConnectorAccount, type_: str, before: dict[str, Any] | None, **said: Any
) -> None:
    record(
        db,
        type_,
        tenant_id=account.tenant_id,
        mode=account.mode,
        entity="connector",
        entity_id=account.id,
        cause="api",
        before=before,
        after={**account.facts(), **said},
    )


def _mine(actor: Actor) -> Select[ConnectorAccount]:
    return select(ConnectorAccount).where(
        ConnectorAccount.tenant_id == actor.tenant_id,
        ConnectorAccount.mode == actor.mode,
        ConnectorAccount.status != Status.DELETED,
    )
