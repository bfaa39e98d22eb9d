"""Sending a span of time again: what was given up, what an endpoint never got, and nothing twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, InvalidState, NotFound
from app.kit import clock
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import audit, replays, trials, webhooks
from app.services.events.replays import Replayed, Span, Which
from tests.buyers import together
from tests.events import tell

PAID, REFUNDED = "payment.succeeded", "refund.succeeded"
NOBODY = "http://127.0.0.1:9/hook"
HOUR = timedelta(hours=1)


@pytest.fixture
def endpoint(actor: Actor) -> WebhookEndpoint:
    """An endpoint that wants payments and refunds."""
    return webhooks.create(actor, NOBODY, [PAID, REFUNDED])[0]


def _happened(actor: Actor, type_: str = PAID, count: int = 1) -> list[str]:
    ids = tell(actor.tenant_id, type_, count=count)
    audit.seal()
    return ids


def _span(endpoint: WebhookEndpoint, which: Which = Which.FAILED, **changes: object) -> Span:
    now = clock.now()
    return Span(
        **{  # type: ignore[arg-type]
            "endpoint_id": endpoint.id,
            "since": now - HOUR,
            "until": now + HOUR,
            "which": which,
            **changes,
        }
    )


def _ended(status: str, *event_ids: str) -> None:
    with transaction() as db:
        db.execute(update(Delivery).where(Delivery.event_id.in_(event_ids)).values(status=status))


def _rows(endpoint: WebhookEndpoint) -> list[Delivery]:
    statement = select(Delivery).where(Delivery.endpoint_id == endpoint.id).order_by(Delivery.id)
    with reading() as db:
        return list(db.scalars(statement))


def test_of_a_span_what_was_given_up_is_sent_again_once(actor: Actor, endpoint: WebhookEndpoint) -> None:
    lost = _happened(actor, count=3) + _happened(actor, REFUNDED)
    taken, waiting = _happened(actor, count=2)
    _ended("exhausted", *lost)
    _ended("delivered", taken)
    expected = Replayed({PAID: 3, REFUNDED: 1})
    assert replays.dry_run(actor, _span(endpoint)) == expected
    assert len(_rows(endpoint)) == 6, "a dry run sends nothing"
    first = {row.event_id: row for row in _rows(endpoint)}
    assert replays.of_span(actor, _span(endpoint)) == expected
    fresh = _rows(endpoint)[6:]
    assert [row.event_id for row in fresh] == lost, "oldest first"
    for row in fresh:
        old = first[row.event_id]
        assert (row.status, row.tries, row.replay_of, row.body) == ("pending", 0, old.id, old.body)
    assert replays.of_span(actor, _span(endpoint)).count == 0, "they are on their way"
    with reading() as db:
        told = list(db.scalars(select(JournalEntry).where(JournalEntry.type == "webhook_delivery.resent")))
    assert [(row.entity_id, row.data["after"]["deliveries"]) for row in told] == [(endpoint.id, 4)]
    assert waiting not in [row.event_id for row in fresh]


def test_missing_ones_are_what_an_endpoint_never_got(actor: Actor, endpoint: WebhookEndpoint) -> None:
    got = _happened(actor)
    webhooks.set_enabled(actor, endpoint.id, False)
    missed = _happened(actor, count=2)
    with pytest.raises(InvalidState):
        replays.of_span(actor, _span(endpoint, Which.MISSING))
    webhooks.set_enabled(actor, endpoint.id, True)
    tell(actor.tenant_id)  # not sealed yet: it is on its way
    assert replays.of_span(actor, _span(endpoint, Which.MISSING)) == Replayed({PAID: 2})
    audit.seal()
    assert [row.replay_of for row in _rows(endpoint)] == [None] * 4
    assert [row.event_id for row in _rows(endpoint)][:3] == got + missed
    assert replays.dry_run(actor, _span(endpoint, Which.ALL)).count == 0
    _ended("delivered", *got, *missed)
    assert replays.of_span(actor, _span(endpoint, Which.ALL)).count == 3


def test_a_span_has_its_edges_and_its_events(actor: Actor, endpoint: WebhookEndpoint) -> None:
    for type_ in (PAID, PAID, REFUNDED):
        _happened(actor, type_)
    _happened(actor, "checkout.completed")  # which this endpoint does not list
    _ended("exhausted", *[row.event_id for row in _rows(endpoint)])
    with reading() as db:
        at = [row.created_at for row in db.scalars(select(JournalEntry).order_by(JournalEntry.id))]
    *_, second, third, _other = at
    assert replays.dry_run(actor, _span(endpoint, until=second)).count == 1
    assert replays.dry_run(actor, _span(endpoint, since=third)).by_event == {REFUNDED: 1}
    assert replays.dry_run(actor, _span(endpoint, events=(REFUNDED,))).by_event == {REFUNDED: 1}
    assert replays.dry_run(actor, _span(endpoint, events=("checkout.completed",))).count == 0
    for wrong in ({"events": ("x.y",)}, {"until": clock.now() - HOUR}, {"cursor": "%%"}, {"cursor": "YWJj"}):
        for run in (replays.dry_run, replays.of_span):
            with pytest.raises(InvalidRequest):
                run(actor, _span(endpoint, **wrong))


def test_a_long_span_goes_page_by_page(actor: Actor, endpoint: WebhookEndpoint) -> None:
    lost = _happened(actor, count=5)
    _ended("delivered", *lost)
    cursor, counts = None, []
    while True:
        made = replays.of_span(actor, _span(endpoint, Which.ALL, cursor=cursor), limit=2)
        counts.append(made.count)
        cursor = made.next_cursor
        if cursor is None:
            break
        assert replays.dry_run(actor, _span(endpoint, Which.ALL, cursor=cursor)).count == 5 - sum(counts)
    assert counts == [2, 2, 1]
    assert [row.event_id for row in _rows(endpoint)] == lost * 2
    _ended("delivered", *lost)
    assert replays.whole_span(actor, _span(endpoint, Which.ALL)) == Replayed({PAID: 5})


def test_of_many_who_send_a_span_again_one_does(actor: Actor, endpoint: WebhookEndpoint) -> None:
    _ended("exhausted", *_happened(actor, count=4))
    span = _span(endpoint)
    made = together(6, lambda _: replays.of_span(actor, span).count)
    assert sorted(made, key=str) == [0, 0, 0, 0, 0, 4]
    assert len(_rows(endpoint)) == 8


def test_another_merchants_span_is_not_found(
    actor: Actor, stranger: Actor, endpoint: WebhookEndpoint
) -> None:
    _happened(stranger)
    for run in (replays.dry_run, replays.of_span):
        with pytest.raises(NotFound):
            run(stranger, _span(endpoint))
    assert replays.dry_run(actor, _span(endpoint, Which.ALL)).count == 0
    cursor = replays.encode_cursor(_happened(stranger)[0])
    with pytest.raises(InvalidRequest):
        replays.of_span(actor, _span(endpoint, cursor=cursor))


def test_a_test_event_that_failed_is_not_sent_again_with_the_real_ones(
    actor: Actor, endpoint: WebhookEndpoint
) -> None:
    assert not trials.send(actor, endpoint.id, PAID).delivered
    assert replays.failed(actor) == 0
    assert replays.dry_run(actor, _span(endpoint, Which.ALL)).count == 0
