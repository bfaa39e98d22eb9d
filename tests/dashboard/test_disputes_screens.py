"""The disputes screens: what is due first, evidence up to the gateway's book, giving in, the note, who may."""

from __future__ import annotations

import io
import re
from datetime import timedelta

from app.db import transaction
from app.models.payments.dispute import Dispute
from app.services.ledger.postings import balances
from app.services.payments import dispute_evidence, dispute_queue, disputes, uploads
from app.services.payments.disputes import Filters
from tests import shops
from tests.desk import Desk
from tests.disputes import FRAUD, INQUIRY, NOT_RECEIVED, WARNING, at_the_gateway, by_hand, charge, paid, told
from tests.shops import Shop

PDF = b"%PDF-1.7 a receipt"


def docs(page: str) -> list[str]:
    """The documents that a form carries along."""
    return re.findall(r'name="doc" value="([^"]+)"', page)


def test_what_is_due_first_stands_first_and_pages_go_on(desk: Desk, shop: Shop) -> None:
    made = [by_hand(shop.actor) for _ in range(3)]
    with transaction() as db:
        for dispute, days in zip(made, (9, 2, 5), strict=True):
            row = db.get_one(Dispute, dispute.id)
            assert row.evidence_due_at is not None
            row.evidence_due_at = row.received_at + timedelta(days=days, hours=1)
        db.get_one(Dispute, made[0].id).evidence_due_at = None
    first = dispute_queue.list_due(shop.actor, limit=2)
    rest = dispute_queue.list_due(shop.actor, limit=2, cursor=first.next_cursor)
    assert [row.id for row in first.data + rest.data] == [made[1].id, made[2].id, made[0].id]
    page = desk.page("/disputes")
    assert page.index(made[1].id) < page.index(made[2].id) < page.index(made[0].id)
    assert "Evidence due by" in page and "2 days left" in page and "Fraud" in page
    assert made[0].id not in desk.page("/disputes?show=won")
    assert desk.client.get("/dashboard/test/disputes?cursor=zzz").status_code == 400


def test_a_dispute_says_why_and_what_it_costs(desk: Desk, shop: Shop) -> None:
    dispute = told(shop.actor, NOT_RECEIVED)
    page = desk.page(f"/disputes/{dispute.id}")
    assert "what they paid for never came" in page and "Proof that it was delivered" in page
    assert dispute_queue.net(dispute) == -(2000 + 1500)
    assert "-£35.00" in page
    assert "Hand in evidence" in page and "Evidence due by" in page


def test_evidence_is_looked_over_and_reaches_the_gateway_once(desk: Desk, shop: Shop) -> None:
    dispute = told(shop.actor, FRAUD)
    here = f"/disputes/{dispute.id}/evidence"
    first = desk.post(
        here, do="add", shows="receipt", notes="They ordered it.", file=(io.BytesIO(PDF), "bill.pdf")
    )
    assert first.status_code == 200 and "They ordered it." in first.text
    [one] = docs(first.text)
    assert one.startswith("receipt:upl_")
    both = desk.post(
        here,
        do="review",
        doc=one,
        shows="shipping_documentation",
        notes="They ordered it.",
        file=(io.BytesIO(b"signed for"), "carrier.txt"),
    )
    assert "Send this evidence?" in both.text and "bill.pdf" in both.text and "carrier.txt" in both.text
    assert dispute_evidence.of_dispute(shop.actor, dispute.id) == [], "nothing is sent before that"
    sent = desk.post(here, do="send", doc=docs(both.text), notes="They ordered it.")
    assert sent.status_code == 303
    items = [item for item, _ in dispute_evidence.of_dispute(shop.actor, dispute.id)]
    assert [item.type for item in items] == ["receipt", "shipping_documentation", "notes"]
    assert disputes.get(shop.actor, dispute.id).status == "under_review"
    assert at_the_gateway(dispute.gateway_reference)["status"] == "under_review"
    again = desk.post(here, do="send", doc=docs(both.text), notes="Once more")
    assert again.status_code == 422
    assert len(dispute_evidence.of_dispute(shop.actor, dispute.id)) == 3
    page = desk.page(f"/disputes/{dispute.id}")
    assert "Hand in evidence" not in page
    document = desk.client.get(f"/dashboard/test/disputes/{dispute.id}/documents/{items[0].upload_id}")
    assert document.data == PDF
    assert document.headers["Content-Disposition"].startswith("attachment")


