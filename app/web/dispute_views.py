"""How a dispute and its evidence look in JSON (contract/payments.md 2.5, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence

from app.models.payments.dispute import AccountingNote, Dispute, DisputeEvidence, EvidenceSubmission
from app.web.schemas import Instant, View


class NoteView(View):
    """What the books were told; amounts in minor units."""

    id: str
    outcome: str
    amount: int
    fee: int
    currency: str
    text: str
    credit_note_id: str | None
    created_at: Instant


class DisputeView(View):
    """A dispute; `close_requested` while the gateway has not said yet that the merchant gave in."""

    id: str
    dispute_id: str
    charge_id: str
    payment_intent_id: str
    kind: str
    status: str
    outcome: str | None
    amount: int
    fee: int
    currency: str
    reason_code: str
    received_at: Instant
    evidence_due_at: Instant | None
    merchant_account_id: str | None
    connector: str
    gateway_reference: str | None
    close_requested: bool
    credit_note_id: str | None
    accounting_note: NoteView | None
    version: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: Dispute, note: AccountingNote | None = None) -> DisputeView:
        """The view of a row, with its note where there is one."""
        return cls(
            id=row.id,
            dispute_id=row.id,
            charge_id=row.attempt_id,
            payment_intent_id=row.intent_id,
            kind=row.kind,
            status=row.status,
            outcome=row.outcome,
            amount=row.amount,
            fee=row.fee,
            currency=row.currency,
            reason_code=row.reason_code,
            received_at=row.received_at,
            evidence_due_at=row.evidence_due_at,
            merchant_account_id=row.merchant_account_id,
            connector=row.connector,
            gateway_reference=row.gateway_reference,
            close_requested=row.close_requested_at is not None,
            credit_note_id=row.credit_note_id,
            accounting_note=NoteView.model_validate(note) if note else None,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class EvidenceView(View):
    """An item of evidence: notes in `text`, or a document; `sha256` of what Till keeps of it."""

    id: str
    submission_id: str
    submission_status: str
    type: str
    text: str | None
    url: str | None
    upload_id: str | None
    filename: str | None
    content_type: str | None
    size: int | None
    sha256: str | None
    created_at: Instant

    @classmethod
    def of(cls, row: DisputeEvidence, submission: EvidenceSubmission) -> EvidenceView:
        """The view of a row."""
        return cls(
            id=row.id,
            submission_id=submission.id,
            submission_status=submission.state,
            type=row.type,
            text=row.text,
            url=row.url,
            upload_id=row.upload_id,
            filename=row.filename,
            content_type=row.content_type,
            size=row.size,
            sha256=row.sha256,
            created_at=row.created_at,
        )


class SubmissionView(View):
    """How handing in went: `pending` while the gateway has not answered, then `submitted`."""

    submission_id: str
    submission_status: str
    dispute_id: str
    status: str
    submitted_at: Instant | None
    evidence: list[EvidenceView]

    @classmethod
    def of(
        cls, row: EvidenceSubmission, dispute: Dispute, items: Sequence[DisputeEvidence]
    ) -> SubmissionView:
        """The view of a submission with its items."""
        return cls(
            submission_id=row.id,
            submission_status=row.state,
            dispute_id=dispute.id,
            status=dispute.status,
            submitted_at=row.sent_at,
            evidence=[EvidenceView.of(item, row) for item in items],
        )
