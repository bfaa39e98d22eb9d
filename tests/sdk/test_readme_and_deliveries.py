"""The examples of the client's README run as they stand, against Till; its receiver takes Till's own deliveries."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import select
from standardwebhooks import Webhook
from werkzeug.serving import make_server

from app.db import reading
from app.models.events.delivery import Delivery
from app.services.access import users
from app.services.events import audit, deliveries
from payment_sdk import PaymentClient, SignatureError, webhooks
from tests.sdk.conftest import Naps
from tests.sdk.test_client_against_till import method
from tests.sdk.test_shape import SDK
from tests.shops import Shop

EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (SDK / "README.md").read_text(), re.MULTILINE | re.DOTALL)


class Receiver:
    """A merchant's web server; which app it serves is said later."""

    def __init__(self) -> None:
        self.app: Flask | None = None
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.server = make_server("127.0.0.1", 0, self._serve, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/payment"

    def _serve(self, environ: Any, start_response: Any) -> Any:
        assert self.app is not None
        with self.app.request_context(environ):
            self.got.append((dict(request.headers), request.get_data()))
            environ["wsgi.input"] = io.BytesIO(self.got[-1][1])
        return self.app(environ, start_response)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@contextlib.contextmanager
def working() -> Iterator[Any]:
    """Deliver what is due, as the worker does."""
    client = deliveries.new_client()

    def work(merchant: Shop) -> list[Delivery]:
        audit.seal()
        while found := deliveries.due():  # two at once for an endpoint
            for due in found:
                claimed = deliveries.claim(due)
                assert claimed is not None
                deliveries.deliver(claimed, client)
        with reading() as db:
            return list(db.scalars(select(Delivery).where(Delivery.tenant_id == merchant.actor.tenant_id)))

    yield work
    client.close()


def test_the_readme_runs_from_its_first_line_to_its_last(
    till: str, merchant: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, naps: Naps,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("TILL_API_KEY", merchant.secret)
    monkeypatch.setenv("TILL_TENANT_ID", merchant.actor.tenant.public_id)
    monkeypatch.setenv("TILL_BASE_URL", till)
    monkeypatch.setenv("RECEIVER_URL", receiver.url)
    space: dict[str, Any] = {"__name__": "readme"}
    users.create(
        merchant.actor.tenant_id, "owner@readme.test", "Owner", "payments_admin", "a long enough secret"
    )
    monkeypatch.setenv("TILL_USER", "owner@readme.test")
    monkeypatch.setenv("TILL_PASSWORD", "a long enough secret")
    for example in EXAMPLES:
        exec(compile(example, "README.md", "exec"), space)
        receiver.app = space.get("app")
    shown = capsys.readouterr().out
    for text in (
        "Send the shopper to http",
        "pending",
        "True 200 None",
        "refund_exceeds_captured",
        "12.5",
        "1403.99",
    ):
        assert text in shown
    assert (space["refund"].amount, space["intent"].status) == (500, "succeeded")
    assert len(EXAMPLES) == 12 and receiver.got, "the trial came to the receiver of the example"

    client: PaymentClient = space["client"]
    session = merchant.session(surface="merchant", reference="order_9")
    merchant.pay(session)
    with working() as work:
        sent = work(merchant)
    assert {one.status for one in sent} == {"delivered"}
    assert "Paid: {" in capsys.readouterr().out and len(space["handled"]) == len(
        {one.event_id for one in sent} | {"evt_1"}
    )
    assert client.webhooks.list().data[0].secret is None


def test_deliveries_are_genuine_in_both_forms_and_while_the_secret_is_rolled(
    client: PaymentClient, merchant: Shop, receiver: Receiver
) -> None:
    receiver.app = Flask("merchant")
    receiver.app.post("/webhooks/payment")(lambda: {"received": True})
    made = client.webhooks.create(url=receiver.url, events=["payment.succeeded", "refund.succeeded"])
    assert made.secret is not None and made.secret not in repr(made)
    paid = client.payments.intents.create(amount=700, currency="GBP", payment_method_id=method(merchant))
    client.payments.intents.confirm(paid.id)
    with working() as work:
        work(merchant)
        rolled = client.webhooks.roll_secret(made.id)
        fresh = rolled.secret or ""
        assert fresh.startswith("whsec_") and fresh not in repr(rolled)
        again = client.payments.intents.create(amount=800, currency="GBP", payment_method_id=method(merchant))
        client.payments.intents.confirm(again.id)
        work(merchant)
    (one, two) = receiver.got
    for headers, body in (one, two):
        event = webhooks.verify(body, headers, made.secret)
        assert event.type == "payment.succeeded" and event.data.payment_intent_id in (paid.id, again.id)
        assert event.data.object["amount"] in (700, 800)
        for form in (
            ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"],
            ["Till-Signature"],
            ["Stripe-Signature"],
        ):
            assert webhooks.verify(body, {name: headers[name] for name in form}, made.secret) == event
        assert Webhook(made.secret).verify(body, {k.lower(): v for k, v in headers.items()})["id"] == event.id
        with pytest.raises(SignatureError):
            webhooks.verify(body.replace(b"GBP", b"USD"), headers, made.secret)
    assert webhooks.verify(two[1], two[0], fresh).data.payment_intent_id == again.id
    with pytest.raises(SignatureError):
        webhooks.verify(one[1], one[0], fresh)
    sent = list(client.webhooks.deliveries(webhook_id=made.id, limit=1))
    assert [one.status for one in sent] == ["delivered"] * 2
    assert client.webhooks.delivery(sent[0].id).tries[0].http_status == 200
    now, hour = datetime.now(UTC), timedelta(hours=1)
    counted = client.webhooks.replay(made.id, since=now - hour, until=now + hour, which="all", dry_run=True)
    assert (counted.dry_run, counted.by_event) == (True, {"payment.succeeded": 2})
    assert client.webhooks.resend(sent[0].id).replay_of == sent[0].id
    off = client.webhooks.update(made.id, status="disabled", description="out of order")
    assert (off.status, client.webhooks.get(made.id).description) == ("disabled", "out of order")
    client.webhooks.delete(made.id)
    assert client.webhooks.list().data == []
