"""Health as it is at this moment: each part is tried, each within its own time (PY-084).

A part that does not answer in time is down, and the others are still told. Lags and states are the
installation's, counts are the caller's own.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import func, select

from app.connectors import registry
from app.connectors.configuring import Tests
from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles import jobs as job_lifecycle
from app.kit import clock
from app.kit.ids import random_token
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.models.operations.heartbeat import WorkerHeartbeat
from app.models.operations.job import Job
from app.models.payments.method import PaymentMethod
from app.services.operations import health, probing, secrets_at_rest
from app.services.operations.health import State
from app.services.operations.probing import Details, Health, Look, Part, worst
from app.services.payments import gateway, routing
from app.services.payments.routing import Pick

log = structlog.get_logger("till.probes")


def check(actor: Actor) -> Health:
    """Try every part at the same time; never raises."""
    parts: dict[str, Look] = {
        "database": _database,
        "vault": lambda: _vault(actor),
        "job_queue": lambda: _job_queue(actor),
        "webhook_delivery": lambda: webhook_delivery(actor),
        "reconciliation_worker": worker,
    }
    gateways = gateway_looks(actor)
    found = probing.try_all(parts | gateways)
    whole = {name: found[name] for name in parts}
    return Health(whole | {"gateways": together({name: found[name] for name in gateways})})


def gateway_looks(actor: Actor) -> dict[str, Look]:
    """A look at each connector that this merchant could pay through now, by its id or type."""
    return {pick.connector_id or pick.type: partial(_gateway, actor, pick) for pick in _asked(actor)}


def _database() -> tuple[State, Details]:
    return (State.OK if health.ping() is not None else State.DOWN), {}


def _asked(actor: Actor) -> list[Pick]:
    """The connectors that this merchant could pay through now; none, while the database does not say."""
    try:
        return [p for p in routing.makers(actor, None) if isinstance(registry.get(p.type), Tests)]
    except Exception:
        log.exception("probe_without_connectors", tenant_id=actor.tenant_id)
        return []


def together(found: dict[str, Part]) -> Part:
    """All gateways as one part: payments go on while one of several answers, and not without any."""
    states = {part.state for part in found.values()} or {State.DOWN}
    state = State.DEGRADED if len(states) > 1 else worst(states)
    shown = [
        {"name": name, "status": str(part.state), "latency_ms": part.latency_ms, **part.details}
        for name, part in found.items()
    ]
    slowest = max((part.latency_ms for part in found.values() if part.latency_ms is not None), default=None)
    return Part(state, slowest, {"connectors": shown})


def _gateway(actor: Actor, pick: Pick) -> tuple[State, Details]:
    """Try the account as PY-039 does. To look for a payment that never was proves nothing: a connector may
    know by the key alone that there is none."""
    connector = registry.get(pick.type)
    assert isinstance(connector, Tests)
    found = connector.ping(gateway.caller(actor.tenant_id, str(actor.mode), pick.connector_id))
    return (State.OK if found.ok else State.DOWN), {"type": pick.type}


def _vault(actor: Actor) -> tuple[State, Details]:
    """Tokens can be read, and what is encrypted here can be decrypted here."""
    text = random_token()
    place = (actor.tenant_id, "probe", "probe")
    whole = secrets_at_rest.decrypt(secrets_at_rest.encrypt(text, *place), *place) == text
    mine = (PaymentMethod.tenant_id == actor.tenant_id, PaymentMethod.mode == str(actor.mode))
    with reading() as db:
        db.execute(select(PaymentMethod.id).where(*mine).limit(1)).all()
    return (State.OK if whole else State.DOWN), {}


def _job_queue(actor: Actor) -> tuple[State, Details]:
    found = health.check()
    dead = select(func.count()).where(
        Job.tenant_id == actor.tenant_id, Job.mode == str(actor.mode), Job.status == job_lifecycle.Status.DEAD
    )
    with reading() as db:
        count = db.scalar(dead) or 0
    details = {"lag_seconds": found.oldest_job_seconds, "workers": found.workers, "dead": count}
    return worst((found.queue, State.DEGRADED if count else State.OK)), details


def webhook_delivery(actor: Actor) -> tuple[State, Details]:
    found = health.check()
    mine = (
        WebhookEndpoint.tenant_id == actor.tenant_id,
        WebhookEndpoint.mode == str(actor.mode),
        WebhookEndpoint.deleted_at.is_(None),
    )
    counts = select(
        func.count(WebhookEndpoint.failing_since).filter(WebhookEndpoint.disabled_at.is_(None)),
        func.count(WebhookEndpoint.disabled_at),
    ).where(*mine)
    with reading() as db:
        failing, disabled = db.execute(counts).one()
    details = {
        "lag_seconds": found.oldest_delivery_seconds,
        "failing_endpoints": failing,
        "disabled_endpoints": disabled,
    }
    return worst((found.webhooks, State.DEGRADED if failing else State.OK)), details


def worker() -> tuple[State, Details]:
    """Settlement, reconciliation and sweeps run in the worker: it has to be seen."""
    with reading() as db:
        seen = db.scalar(select(func.max(WorkerHeartbeat.seen_at)))
    alive = seen is not None and seen >= clock.now() - timedelta(seconds=health.ALIVE_SECONDS)
    return (State.OK if alive else State.DOWN), {"last_seen_at": clock.to_rfc3339(seen) if seen else None}
