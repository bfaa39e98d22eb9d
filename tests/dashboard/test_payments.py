"""Payments at the dashboard: filters and CSV, and what can be done with one: capture, cancel, refund, notes."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from app.domain.errors import Conflict
from app.kit import clock
from app.models.payments.intent import PaymentIntent
from app.services.checkout import support_notes
from app.services.ledger import movements
from app.services.payments import as_seen, attempts, intents, listing, methods, refunds
from app.services.payments.disputes import DisputeDraft
from app.services.payments.disputes import create as dispute
from tests import shops
from tests.desk import Desk
from tests.shops import GOOD, NO_FUNDS, Shop


def paid(
    shop: Shop, amount: int = 2000, currency: str = "GBP", number: str = GOOD, **draft: object
) -> PaymentIntent:
    """A payment without a checkout, confirmed."""
    method = methods.tokenize_card(shop.actor, shops.card(number))
    wanted = intents.IntentDraft(amount, currency, payment_method_id=method.id, **draft)  # type: ignore[arg-type]
    return intents.confirm(shop.actor, intents.create(shop.actor, wanted).id, nonce="n1")


def held(shop: Shop, amount: int = 2000) -> PaymentIntent:
    made = paid(shop, amount, capture_mode="manual")
    assert made.status == "requires_capture"
    return made


def rows(page: str) -> list[str]:
    """Ids of the payments on a list, as they stand there."""
    return [part.split('"')[0] for part in page.split('class="row-link" href="/dashboard/test/payments/')[1:]]


def test_filters_narrow_the_list_down_and_live_in_the_address(desk: Desk, shop: Shop) -> None:
    with clock.frozen(clock.now() - timedelta(days=10)):
        old = paid(shop, 1000).id
    euro = paid(shop, 5000, "EUR").id
    waiting = held(shop, 2500).id
    declined = paid(shop, 3000, number=NO_FUNDS).id
    transfer = shop.session(price=900)
    by_bank = shops.payment.pay_by_redirect(shop.actor, transfer.id, "paypal", shops.payment.Order("n"))
    for query, expected in (
        ({"status": "requires_capture"}, [waiting]),
        ({"status": "succeeded"}, [euro, old]),
        ({"currency": "eur"}, [euro]),
        ({"min": "25", "max": "30"}, [declined, waiting]),
        ({"min": "50", "currency": "EUR"}, [euro]),
        ({"method": "paypal"}, [by_bank.payment_intent_id]),
        ({"method": "card", "status": "succeeded"}, [euro, old]),
        ({"to": f"{clock.now() - timedelta(days=5):%Y-%m-%d}"}, [old]),
        ({"from": f"{clock.now() - timedelta(days=5):%Y-%m-%d}", "status": "succeeded"}, [euro]),
        ({"q": euro, "status": "failed"}, []),
    ):
        page = desk.page("/payments", **query)
        assert rows(page) == expected, query
        for value in query.values():
            assert f'value="{value}"' in page, "it is shown as it was chosen"


def test_filters_that_cannot_be_say_what_to_mend(desk: Desk, shop: Shop) -> None:
    paid(shop)
    for query, words in (
        ({"from": "yesterday"}, "Enter a day like 2026-01-31"),
        ({"to": "9999-12-31"}, "Enter a day like 2026-01-31"),
        ({"min": "a lot"}, "Enter an amount like 12.50"),
        ({"max": "1.234"}, "Enter an amount like 12.50"),
        ({"currency": "ABC"}, "This is no currency"),
    ):
        assert words in desk.page("/payments", **query)
    assert len(rows(desk.page("/payments", status="nonsense"))) == 1
    assert desk.get("/payments", cursor="nonsense").status_code == 400


def test_pages_follow_each_other_under_the_same_filters(
    desk: Desk, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [paid(shop, 1000 + number).id for number in range(5)]
    with clock.frozen(clock.now()):  # two of one moment stand in the order of their ids
        made += [paid(shop, 1010).id, paid(shop, 1011).id]
    paid(shop, 9000)
    monkeypatch.setattr(listing.page, "__kwdefaults__", {"limit": 3, "cursor": None})
    seen: list[str] = []
    path: str | None = "/payments?max=20"
    while path:
        page = desk.client.get("/dashboard/test" + path.removeprefix("/dashboard/test")).text
        seen += rows(page)
        found = page.split('rel="next" href="')
        path = found[1].split('"')[0].replace("&amp;", "&") if len(found) > 1 else None
    assert seen == made[::-1]


def exported(desk: Desk, **query: str) -> list[dict[str, str]]:
    answer = desk.get("/payments/export.csv", **query)
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="payments-test-')
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_csv_has_the_whole_filtered_list(desk: Desk, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "BATCH", 2)
    made = [paid(shop, 1000 + number).id for number in range(5)]
    yen = paid(shop, 500, "JPY").id
    found = exported(desk)
    assert [row["id"] for row in found] == [yen, *made[::-1]]
    assert (found[0]["amount"], found[0]["currency"]) == ("500", "JPY")
    assert (found[1]["amount"], found[1]["amount_captured"], found[1]["last4"]) == ("10.04", "10.04", "4242")
    assert [row["id"] for row in exported(desk, currency="JPY")] == [yen]
    assert exported(desk, q="nobody has this") == []


def test_a_spreadsheet_runs_no_cell_of_the_csv(desk: Desk, shop: Shop) -> None:
    for words in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"):
        paid(shop, description=words)
    session = shop.session(reference='=HYPERLINK("https://evil.test")')
    shop.pay(session)
    found = exported(desk)
    assert [row["description"] for row in found if row["description"]] == [
        "'＝1",
        "'\t=1",
        "'@SUM(A1)",
        "'-1",
        "'+1",
        "'=1+1",
    ]
    assert found[0]["reference"].startswith("'=HYPERLINK")


def test_a_payment_shows_what_belongs_to_it(desk: Desk, shop: Shop) -> None:
    session = shop.session(
        reference="INV-9", title="A box", customer={"email": "ann@shop.test", "name": "Ann"}
    )
    intent_id = str(shop.pay(session).payment_intent_id)
    charge = attempts.of_intent(shop.actor, intent_id)[0]
    refunds.send(refunds.create(shop.actor, intent_id, 120, "Broken lid").id)
    dispute(shop.actor, DisputeDraft(charge.id, 500, "product_not_received"))
    page = desk.page(f"/payments/{intent_id}")
    for words in ("INV-9", "Ann", "ann@shop.test", "Broken lid", "product not received", "Needs response"):
        assert words in page, words
    assert f'href="/dashboard/test/checkouts/{session.id}"' in page
    assert "receivable:sandbox" in page and "merchant_balance" in page
    assert "refund.succeeded" in page and "&#34;correlation_id&#34;" in page, "events as they stand"
    kinds = [move.kind for move in movements.of_payment(shop.actor, intent_id)]
    assert kinds == ["capture", "refund", "dispute_opened"]
    assert all(sum(amount for _, amount in m.sides) == 0 for m in movements.of_payment(shop.actor, intent_id))
    assert movements.of_payment(shops.make("Stranger").actor, intent_id) == []
    shown = desk.page(f"/checkouts/{session.id}")
    assert "INV-9" in shown and "checkout: completed" in shown.lower() and intent_id in shown


def test_all_that_is_held_is_captured(desk: Desk, shop: Shop) -> None:
    made = held(shop)
    path = f"/payments/{made.id}/capture"
    assert "the rest is released" in desk.page(path)
    assert intents.get(shop.actor, made.id).status == "requires_capture", "looking takes nothing"
    answer = desk.post(path, how="all", nonce="one")
    assert answer.status_code == 303
    done = intents.get(shop.actor, made.id)
    assert (done.status, done.amount_captured) == ("succeeded", 2000)
    assert "£20.00 was captured" in desk.client.get(answer.location).text


def test_a_part_is_captured_once_however_often_the_form_is_sent(desk: Desk, shop: Shop) -> None:
    made = held(shop)
    path = f"/payments/{made.id}/capture"
    for wrong in ("", "abc", "20.01", "0", "-1"):
        answer = desk.post(path, how="part", amount=wrong, nonce="wrong")
        assert answer.status_code == 422, wrong
    assert intents.get(shop.actor, made.id).amount_captured == 0
    for _ in range(2):
        assert desk.post(path, how="part", amount="12,50", nonce="two").status_code == 303
    done = intents.get(shop.actor, made.id)
    assert (done.status, done.amount_captured) == ("succeeded", 1250)
    assert [move.kind for move in movements.of_payment(shop.actor, made.id)] == ["capture"]
    assert "Nothing waits to be captured" in desk.page(path)


def test_a_payment_is_canceled_after_it_was_asked(desk: Desk, shop: Shop) -> None:
    made = held(shop)
    path = f"/payments/{made.id}/cancel"
    assert "is held is released" in desk.page(path)
    assert intents.get(shop.actor, made.id).status == "requires_capture"
    assert desk.post(path, reason="fraud").status_code == 303
    done = intents.get(shop.actor, made.id)
    assert (done.status, done.cancel_reason) == ("canceled", "fraud")
    assert attempts.of_intent(shop.actor, made.id)[0].status == "voided"
    again = desk.post(path)
    assert again.status_code == 422 and "cannot be canceled" in again.text


def test_refunds_want_a_step_up_and_go_back_once(desk: Desk, shop: Shop) -> None:
    made = paid(shop)
    path = f"/payments/{made.id}/refund"
    for answer in (desk.get(path), desk.post(path, how="all", left="2000")):
        assert answer.status_code == 303 and "/dashboard/confirm?action=refund" in answer.location
    assert refunds.of_intent(shop.actor, made.id) == []
    desk.confirm("refund")
    assert "All of it: £20.00" in desk.page(path)
    part = {"how": "part", "amount": "5.00", "reason": "product_return", "left": "2000"}
    assert desk.post(path, **part).status_code == 303
    again = desk.post(path, **part)
    assert again.status_code == 422 and "Something was refunded or disputed since" in again.text
    assert desk.post(path, how="all").status_code == 422, "nor without what was seen"
    assert "All that is left: £15.00" in desk.page(path)
    assert desk.post(path, how="all", left="1500").status_code == 303
    found = refunds.of_intent(shop.actor, made.id)
    assert [(row.amount, row.reason) for row in found] == [(500, "product_return"), (1500, "other")]
    assert "Nothing is left to refund" in desk.page(path)


def test_what_somebody_saw_must_still_be_so(shop: Shop) -> None:
    made = paid(shop)
    as_seen.refund(shop.actor, made.id, 500, None, left=2000)
    for left in (2000, 499, -1):
        with pytest.raises(Conflict):
            as_seen.refund(shop.actor, made.id, 500, None, left=left)
    as_seen.refund(shop.actor, made.id, None, None, left=1500)
    assert intents.get(shop.actor, made.id).amount_refunding == 2000


def test_notes_are_added_and_read_by_the_team(desk: Desk, shop: Shop) -> None:
    session = shop.session()
    intent_id = str(shop.pay(session).payment_intent_id)
    support_notes.add(shop.actor, session.id, "From the checkout's own page")
    page = f"/payments/{intent_id}"
    assert desk.post(page + "/notes", note="Called <b>twice</b>").status_code == 303
    text = desk.page(page)
    assert "Called &lt;b&gt;twice&lt;/b&gt;" in text and "Olivia" in text
    assert "From the checkout&#39;s own page" in text
    assert "Write something first" in desk.client.get(desk.post(page + "/notes", note="  ").location).text
    assert desk.post(page + "/notes", note="card 4111 1111 1111 1111").status_code == 422
    notes = support_notes.of_payment(shop.actor, intents.get(shop.actor, intent_id))
    assert [note.checkout_id for note in notes] == [session.id, session.id]
    stranger = shops.make("Stranger").actor
    assert support_notes.of_payment(stranger, intents.get(shop.actor, intent_id)) == []
