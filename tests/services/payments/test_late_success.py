"""Payments that come through after they were given up: whoever hears of it, the money goes back, once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from app.connectors import base
from app.connectors.sandbox import book
from app.connectors.sandbox.connector import SandboxConnector
from app.db import reading, transaction
from app.domain.errors import ServiceUnavailable
from app.kit import clock, signing
from app.models.events.journal import JournalEntry
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.services.checkout import payment
from app.services.events import inbound
from app.services.operations import inbound_secrets, jobs
from app.services.payments import attempts, intents, late_success, methods, outcomes, recording, settling
from app.services.payments.intents import IntentDraft
from app.worker import queue
from tests.shops import TIMES_OUT_AFTER, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")


@pytest.fixture
def lost(shop: Shop) -> Attempt:
    """An attempt whose answer was lost: the gateway has authorised it."""
    method = methods.tokenize_card(shop.actor, card(TIMES_OUT_AFTER))
    draft = IntentDraft(5000, "GBP", capture_mode="manual", payment_method_id=method.id)
    intent = intents.create(shop.actor, draft)
    intents.confirm(shop.actor, intent.id, nonce="n1")
    [attempt] = attempts.of_intent(shop.actor, intent.id)
    return attempt


def given_up(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway says that it does not know the payment, so the intent is given back for another try."""
    with monkeypatch.context() as patch:
        patch.setattr(SandboxConnector, "find", lambda *_: base.NotFound())
        payment.look_again(attempt.id, "sweep")
    assert attempts.load(attempt.id)[0].status == "not_found"


def heard_of(attempt: Attempt) -> bool:
    """The gateway's event about its authorisation arrives."""
    data = {"reference": attempt.gateway_reference, "key": attempt.gateway_key("authorize")}
    raw = json.dumps({"id": "sbe_late", "type": "payment.authorized", "data": data}).encode()
    secret = inbound_secrets.find(attempt.tenant_id, "payment")
    assert secret is not None
    signature = signing.timestamped_signature(raw, [secret], clock.now())
    return inbound.receive(raw, {"X-Webhook-Signature": signature})


def run_due(seconds: float = 0) -> None:
    """What the worker would do, so much later."""
    with later(seconds):
        for job_id in jobs.due():
            queue.run_job(job_id)


def the_book() -> list[tuple[str, int, int]]:
    columns = (book.payments.c.status, book.payments.c.captured, book.payments.c.refunded)
    with reading() as db:
        return [tuple(row) for row in db.execute(select(*columns))]


def told() -> int:
    kind = JournalEntry.type == "payment.late_success_undone"
    with reading() as db:
        return len(db.scalars(select(JournalEntry.id).where(kind)).all())


def answered_late(attempt: Attempt) -> None:
    """The first caller gets its answer after all."""
    approved = outcomes.Outcome(outcomes.Kind.AUTHORIZED, "sbx_1", 5000, "GBP")
    recording.apply(attempt, approved, settling.STANDING_ALONE, "api")


def test_a_late_answer_to_the_caller_is_undone(lost: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up(lost, monkeypatch)
    answered_late(lost)
    run_due()
    assert (the_book(), told()) == ([("voided", 0, 0)], 1)


def test_a_late_event_is_undone(lost: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up(lost, monkeypatch)
    assert heard_of(lost)
    run_due()
    assert (the_book(), told()) == ([("voided", 0, 0)], 1)


def test_an_event_that_waits_while_the_payment_is_given_up_is_undone(
    lost: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heard_of(lost)
    given_up(lost, monkeypatch)
    run_due()
    assert (the_book(), told()) == ([("voided", 0, 0)], 1)


@pytest.mark.parametrize("heard", [answered_late, heard_of])
def test_it_is_undone_however_long_the_gateway_is_away(
    lost: Attempt, monkeypatch: pytest.MonkeyPatch, heard: Any
) -> None:
    given_up(lost, monkeypatch)
    heard(lost)
    with monkeypatch.context() as patch:
        patch.setattr(SandboxConnector, "void", lambda *_: base.Unknown("timed out"))
        for turn in range(30):
            run_due(turn * 310)
    assert the_book() == [("authorized", 0, 0)]
    run_due(30 * 310)
    assert (the_book(), told()) == ([("voided", 0, 0)], 1)


@pytest.mark.parametrize("returned", [0, 1000])
def test_what_was_captured_goes_back_as_far_as_it_has_not(
    lost: Attempt, monkeypatch: pytest.MonkeyPatch, returned: int
) -> None:
    given_up(lost, monkeypatch)
    with transaction() as db:
        db.execute(update(book.payments).values(status="captured", captured=5000, refunded=returned))
    for _ in range(2):
        late_success.undo(lost.id)
    assert the_book() == [("captured", 5000, 5000)]
    assert told() == 1


def test_nothing_is_undone_while_the_gateway_does_not_say(
    lost: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up(lost, monkeypatch)
    monkeypatch.setattr(SandboxConnector, "find", lambda *_: base.Unknown("timed out"))
    with pytest.raises(ServiceUnavailable):
        late_success.undo(lost.id)
    assert (the_book(), told()) == ([("authorized", 0, 0)], 0)


def test_a_payment_that_lives_is_not_undone(lost: Attempt) -> None:
    """Whatever asks for it."""
    late_success.undo(lost.id)
    assert the_book() == [("authorized", 0, 0)]
    with reading() as db:
        assert db.scalars(select(Job.id).where(Job.name == "payments.undo_late_success")).all() == []
