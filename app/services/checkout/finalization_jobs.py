"""Finalising in the background: the job, how it stands, and which ones take long (CK-036, CK-037, CK-075)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import select

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import DomainError, NotFound, VersionConflict
from app.domain.lifecycles import jobs as job_lifecycle
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.operations.job import Job
from app.services.access import errands
from app.services.checkout import finalization, sessions
from app.services.checkout.prerequisites import FinalizationFailed, FinalizationInProgress, reason
from app.services.operations import jobs
from app.services.operations.paging import newest_first

_Job = job_lifecycle.Status

NAME = "checkout.finalize"
#: All that works on finalisations in the background.
NAMES = (NAME, "checkout.resume", "checkout.roll_back", "checkout.take_back")
_UNFINISHED = (_Job.QUEUED, _Job.LEASED, _Job.RETRY_WAIT)


Word = Literal["queued", "running", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How a finalisation job stands."""

    job: Job
    status: Word
    result: dict[str, Any] | None
    errors: list[dict[str, Any]]


def enqueue(
    actor: Actor, checkout_id: str, *, create_order: bool = True, order_hint: dict[str, Any] | None = None
) -> str:
    """Have a checkout finalised in the background; the id of the job.

    Raises:
        NotFound: there is none, or it is another merchant's.
        PermissionDenied: see `finalization.finalize`.
    """
    finalization.refuse_shopper(actor, create_order, order_hint)
    session = sessions.get(actor, checkout_id)
    job_id = new_id("job")
    arguments = {
        "checkout_id": session.id,
        "create_order": create_order,
        "order_service_hint": order_hint,
        "actor": errands.kept(actor),
    }
    with transaction(actor) as db:
        jobs.enqueue(db, NAME, arguments, tenant_id=actor.tenant_id, mode=str(actor.mode), job_id=job_id)
    return job_id


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Finalise, and say what came of it; the job `checkout.finalize`.

    Raises:
        DomainError: not for a reason of the checkout's own; the job runs again.
    """
    actor = errands.recalled(job["actor"])
    try:
        done = finalization.finalize(
            actor, job["checkout_id"], job["create_order"], job["order_service_hint"]
        )
    except FinalizationInProgress:
        return {"status": "processing"}
    except FinalizationFailed as refused:
        return {"status": "failed", "failure_reasons": refused.reasons}
    except DomainError as refused:
        if refused.http_status >= 500 or isinstance(refused, VersionConflict):
            raise
        return {"status": "failed", "failure_reasons": [reason(refused.code, "validation", refused.message)]}
    return asdict(done)


def progress(actor: Actor, job_id: str) -> Progress:
    """How a finalisation job stands; a browser's credential sees its own session's only.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    job = jobs.get(actor, job_id)
    if job.name != NAME or actor.session_id not in (None, job.arguments["checkout_id"]):
        raise NotFound("Finalization not found", code="finalization_not_found")
    match job.status:
        case _Job.DONE:
            return _ended(actor, job)
        case _Job.DEAD:
            return _given_up(actor, job)
        case _Job.LEASED:
            return Progress(job, "running", None, [])
        case _:
            return Progress(job, "queued", None, [])


def _given_up(actor: Actor, job: Job) -> Progress:
    """The job was; what it had begun may have gone on by itself, or another call done it."""
    result = _by_now(actor, job.arguments["checkout_id"])
    match result["status"]:
        case "completed":
            return Progress(job, "succeeded", result, [])
        case "processing":
            return Progress(job, "running", None, [])
        case _:
            errors = [reason("job_failed", "validation", f"It was given up after {job.tries} tries")]
            return Progress(job, "failed", None, errors)


def _ended(actor: Actor, job: Job) -> Progress:
    """What came of it; what was not known then is looked up now."""
    result = job.result or {}
    if result["status"] == "processing":
        result = _by_now(actor, job.arguments["checkout_id"])
    match result["status"]:
        case "completed":
            return Progress(job, "succeeded", result, [])
        case "failed":
            return Progress(job, "failed", result, result["failure_reasons"])
        case _:
            return Progress(job, "running", None, [])


def _by_now(actor: Actor, checkout_id: str) -> dict[str, Any]:
    try:
        return asdict(finalization.outcome(actor, checkout_id))
    except FinalizationInProgress:
        return {"status": "processing"}
    except FinalizationFailed as refused:
        return {"status": "failed", "failure_reasons": refused.reasons}
    except DomainError as refused:
        return {"status": "failed", "failure_reasons": [reason(refused.code, "validation", refused.message)]}


def threads(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Job]:
    """Background work on finalisations that is not over, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = select(Job).where(
        Job.tenant_id == actor.tenant_id,
        Job.mode == actor.mode,
        Job.name.in_(NAMES),
        Job.status.in_(_UNFINISHED),
    )
    return newest_first(statement, Job.id, limit=limit, cursor=cursor)
