"""CK-035 to CK-038, CK-075: finalising a checkout, in the background too, and undoing it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.domain.lifecycles.finalizations import Status
from app.kit import clock
from app.models.checkout.finalization import Finalization
from app.models.checkout.session import CheckoutSession
from app.models.operations.job import Job
from app.services.checkout import finalization, finalization_jobs, receipts, rollback, sessions
from app.services.checkout.finalization import Finalized
from app.services.checkout.finalization_jobs import Progress
from app.web.job_views import JobAccepted, word_of
from app.web.schemas import Body, Instant, Listing, Nothing, PageQuery, View
from app.web.surface import BROWSER, Idempotency


class Finalize(Body):
    """Whether an order is made, and what the Order Service is told with it."""

    create_order: bool = True
    order_service_hint: dict[str, Any] = Field(default_factory=dict)


class FinalizedView(View):
    """A completed checkout; `order_id` is null where the merchant makes the order (`create_order: false`)."""

    checkout_id: str
    status: Literal["completed"]
    order_id: str | None
    receipt_id: str | None
    receipt_url: str | None
    payment_intent_id: str | None

    @classmethod
    def of(cls, actor: Actor, done: Finalized) -> FinalizedView:
        """The view of an outcome, with the address of its receipt where it is kept here."""
        try:
            url = receipts.url_of(receipts.of_checkout(sessions.get(actor, done.checkout_id)))
        except NotFound:
            url = None
        return cls(
            checkout_id=done.checkout_id,
            status="completed",
            order_id=done.order_id,
            receipt_id=done.receipt_id,
            receipt_url=url,
            payment_intent_id=done.payment_intent_id,
        )


class FinalizationJobView(View):
    """How a finalisation in the background stands."""

    job_id: str
    checkout_id: str
    status: Literal["queued", "running", "succeeded", "failed"]
    result: dict[str, Any] | None
    errors: list[dict[str, Any]]
    created_at: Instant
    finished_at: Instant | None

    @classmethod
    def of(cls, found: Progress) -> FinalizationJobView:
        """The view of a job."""
        return cls.model_construct(
            job_id=found.job.id,
            checkout_id=found.job.arguments["checkout_id"],
            status=found.status,
            result=found.result,
            errors=found.errors,
            created_at=found.job.created_at,
            finished_at=found.job.finished_at,
        )


class StepView(View):
    """What one step of a rollback came to."""

    step: Literal["order", "receipt", "wallet", "reservation", "payment"]
    status: Literal["pending", "done", "nothing_to_do", "failed", "skipped"]
    detail: dict[str, Any]


_WORDS: dict[str, str] = {
    Status.UNDONE: "rolled_back",
    Status.UNDOING: "rolling_back",
    Status.UNDO_FAILED: "rollback_failed",
}


class RollbackView(View):
    """How far a finalisation is undone; one that is `rolling_back` goes on by itself."""

    checkout_id: str
    finalization_id: str
    status: Literal["rolled_back", "rolling_back", "rollback_failed"]
    session_status: str
    steps: list[StepView]

    @classmethod
    def of(cls, session: CheckoutSession, run: Finalization) -> RollbackView:
        """The view of a session and what was undone of it."""
        return cls.model_validate(
            {
                "checkout_id": session.id,
                "finalization_id": run.id,
                "status": _WORDS[run.status],
                "session_status": session.status,
                "steps": run.steps,
            }
        )


class ThreadView(View):
    """Background work on a finalisation that is not over; `age_seconds` since it was asked for."""

    job_id: str
    type: str
    checkout_id: str
    status: str
    tries: int
    last_error: str | None
    age_seconds: int
    created_at: Instant
    due_at: Instant

    @classmethod
    def of(cls, row: Job) -> ThreadView:
        """The view of a job."""
        return cls(
            job_id=row.id,
            type=row.name,
            checkout_id=row.arguments["checkout_id"],
            status=word_of(row),
            tries=row.tries,
            last_error=row.errors[-1]["error"] if row.errors else None,
            age_seconds=max(int((clock.now() - row.created_at).total_seconds()), 0),
            created_at=row.created_at,
            due_at=row.due_at,
        )


@surface.post(
    "/sessions/{checkout_id}/finalize",
    "CK-035",
    body=Finalize,
    returns=FinalizedView,
    auth=BROWSER,
    permission="checkout:write",
    idempotency=Idempotency.LEASED,
)
def finalize(actor: Actor, checkout_id: str, body: Finalize) -> FinalizedView:
    """Finalize synchronously: validate, payment, inventory, order, receipt."""
    done = finalization.finalize(actor, checkout_id, body.create_order, body.order_service_hint or None)
    return FinalizedView.of(actor, done)


@surface.post(
    "/sessions/{checkout_id}/finalize/async",
    "CK-036",
    body=Finalize,
    returns=JobAccepted,
    status=202,
    auth=BROWSER,
    permission="checkout:write",
)
def finalize_async(actor: Actor, checkout_id: str, body: Finalize) -> JobAccepted:
    """Finalize in the background; answers with a job id."""
    hint = body.order_service_hint or None
    job_id = finalization_jobs.enqueue(actor, checkout_id, create_order=body.create_order, order_hint=hint)
    return JobAccepted.of(job_id)


@surface.get(
    "/finalizations/{job_id}",
    "CK-037",
    returns=FinalizationJobView,
    auth=BROWSER,
    permission="checkout:read",
)
def read(actor: Actor, job_id: str) -> FinalizationJobView:
    """Poll a finalization job."""
    return FinalizationJobView.of(finalization_jobs.progress(actor, job_id))


@surface.post(
    "/sessions/{checkout_id}/finalize/rollback",
    "CK-038",
    body=Nothing,
    returns=RollbackView,
    permission="checkout:write",
    idempotency=Idempotency.LEASED,
)
def roll_back(actor: Actor, checkout_id: str, body: Nothing) -> RollbackView:
    """Best-effort undo of a finalization, step by step (audit record, alert on failure)."""
    return RollbackView.of(*rollback.roll_back(actor, checkout_id))


@surface.get("/threads", "CK-075", query=PageQuery, returns=Listing[ThreadView], permission="*")
def threads(actor: Actor, query: PageQuery) -> Listing[ThreadView]:
    """Long-running finalization jobs, newest first (admin)."""
    page = finalization_jobs.threads(actor, limit=query.limit, cursor=query.cursor)
    return Listing[ThreadView].of(page, ThreadView.of)
