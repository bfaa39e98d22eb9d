"""`client.payments.disputes`: chargebacks, and what is said against them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from payment_sdk import _operations as op
from payment_sdk.models.disputes import Dispute, Evidence, EvidenceSubmission
from payment_sdk.pages import Page
from payment_sdk.params import EvidenceItem
from payment_sdk.resources.base import Resource, given

_DISPUTE = "/v1/payments/disputes/{dispute_id}"
_CREATE = op.post("PY-028", "/v1/payments/disputes")
_GET = op.get("PY-029", _DISPUTE)
_SUBMIT = op.post("PY-030", _DISPUTE + "/submit-evidence")
_EVIDENCE = op.get("PY-031", _DISPUTE + "/evidence")
_CLOSE = op.post("PY-032", _DISPUTE + "/close")
_LIST = op.get("PY-033", "/v1/payments/disputes")

Status = Literal["warning", "needs_response", "under_review", "won", "lost", "closed"]


class Disputes(Resource):
    """Disputes."""

    def create(
        self,
        *,
        charge_id: str,
        amount: int,
        reason_code: str,
        received_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Dispute:
        """Enter a dispute by hand; gateways tell of theirs by themselves."""
        body = given(charge_id=charge_id, amount=amount, reason_code=reason_code, received_at=received_at)
        return self._one(_CREATE, Dispute, body=body, key=idempotency_key)

    def get(self, dispute_id: str) -> Dispute:
        """A dispute as it is."""
        return self._one(_GET, Dispute, _GET.at(dispute_id=dispute_id))

    def list(
        self,
        *,
        status: Status | None = None,
        since: datetime | date | None = None,
        until: datetime | date | None = None,
        merchant_account_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Dispute]:
        """Disputes, newest first; a day that is given counts whole."""
        query = given(
            status=status, to=until, merchant_account_id=merchant_account_id, limit=limit, cursor=cursor
        )
        return self._page(_LIST, Dispute, query=query | given(**{"from": since}))

    def submit_evidence(
        self,
        dispute_id: str,
        *,
        evidence: Sequence[EvidenceItem] = (),
        notes: str | None = None,
        idempotency_key: str | None = None,
    ) -> EvidenceSubmission:
        """Hand in evidence before its due date; it is sent to the gateway once."""
        body = given(evidence=list(evidence), notes=notes)
        path = _SUBMIT.at(dispute_id=dispute_id)
        return self._one(_SUBMIT, EvidenceSubmission, path, body=body, key=idempotency_key)

    def evidence(self, dispute_id: str) -> Page[Evidence]:
        """What was handed in."""
        return self._page(_EVIDENCE, Evidence, _EVIDENCE.at(dispute_id=dispute_id))

    def close(
        self,
        dispute_id: str,
        *,
        outcome: Literal["accepted", "won", "lost"] | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> Dispute:
        """Close it, for example because the chargeback is accepted."""
        path, body = _CLOSE.at(dispute_id=dispute_id), given(outcome=outcome, note=note)
        return self._one(_CLOSE, Dispute, path, body=body, key=idempotency_key)
