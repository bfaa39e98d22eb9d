"""Deliveries against a receiver in another process: signatures, answers, schedule, leases, fairness."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import stripe
from sqlalchemy import select, update
from standardwebhooks import Webhook, WebhookVerificationError

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, InvalidState, NotFound
from app.domain.rules.retry import DELIVERY_DELAYS
from app.kit import clock
from app.kit.http import Answer, SafeClient
from app.models.events.delivery import Delivery, DeliveryAttempt
from app.models.events.journal import JournalEntry
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import audit, deliveries, replays, trials, webhooks
from app.services.operations import alerts
from tests.buyers import together
from tests.events import tell
from tests.receiver import Receiver

EVENT = "payment.succeeded"


@pytest.fixture
def client() -> Iterator[SafeClient]:
    """A client with little patience."""
    made = SafeClient(allow_loopback=True, total_timeout=1)
    yield made
    made.close()


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    """A path of this test's own on the receiver that all share."""
    return f"{abs(hash(request.node.nodeid))}-{time.monotonic_ns()}"


def _endpoint(actor: Actor, url: str, secret: str | None = None) -> tuple[WebhookEndpoint, str]:
    return webhooks.create(actor, url, [EVENT], secret=secret)


def _event(actor: Actor, count: int = 1) -> list[str]:
    ids = tell(actor.tenant_id, EVENT, count=count)
    audit.seal()
    return ids


def _round(client: SafeClient) -> int:
    """What a worker does: claim what is due, send it."""
    claimed = [deliveries.claim(delivery_id) for delivery_id in deliveries.due()]
    return sum(deliveries.deliver(row, client) for row in claimed if row is not None)


def _rows() -> list[Delivery]:
    with reading() as db:
        return list(db.scalars(select(Delivery).order_by(Delivery.id)))


def _tries(delivery: Delivery) -> list[DeliveryAttempt]:
    with reading() as db:
        return list(
            db.scalars(
                select(DeliveryAttempt)
                .where(DeliveryAttempt.delivery_id == delivery.id)
                .order_by(DeliveryAttempt.number)
            )
        )


@contextmanager
def _at(moment: datetime) -> Iterator[None]:
    with clock.frozen(moment):
        yield


@pytest.mark.parametrize("secret", [None, "a secret of their own"])
def test_both_libraries_verify_what_arrives(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str, secret: str | None
) -> None:
    _, shown = _endpoint(actor, receiver.url(f"/ok/{path}"), secret)
    [event_id] = _event(actor)
    assert _round(client) == 1
    [request] = receiver.requests(f"/ok/{path}")
    assert request.event_id == event_id == request.event["id"]
    assert request.headers["content-type"] == "application/json"
    key = shown if secret is None else secret.encode()
    assert Webhook(key).verify(request.body, request.headers)["id"] == event_id
    for header in ("till-signature", "stripe-signature"):
        assert stripe.WebhookSignature.verify_header(
            request.body.decode(), request.headers[header], shown, 300
        )
    event = stripe.Webhook.construct_event(request.body, request.headers["stripe-signature"], shown)
    assert (event["id"], event["type"]) == (event_id, EVENT), "a receiver made for Stripe reads it"
    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(request.body + b" ", request.headers)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header("{}", request.headers["till-signature"], shown, 300)


