"""CK-049: a checkout under review is not paid, a person ends it, and what that does to money and goods."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.connectors.sandbox import challenges
from app.db import reading, transaction
from app.domain.errors import Conflict
from app.kit import clock
from app.models.access.user import User
from app.models.risk.review import Review
from app.providers import registry
from app.providers.base import OrderRefused
from app.services.access import tokens
from app.services.checkout import finalization, payment, payments, reviewing, sessions
from app.services.checkout.payment import Order
from app.services.checkout.prerequisites import FinalizationFailed
from tests import buyers, finalizations, reviewers, risks
from tests.reviewers import SESSIONS
from tests.shops import GOOD, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")


def assign(client: FlaskClient, shop: Shop, checkout_id: str, assignee: str, **body: Any) -> Any:
    return client.post(
        f"{SESSIONS}/{checkout_id}/manual-review/assign",
        json={"assignee_id": assignee, **body},
        headers=shop.bearer,
    )


def complete(client: FlaskClient, shop: Shop, checkout_id: str, result: str, **body: Any) -> Any:
    return client.post(
        f"{SESSIONS}/{checkout_id}/manual-review/complete",
        json={"result": result, **body},
        headers=shop.bearer,
    )


def reviews_of(checkout_id: str) -> list[Review]:
    with reading() as db:
        return list(db.scalars(select(Review).where(Review.checkout_id == checkout_id).order_by(Review.id)))


def authorized(shop: Shop) -> Any:
    """A session whose payment waits for its capture."""
    session = shop.session(hosted=False, options={"capture_mode": "manual"})
    paid = shop.pay(session)
    assert (paid.status, shop.intent(session).status) == ("payment_processing", "requires_capture")
    return paid


def test_a_session_is_given_to_somebody_and_changes_hands(client: FlaskClient, shop: Shop) -> None:
    session, ann, bob = shop.session(), reviewers.person(shop), reviewers.person(shop, "Bob")
    answer = assign(client, shop, session.id, ann, note="A large order")
    assert answer.status_code == 200
    view = answer.get_json()
    assert (view["status"], view["assignee_id"], view["note"]) == ("pending", ann, "A large order")
    assert (view["assigned_by"], view["source"]) == (shop.actor.id, "person")
    shown = client.get(f"{SESSIONS}/{session.id}", headers=shop.bearer).get_json()["review"]
    assert shown == {name: view[name] for name in ("review_id", "status", "source", "assignee_id", "note")}
    again = assign(client, shop, session.id, ann, note="A large order").get_json()
    assert again == view, "the same again changes nothing"
    moved = assign(client, shop, session.id, bob).get_json()
    assert (moved["review_id"], moved["assignee_id"], moved["note"]) == (
        view["review_id"],
        bob,
        "A large order",
    )
    assert len(reviews_of(session.id)) == 1
    given = reviewers.told(session.id, "review.assigned")
    assert [fact.data["after"]["assignee_id"] for fact in given] == [ann, bob]
    assert given[1].data["before"]["assignee_id"] == ann
    assert given[0].actor_id == shop.actor.id


def test_a_session_under_review_is_not_paid_until_it_is_approved(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    assign(client, shop, session.id, reviewers.person(shop))
    with pytest.raises(Conflict) as refused:
        shop.pay(session)
    assert refused.value.code == "manual_review_pending"
    with pytest.raises(Conflict):
        payment.finish_free(shop.actor, session.id, Order("n"))
    assert risks.at_the_gateway() == []
    assert shop.left("MUG") == (100, 0, 0)
    answer = complete(client, shop, session.id, "approved", note="Spoke with the buyer")
    assert answer.status_code == 200
    view = answer.get_json()
    assert (view["status"], view["decided_by"]) == ("approved", shop.actor.id)
    assert view["decision_note"] == "Spoke with the buyer"
    assert shop.pay(session).status == "completed"
    [fact] = reviewers.told(session.id, "review.approved")
    assert fact.data["after"]["decision_note"] == "Spoke with the buyer"


def test_a_confirm_over_http_is_refused_by_its_code(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(hosted=False)
    shop.pay(session, "4000000000000002")
    intent = shop.intent(session)
    assign(client, shop, session.id, reviewers.person(shop))
    answer = client.post(
        f"/v1/checkout/payment-intents/{intent.id}/confirm",
        json={"payment_method_id": intent.payment_method_id},
        headers={**shop.bearer, "Idempotency-Key": "k2"},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (409, "manual_review_pending")
    assert len(shop.attempts(session)) == 1


def test_the_page_says_that_the_order_is_being_checked(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    reviewing.assign(shop.actor, session.id, reviewers.person(shop), None)
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    hidden = dict(re.findall(r'name="(csrf_token|nonce|quote)"[^>]*value="([^"]+)', page))
    form = {
        **hidden,
        "card_number": GOOD,
        "exp_month": "12",
        "exp_year": str(card(GOOD).exp_year),
        "cvc": "123",
    }
    answer = client.post(f"/pay/{session.hosted_id}/card", data=form)
    assert answer.status_code == 409
    assert "This order is being checked by the shop" in answer.text


def test_a_rejected_session_is_canceled_and_lets_go_of_its_goods(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(hosted=False)
    shop.pay(session, "4000000000000002")
    assert shop.left("MUG") == (100, 1, 0)
    assign(client, shop, session.id, reviewers.person(shop))
    assert complete(client, shop, session.id, "rejected").get_json()["status"] == "rejected"
    shown = client.get(f"{SESSIONS}/{session.id}", headers=shop.bearer).get_json()
    assert (shown["status"], shown["review"]["status"]) == ("canceled", "rejected")
    assert shop.intent(session).status == "canceled"
    assert shop.left("MUG") == (100, 0, 0)
    [fact] = reviewers.told(session.id, "checkout.canceled")
    assert fact.cause == "review_rejected"


def test_a_rejected_session_gives_its_authorised_payment_back(client: FlaskClient, shop: Shop) -> None:
    session = authorized(shop)
    assign(client, shop, session.id, reviewers.person(shop))
    complete(client, shop, session.id, "rejected")
    assert shop.read(session).status == "payment_processing", "the gateway has to say so first"
    assert risks.at_the_gateway() == ["authorized"]
    assert reviewers.run_jobs("checkout.turn_away") == 1
    assert shop.read(session).status == "canceled"
    assert shop.intent(session).status == "canceled"
    assert risks.at_the_gateway() == ["voided"]
    assert shop.left("MUG") == (100, 0, 0)


def test_an_approved_session_keeps_its_authorised_payment(client: FlaskClient, shop: Shop) -> None:
    session = authorized(shop)
    assign(client, shop, session.id, reviewers.person(shop))
    complete(client, shop, session.id, "approved")
    assert reviewers.run_jobs("checkout.turn_away") == 0
    assert shop.intent(session).status == "requires_capture"
    assert risks.at_the_gateway() == ["authorized"]


@pytest.mark.parametrize("mode", ["manual", "auto"])
def test_a_session_under_review_is_not_finalised_until_it_is_approved(
    client: FlaskClient, shop: Shop, mode: str
) -> None:
    session = finalizations.ready(shop, mode)
    assign(client, shop, session.id, reviewers.person(shop))
    before, path = finalizations.charges(), f"{SESSIONS}/{session.id}/finalize"
    refused = client.post(path, json={}, headers=shop.bearer)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "manual_review_pending")
    assert finalizations.orders(session) == []
    assert finalizations.charges() == before
    complete(client, shop, session.id, "approved")
    done = client.post(path, json={}, headers=shop.bearer)
    assert (done.status_code, done.get_json()["status"]) == (200, "completed")
    assert shop.left("MUG") == (99, 0, 1)


def test_a_capture_by_the_merchant_stands_and_its_sale_waits_for_the_review(
    client: FlaskClient, shop: Shop
) -> None:
    session = finalizations.ready(shop, "manual")
    assign(client, shop, session.id, reviewers.person(shop))
    path = f"/v1/checkout/payment-intents/{shop.intent(session).id}/capture"
    answer = client.post(path, json={}, headers={**shop.bearer, "Idempotency-Key": "c1"})
    assert answer.status_code == 200
    assert shop.intent(session).status == "succeeded"
    assert (shop.read(session).status, finalizations.orders(session)) == ("payment_processing", [])
    complete(client, shop, session.id, "approved")
    done = client.post(f"{SESSIONS}/{session.id}/finalize", json={}, headers=shop.bearer)
    assert (done.status_code, len(finalizations.orders(session))) == (200, 1)


def test_money_that_was_captured_for_a_rejected_sale_goes_back(client: FlaskClient, shop: Shop) -> None:
    session = finalizations.ready(shop, "auto")
    [(_, captured, _)] = finalizations.charges()
    assign(client, shop, session.id, reviewers.person(shop))
    complete(client, shop, session.id, "rejected")
    refused = client.post(f"{SESSIONS}/{session.id}/finalize", json={}, headers=shop.bearer)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "manual_review_rejected")
    assert reviewers.run_jobs("checkout.turn_away") == 1
    finalizations.work()
    assert [(taken, back) for _, taken, back in finalizations.charges()] == [(captured, captured)]
    assert shop.read(session).status == "failed"
    assert shop.left("MUG") == (100, 0, 0)
    assert finalizations.orders(session) == []


def test_money_that_was_kept_for_a_person_to_decide_goes_back_with_the_rejection(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = finalizations.OrderService(next=[finalizations.fails(OrderRefused("no"))])
    monkeypatch.setattr(registry, "orders", lambda tenant: service)
    session = finalizations.ready(shop, "manual")
    payments.capture(shop.actor, shop.intent(session).id)
    with pytest.raises(FinalizationFailed):
        finalization.finalize(shop.actor, session.id)
    assert (shop.read(session).status, shop.left("MUG")) == ("failed", (99, 0, 1))
    assign(client, shop, session.id, reviewers.person(shop))
    complete(client, shop, session.id, "rejected")
    for _ in range(2):
        finalizations.work()
    assert [(taken, back) for _, taken, back in finalizations.charges()] == [(1620, 1620)]
    assert (shop.read(session).status, shop.left("MUG")) == ("failed", (100, 0, 0))
    assert finalizations.run(session).status == "undone"


def test_a_payment_that_is_captured_meanwhile_makes_its_sale_and_the_rejection_is_noted(
    client: FlaskClient, shop: Shop
) -> None:
    session = shop.session()
    shop.pay(session, "4000000000003220")
    assert shop.read(session).status == "payment_processing"
    assign(client, shop, session.id, reviewers.person(shop))
    [attempt] = shop.attempts(session)
    action = shop.intent(session).next_action or {}
    challenges.answer(action["url"].rsplit("/", 1)[-1], "123456")
    payment.look_again(attempt.id, "return")
    assert shop.read(session).status == "completed", "money that is captured is not left without its sale"
    assert complete(client, shop, session.id, "rejected").get_json()["status"] == "rejected"
    assert shop.read(session).status == "completed"
    assert len(reviewers.told(session.id, "checkout.rejected_too_late")) == 1


def test_a_decision_stands(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    answer = complete(client, shop, session.id, "approved")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "no_review")
    assign(client, shop, session.id, reviewers.person(shop))
    first = complete(client, shop, session.id, "approved").get_json()
    assert complete(client, shop, session.id, "approved").get_json() == first
    other = complete(client, shop, session.id, "rejected")
    assert (other.status_code, other.get_json()["code"]) == (409, "review_decided")
    assert shop.read(session).status == "created"


def test_a_session_may_be_reviewed_a_second_time(client: FlaskClient, shop: Shop) -> None:
    session, ann = shop.session(), reviewers.person(shop)
    assign(client, shop, session.id, ann)
    complete(client, shop, session.id, "approved")
    second = assign(client, shop, session.id, ann).get_json()
    assert [row.status for row in reviews_of(session.id)] == ["approved", "pending"]
    assert second["review_id"] == reviews_of(session.id)[1].id
    with pytest.raises(Conflict):
        shop.pay(session)


def test_a_review_gives_a_session_a_day(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    assign(client, shop, session.id, reviewers.person(shop))
    with later(23 * 3600):
        assert sessions.expire_due() == 0
        assert complete(client, shop, session.id, "approved").status_code == 200
    with later(25 * 3600):
        assert sessions.expire_due() == 1


def test_sixteen_at_once_are_one_review_and_one_decision(shop: Shop) -> None:
    session = shop.session()
    people = [reviewers.person(shop, f"P{number}") for number in range(2)]
    made = buyers.together(
        8, lambda number: reviewing.assign(shop.actor, session.id, people[number % 2], None)
    )
    assert all(isinstance(one, Review) for one in made), made
    assert len(reviews_of(session.id)) == 1
    done = buyers.together(
        8, lambda number: reviewing.decide(shop.actor, session.id, approved=number % 2 == 0, note=None)
    )
    [review] = reviews_of(session.id)
    lost = [one for one in done if isinstance(one, Exception)]
    assert all(isinstance(one, Conflict) and one.code == "review_decided" for one in lost), lost
    assert len(lost) == 4
    ends = reviewers.told(session.id, f"review.{review.status}")
    assert len(ends) == 1
    assert shop.read(session).status == ("created" if review.status == "approved" else "canceled")


BAD: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({}, 400, "missing_field"),
    ({"assignee_id": ""}, 400, "invalid_field"),
    ({"assignee_id": 7}, 400, "invalid_field"),
    ({"assignee_id": "usr_nobody"}, 404, "assignee_not_found"),
    ({"assignee_id": "ANN", "note": ""}, 400, "invalid_field"),
    ({"assignee_id": "ANN", "note": "x" * 2001}, 400, "invalid_field"),
    ({"assignee_id": "ANN", "mood": "good"}, 400, "invalid_field"),
)


def test_a_bad_assignment_is_refused_and_nothing_is_stored(client: FlaskClient, shop: Shop) -> None:
    session, ann = shop.session(), reviewers.person(shop)
    path = f"{SESSIONS}/{session.id}/manual-review/assign"
    for body, status, code in BAD:
        sent = {name: ann if value == "ANN" else value for name, value in body.items()}
        answer = client.post(path, json=sent, headers=shop.bearer)
        assert (answer.status_code, answer.get_json()["code"]) == (status, code), body
    answer = client.post(path.replace("assign", "complete"), json={"result": "perhaps"}, headers=shop.bearer)
    assert answer.status_code == 400
    assert reviews_of(session.id) == []
    assert shop.read(session).review is None


def test_nobody_of_another_team_and_nobody_who_left_is_assigned(client: FlaskClient, shop: Shop) -> None:
    session, gone = shop.session(), reviewers.person(shop)
    stranger = reviewers.person(risks.another())
    with transaction() as db:
        db.query(User).filter_by(id=gone).one().disabled_at = clock.now()
    for assignee in (stranger, gone):
        assert assign(client, shop, session.id, assignee).get_json()["code"] == "assignee_not_found"
    assert reviews_of(session.id) == []


def test_reviews_are_the_merchants_alone(client: FlaskClient, shop: Shop) -> None:
    session, ann = shop.session(), reviewers.person(shop)
    browser = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    stranger = risks.another()
    theirs = reviewers.person(stranger, "Sue")
    for end, body in (("assign", {"assignee_id": ann}), ("complete", {"result": "approved"})):
        path = f"{SESSIONS}/{session.id}/manual-review/{end}"
        other = {"assignee_id": theirs} if end == "assign" else body
        assert client.post(path, json=other, headers=stranger.bearer).status_code == 404
        assert client.post(path, json=body, headers=browser).status_code == 403
        assert client.post(path, json=body, headers=reviewers.scoped(shop, "fraud:read")).status_code == 403
        assert client.post(path, json=body).status_code == 401
    assert reviews_of(session.id) == []
    assign(client, shop, session.id, ann, note="Looks odd")
    seen = client.get(f"{SESSIONS}/{session.id}", headers=browser).get_json()["review"]
    assert seen == {
        "status": "pending",
        "review_id": None,
        "source": None,
        "assignee_id": None,
        "note": None,
    }


@pytest.mark.parametrize("status", ["completed", "canceled"])
def test_a_session_that_is_over_is_not_reviewed(client: FlaskClient, shop: Shop, status: str) -> None:
    session, ann = shop.session(), reviewers.person(shop)
    shop.pay(session) if status == "completed" else sessions.cancel(shop.actor, session.id)
    answer = assign(client, shop, session.id, ann)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "invalid_state")
    assert reviews_of(session.id) == []
