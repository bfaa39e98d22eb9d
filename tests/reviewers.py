"""For tests of reviews, fraud notices and identity checks: people of a team, signed notices, what was told."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading
from app.kit import clock, signing
from app.models.events.journal import JournalEntry
from app.models.operations.job import Job
from app.services.access import keys, users
from app.services.operations import inbound_secrets
from app.worker.queue import run_job
from tests.shops import Shop

SESSIONS = "/v1/checkout/sessions"


def person(shop: Shop, name: str = "Ann") -> str:
    """Somebody of the shop's team; their id."""
    email = f"{name.lower()}@{shop.actor.tenant.slug}.example"
    return users.create(shop.actor.tenant_id, email, name, "payments_admin", "a long enough password").id


def scoped(shop: Shop, *scopes: str) -> dict[str, str]:
    """Headers of a key that may do so much."""
    _, secret = keys.create(shop.actor, "scoped", scopes=list(scopes))
    return {"Authorization": f"Bearer {secret}"}


def told(entity_id: str, type_: str) -> list[JournalEntry]:
    """What the journal says of an entity, or of a checkout, under that type."""
    about = (JournalEntry.entity_id == entity_id) | (JournalEntry.checkout_id == entity_id)
    statement = select(JournalEntry).where(about, JournalEntry.type == type_).order_by(JournalEntry.id)
    with reading() as db:
        return list(db.scalars(statement))


def run_jobs(name: str) -> int:
    """Let the worker run what waits under that name; how many jobs there were."""
    with reading() as db:
        found = list(
            db.scalars(select(Job.id).where(Job.name == name, Job.status.in_(("queued", "retry_wait"))))
        )
    for job_id in found:
        run_job(job_id)
    return len(found)


def notice(client: FlaskClient, shop: Shop, kind: str, **body: Any) -> Any:
    """Post what the provider of that kind would, signed with the shop's secret."""
    raw = json.dumps(body).encode()
    secret = inbound_secrets.find(shop.actor.tenant_id, kind)
    assert secret is not None
    headers = {"X-Webhook-Signature": signing.timestamped_signature(raw, [secret], clock.now())}
    return client.post(
        f"/v1/checkout/webhook/{kind}", data=raw, headers={**headers, "Content-Type": "application/json"}
    )
