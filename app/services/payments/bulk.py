"""Bulk creation of intents and refunds: one job, a result for each item (PY-017, PY-027).

An item that is refused does not stop the rest. Each is claimed under (job, index) in the transaction that
does it, so a worker that is killed half-way is followed by one that does what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from app.db import retrying, transaction
from app.domain.actor import Actor
from app.domain.errors import DomainError, VersionConflict
from app.kit.ids import new_id
from app.services.access import errands
from app.services.operations import job_items, jobs
from app.services.payments import refunds, standalone
from app.services.payments.intents import IntentDraft

Make = Callable[[Actor, dict[str, Any]], str]


def enqueue_intents(actor: Actor, drafts: list[IntentDraft]) -> str:
    """Have many intents made; the id of the job."""
    return _enqueue(actor, "intents.create_many", [asdict(draft) for draft in drafts])


def enqueue_refunds(actor: Actor, orders: list[dict[str, Any]]) -> str:
    """Have many refunds made, each from the arguments of `refunds.create`; the id of the job."""
    return _enqueue(actor, "refunds.create_many", orders)


def create_intents(job: dict[str, Any]) -> None:
    """The job `intents.create_many`."""
    _run(job, lambda actor, item: standalone.create(actor, IntentDraft(**item)).id)


def create_refunds(job: dict[str, Any]) -> None:
    """The job `refunds.create_many`."""
    _run(job, lambda actor, item: refunds.create(actor, **item).id)


def _enqueue(actor: Actor, name: str, items: list[dict[str, Any]]) -> str:
    job_id = new_id("job")
    arguments = {"job_id": job_id, "items": items, "actor": errands.kept(actor)}
    with transaction(actor) as db:
        jobs.enqueue(db, name, arguments, tenant_id=actor.tenant_id, mode=str(actor.mode), job_id=job_id)
    return job_id


def _run(job: dict[str, Any], make: Make) -> None:
    actor, done = errands.recalled(job["actor"]), job_items.done(job["job_id"])
    for position, item in enumerate(job["items"]):
        if position not in done:
            retrying(partial(_one, actor, job["job_id"], position, item, make))


def _one(actor: Actor, job_id: str, position: int, item: dict[str, Any], make: Make) -> None:
    """Do one item.

    Raises:
        DomainError: not for a reason of the item's own; the job runs again.
    """
    try:
        with transaction(actor) as db:
            if job_items.claim(db, job_id, position):
                job_items.note(db, job_id, position, entity_id=make(actor, item))
    except DomainError as refused:
        if refused.http_status >= 500 or isinstance(refused, VersionConflict):
            raise
        with transaction(actor) as db:
            if job_items.claim(db, job_id, position):
                job_items.note(db, job_id, position, refused=refused)
