"""Manual review: the queue, one case with what made it one, taking it, and the decision (CK-049)."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import fields
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
    show = fields.chosen(TABS, "show") or "waiting"
    page = queue.reviews(actor(), TABS[show][1], cursor=request.args.get("cursor"))
    tabs = [(words, f"{request.path}?show={name}", name == show, None) for name, (words, _) in TABS.items()]
    return render(
        "dashboard/reviews/index.html",
        rows=page.data,
        tabs=tabs,
        show=show,
        next_url=fields.onward(page.next_cursor, show=show),
    )


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
        return _detail(checkout_id, [{"field": None, "text": f"It is {review.status} already"}], 409)
    try:
        reviewing.assign(actor(), checkout_id, signed_in().user.id, None)
    except DomainError as refused:
        return _detail(checkout_id, fields.said(refused), fields.status(refused))
    flash("The case is yours", "success")
    return redirect(f"/dashboard/{mode}/reviews/{checkout_id}", 303)


@blueprint.post("/<checkout_id>/<any(approve, reject):what>")
@screen("fraud:write")
def decide(mode: str, checkout_id: str, what: str) -> AnyResponse:
    """Let the checkout go on, or turn it away."""
    queue.review_of(actor(), checkout_id)
    note = request.form.get("note", "").strip()[:2000]
    if what == "reject" and not note:
        return _detail(
            checkout_id, [{"field": "reject-note", "text": "Say why, for whoever asks later"}], 422
        )
    try:
        reviewing.decide(actor(), checkout_id, approved=what == "approve", note=note or None)
    except DomainError as refused:
        return _detail(checkout_id, fields.said(refused), fields.status(refused))
    words = "Approved: the checkout goes on" if what == "approve" else "Rejected: the checkout is canceled"
    flash(words, "success")
    return redirect(f"/dashboard/{mode}/reviews", 303)


def _detail(checkout_id: str, errors: fields.Errors | None = None, status: int = 200) -> Response:
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
