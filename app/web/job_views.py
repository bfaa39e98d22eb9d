"""Jobs in JSON, and the endpoint that each surface declares to read them (OP-35)."""

from __future__ import annotations

from typing import Any, Literal

from app.domain.actor import Actor
from app.domain.errors import PermissionDenied
from app.domain.lifecycles.jobs import Status
from app.models.operations.job import Job
from app.services.operations import exports, job_items, jobs
from app.web.schemas import Instant, View
from app.web.surface import Surface

Word = Literal["queued", "running", "succeeded", "failed"]

_WORDS: dict[Status, Word] = {
    Status.QUEUED: "queued",
    Status.RETRY_WAIT: "queued",
    Status.LEASED: "running",
    Status.DONE: "succeeded",
    Status.DEAD: "failed",
}


def word_of(row: Job) -> Word:
    """A job's status as the contract says it (OP-35)."""
    return _WORDS[Status(row.status)]


class JobAccepted(View):
    """Work that is done in the background."""

    job_id: str
    status: Word

    @classmethod
    def of(cls, job_id: str) -> JobAccepted:
        """The answer to whoever asked for it."""
        return cls(job_id=job_id, status="queued")


class JobView(View):
    """A job: how far it is, what came of it, and what went wrong.

    Of an export `result` says where its file is; `download_url` opens it for a quarter of an hour.
    Of a bulk job `result` counts and lists the items that are done, `errors` those that were refused; the
    job itself has succeeded when each item was tried.
    """

    id: str
    job_id: str
    type: str
    status: Word
    result: dict[str, Any] | None
    errors: list[dict[str, Any]]
    created_at: Instant
    finished_at: Instant | None

    @classmethod
    def of(cls, row: Job, items: list[dict[str, Any]]) -> JobView:
        """The view of a job and of its items, where it has some."""
        refused = [{"index": item["index"], **item["error"]} for item in items if item["error"]]
        if row.status == Status.DEAD:  # why is for the operator: it may name what callers should not see
            refused.append({"code": "job_failed", "error": f"It was given up after {row.tries} tries"})
        result = row.result
        if row.name.endswith(".create_many"):
            total, failed = len(row.arguments["items"]), sum(item["status"] == "failed" for item in items)
            counts = {"total": total, "succeeded": len(items) - failed, "failed": failed}
            result = {**counts, "items": items}
        return cls.model_construct(
            id=row.id,
            job_id=row.id,
            type=row.name,
            status=word_of(row),
            result=result,
            errors=refused,
            created_at=row.created_at,
            finished_at=row.finished_at,
        )


def declare(surface: Surface, contract_id: str) -> None:
    """Give a surface `GET /jobs/{job_id}`: any job of the merchant that the caller may read."""

    @surface.get("/jobs/{job_id}", contract_id, returns=JobView)
    def get(actor: Actor, job_id: str) -> JobView:
        """Read a job of any kind: how far it is and what came of it."""
        job = jobs.get(actor, job_id)
        permission = f"{job.name.partition('.')[0]}:read"
        if not actor.can(permission):
            raise PermissionDenied(f"Missing {permission} permission")
        view = JobView.of(job, job_items.of_job(job.id))
        if job.name == exports.JOB:
            view.result = exports.result(actor, job.id)
        return view
