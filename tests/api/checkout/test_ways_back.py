"""CK-032 and CK-033: who comes back is not believed, and coming back twice does nothing more."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.connectors.sandbox import book, challenges
from app.db import reading, transaction
from app.kit import clock, signing
from app.models.events.journal import JournalEntry
from app.models.events.provider_event import ProviderEvent
from app.services.checkout import payment, returns
from app.services.operations import inbound_secrets
from app.services.payments import methods
from tests.buyers import together
from tests.checkout_api import Checkout
from tests.shops import CHALLENGED, Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")
RETURN = "/v1/checkout/redirect/return"
CALLBACK = "/v1/checkout/3ds/callback"
URLS = {"success_url": "https://shop.example/thanks?a=1", "cancel_url": "https://shop.example/basket"}


class AtTheBank(Checkout):
    """A session whose shopper is at PayPal's page."""

    def __init__(self, client: FlaskClient, shop: Shop, **draft: Any) -> None:
        super().__init__(client, shop, **draft)
        self.opened()
        paypal = methods.redirect(shop.actor, "paypal").id
        action = self.intent("/confirm", {"payment_method_id": paypal})["next_action"]
        self.challenge = action["url"].rsplit("/", 1)[1]
        self.token = shop.attempts(self.session)[0].return_nonce

    def decide(self, *, approve: bool) -> None:
        challenges.decide(self.challenge, approve=approve)

    def back(self, **query: str) -> Any:
        words = {"checkout_id": self.session.id, "payment_token": self.token, "status": "success", **query}
        return self.client.get(RETURN, query_string=words)


def test_a_query_that_says_success_is_not_believed(client: FlaskClient, shop: Shop) -> None:
    there = AtTheBank(client, shop)
    told = there.back(status="success", PayerID="x")
    assert told.status_code == 200
    assert (told.json["status"], told.json["checkout_status"]) == ("pending", "payment_processing")
    assert told.json["payment_intent"]["status"] == "requires_action"
    there.decide(approve=False)
    told = there.back(status="success")
    assert (told.json["status"], told.json["checkout_status"]) == ("failed", "reserved")
    assert told.json["payment_intent"]["last_error"]["code"] == "payment_declined"


def test_an_approved_payment_is_taken_through_once(client: FlaskClient, shop: Shop) -> None:
    there = AtTheBank(client, shop)
    there.decide(approve=True)
    told = there.back(status="failed")
    assert (told.status_code, told.json["status"]) == (200, "succeeded")
    assert told.headers["Cache-Control"] == "no-store"
    assert there.get()["payment_intent"]["status"] == "succeeded"
    again = there.back()
    assert (again.status_code, again.json["code"]) == (409, "already_completed")


def test_eight_who_come_back_at_once_learn_it_once(client: FlaskClient, shop: Shop) -> None:
    there = AtTheBank(client, shop)
    there.decide(approve=True)
    found = together(8, lambda _: returns.land(there.session.id, there.token))
    assert [one for one in found if isinstance(one, Exception)] == []
    assert [fresh for _, fresh in found if fresh] == [True]  # type: ignore[misc]
    assert there.get()["payment_intent"]["status"] == "succeeded"


@pytest.mark.parametrize(
    ("approve", "page", "hint"),
    [(True, "/thanks", "succeeded"), (False, "/basket", "failed"), (None, "/thanks", "pending")],
)
def test_a_session_with_pages_leads_on_to_them(
    client: FlaskClient, shop: Shop, approve: bool | None, page: str, hint: str
) -> None:
    there = AtTheBank(client, shop, **URLS)
    if approve is not None:
        there.decide(approve=approve)
    for _ in range(2):  # a reload leads to the same place
        answer = there.back(status="anything")
        assert (answer.status_code, answer.data) == (302, b"")
        onward = urlsplit(answer.headers["Location"])
        assert (onward.netloc, onward.path) == ("shop.example", page)
        query = {name: values[0] for name, values in parse_qs(onward.query).items()}
        assert query.pop("a", "1") == "1"
        assert query == {
            "checkout_id": there.session.id,
            "payment_intent_id": there.intent_id,
            "redirect_status": hint,
        }


