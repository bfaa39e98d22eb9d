"""Failed checkouts at the dashboard: found, explained, opened again, made cheaper, completed, undone."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.services.checkout import timelines
from app.services.payments import intents
from tests.desk import Desk, enter
from tests.failures import awaited, failed, told
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds")


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> Desk:
    """The owner, signed in."""
    return enter(client, shop)


def test_a_failure_is_listed_explained_and_filtered(owner: Desk, shop: Shop) -> None:
    session = failed(shop, customer={"email": "ann@buyer.test"})
    shop.pay(shop.session(price=900))
    page = owner.page("/failures")
    assert "£16.20" in page and "ann@buyer.test" in page and "Payment declined" in page
    assert "insufficient funds" in page and "£9.72" not in page
    assert session.id not in owner.page("/failures?reason=inventory")
    assert session.id in owner.page("/failures?reason=payment_declined&from=2020-01-01")
    assert session.id not in owner.page("/failures?to=2020-01-01")
    detail = owner.page(f"/failures/{session.id}")
    assert "Not enough funds on the account" in detail and "Give a discount" in detail


def test_a_failed_checkout_is_opened_for_another_payment(owner: Desk, shop: Shop) -> None:
    session = failed(shop)
    place = f"/failures/{session.id}/replace_payment_method"
    assert "Nothing is charged now" in owner.page(place)
    answer = owner.post(place, note="She has another card")
    assert answer.status_code == 303
    again = shop.read(session)
    assert again.status in ("created", "collecting", "reserved") and again.payment_attempts == 0
    [entry] = told(shop, session, "checkout.resolved")
    assert (entry.data["after"]["action"], entry.data["after"]["note"]) == (
        "replace_payment_method",
        "She has another card",
    )
    page = owner.page(f"/failures/{session.id}")
    assert f"/pay/{again.hosted_id}" in page and "Give a discount" not in page
    assert owner.post(place).status_code == 409


def test_a_discount_lowers_the_price_and_a_wrong_one_is_explained(owner: Desk, shop: Shop) -> None:
    session = failed(shop)
    place = f"/failures/{session.id}/apply_discount"
    for wrong in ("", "abc", "0", "-5"):
        answer = owner.post(place, kind="amount", amount=wrong)
        assert answer.status_code == 422 and "Enter an amount like 12.50" in answer.text, wrong
    answer = owner.post(place, kind="percent", percent="101")
    assert answer.status_code == 422 and "from 1 to 100" in answer.text
    answer = owner.post(place, kind="amount", amount="1000")
    assert answer.status_code == 422 and "larger than what the goods cost" in answer.text
    assert shop.read(session).status == "failed"
    assert owner.post(place, kind="amount", amount="5,00", note="Sorry").status_code == 303
    again = shop.read(session)
    assert again.grand_total < session.grand_total
    assert [given["amount"] for given in again.support_discounts or []] == [500]


def test_a_sale_is_completed_by_hand_only_with_a_reason(owner: Desk, shop: Shop) -> None:
    session = failed(shop)
    place = f"/failures/{session.id}/manual_override"
    assert "Till will not charge anybody" in owner.page(place)
    bare = owner.post(place)
    assert bare.status_code == 422 and "Say why in note" in bare.text
    assert shop.read(session).status == "failed"
    assert owner.post(place, note="Paid in cash at the counter").status_code == 303
    assert shop.read(session).status == "completed"
    assert "Paid in cash at the counter" in str(told(shop, session, "checkout.resolved")[0].data)


def test_an_awaited_transfer_is_confirmed(owner: Desk, shop: Shop) -> None:
    session = awaited(shop)
    page = owner.page(f"/failures/{session.id}")
    assert "Confirm the bank transfer" in page and "Give a discount" not in page
    place = f"/failures/{session.id}/manual_override"
    assert owner.post(place, note="On the statement of today").status_code == 303
    assert shop.read(session).status == "completed"
    assert intents.get(shop.actor, shop.intent(session).id).status == "succeeded"


def test_there_is_nothing_to_roll_back_of_a_declined_checkout(owner: Desk, shop: Shop) -> None:
    session = failed(shop)
    assert "Roll it back" not in owner.page(f"/failures/{session.id}")
    detour = owner.post(f"/failures/{session.id}/roll_back")
    assert "confirm?action=refund" in detour.location, "money may go back"
    owner.confirm("refund")
    answer = owner.post(f"/failures/{session.id}/roll_back")
    assert answer.status_code == 409
    assert shop.read(session).status == "failed"


def test_a_sale_is_rolled_back(owner: Desk, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    assert shop.read(session).status == "completed"
    assert "confirm?action=refund" in owner.post(f"/failures/{session.id}/roll_back").location
    assert shop.read(session).status == "completed"
    owner.confirm("refund")
    assert owner.post(f"/failures/{session.id}/roll_back").status_code == 303
    after = shop.read(session)
    assert (after.status, after.failure_reason) == ("failed", "rolled_back")
    assert shop.left("MUG") == (100, 0, 0)
    assert "Undone afterwards" in owner.page(f"/failures/{session.id}")


def test_a_note_is_kept_and_a_card_number_is_not(owner: Desk, shop: Shop) -> None:
    session = failed(shop)
    place = f"/failures/{session.id}"
    assert owner.post(place + "/notes", note="Called her").status_code == 303
    assert "Called her" in owner.page(place)
    assert owner.post(place + "/notes", note="4242 4242 4242 4242").status_code == 422
    empty = owner.post(place + "/notes", note="  ")
    assert empty.status_code == 422 and "note is empty" in empty.text
    notes = [e for e in timelines.page(shop.actor, session.id).data if e.entity == "support_note"]
    assert [entry.details["note"] for entry in notes] == ["Called her"]
