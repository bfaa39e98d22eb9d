"""The sandbox's webhooks: what is queued, how it is signed, and the ways in which it goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.connectors.sandbox import challenges, notices
from app.kit import clock
from tests.connectors.conftest import Caller
from tests.shops import CHALLENGED, GOOD, later

SECRET = "whsec_of_the_merchant"


class Receiver:
    """Takes what is posted, and answers what it is told."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.taken: list[tuple[str, bytes, dict[str, str]]] = []

    def __call__(self, url: str, raw: bytes, headers: dict[str, str]) -> int:
        self.taken.append((url, raw, headers))
        return self.status

    def send(self) -> list[str]:
        """Let the sandbox send what is due; the types that arrived, in order."""
        before = len(self.taken)
        notices.send_due(self, lambda tenant_id: SECRET)
        return [json.loads(raw)["type"] for _, raw, _ in self.taken[before:]]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """All that arrived."""
        return [json.loads(raw) for _, raw, _ in self.taken]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_an_event_is_signed_and_read_back(sandbox: Caller, receiver: Receiver) -> None:
    approved = sandbox.authorize(sandbox.card(GOOD), "authorize_1")
    assert receiver.send() == ["payment.authorized"]
    url, raw, headers = receiver.taken[0]
    assert url == "http://shop.test/v1/payments/webhook/gateway"
    event = sandbox.connector.parse_webhook(raw, headers, ["old secret", SECRET])
    assert (event.type, event.attempt_key, event.refund_key) == ("payment.authorized", "authorize_1", None)
    assert event.payload["data"]["reference"] == approved.reference
    assert receiver.send() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw, headers: (raw + b" ", headers),
        lambda raw, headers: (raw, {}),
        lambda raw, headers: (raw, {"X-Webhook-Signature": "t=1,v1=" + "0" * 64}),
        lambda raw, headers: (raw, {"X-Webhook-Signature": "v1=é"}),
    ],
)
def test_a_forged_event_is_none(
    sandbox: Caller,
    receiver: Receiver,
    spoil: Callable[[bytes, dict[str, str]], tuple[bytes, dict[str, str]]],
) -> None:
    sandbox.authorize(sandbox.card(GOOD))
    receiver.send()
    _, raw, headers = receiver.taken[0]
    assert sandbox.connector.parse_webhook(*spoil(raw, headers), [SECRET]) is None
    assert sandbox.connector.parse_webhook(raw, headers, ["another secret"]) is None
    assert sandbox.connector.parse_webhook(raw, headers, []) is None
    with later(301):
        assert sandbox.connector.parse_webhook(raw, headers, [SECRET]) is None


def test_a_signed_body_that_is_no_event_is_none(sandbox: Caller) -> None:
    from app.kit import signing

    for raw in (b"", b"{}", b"[]", b'{"data": 1}', b'{"id": "x", "type": "y", "data": []}', b"\xff"):
        signature = signing.timestamped_signature(raw, [SECRET], clock.now())
        assert sandbox.connector.parse_webhook(raw, {"X-Webhook-Signature": signature}, [SECRET]) is None


def test_a_payments_life_is_told_in_order(sandbox: Caller, receiver: Receiver) -> None:
    reference = sandbox.captured(GOOD)
    sandbox.refund(reference, 200, "refund_1")
    assert receiver.send() == ["payment.authorized", "payment.captured", "refund.succeeded"]
    assert receiver.bodies[-1]["data"]["refund_key"] == "refund_1"
    voided = sandbox.authorize(sandbox.card(GOOD)).reference
    sandbox.void(voided)
    sandbox.void(voided)
    sandbox.authorize(sandbox.card("4000000000009995"))
    assert receiver.send() == ["payment.authorized", "payment.voided", "payment.declined"]


def test_a_repeated_call_is_told_once(sandbox: Caller, receiver: Receiver) -> None:
    token = sandbox.card(GOOD)
    for _ in range(3):
        reference = sandbox.authorize(token, "authorize_1").reference
    for _ in range(3):
        sandbox.capture(reference, key="capture_1")
        sandbox.refund(reference, 100, "refund_1")
    assert receiver.send() == ["payment.authorized", "payment.captured", "refund.succeeded"]