def test_the_banks_way_back_leads_here_where_the_session_has_pages(client: FlaskClient, shop: Shop) -> None:
    there = AtTheBank(client, shop, **URLS)
    there.decide(approve=True)
    page = client.get(f"/return/{there.token}").get_data(as_text=True)
    assert f'href="{RETURN}?checkout_id={there.session.id}&amp;payment_token={there.token}' in page
    assert there.back().headers["Location"].startswith("https://shop.example/thanks?a=1&")


def test_a_token_is_its_own_sessions(client: FlaskClient, shop: Shop) -> None:
    there, other = AtTheBank(client, shop), AtTheBank(client, make("Other shop"))
    there.decide(approve=True)
    for query in (
        {"payment_token": "x"},
        {"payment_token": other.token},
        {"checkout_id": other.session.id},
    ):
        answer = there.back(**query)
        assert (answer.status_code, answer.json["code"]) == (401, "payment_token_invalid")
    missing = client.get(RETURN, query_string={"checkout_id": there.session.id})
    assert (missing.status_code, missing.json["field"]) == (400, "payment_token")
    assert there.get()["payment_intent"]["status"] == "requires_action"


class Challenged(Checkout):
    """A session whose shopper is at 3-D Secure, and the payment service that knows the secret."""

    def __init__(self, client: FlaskClient, shop: Shop, **draft: Any) -> None:
        super().__init__(client, shop, **draft)
        self.opened()
        action = self.confirmed(CHALLENGED)["next_action"]
        self.challenge = action["url"].rsplit("/", 1)[1]
        self.transaction = action["challenge"]["transaction_id"]
        self.secret = inbound_secrets.find(shop.actor.tenant_id, "threeds") or ""

    def tell(self, secret: str | None = None, **changes: Any) -> Any:
        body = {
            "id": "evt_1",
            "payment_intent_id": self.intent_id,
            "result": "authenticated",
            "transaction_id": self.transaction,
            **changes,
        }
        raw = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
        return self.send(raw, self.secret if secret is None else secret)

    def send(self, raw: bytes, secret: str) -> Any:
        header = signing.timestamped_signature(raw, [secret], clock.now())
        return self.client.post(CALLBACK, data=raw, headers={"X-Webhook-Signature": header})


def journalled(checkout: Checkout) -> int:
    with reading() as db:
        entries = select(func.count()).where(JournalEntry.payment_intent_id == checkout.intent_id)
        return db.scalar(entries) or 0


def test_a_signed_result_takes_the_payment_through_once(client: FlaskClient, shop: Shop) -> None:
    there = Challenged(client, shop)
    challenges.answer(there.challenge, "123456")
    told = there.tell()
    assert (told.status_code, told.json) == (200, {"received": True})
    assert there.get()["payment_intent"]["status"] == "succeeded"
    before = journalled(there)
    assert there.tell().json == {"received": True}
    assert there.tell(result="failed").json == {"received": True}
    assert journalled(there) == before
    with reading() as db:
        rows = list(db.scalars(select(ProviderEvent).where(ProviderEvent.provider == "threeds")))
    assert [(row.event_id, row.processed_at is not None) for row in rows] == [("evt_1", True)]


def test_eight_deliveries_at_once_take_the_money_once(client: FlaskClient, shop: Shop) -> None:
    there = Challenged(client, shop)
    challenges.answer(there.challenge, "123456")
    body = {"id": "evt_1", "payment_intent_id": there.intent_id, "result": "authenticated"}
    raw = json.dumps(body).encode()
    header = signing.timestamped_signature(raw, [there.secret], clock.now())
    taken = together(8, lambda _: returns.receive_three_ds(raw, header))
    assert True in taken
    assert [found for found in taken if not isinstance(found, bool)] == []
    assert there.get()["payment_intent"]["status"] == "succeeded"
    with reading() as db:
        assert list(db.scalars(select(book.payments.c.captured))) == [1620]