def test_while_a_secret_is_rolled_both_verify_and_after_a_day_only_the_new_one(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    endpoint, old = _endpoint(actor, receiver.url(f"/ok/{path}"))
    _, new = webhooks.roll_secret(actor, endpoint.id)
    _event(actor)
    _round(client)
    [request] = receiver.requests(f"/ok/{path}")
    for secret in (old, new):
        assert Webhook(secret).verify(request.body, request.headers)
        assert stripe.WebhookSignature.verify_header(
            request.body.decode(), request.headers["stripe-signature"], secret, 300
        )
    with _at(datetime.now(UTC) + timedelta(hours=24, seconds=1)):
        assert webhooks.secrets_of(webhooks.get(actor, endpoint.id)) == [new]


def test_a_failed_try_is_repeated_under_the_same_event_id_until_it_is_taken(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    _endpoint(actor, receiver.url(f"/fail/2/{path}"))
    _event(actor)
    now = clock.now()
    for seconds in (0, 6, 6 + 331):
        with _at(now + timedelta(seconds=seconds)):
            _round(client)
    [row] = _rows()
    assert (row.status, row.tries, row.lease_token) == ("delivered", 3, None)
    assert [item.http_status for item in _tries(row)] == [500, 500, 200]
    assert [item.number for item in _tries(row)] == [1, 2, 3]
    requests = receiver.requests(f"/fail/2/{path}")
    assert len({request.event_id for request in requests}) == 1
    assert len({request.body for request in requests}) == 1
    assert len({request.headers["webhook-timestamp"] for request in requests}) == 3


def test_the_schedule_ends_in_exhausted(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    _endpoint(actor, receiver.url(f"/status/500/{path}"))
    _event(actor)
    moment, waits = clock.now(), []
    for _ in range(len(DELIVERY_DELAYS)):
        with _at(moment):
            assert deliveries.due()
            _round(client)
        [row] = _rows()
        if row.status == "retry_wait":
            waits.append((row.due_at - moment).total_seconds())
            with _at(row.due_at - timedelta(seconds=1)):
                assert not deliveries.due()
            moment = row.due_at
    assert (row.status, row.tries) == ("exhausted", 10)
    for wait, delay in zip(waits, DELIVERY_DELAYS[1:], strict=True):
        assert delay <= wait <= delay * 1.1 + 1
    with _at(moment + timedelta(days=30)):
        assert not deliveries.due()


@pytest.mark.parametrize(
    ("kind", "status"),
    [("slow/3", None), ("redirect", 302), ("status/404", 404), ("status/304", 304), ("status/500", 500)],
)
def test_only_2xx_counts_and_a_redirect_is_not_followed(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str, kind: str, status: int | None
) -> None:
    _endpoint(actor, receiver.url(f"/{kind}/{path}"))
    _event(actor)
    assert _round(client) == 0
    [row] = _rows()
    [item] = _tries(row)
    assert (row.status, item.http_status) == ("retry_wait", status)
    assert (item.error is None) == (status is not None)
    assert not receiver.requests("/ok/redirected")


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_is_taken(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str, status: int
) -> None:
    _endpoint(actor, receiver.url(f"/status/{status}/{path}"))
    _event(actor)
    assert _round(client) == 1


def test_410_switches_the_endpoint_off_and_what_waits_is_given_up(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    endpoint, _ = _endpoint(actor, receiver.url(f"/status/410/{path}"))
    _event(actor, count=4)
    for _ in range(3):
        _round(client)
    now = webhooks.get(actor, endpoint.id)
    assert (now.disabled_at is not None, now.disabled_reason) == (True, "answered 410 Gone")
    assert {row.status for row in _rows()} == {"exhausted"}
    assert len(receiver.requests(f"/status/410/{path}")) <= deliveries.MAX_IN_FLIGHT_PER_ENDPOINT
    with reading() as db:
        told = db.scalars(select(JournalEntry).where(JournalEntry.type == "webhook_endpoint.disabled")).all()
    assert [row.entity_id for row in told] == [endpoint.id]
    _event(actor)
    assert len(_rows()) == 4


def test_the_owner_of_an_endpoint_that_was_switched_off_is_told(
    actor: Actor, stranger: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    broken, _ = _endpoint(actor, receiver.url(f"/status/410/{path}"))
    webhooks.create(actor, receiver.url(f"/ok/{path}"), ["webhook_endpoint.disabled"])
    _event(actor)
    _round(client)
    assert [row.id for row in webhooks.in_trouble(actor)] == [broken.id]
    assert webhooks.in_trouble(stranger) == []
    assert alerts.counts(actor) == {"webhook_endpoint.disabled": 1}
    audit.seal()
    _round(client)
    [request] = receiver.requests(f"/ok/{path}")
    about = request.event["data"]["object"]
    assert (about["id"], about["disabled_reason"]) == (broken.id, "answered 410 Gone")
    webhooks.update(actor, broken.id, enabled=True)
    assert webhooks.in_trouble(actor) == []
    webhooks.update(actor, broken.id, enabled=False)
    assert webhooks.in_trouble(actor) == [], "whoever did it knows"
    assert alerts.counts(actor) == {"webhook_endpoint.disabled": 1}


def test_an_endpoint_that_fails_for_five_days_is_switched_off(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    endpoint, _ = _endpoint(actor, receiver.url(f"/status/503/{path}"))
    _event(actor)
    _round(client)
    since = webhooks.get(actor, endpoint.id).failing_since
    assert since is not None
    with _at(since + timedelta(days=4, hours=23)):
        _round(client)
        assert webhooks.get(actor, endpoint.id).disabled_at is None
    with _at(since + timedelta(days=6)):
        _round(client)
        found = webhooks.get(actor, endpoint.id)
        assert (found.failing_since, found.disabled_reason) == (since, "failed for five days")
    webhooks.set_enabled(actor, endpoint.id, True)
    assert webhooks.get(actor, endpoint.id).failing_since is None


def test_one_success_ends_the_count_of_failing_days(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    endpoint, _ = _endpoint(actor, receiver.url(f"/fail/1/{path}"))
    _event(actor)
    _round(client)
    assert webhooks.get(actor, endpoint.id).failing_since is not None
    assert [row.id for row in webhooks.in_trouble(actor)] == [endpoint.id]
    with _at(clock.now() + timedelta(seconds=10)):
        assert _round(client) == 1
    assert webhooks.get(actor, endpoint.id).failing_since is None


def test_retry_after_is_honoured(actor: Actor, receiver: Receiver, client: SafeClient, path: str) -> None:
    _endpoint(actor, receiver.url(f"/busy/900/{path}"))
    _event(actor)
    with _at(clock.now()):
        _round(client)
        assert (_rows()[0].due_at - clock.now()).total_seconds() == pytest.approx(900, abs=1)


def test_of_a_huge_answer_the_first_64_kib_are_kept(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    _endpoint(actor, receiver.url(f"/huge/{path}"))
    _event(actor)
    assert _round(client) == 1
    assert _tries(_rows()[0])[0].answer == "x" * 65536


def test_an_answer_that_drips_is_cut_off_in_time(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    _endpoint(actor, receiver.url("/drip"))
    _event(actor)
    started = time.monotonic()
    assert _round(client) == 0
    assert time.monotonic() - started < 2
    assert _tries(_rows()[0])[0].error == "no answer in time"


def test_a_private_address_is_never_called(actor: Actor, receiver: Receiver, path: str) -> None:
    _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor)
    strict = SafeClient(allow_loopback=False)
    assert _round(strict) == 0
    assert not receiver.requests(f"/ok/{path}")
    assert "not public" in (_tries(_rows()[0])[0].error or "")


def test_a_slow_endpoint_with_a_long_queue_hides_nobody(actor: Actor, receiver: Receiver, path: str) -> None:
    slow, _ = _endpoint(actor, receiver.url(f"/slow/1/{path}"))
    _event(actor, count=130)
    other, _ = webhooks.create(actor, receiver.url(f"/ok/{path}"), ["refund.succeeded"])
    tell(actor.tenant_id, "refund.succeeded", count=3)
    audit.seal()
    for delivery_id in deliveries.due(limit=20):
        deliveries.claim(delivery_id)
    leased = [row.endpoint_id for row in _rows() if row.status == "leased"]
    assert sorted(leased) == sorted([slow.id] * 2 + [other.id] * 2)
    assert deliveries.due(limit=20) == []


def test_a_delivery_is_leased_once(actor: Actor, receiver: Receiver, path: str) -> None:
    _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor)
    [delivery_id] = deliveries.due()
    first = deliveries.claim(delivery_id)
    assert first is not None and (first.status, first.tries) == ("leased", 1)
    assert deliveries.claim(delivery_id) is None
    assert deliveries.due() == []


def test_of_many_claimed_at_once_two_are_leased_and_the_rest_when_these_have_ended(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    busy, _ = _endpoint(actor, receiver.url(f"/ok/{path}"))
    other, _ = webhooks.create(actor, receiver.url(f"/ok/other/{path}"), ["refund.succeeded"])
    _event(actor, count=16)
    tell(actor.tenant_id, "refund.succeeded")
    audit.seal()
    rows = _rows()
    crowd = [row.id for row in rows if row.endpoint_id == busy.id]
    [alone] = [row.id for row in rows if row.endpoint_id == other.id]
    got = together(16, lambda number: deliveries.claim(crowd[number]))
    assert not [error for error in got if isinstance(error, Exception)]
    leased = [row for row in got if isinstance(row, Delivery)]
    assert len(leased) == 2
    assert [row.status for row in _rows()].count("leased") == 2
    assert {row.tries for row in _rows() if row.status == "pending"} == {0}
    assert deliveries.due() == [alone]
    assert deliveries.claim(alone) is not None
    assert deliveries.deliver(leased[0], client)
    [third] = [row for row in deliveries.due() if row in crowd]
    assert deliveries.claim(third) is not None
    assert not [row for row in deliveries.due() if row in crowd]
    with _at(clock.now() + timedelta(seconds=deliveries.LEASE_SECONDS + 1)):  # both workers were killed
        assert len([row for row in deliveries.due() if row in crowd]) == 2
        got = together(16, lambda number: deliveries.claim(crowd[number]))
    assert len([row for row in got if isinstance(row, Delivery)]) == 2


def test_leases_are_taken_while_others_end(actor: Actor, receiver: Receiver, path: str) -> None:
    """Claim and record lock the endpoint first, then the delivery: whoever comes, none waits for ever."""
    _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor, count=16)
    client = SafeClient(allow_loopback=True)

    def work(_: int) -> None:
        while waiting := [row.id for row in _rows() if row.status != "delivered"]:
            for delivery_id in waiting:
                claimed = deliveries.claim(delivery_id)
                if claimed is not None:
                    assert deliveries.deliver(claimed, client)

    assert together(6, work) == [None] * 6
    client.close()
    requests = receiver.requests(f"/ok/{path}")
    assert len(requests) == 16
    assert max(request.in_flight for request in requests) <= 2


def test_a_worker_that_lost_its_lease_changes_nothing(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor)
    [delivery_id] = deliveries.due()
    stale = deliveries.claim(delivery_id, lease_seconds=0)
    assert stale is not None
    with _at(clock.now() + timedelta(seconds=1)):
        assert deliveries.due() == [delivery_id]
        fresh = deliveries.claim(delivery_id)
        assert fresh is not None and fresh.lease_token != stale.lease_token
        assert deliveries.deliver(stale, client)
        assert _rows()[0].status == "leased"
        assert deliveries.deliver(fresh, client)
    assert _rows()[0].status == "delivered"
    assert len({request.event_id for request in receiver.requests(f"/ok/{path}")}) == 1


def test_a_resent_event_is_a_new_delivery_with_the_same_id_and_body(
    actor: Actor, stranger: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    endpoint, _ = _endpoint(actor, receiver.url(f"/ok/{path}"))
    [event_id] = _event(actor)
    _round(client)
    [old] = _rows()
    with pytest.raises(NotFound):
        replays.one(stranger, old.id)
    fresh = replays.one(actor, old.id)
    assert (fresh.replay_of, fresh.status) == (old.id, "pending")
    assert _round(client) == 1
    first, second = receiver.requests(f"/ok/{path}")
    assert first.event_id == second.event_id == event_id
    assert first.body == second.body
    webhooks.set_enabled(actor, endpoint.id, False)
    with pytest.raises(InvalidState):
        replays.one(actor, old.id)


def test_failed_ones_are_sent_again_once(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor, count=3)
    first, *_ = _rows()
    with transaction() as db:
        db.execute(update(Delivery).where(Delivery.id != first.id).values(status="exhausted"))
    assert replays.failed(actor) == 2
    assert replays.failed(actor) == 0
    while _round(client):
        pass
    assert len(receiver.requests(f"/ok/{path}")) == 3


def test_a_deleted_endpoint_gets_nothing_more(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    endpoint, _ = _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor, count=3)
    webhooks.delete(actor, endpoint.id)
    for _ in range(2):
        _round(client)
    assert {row.status for row in _rows()} == {"exhausted"}
    assert not receiver.requests(f"/ok/{path}")


def test_pages_hold_every_delivery_once(actor: Actor, stranger: Actor, receiver: Receiver, path: str) -> None:
    endpoint, _ = _endpoint(actor, receiver.url(f"/ok/{path}"))
    _endpoint(actor, receiver.url(f"/ok/other/{path}"))
    _event(actor, count=5)
    seen, cursor = [], None
    while True:
        page = deliveries.list_page(actor, endpoint_id=endpoint.id, limit=2, cursor=cursor)
        seen += [row.id for row in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == sorted((row.id for row in _rows() if row.endpoint_id == endpoint.id), reverse=True)
    assert len(deliveries.list_page(actor, statuses=("pending",)).data) == 10
    assert deliveries.list_page(actor, statuses=("delivered",)).data == []
    assert deliveries.list_page(stranger).data == []
    with pytest.raises(InvalidRequest):
        deliveries.list_page(actor, cursor="%%%")


def test_a_trial_shows_at_once_what_came_back_and_is_tried_once(
    actor: Actor, stranger: Actor, receiver: Receiver, path: str
) -> None:
    good, secret = _endpoint(actor, receiver.url(f"/ok/{path}"))
    trial = trials.send(actor, good.id, "checkout.completed", {"checkout_id": "chk_test"})
    assert trial.delivered and trial.attempt is not None and trial.attempt.http_status == 200
    [request] = receiver.requests(f"/ok/{path}")
    assert Webhook(secret).verify(request.body, request.headers)
    assert json.loads(request.body)["data"]["object"] == {"checkout_id": "chk_test"}
    _event(actor, count=3)
    for delivery_id in deliveries.due():
        deliveries.claim(delivery_id)
    assert trials.send(actor, good.id, EVENT).delivered  # it waits for no place
    bad, _ = _endpoint(actor, receiver.url(f"/status/500/{path}"))
    trial = trials.send(actor, bad.id, EVENT)
    assert (trial.delivered, trial.delivery.status) == (False, "exhausted")
    assert trial.attempt is not None and trial.attempt.http_status == 500
    with pytest.raises(NotFound):
        trials.send(stranger, good.id, EVENT)
    with pytest.raises(InvalidRequest):
        trials.send(actor, good.id, "no.such.event")


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 2035 00:00:00 +" + "9" * 22, "Mon, 01 Jan 9999 23:59:59 -2359"]
)
def test_a_date_that_cannot_be_is_not_waited_for(
    actor: Actor, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, path: str, date: str
) -> None:
    _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor)
    answer = Answer(503, {"retry-after": date}, b"", 1)
    client = SafeClient(allow_loopback=True)
    monkeypatch.setattr(client, "post", lambda *_: answer)
    assert _round(client) == 0
    [row] = _rows()
    assert row.status == "retry_wait"
    assert row.due_at <= clock.now() + timedelta(days=1)


def test_what_cannot_be_sent_is_a_failed_try_and_no_lease_that_lapses_for_ever(
    actor: Actor, receiver: Receiver, client: SafeClient, path: str
) -> None:
    endpoint, _ = _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor)
    with transaction() as db:
        db.get_one(WebhookEndpoint, endpoint.id).secret = "v1:lost:AAAA"
    moment = clock.now()
    for _ in DELIVERY_DELAYS:
        with _at(moment):
            assert _round(client) == 0
            moment = _rows()[0].due_at
    [row] = _rows()
    assert (row.status, row.tries) == ("exhausted", 10)
    assert {item.error for item in _tries(row)} == {"it could not be sent: DecryptionError"}
    assert not receiver.requests(f"/ok/{path}")


def test_of_many_who_send_failed_ones_again_each_is_sent_once_and_it_is_journalled(
    actor: Actor, receiver: Receiver, path: str
) -> None:
    _endpoint(actor, receiver.url(f"/ok/{path}"))
    _event(actor, count=3)
    with transaction() as db:
        db.execute(update(Delivery).values(status="exhausted"))
    counts = together(6, lambda _: replays.failed(actor))
    assert sorted(counts, key=str) == [0, 0, 0, 0, 0, 3]
    assert len(_rows()) == 6
    with reading() as db:
        told = db.scalars(select(JournalEntry).where(JournalEntry.type == "webhook_delivery.resent")).all()
    assert [(row.entity, row.data["after"]) for row in told] == [("merchant", {"deliveries": 3})]
