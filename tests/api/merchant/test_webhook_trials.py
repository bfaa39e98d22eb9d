"""MR-008 over HTTP: the newest endpoint that lists an event gets it, signed like a real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading
from app.models.events.journal import JournalEntry
from app.services.events import webhooks
from tests import shops
from tests.shops import Shop
from tests.staff import Person, person

URL = "/api/webhooks/test"
BODY = {"eventType": "payment.succeeded", "data": {"paymentId": "test_payment_123"}}

pytestmark = pytest.mark.usefixtures("unlimited")


class Merchant:
    """A receiver in this process: what came, and where it is."""

    def __init__(self) -> None:
        self.came: list[tuple[str, Any, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.append((self.path, self.headers, body))
                self.send_response(500 if self.path == "/broken" else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"


@pytest.fixture
def merchant() -> Iterator[Merchant]:
    made = Merchant()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def owner(shop: Shop) -> Person:
    return person(shop)


def ask(client: FlaskClient, who: Person, body: Any = BODY, **headers: str) -> TestResponse:
    return client.post(URL, json=body, headers={**who.confirming("webhooks"), **headers})


def test_the_newest_endpoint_that_lists_the_event_gets_it(
    client: FlaskClient, shop: Shop, owner: Person, merchant: Merchant
) -> None:
    make = webhooks.create
    make(shop.actor, merchant.at("/older"), ["payment.succeeded"])
    _, secret = make(shop.actor, merchant.at("/newest"), ["payment.succeeded", "payment.failed"])
    make(shop.actor, merchant.at("/other-event"), ["payment.failed"])
    off, _ = make(shop.actor, merchant.at("/off"), ["payment.succeeded"])
    webhooks.set_enabled(shop.actor, off.id, False)
    make(shops.make("Other shop").actor, merchant.at("/strangers"), ["payment.succeeded"])
    answer = ask(client, owner)
    assert answer.status_code == 200
    [(path, headers, body)] = merchant.came
    assert path == "/newest"
    assert stripe.WebhookSignature.verify_header(body, headers["Stripe-Signature"], secret, 300)
    said = json.loads(body)
    assert answer.json == {"sent": True, "webhookEventId": said["id"], "targetUrl": merchant.at("/newest")}
    assert (said["type"], said["data"]["object"]) == ("payment.succeeded", BODY["data"])
    with reading() as db:
        [told] = db.scalars(select(JournalEntry).where(JournalEntry.type == "webhook.test.sent"))
    assert told.actor_id == owner.user.id


def test_it_is_sent_once_and_says_so_where_nobody_took_it(
    client: FlaskClient, shop: Shop, owner: Person, merchant: Merchant
) -> None:
    webhooks.create(shop.actor, merchant.at("/broken"), ["payment.succeeded"])
    for _ in range(2):
        answer = ask(client, owner, {"eventType": "payment.succeeded"}, **{"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json["sent"]) == (200, False)
    assert len(merchant.came) == 1


def test_without_an_endpoint_there_is_nowhere_to_send_to(
    client: FlaskClient, shop: Shop, owner: Person
) -> None:
    for event in ("payment.succeeded", "nothing.happened"):
        answer = ask(client, owner, {"eventType": event, "data": {}})
        assert (answer.status_code, answer.json) == (
            400,
            {"error": f"No active webhook endpoint lists {event}", "code": "NO_WEBHOOK_ENDPOINT"},
        )
    live = ask(client, Person(owner.user, "live"))
    assert live.json["code"] == "NO_WEBHOOK_ENDPOINT"


def test_mistakes_and_who_may_not(client: FlaskClient, shop: Shop, owner: Person) -> None:
    for body, code in (
        ({}, "MISSING_FIELD"),
        ({**BODY, "data": "x"}, "INVALID_FIELD"),
        ({**BODY, "data": {"x": "y" * 16_000}}, "INVALID_FIELD"),
        ({**BODY, "url": "https://a.example"}, "INVALID_FIELD"),
        ({**BODY, "data": {"card": "4000000000000002"}}, None),
    ):
        answer = ask(client, owner, body)
        assert answer.status_code == 400
        assert code in (None, answer.json["code"]), answer.text
    forbidden = ask(client, person(shop, "read_only"))
    assert forbidden.json == {
        "error": "Missing webhooks.manage permission",
        "code": "INSUFFICIENT_PERMISSIONS",
    }
    asked = client.post(URL, json=BODY, headers=owner.bearer)
    assert (asked.status_code, asked.json["action"]) == (401, "webhooks")
    assert client.post(URL, json=BODY, headers=shop.bearer).status_code == 401