def test_the_gateway_decides_what_a_result_means(client: FlaskClient, shop: Shop) -> None:
    undecided = Challenged(client, shop)
    assert undecided.tell().status_code == 200
    assert undecided.get()["payment_intent"]["status"] == "requires_action"
    approved = Challenged(client, shop)
    challenges.answer(approved.challenge, "123456")
    assert approved.tell(result="failed", id="evt_2").status_code == 200
    assert approved.get()["payment_intent"]["status"] == "succeeded"
    given_up = Challenged(client, shop)
    assert given_up.tell(result="abandoned", id="evt_3").status_code == 200
    assert given_up.get()["payment_intent"]["status"] == "requires_payment_method"


def test_a_result_that_was_stored_and_not_seen_through_is_seen_through(
    client: FlaskClient, shop: Shop
) -> None:
    there = Challenged(client, shop)
    with transaction() as db:
        db.add(
            ProviderEvent(
                id="pev_1",
                tenant_id=shop.actor.tenant_id,
                mode="test",
                provider="threeds",
                event_id="evt_1",
                type="3ds.authenticated",
                payload={},
                received_at=clock.now(),
            )
        )
    challenges.answer(there.challenge, "123456")
    assert there.tell().status_code == 200
    assert there.get()["payment_intent"]["status"] == "succeeded"


def test_a_result_without_its_signature_changes_nothing(client: FlaskClient, shop: Shop) -> None:
    there, stranger = Challenged(client, shop), Challenged(client, make("Other shop"))
    challenges.answer(there.challenge, "123456")
    payment_secret = inbound_secrets.find(shop.actor.tenant_id, "payment") or ""
    raw = json.dumps({"id": "e", "payment_intent_id": there.intent_id, "result": "authenticated"}).encode()
    old = signing.timestamped_signature(raw, [there.secret], clock.now())
    with later(301):
        replayed = client.post(CALLBACK, data=raw, headers={"X-Webhook-Signature": old})
    other_body = client.post(CALLBACK, data=raw + b" ", headers={"X-Webhook-Signature": old})
    for answer in (
        replayed,
        other_body,
        there.tell(secret="wrong"),
        there.tell(secret=stranger.secret),
        there.tell(secret=payment_secret),
        there.tell(payment_intent_id="pi_none"),
        there.tell(payment_intent_id=7),
        there.send(b"not json", there.secret),
        there.send(b"[]", there.secret),
        client.post(CALLBACK, data=raw),
    ):
        assert (answer.status_code, answer.json["code"]) == (401, "invalid_signature")
    assert there.get()["payment_intent"]["status"] == "requires_action"
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(ProviderEvent)) == 0


def test_a_signed_body_that_is_no_result_names_its_field(client: FlaskClient, shop: Shop) -> None:
    there = Challenged(client, shop)
    for changes, status, field in (
        ({"id": None}, 400, "id"),
        ({"id": "x" * 129}, 400, "id"),
        ({"id": 7}, 400, "id"),
        ({"result": "fine"}, 400, "result"),
        ({"cres": "?"}, 400, "cres"),
        ({"transaction_id": "another"}, 422, "transaction_id"),
    ):
        answer = there.tell(**changes)
        assert (answer.status_code, answer.json["field"]) == (status, field), changes
    assert there.get()["payment_intent"]["status"] == "requires_action"


def test_a_result_for_a_payment_without_a_challenge_is_acknowledged(client: FlaskClient, shop: Shop) -> None:
    there = Challenged(client, shop)
    plain = Checkout(client, shop)
    plain.opened()
    assert there.tell(payment_intent_id=plain.intent_id, id="evt_9").status_code == 200
    assert plain.get()["payment_intent"]["status"] == "requires_payment_method"
    payment.sweep()
    assert plain.get()["payment_intent"]["status"] == "requires_payment_method"
