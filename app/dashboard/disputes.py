"""Disputes: what is due first, one in words, one entered by hand, evidence, giving in, the note."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import Errors, complaint, day, days, next_url, number, some, tell, words
from app.domain import dispute_reasons, money
from app.domain.errors import DomainError, InvalidRequest
from app.domain.lifecycles import disputes as lifecycle
from app.domain.lifecycles.attempts import Status as AttemptStatus
from app.domain.rules import documents
from app.kit import clock
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.services.events import timeline
from app.services.payments import (
    as_seen,
    attempts,
    dispute_evidence,
    dispute_queue,
    disputes,
    intents,
    refunds,
    search,
    uploads,
)
from app.services.payments.dispute_evidence import EvidenceDraft
from app.services.payments.disputes import DisputeDraft, Filters

blueprint = Blueprint("disputes", __name__, url_prefix="/dashboard/<any(test, live):mode>/disputes")

#: What a document may show; the first is chosen.
SHOWS = (
    "shipping_documentation",
    "receipt",
    "customer_communication",
    "service_documentation",
    "refund_policy",
    "cancellation_policy",
    "duplicate_charge_documentation",
    "customer_signature",
    "other",
)
_S = lifecycle.Status
#: Views of the list: those to answer, and the others by status.
VIEWS = ("due", str(_S.UNDER_REVIEW), str(_S.WON), str(_S.LOST), str(_S.CLOSED), "all")
#: How many documents one answer has.
MAX_DOCUMENTS = 20
_NOTES = 20_000


@blueprint.get("")
@screen("disputes:read")
def index(mode: str) -> Response:
    """Disputes: those that can be answered by their due date, the others newest first."""
    who, cursor = actor(), request.args.get("cursor")
    show_ = request.args.get("show", "due")
    view = show_ if show_ in VIEWS else "due"
    if view == "due":
        page = dispute_queue.list_due(who, cursor=cursor)
    else:
        since, until = days()
        chosen = Filters(status=None if view == "all" else view, since=since, until=until)
        page = disputes.list_page(who, chosen, cursor=cursor)
    bounds = {name: request.args.get(name, "") for name in ("from", "to")}
    return render(
        "dashboard/disputes/index.html",
        rows=[(row, dispute_reasons.describe(row.reason_code).title, days_left(row)) for row in page.data],
        net=dispute_queue.net,
        view=view,
        views=VIEWS,
        bounds=bounds,
        next_url=next_url(page, show=view, **bounds),
        first_url=request.path + f"?show={view}" if cursor else None,
    )


@blueprint.get("/<dispute_id>")
@screen("disputes:read")
def show(mode: str, dispute_id: str) -> Response:
    """One dispute."""
    who = actor()
    dispute = disputes.get(who, dispute_id)
    intent = intents.get(who, dispute.intent_id)
    return render(
        "dashboard/disputes/show.html",
        dispute=dispute,
        reason=dispute_reasons.describe(dispute.reason_code),
        net=dispute_queue.net(dispute),
        intent=intent,
        session=search.session_of(who, intent),
        evidence=dispute_evidence.of_dispute(who, dispute_id),
        note=disputes.notes_of(who, [dispute_id]).get(dispute_id),
        left=days_left(dispute),
        may_answer=_may_answer(dispute),
        entries=histories.lines(timeline.of_entity(who, dispute_id)),
    )


@blueprint.get("/of/<intent_id>")
@screen("disputes:write", step_up="disputes")
def new(mode: str, intent_id: str) -> Response:
    """The form that enters a dispute of a payment, which no gateway tells of."""
    return _entry(intent_id)


@blueprint.post("/of/<intent_id>")
@screen("disputes:write", step_up="disputes")
def enter(mode: str, intent_id: str) -> AnyResponse:
    """Enter one; the same page sent twice enters it once."""
    who = actor()
    intents.get(who, intent_id)
    try:
        draft, left = _draft(intent_id), number("left", 0, money.MAX_AMOUNT)
        made = as_seen.dispute(who, intent_id, draft, left=left)
    except DomainError as refused:
        return _entry(intent_id, complaint(refused), 422)
    flash("The dispute is entered, and its amount is withheld", "success")
    return redirect(f"/dashboard/{mode}/disputes/{made.id}", 303)


@blueprint.get("/<dispute_id>/evidence")
@screen("disputes:write")
def answer(mode: str, dispute_id: str) -> AnyResponse:
    """The form for evidence."""
    dispute = disputes.get(actor(), dispute_id)
    if not _may_answer(dispute):
        return redirect(f"/dashboard/{mode}/disputes/{dispute_id}", 303)
    return _form(dispute)


@blueprint.post("/<dispute_id>/evidence")
@screen("disputes:write")
def submit(mode: str, dispute_id: str) -> AnyResponse:
    """Take documents and words, show all of it once more, and send it: it is sent once."""
    who, step = actor(), request.form.get("do", "review")
    dispute = disputes.get(who, dispute_id)
    try:
        kept = _documents()
        notes = words("notes", _NOTES)
        if step == "send":
            made = dispute_evidence.submit(who, dispute_id, kept, notes)
        elif step != "edit":
            kept = [*kept, *_uploaded(len(kept))]
    except DomainError as refused:
        return _form(dispute, complaint(refused), 422)
    if step == "send":
        sent = (
            "Your evidence is with the bank" if made.state == "submitted" else "Your evidence is on its way"
        )
        flash(sent, "success")
        return redirect(f"/dashboard/{mode}/disputes/{dispute_id}", 303)
    if step == "review" and not kept and not notes:
        empty = {"field": "notes", "text": "Add a document, or say what happened"}
        return _form(dispute, [empty], 422)
    return _form(dispute, kept=kept, review=step == "review")


@blueprint.post("/<dispute_id>/close")
@screen("disputes:write")
def close(mode: str, dispute_id: str) -> AnyResponse:
    """Give in to an open dispute, or close a decided one; the books get the note."""
    outcome = request.form.get("outcome", "")
    try:
        note = words("note", 2000)
        done = disputes.close(
            actor(), dispute_id, outcome if outcome in ("accepted", "won", "lost") else None, note
        )
        flash("Closed" if done.status == _S.CLOSED else "The bank is told that you give in", "success")
    except DomainError as refused:
        tell(refused)
    return redirect(f"/dashboard/{mode}/disputes/{dispute_id}", 303)


@blueprint.get("/<dispute_id>/documents/<upload_id>")
@screen("disputes:read")
def document(mode: str, dispute_id: str, upload_id: str) -> Response:
    """A document that was handed in, to keep."""
    disputes.get(actor(), dispute_id)
    upload, content = uploads.content(actor(), upload_id)
    answer_ = Response(content, mimetype=upload.content_type)
    answer_.headers.set("Content-Disposition", "attachment", filename=upload.filename)
    return answer_


def _draft(intent_id: str) -> DisputeDraft:
    """Raises InvalidRequest for what is not among the choices, no amount, or no day so far."""
    charge = next((row for row in _charges(intent_id) if row.id == request.form.get("charge")), None)
    if charge is None:
        raise InvalidRequest("Choose the charge", field="charge")
    reason = request.form.get("reason", "")
    if reason not in dispute_reasons.REASONS:
        raise InvalidRequest("Choose the reason", field="reason")
    text = words("received")
    received = day(text)
    if text and (received is None or received > clock.now()):
        raise InvalidRequest("Enter a day up to today", field="received")
    return DisputeDraft(charge.id, some("amount", charge.currency), reason, received)


def _charges(intent_id: str) -> list[Attempt]:
    return [row for row in attempts.of_intent(actor(), intent_id) if row.status == AttemptStatus.CAPTURED]


def _entry(intent_id: str, errors: Errors | None = None, status: int = 200) -> Response:
    intent = intents.get(actor(), intent_id)
    left = refunds.left_to_refund(intent)
    return render(
        "dashboard/disputes/new.html",
        status,
        intent=intent,
        left=left,
        shown=f"{money.to_major(left, intent.currency):f}",
        charges=_charges(intent_id),
        reasons=[(code, reason.title) for code, reason in dispute_reasons.REASONS.items()],
        answered_by=disputes.RESPONSE_TIME.days,
        errors=errors or [],
        typed=request.form,
        form=FlaskForm(),
    )


def days_left(dispute: Dispute) -> int | None:
    """Whole days until evidence is due, less than nothing when that is past; None where none is awaited."""
    if dispute.status not in dispute_queue.WAITING or dispute.evidence_due_at is None:
        return None
    return (dispute.evidence_due_at - clock.now()).days


def _may_answer(dispute: Dispute) -> bool:
    asked = dispute.status == _S.NEEDS_RESPONSE or (
        dispute.status == _S.WARNING and dispute.kind == lifecycle.Kind.INQUIRY
    )
    left = days_left(dispute)
    return asked and (left is None or left >= 0) and dispute.close_requested_at is None


def _documents() -> list[EvidenceDraft]:
    """Those that were uploaded before: `type:upload_id` each."""
    pairs = (text.partition(":") for text in request.form.getlist("doc")[:MAX_DOCUMENTS])
    return [EvidenceDraft(type_ if type_ in SHOWS else "other", None, name) for type_, _, name in pairs]


def _uploaded(place: int) -> list[EvidenceDraft]:
    """The document that came with this form; none where no file was chosen."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return []
    if place == MAX_DOCUMENTS:
        raise InvalidRequest(f"Hand in at most {MAX_DOCUMENTS} documents", field="file")
    chosen = request.form.get("shows", "")
    kind = (file.mimetype or "").lower()
    stored = uploads.store(actor(), file.filename, kind, file.read(documents.MAX_BYTES + 1))
    return [EvidenceDraft(chosen if chosen in SHOWS else "other", None, stored.id)]


def _form(
    dispute: Dispute,
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
    *,
    kept: list[EvidenceDraft] | None = None,
    review: bool = False,
) -> Response:
    who = actor()
    drafts = _documents() if kept is None else kept
    return render(
        "dashboard/disputes/evidence.html",
        status,
        dispute=dispute,
        reason=dispute_reasons.describe(dispute.reason_code),
        left=days_left(dispute),
        docs=[(draft.type, uploads.get(who, str(draft.upload_id))) for draft in drafts],
        shows=SHOWS,
        review=review,
        errors=errors or [],
        typed=request.form,
        form=FlaskForm(),
    )
