"""Manual review: the queue, one case with what made it one, taking it, and the decision (CK-049)."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import queues, typed
from app.dashboard.shell import actor, render, screen, signed_in
from app.domain.errors import DomainError
from app.domain.lifecycles.reviews import Status
from app.services.checkout import reviewing
from app.services.risk import queue

blueprint = Blueprint("reviews", __name__, url_prefix="/dashboard/<any(test, live):mode>/reviews")

#: Tab → its words and the status of the reviews in it.
TABS = {
    "waiting": ("Waiting", "pending"),
    "approved": ("Approved", "approved"),
    "rejected": ("Rejected", "rejected"),
}


@blueprint.get("")
@screen("fraud:read")
def index(mode: str) -> Response:
    """The queue: who has waited longest comes first."""
    return queues.index("dashboard/reviews/index.html", TABS, queue.reviews)


@blueprint.get("/<checkout_id>")
@screen("fraud:read")
def show(mode: str, checkout_id: str) -> Response:
    """One case."""
    return _detail(checkout_id)


@blueprint.post("/<checkout_id>/take")
@screen("fraud:write")
def take(mode: str, checkout_id: str) -> AnyResponse:
    """Give the case to whoever asks."""
    review = queue.review_of(actor(), checkout_id).row
    if review.status != Status.PENDING:  # to assign it would begin another one
        return _detail(checkout_id, [{"field": "", "text": f"It is {review.status} already"}], 409)
    try:
        reviewing.assign(actor(), checkout_id, signed_in().user.id, None)
    except DomainError as refused:
        return _detail(checkout_id, typed.complaint(refused), typed.status(refused))
    flash("The case is yours", "success")
    return redirect(f"/dashboard/{mode}/reviews/{checkout_id}", 303)


@blueprint.post("/<checkout_id>/approve")
@screen("fraud:write")
def approve(mode: str, checkout_id: str) -> AnyResponse:
    """Let the checkout go on."""
    return _decide(mode, checkout_id, True, "Approved: the checkout goes on")


@blueprint.post("/<checkout_id>/reject")
@screen("fraud:write", step_up="decisions")
def reject(mode: str, checkout_id: str) -> AnyResponse:
    """Turn it away, for a reason."""
    queue.review_of(actor(), checkout_id)
    if not _note():
        why = [{"field": "reject-note", "text": "Say why, for whoever asks later"}]
        return _detail(checkout_id, why, 422)
    return _decide(mode, checkout_id, False, "Rejected: the checkout is canceled")


def _decide(mode: str, checkout_id: str, approved: bool, words: str) -> AnyResponse:
    queue.review_of(actor(), checkout_id)
    try:
        reviewing.decide(actor(), checkout_id, approved=approved, note=_note())
    except DomainError as refused:
        return _detail(checkout_id, typed.complaint(refused), typed.status(refused))
    flash(words, "success")
    return redirect(f"/dashboard/{mode}/reviews", 303)


def _note() -> str | None:
    return request.form.get("note", "").strip()[:2000] or None


def _detail(checkout_id: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    case = queue.review_of(actor(), checkout_id)
    return render(
        "dashboard/reviews/show.html",
        status,
        review=case.row,
        session=case.session,
        mine=case.row.assignee_id == signed_in().user.id,
        errors=errors or [],
        typed=request.form,
    )