def test_three_ds_is_told(sandbox: Caller, receiver: Receiver) -> None:
    answer = sandbox.authorize(sandbox.card(CHALLENGED))
    assert receiver.send() == ["payment.action_required"]
    challenges.answer(answer.action.url.rsplit("/", 1)[1], "123456")
    assert receiver.send() == ["payment.authorized"]


def test_a_doubled_event_has_one_id(sandbox: Caller, receiver: Receiver) -> None:
    sandbox.authorize(sandbox.card("4000009990000039"))
    assert receiver.send() == ["payment.authorized", "payment.authorized"]
    assert len({body["id"] for body in receiver.bodies}) == 1


def test_events_out_of_order(sandbox: Caller, receiver: Receiver) -> None:
    sandbox.captured("4000009990000047")
    assert receiver.send() == ["payment.captured"]
    with later(4):
        assert receiver.send() == ["payment.authorized"]


def test_an_event_48_hours_late(sandbox: Caller, receiver: Receiver) -> None:
    sandbox.authorize(sandbox.card("4000009990000054"))
    with later(47 * 3600):
        assert receiver.send() == []
    with later(48 * 3600 + 1):
        assert receiver.send() == ["payment.authorized"]


@pytest.mark.parametrize(
    ("number", "type_", "reason"),
    [
        ("4000000000000259", "dispute.created", "fraudulent"),
        ("4000000000002685", "dispute.created", "product_not_received"),
        ("4000000000001976", "dispute.created", "inquiry"),
        ("4000000000005423", "fraud_warning.created", "early_fraud_warning"),
    ],
)
def test_a_dispute_follows_its_capture(
    sandbox: Caller, receiver: Receiver, number: str, type_: str, reason: str
) -> None:
    sandbox.captured(number)
    assert receiver.send() == ["payment.authorized", "payment.captured", type_]
    assert receiver.bodies[-1]["data"]["reason"] == reason


@pytest.mark.parametrize(
    ("number", "at_once", "turned"),
    [
        ("4000000000007726", [], ["refund.succeeded"]),
        ("4000000000005126", ["refund.succeeded"], ["refund.failed"]),
    ],
)
def test_a_refund_that_turns_says_so_when_it_does(
    sandbox: Caller, receiver: Receiver, number: str, at_once: list[str], turned: list[str]
) -> None:
    reference = sandbox.captured(number)
    receiver.send()
    sandbox.refund(reference, 500, "refund_1")
    assert receiver.send() == at_once
    with later(11):
        assert receiver.send() == turned
        assert receiver.bodies[-1]["data"]["refund_key"] == "refund_1"


@pytest.mark.parametrize("status", [0, 302, 404, 500])
def test_what_is_not_taken_is_sent_again_and_then_given_up(sandbox: Caller, status: int) -> None:
    receiver = Receiver(status)
    sandbox.authorize(sandbox.card(GOOD))
    assert receiver.send() == ["payment.authorized"]
    assert receiver.send() == []
    for minutes in range(1, 10):
        with later(minutes * 60):
            receiver.send()
    assert len(receiver.taken) == notices.MAX_TRIES
    assert len({raw for _, raw, _ in receiver.taken}) == 1


def test_an_event_that_was_refused_once_arrives(sandbox: Caller) -> None:
    receiver = Receiver(503)
    sandbox.authorize(sandbox.card(GOOD))
    receiver.send()
    receiver.status = 200
    with later(2):
        assert receiver.send() == ["payment.authorized"]
    with later(600):
        assert receiver.send() == []


def test_eight_workers_send_each_event_once(sandbox: Caller, receiver: Receiver) -> None:
    for _ in range(5):
        sandbox.authorize(sandbox.card(GOOD))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: receiver.send(), range(8)))
    ids = [body["id"] for body in receiver.bodies]
    assert len(ids) == len(set(ids)) == 5
