"""Identity checks: the queue, one with its documents (downloaded, never shown), and the decision (CK-048)."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import queues, typed
from app.dashboard.shell import actor, render, screen
from app.domain.errors import DomainError
from app.domain.lifecycles.kyc import OPEN
from app.services.checkout import identity, sessions
from app.services.payments import kyc_documents
from app.services.risk import queue

blueprint = Blueprint("identity", __name__, url_prefix="/dashboard/<any(test, live):mode>/identity")

#: Tab → its words and the status of the checks in it.
TABS = {
    "submitted": ("To decide", "submitted"),
    "pending": ("Waiting for documents", "pending"),
    "approved": ("Approved", "approved"),
    "rejected": ("Rejected", "rejected"),
}


@blueprint.get("")
@screen("fraud:read")
def index(mode: str) -> Response:
    """The queue: what has waited longest comes first."""
    return queues.index("dashboard/reviews/checks.html", TABS, queue.checks)


@blueprint.get("/<kyc_id>")
@screen("fraud:read")
def show(mode: str, kyc_id: str) -> Response:
    """One check and what came in for it."""
    return _detail(kyc_id)


@blueprint.get("/<kyc_id>/documents/<document_id>")
@screen("fraud:write")
def document(mode: str, kyc_id: str, document_id: str) -> Response:
    """A document as a file to save, for whoever may decide; that it was read is in the journal."""
    upload, data = identity.document(actor(), kyc_id, document_id)
    file = Response(data, mimetype=upload.content_type)
    file.headers.set("Content-Disposition", "attachment", filename=upload.filename)
    file.headers["Content-Security-Policy"] = "default-src 'none'; sandbox; frame-ancestors 'none'"
    return file


@blueprint.post("/<kyc_id>/approve")
@screen("fraud:write")
def approve(mode: str, kyc_id: str) -> AnyResponse:
    """It is the person."""
    return _decide(mode, kyc_id, True, "Approved")


@blueprint.post("/<kyc_id>/reject")
@screen("fraud:write", step_up="decisions")
def reject(mode: str, kyc_id: str) -> AnyResponse:
    """It is not, or cannot be told."""
    return _decide(mode, kyc_id, False, "Rejected: the checkout waits for a manual review before it goes on")


def _decide(mode: str, kyc_id: str, approved: bool, words: str) -> AnyResponse:
    identity.get(actor(), kyc_id)
    try:
        identity.complete(actor(), kyc_id, approved=approved)
    except DomainError as refused:
        return _detail(kyc_id, typed.complaint(refused), typed.status(refused))
    flash(words, "success")
    return redirect(f"/dashboard/{mode}/identity/{kyc_id}", 303)


def _detail(kyc_id: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    request_ = identity.get(actor(), kyc_id)
    return render(
        "dashboard/reviews/check.html",
        status,
        check=request_,
        session=sessions.get(actor(), request_.checkout_id),
        documents=kyc_documents.listed(request_),
        is_open=request_.status in OPEN,
        errors=errors or [],
    )
