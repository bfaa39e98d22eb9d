"""The Billing Service of a merchant's own.

Receipts are asked for with nothing open. Credit notes belong to refunds and disputes, which do not wait: they
are told, under ids that are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.domain.rules import providers
from app.kit import clock
from app.kit.ids import new_id
from app.providers.base import CreditNoteDraft, ReceiptDraft, Scope
from app.providers.remote.questions import ask, tell
from app.providers.remote.reading import text, understood

MAX_ID = 64
#: Begins the ids of credit notes that are kept elsewhere.
NOTE = "xcn"


class HttpBilling:
    """Invoices, receipts and credit notes behind a URL."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def issue_receipt(self, scope: Scope, draft: ReceiptDraft) -> str:
        """See `Billing.issue_receipt`."""
        asked = {**asdict(draft), "paid_at": clock.to_rfc3339(draft.paid_at)}
        key = f"billing.issue_receipt:{draft.receipt_id}"
        answer = ask(scope, providers.BILLING, self._url, "issue_receipt", asked, key=key)
        return understood(providers.BILLING, answer, _receipt_id)

    def void_receipt(self, scope: Scope, source: str) -> None:
        """See `Billing.void_receipt`."""
        ask(scope, providers.BILLING, self._url, "void_receipt", {"source": source})

    def issue_credit_note(self, scope: Scope, draft: CreditNoteDraft) -> str:
        """See `Billing.issue_credit_note`; told."""
        note_id = new_id(NOTE)
        data = {**asdict(draft), "credit_note_id": note_id}
        key = f"issue_credit_note:{draft.source}"
        tell(scope, providers.BILLING, self._url, "issue_credit_note", data, key=key)
        return note_id

    def void_credit_note(self, scope: Scope, source: str) -> None:
        """See `Billing.void_credit_note`; told."""
        key = f"void_credit_note:{source}"
        tell(scope, providers.BILLING, self._url, "void_credit_note", {"source": source}, key=key)


def _receipt_id(said: Mapping[str, Any]) -> str:
    return text(said["receipt_id"], MAX_ID)
