"""Disputes and their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from payment_sdk._models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountingNote(Model):
    """What closing a dispute means for the books."""

    id: str
    outcome: str
    amount: int
    fee: int
    currency: str
    text: str
    credit_note_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute(Model):
    """A chargeback or an inquiry; evidence counts until `evidence_due_at`."""

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
    received_at: datetime
    evidence_due_at: datetime | None
    merchant_account_id: str | None
    connector: str
    gateway_reference: str | None
    close_requested: bool
    credit_note_id: str | None
    accounting_note: AccountingNote | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Model):
    """One item of evidence."""

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
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSubmission(Model):
    """What became of evidence that was handed in."""

    submission_id: str
    submission_status: str
    dispute_id: str
    status: str
    submitted_at: datetime | None
    evidence: list[Evidence]
