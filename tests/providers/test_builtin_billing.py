"""The built-in billing: one credit note for a cause, whoever asks how often."""

from __future__ import annotations

from app.db import reading
from app.domain.actor import TenantProfile
from app.models.catalogue.credit_note import CreditNote
from app.providers import registry
from app.providers.base import CreditNoteDraft, Scope
from tests.buyers import together

SHOP = TenantProfile("ten_1", "shop", "Shop", "GBP")
DRAFT = CreditNoteDraft("refund:rf_1", 500, "GBP", "fraud", "pi_1", "ord_123", "inv_456")


def notes() -> list[CreditNote]:
    with reading() as db:
        return db.query(CreditNote).order_by(CreditNote.id).all()


def test_sixteen_who_ask_get_one_note(database: str) -> None:
    billing = registry.billing(SHOP)
    ids = together(16, lambda _: billing.issue_credit_note(Scope(SHOP, "test"), DRAFT))
    [note] = notes()
    assert set(ids) == {note.id}
    assert (note.amount, note.order_id, note.invoice_id, note.voided_at) == (500, "ord_123", "inv_456", None)


def test_merchants_and_modes_have_their_own_and_voiding_is_done_once(database: str) -> None:
    billing, other = registry.billing(SHOP), TenantProfile("ten_2", "other", "Other", "GBP")
    scopes = (Scope(SHOP, "test"), Scope(SHOP, "live"), Scope(other, "test"))
    assert len({billing.issue_credit_note(scope, DRAFT) for scope in scopes}) == 3
    billing.void_credit_note(scopes[0], DRAFT.source)
    [voided] = [note for note in notes() if note.voided_at is not None]
    billing.void_credit_note(scopes[0], DRAFT.source)
    billing.void_credit_note(scopes[0], "refund:rf_nobody")
    assert [note.voided_at for note in notes()] == [voided.voided_at, None, None]
    assert billing.issue_credit_note(scopes[0], DRAFT) == voided.id
