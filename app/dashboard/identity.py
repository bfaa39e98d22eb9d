"""Identity checks: the queue, one with its documents (downloaded, never shown), and the decision (CK-048)."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import fields
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
    show = fields.chosen(TABS, "show") or "submitted"
    page = queue.checks(actor(), TABS[show][1], cursor=request.args.get("cursor"))
    tabs = [(words, f"{request.path}?show={name}", name == show, None) for name, (words, _) in TABS.items()]
    return render(
        "dashboard/reviews/checks.html",
        rows=page.data,
        tabs=tabs,
        show=show,
        next_url=fields.onward(page.next_cursor, show=show),
    )


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


@blueprint.post("/<kyc_id>/<any(approve, reject):what>")
@screen("fraud:write")
def decide(mode: str, kyc_id: str, what: str) -> AnyResponse:
    """Decide a check."""
    identity.get(actor(), kyc_id)
    try:
        identity.complete(actor(), kyc_id, approved=what == "approve")
    except DomainError as refused:
        return _detail(kyc_id, fields.said(refused), fields.status(refused))
    words = (
        "Approved"
        if what == "approve"
        else "Rejected: the checkout waits for a manual review before it goes on"
    )
    flash(words, "success")
    return redirect(f"/dashboard/{mode}/identity/{kyc_id}", 303)


def _detail(kyc_id: str, errors: fields.Errors | None = None, status: int = 200) -> Response:
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
