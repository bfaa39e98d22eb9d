"""Evidence: what a merchant hands in about a dispute, kept as it was and sent to the gateway once.

Contract: PY-030, PY-031. Items and their hashes are written and journalled first; then the gateway is
called with nothing open, and a job calls again where its answer was lost. A link of the merchant's own is
handed on as it stands and never opened here; an upload is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors import base
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, ServiceUnavailable, Unprocessable
from app.domain.lifecycles import disputes as lifecycle
from app.domain.rules import documents
from app.kit import clock
from app.kit.ids import new_id
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute, DisputeEvidence, EvidenceSubmission
from app.services.operations import jobs
from app.services.payments import dispute_recording as recording
from app.services.payments import disputes, gateway, uploads

log = structlog.get_logger("till.disputes")

#: The type of the item that holds `notes`.
NOTES = "notes"

_S, _T = lifecycle.Status, lifecycle.Trigger
_LINK = re.compile(r"https?://[^\s\\@\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class EvidenceDraft:
    """One document: an upload, by its id or its address here, or a link of the merchant's own."""

    type: str
    url: str | None = None
    upload_id: str | None = None


def submit(
    actor: Actor, dispute_id: str, items: Sequence[EvidenceDraft], notes: str | None
) -> EvidenceSubmission:
    """Hand in evidence, before its due date and once; pending where the gateway has not answered yet.

    Raises:
        InvalidState: the dispute takes none now.
        Conflict: its due date is past, evidence is on its way, or the gateway does not take it.
        NotFound: no such dispute, or no such upload (any more).
        InvalidRequest, Unprocessable: nothing to hand in, or an item that is not good.
    """
    if not items and not (notes or "").strip():
        raise InvalidRequest("Hand in documents or notes", code="evidence_required", field="evidence")
    with transaction(actor) as db:
        seen = disputes.find(db, actor, dispute_id)
        dispute = recording.lock(db, seen.id, seen.intent_id)
        _check_open(db, dispute)
        submission = EvidenceSubmission(
            id=new_id("sub"),
            tenant_id=dispute.tenant_id,
            mode=dispute.mode,
            dispute_id=dispute.id,
            created_by=actor.id,
        )
        db.add(submission)
        db.flush()
        rows = _keep(db, actor, submission, items, notes)
        facts = {"submission_id": submission.id, "evidence": [row.facts() for row in rows]}
        recording.tell(db, dispute, "dispute.evidence_submitted", {**dispute.facts(), **facts})
        if dispute.gateway_reference is None:
            submission.sent_at, dispute.next_query_at = clock.now(), None
            dispute.advance(_T.EVIDENCE_SUBMITTED, cause="api")
            return submission
        jobs.enqueue(
            db,
            "disputes.send_evidence",
            {"submission_id": submission.id},
            tenant_id=dispute.tenant_id,
            mode=dispute.mode,
            unique_key=f"disputes.send_evidence:{submission.id}",
            due_at=clock.now() + disputes.ASK_AGAIN,
        )
    sent = send(submission.id, actor)
    if sent.refusal is not None:
        raise Conflict(
            "The gateway does not take this evidence",
            code="evidence_refused",
            explain={"reason": "evidence_refused", "refusal": sent.refusal, "submission_id": sent.id},
        )
    return sent


def send(submission_id: str, actor: Actor | None = None) -> EvidenceSubmission:
    """Send a submission that is not sent yet, always under the same key. How it went stands in it."""
    with reading() as db:
        submission = db.get_one(EvidenceSubmission, submission_id)
        dispute = db.get_one(Dispute, submission.dispute_id)
        attempt = db.get_one(Attempt, dispute.attempt_id)
        rows = list(
            db.scalars(
                select(DisputeEvidence)
                .where(DisputeEvidence.submission_id == submission_id)
                .order_by(DisputeEvidence.line)
            )
        )
    if submission.state != "pending":
        return submission
    result = _call(submission, dispute, attempt, rows)
    if isinstance(result, base.Unknown):
        return submission
    with transaction(actor) as db:
        dispute = recording.lock(db, dispute.id, dispute.intent_id)
        submission = db.get_one(EvidenceSubmission, submission_id, with_for_update=True)
        if submission.state != "pending":
            return submission
        if isinstance(result, base.GatewayDispute):
            submission.sent_at = clock.now()
            recording.follow(db, dispute, result, "gateway")
        else:
            submission.refusal = result.code if isinstance(result, base.Declined) else "dispute_not_found"
            dispute.next_query_at = clock.now()  # the gateway knows better how it stands
    return submission