def test_what_is_no_document_or_says_nothing_is_refused(desk: Desk, shop: Shop) -> None:
    dispute = by_hand(shop.actor)
    here = f"/disputes/{dispute.id}/evidence"
    wrong = desk.post(here, do="review", notes="", file=(io.BytesIO(b"MZ"), "bill.pdf"))
    assert wrong.status_code == 422 and "not application/pdf" in wrong.text
    empty = desk.post(here, do="review", notes=" ")
    assert empty.status_code == 422 and "Add a document, or say what happened" in empty.text
    strangers = shops.make("Stranger")
    foreign = uploads.store(strangers.actor, "theirs.pdf", "application/pdf", PDF)
    for step in ("review", "send"):
        assert desk.post(here, do=step, notes="x", doc=f"receipt:{foreign.id}").status_code == 404
    card = desk.post(here, do="review", notes="It was 4242 4242 4242 4242")
    assert card.status_code == 422
    assert dispute_evidence.of_dispute(shop.actor, dispute.id) == []


def test_giving_in_is_told_to_the_gateway_and_leaves_a_note(desk: Desk, shop: Shop) -> None:
    dispute = told(shop.actor, FRAUD)
    answer = desk.post(f"/disputes/{dispute.id}/close", outcome="accepted", note="Not worth it")
    assert answer.status_code == 303
    done = disputes.get(shop.actor, dispute.id)
    assert (done.status, done.outcome) == ("closed", "lost")
    assert at_the_gateway(dispute.gateway_reference)["status"] == "lost"
    note = disputes.notes_of(shop.actor, [dispute.id])[dispute.id]
    assert (note.text, note.amount) == ("Not worth it", 2000)
    assert "Not worth it" in desk.page(f"/disputes/{dispute.id}")
    again = desk.client.get(answer.location).text
    assert "Accept the dispute" not in again


def test_a_warning_asks_for_no_evidence_and_an_inquiry_does(desk: Desk, shop: Shop) -> None:
    warning, inquiry = told(shop.actor, WARNING), told(shop.actor, INQUIRY)
    page = desk.page(f"/disputes/{warning.id}")
    assert "A dispute may follow" in page and "Hand in evidence" not in page
    assert desk.status(f"/disputes/{warning.id}/evidence") == 303
    assert "Hand in evidence" in desk.page(f"/disputes/{inquiry.id}")
    assert dispute_queue.net(inquiry) == -inquiry.fee


def test_a_dispute_that_no_gateway_tells_of_is_entered_once(desk: Desk, shop: Shop) -> None:
    intent = paid(shop.actor)
    here, page = f"/disputes/of/{intent.id}", f"/payments/{intent.id}"
    assert f'href="/dashboard/test{here}"' in desk.page(page)
    form = {"charge": charge(shop.actor, intent).id, "left": "2000", "amount": "5.00", "reason": "duplicate"}
    assert "action=disputes" in desk.client.get(f"/dashboard/test{here}").location
    assert "action=disputes" in desk.post(here, **form).location
    desk.confirm("disputes")
    asked = desk.page(here)
    assert 'value="20.00"' in asked and "taken from your balance until it is decided" in asked
    stranger = paid(shops.make("Stranger").actor)
    for wrong, words in (
        ({"charge": "ch_none"}, "Choose the charge"),
        ({"reason": "because"}, "Choose the reason"),
        ({"amount": "0"}, "Enter an amount like 12.50"),
        ({"amount": "20.01"}, "More than is left of the charge"),
        ({"received": "2999-01-01"}, "Enter a day up to today"),
        ({"left": ""}, "Enter a whole number"),
    ):
        refused = desk.post(here, **{**form, **wrong})
        assert refused.status_code == 422 and words in refused.text, wrong
    assert desk.post(f"/disputes/of/{stranger.id}", **form).status_code == 404
    assert disputes.list_page(shop.actor, Filters()).data == []
    answer = desk.post(here, **form, received="2025-01-02")
    [made] = disputes.list_page(shop.actor, Filters()).data
    assert answer.location.endswith(f"/disputes/{made.id}")
    assert (made.amount, made.reason_code, made.gateway_reference) == (500, "duplicate", None)
    assert f"{made.received_at:%Y-%m-%d}" == "2025-01-02"
    assert balances(shop.actor)["merchant_disputed", "GBP"] == -500
    again = desk.post(here, **form)
    assert again.status_code == 422 and "Something was refunded or disputed since" in again.text
    assert len(disputes.list_page(shop.actor, Filters()).data) == 1
    assert desk.post(here, **{**form, "left": "1500", "amount": "15"}).status_code == 303
    assert "Nothing is left to dispute" in desk.page(here) and here not in desk.page(page)
    assert "Charged twice" in desk.page(f"/disputes/{made.id}")