def _call(
    submission: EvidenceSubmission, dispute: Dispute, attempt: Attempt, rows: Sequence[DisputeEvidence]
) -> base.DisputeResult:
    """Ask the gateway to take it; a document that is gone or was altered is not sent, nor the rest of it."""
    try:
        documents_ = tuple(_document(row) for row in rows if row.text is None)
    except OSError:
        log.exception("document_unreadable", submission_id=submission.id)
        return base.Declined("document_unreadable")
    text = "\n".join(row.text for row in rows if row.text)
    key = f"evidence_{submission.id}"
    request = base.EvidenceRequest(key, str(dispute.gateway_reference), text, documents_)
    return gateway.submit_evidence(attempt, request)


def send_again(submission_id: str) -> None:
    """See `send`; the job `disputes.send_evidence`.

    Raises:
        ServiceUnavailable: the gateway has not answered; the job runs again.
    """
    if send(submission_id).state == "pending":
        raise ServiceUnavailable("The gateway did not say")


def of_dispute(actor: Actor, dispute_id: str) -> list[tuple[DisputeEvidence, EvidenceSubmission]]:
    """Every item that was handed in, oldest first, with its submission.

    Raises:
        NotFound: no such dispute.
    """
    dispute = disputes.get(actor, dispute_id)
    statement = (
        select(DisputeEvidence, EvidenceSubmission)
        .join(EvidenceSubmission, EvidenceSubmission.id == DisputeEvidence.submission_id)
        .where(DisputeEvidence.dispute_id == dispute.id)
        .order_by(DisputeEvidence.id)
    )
    with reading() as db:
        return [(item, submission) for item, submission in db.execute(statement)]


def _check_open(db: Session, dispute: Dispute) -> None:
    asked = dispute.status == _S.WARNING and dispute.kind == base.DisputeKind.INQUIRY
    if not asked:
        dispute.lifecycle.edge(dispute.status, _T.EVIDENCE_SUBMITTED)  # raises in the lifecycle's own words
    if dispute.evidence_due_at is not None and dispute.evidence_due_at <= clock.now():
        raise Conflict("The due date for evidence is past", code="evidence_past_due")
    if dispute.close_requested_at is not None or _pending(db, dispute) is not None:
        raise Conflict("An answer to this dispute is on its way", code="evidence_in_flight")


def _pending(db: Session, dispute: Dispute) -> str | None:
    return db.scalar(
        select(EvidenceSubmission.id).where(
            EvidenceSubmission.dispute_id == dispute.id,
            EvidenceSubmission.sent_at.is_(None),
            EvidenceSubmission.refusal.is_(None),
        )
    )


def _keep(
    db: Session,
    actor: Actor,
    submission: EvidenceSubmission,
    items: Sequence[EvidenceDraft],
    notes: str | None,
) -> list[DisputeEvidence]:
    rows = [_item(db, actor, place, item) for place, item in enumerate(items)]
    if notes and notes.strip():
        data = notes.encode()
        digest = hashlib.sha256(data).hexdigest()
        rows.append(DisputeEvidence(type=NOTES, text=notes, size=len(data), sha256=digest))
    for line, row in enumerate(rows):
        row.id, row.line, row.created_at = new_id("ev"), line, clock.now()
        row.submission_id, row.dispute_id = submission.id, submission.dispute_id
        row.tenant_id, row.mode = submission.tenant_id, submission.mode
    db.add_all(rows)
    return rows


def _item(db: Session, actor: Actor, place: int, item: EvidenceDraft) -> DisputeEvidence:
    named = item.upload_id or (uploads.named_by(item.url) if item.url else None)
    if named is None:
        if item.url is None or _LINK.fullmatch(item.url) is None:
            raise Unprocessable(
                "Name an upload, or an http(s) link",
                code="invalid_evidence_url",
                field=f"evidence.{place}.url",
            )
        return DisputeEvidence(type=item.type, url=item.url)
    upload = uploads.find(db, actor, named, lock=True)
    if upload.deleted_at is not None:
        raise uploads.deleted()
    if upload.stored_at is None:
        raise Unprocessable(
            "Nothing was uploaded yet", code="upload_not_stored", field=f"evidence.{place}.upload_id"
        )
    if documents.WORDS.get(item.type, upload.content_type) != upload.content_type:
        raise Unprocessable(
            f"The upload is {upload.content_type}",
            code="content_type_mismatch",
            field=f"evidence.{place}.type",
        )
    return DisputeEvidence(
        type=item.type,
        url=uploads.url_of(upload.id),
        upload_id=upload.id,
        filename=upload.filename,
        content_type=upload.content_type,
        size=upload.size,
        sha256=upload.sha256,
    )


def _document(row: DisputeEvidence) -> base.EvidenceDocument:
    if row.upload_id is None:
        return base.EvidenceDocument(row.type, url=row.url)
    content = uploads.read(row.tenant_id, row.upload_id, row.sha256 or "")
    return base.EvidenceDocument(row.type, content, row.content_type, row.filename)
