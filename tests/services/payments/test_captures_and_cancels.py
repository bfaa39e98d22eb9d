"""Captures, voids and cancels: repeats, races, refusals by the gateway, and what was taken too late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from app.connectors import base
from app.connectors.sandbox import book, challenges
from app.connectors.sandbox.connector import SandboxConnector
from app.db import reading, transaction
from app.domain.errors import Conflict, InvalidState, ServiceUnavailable
from app.kit import clock
from app.models.events.journal import JournalEntry
from app.models.ledger.posting import LedgerTransaction
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payment, payments
from app.services.payments import attempts, gateway, intents, methods, refunds
from app.services.payments.intents import IntentDraft
from app.worker.handlers import HANDLERS
from tests.accounts import takes_in_two_calls
from tests.buyers import together
from tests.shops import CHALLENGED, GOOD, TIMES_OUT_AFTER, WRONG_AMOUNT, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")


def held(shop: Shop, number: str = GOOD) -> str:
    """An intent of 50.00 that waits for its capture."""
    method = methods.tokenize_card(shop.actor, card(number))
    draft = IntentDraft(5000, "GBP", capture_mode="manual", payment_method_id=method.id)
    intent = intents.create(shop.actor, draft)
    assert intents.confirm(shop.actor, intent.id, nonce="n1").status == "requires_capture"
    return intent.id


def the_book() -> list[tuple[str, int, int]]:
    """(status, captured, refunded) of each payment that the gateway knows."""
    columns = (book.payments.c.status, book.payments.c.captured, book.payments.c.refunded)
    with reading() as db:
        return [tuple(row) for row in db.execute(select(*columns))]


def run_jobs() -> None:
    """What the worker would do now."""
    for _ in range(3):
        with reading() as db:
            waiting = list(db.scalars(select(Job).where(Job.status == "queued")))
        for job in waiting:
            HANDLERS[job.name](job.arguments)


def status_of(shop: Shop, intent_id: str) -> str:
    return intents.get(shop.actor, intent_id).status


def test_sixteen_confirms_at_once_open_one_attempt(shop: Shop) -> None:
    method = methods.tokenize_card(shop.actor, card(GOOD))
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    answers = together(16, lambda n: intents.confirm(shop.actor, intent.id, nonce=f"n{n}"))
    won = [answer for answer in answers if isinstance(answer, PaymentIntent)]
    assert len(won) == 1
    assert all(isinstance(answer, Conflict) for answer in answers if answer not in won)
    assert status_of(shop, intent.id) == "succeeded"
    assert the_book() == [("captured", 5000, 0)]


def test_of_sixteen_captures_one_takes_its_amount(shop: Shop) -> None:
    intent_id = held(shop)
    answers = together(16, lambda n: intents.capture(shop.actor, intent_id, 1000 + n))
    won = [answer for answer in answers if isinstance(answer, PaymentIntent)]
    assert len(won) == 1
    assert all(isinstance(answer, InvalidState) for answer in answers if answer not in won)
    assert the_book() == [("captured", won[0].amount_captured, 0)]
    with reading() as db:
        assert len(list(db.scalars(select(LedgerTransaction.id)))) == 1


def test_of_captures_and_voids_at_once_exactly_one_wins(shop: Shop) -> None:
    intent_id = held(shop)

    def one(number: int) -> str:
        if number % 2:
            intents.capture(shop.actor, intent_id)
            return "captured"
        intents.cancel(shop.actor, intent_id, "user_cancel")
        return "canceled"

    answers = together(16, one)
    won = {answer for answer in answers if isinstance(answer, str)}
    after = intents.get(shop.actor, intent_id)
    if the_book() == [("captured", 5000, 0)]:
        assert after.status == "succeeded"
        assert "captured" in won
    else:
        assert the_book() == [("voided", 0, 0)]
        assert after.status == "canceled"
        assert "captured" not in won


def test_a_capture_repeated_with_its_nonce_takes_nothing_more(shop: Shop) -> None:
    intent_id = held(shop)
    for _ in range(2):
        done = intents.capture(shop.actor, intent_id, 2000, nonce="capture-1")
        assert (done.status, done.amount_captured) == ("succeeded", 2000)
    with pytest.raises(InvalidState):
        intents.capture(shop.actor, intent_id, 2000, nonce="capture-2")
    assert the_book() == [("captured", 2000, 0)]


@pytest.mark.parametrize("reason", ["user_cancel", "timeout", "fraud"])
def test_each_reason_of_a_cancel_is_kept_and_told(shop: Shop, reason: str) -> None:
    intent_id = held(shop)
    done = intents.cancel(shop.actor, intent_id, reason)
    assert (done.status, done.cancel_reason) == ("canceled", reason)
    assert the_book() == [("voided", 0, 0)]
    with reading() as db:
        told = db.scalars(select(JournalEntry).where(JournalEntry.type == "payment_intent.canceled")).one()
    assert told.data["object"]["cancel_reason"] == reason
    with pytest.raises(InvalidState):
        intents.cancel(shop.actor, intent_id, reason)


def capture_loses(monkeypatch: pytest.MonkeyPatch, result: base.OperationResult, *, executed: bool) -> None:
    """The next capture is answered with `result`, whether or not it was executed."""
    honest = SandboxConnector.capture
    left = [result]

    def once(self: Any, context: Any, request: Any) -> Any:
        if not left:
            return honest(self, context, request)
        if executed:
            honest(self, context, request)
        return left.pop()

    monkeypatch.setattr(SandboxConnector, "capture", once)


@pytest.mark.parametrize("executed", [True, False])
def test_a_capture_whose_answer_is_lost_is_found_or_made_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, executed: bool
) -> None:
    intent_id = held(shop)
    capture_loses(monkeypatch, base.Unknown("timed out"), executed=executed)
    assert intents.capture(shop.actor, intent_id, 3000).status == "processing"
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "capture_unknown"
    with pytest.raises(InvalidState):
        intents.capture(shop.actor, intent_id, 3000)
    with later(60):
        payment.sweep()
    assert status_of(shop, intent_id) == "succeeded"
    assert the_book() == [("captured", 3000, 0)]


def test_a_cancel_while_the_capture_is_unknown_gives_the_money_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent_id = held(shop)
    capture_loses(monkeypatch, base.Unknown("timed out"), executed=True)
    intents.capture(shop.actor, intent_id, 3000)
    asked = intents.cancel(shop.actor, intent_id, "user_cancel")
    assert (asked.status, asked.cancel_requested) == ("processing", True)
    with later(60):
        payment.sweep()
    run_jobs()
    after = intents.get(shop.actor, intent_id)
    assert (after.status, after.amount_captured, after.amount_refunded) == ("succeeded", 3000, 3000)
    assert the_book() == [("captured", 3000, 3000)]
    refunds.give_back_canceled(intent_id)
    assert len(refunds.of_intent(shop.actor, intent_id)) == 1


@pytest.mark.parametrize("named", [None, ""])
def test_a_confirm_that_names_no_method_takes_the_attached_one(shop: Shop, named: str | None) -> None:
    method = methods.tokenize_card(shop.actor, card(GOOD))
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    done = payments.confirm(shop.actor, intent.id, payment.Order("n1"), method_id=named)
    assert (done.status, done.payment_method_id) == ("succeeded", method.id)


def test_a_cancel_while_the_gateway_takes_the_money_gives_it_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = methods.tokenize_card(shop.actor, card(GOOD))
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    sell = SandboxConnector.sell

    def canceled_meanwhile(self: SandboxConnector, *given: Any) -> Any:
        answer = sell(self, *given)
        assert intents.cancel(shop.actor, intent.id, "user_cancel").status == "processing"
        return answer

    monkeypatch.setattr(SandboxConnector, "sell", canceled_meanwhile)
    done = intents.confirm(shop.actor, intent.id, nonce="n1")
    assert (done.status, done.cancel_requested, done.amount_captured) == ("succeeded", True, 5000)
    run_jobs()
    assert intents.get(shop.actor, intent.id).amount_refunded == 5000
    assert the_book() == [("captured", 5000, 5000)]


def test_a_cancel_of_a_checkout_that_is_being_captured_sells_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture_loses(monkeypatch, base.Unknown("timed out"), executed=True)
    session = shop.session()
    assert shop.pay(session).status == "payment_processing"
    payments.cancel(shop.actor, shop.intent(session).id, "user_cancel")
    with later(60):
        payment.sweep()
    run_jobs()
    after = shop.read(session)
    assert (after.status, after.order_id) == ("canceled", None)
    assert shop.left("MUG") == (100, 0, 0)
    assert the_book() == [("captured", 1620, 1620)]


def test_an_automatic_capture_that_comes_too_late_leaves_the_intent_for_another_try(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_in_two_calls(monkeypatch)
    method = methods.tokenize_card(shop.actor, card(GOOD))
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    capture_loses(monkeypatch, base.Unknown("timed out"), executed=False)
    assert intents.confirm(shop.actor, intent.id, nonce="n1").status == "authorized"
    with later(8 * 86_400):
        payment.sweep()
        after = intents.get(shop.actor, intent.id)
        assert (after.status, after.amount_authorized) == ("requires_payment_method", 0)
        assert after.last_error is not None
        assert after.last_error["decline_code"] == "authorization_expired"
        again = intents.confirm(shop.actor, intent.id, nonce="n2")
    assert (again.status, again.amount_captured) == ("succeeded", 5000)


def confirmed(shop: Shop, number: str) -> str:
    method = methods.tokenize_card(shop.actor, card(number))
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    intents.confirm(shop.actor, intent.id, nonce="n1")
    return intent.id


def test_what_the_gateway_captured_by_itself_is_a_success(shop: Shop) -> None:
    intent_id = confirmed(shop, TIMES_OUT_AFTER)
    with transaction() as db:
        db.execute(update(book.payments).values(status="captured", captured=5000))
    with later(60):
        payment.sweep()
    after = intents.get(shop.actor, intent_id)
    assert (after.status, after.amount_captured) == ("succeeded", 5000)


@pytest.mark.parametrize("answer", [base.Unknown("timed out"), base.NotFound()])
def test_a_gateway_that_does_not_answer_does_not_take_the_challenge_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, answer: base.LookupResult
) -> None:
    intent_id = confirmed(shop, CHALLENGED)
    asked = intents.get(shop.actor, intent_id).next_action
    honest = SandboxConnector.find
    monkeypatch.setattr(SandboxConnector, "find", lambda *_: answer)
    with later(90):
        payment.sweep()
    after = intents.get(shop.actor, intent_id)
    assert (after.status, after.next_action) == ("requires_action", asked)
    monkeypatch.setattr(SandboxConnector, "find", honest)
    assert asked is not None
    challenges.answer(str(asked["url"]).rsplit("/", 1)[1], "123456")
    with later(240):
        payment.sweep()
    assert status_of(shop, intent_id) == "succeeded"


def test_a_refused_capture_can_be_tried_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    intent_id = held(shop)
    capture_loses(monkeypatch, base.Declined("processing_error"), executed=False)
    refused = intents.capture(shop.actor, intent_id, 3000)
    assert refused.status == "requires_capture"
    assert refused.last_error is not None
    assert (refused.last_error["code"], refused.last_error["decline_code"]) == (
        "capture_failed",
        "processing_error",
    )
    again = intents.capture(shop.actor, intent_id, 3000)
    assert (again.status, again.last_error) == ("succeeded", None)


def test_an_authorisation_that_is_gone_at_the_gateway_ends_here_when_it_is_captured(shop: Shop) -> None:
    intent_id = held(shop)
    with transaction() as db:
        db.execute(update(book.payments).values(status="voided"))
    after = intents.capture(shop.actor, intent_id)
    assert (after.status, after.cancel_reason) == ("canceled", "expired")
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "auth_expired"


def test_what_somebody_captured_at_the_gateway_is_found_by_the_void_and_given_back(shop: Shop) -> None:
    intent_id = held(shop)
    attempt = attempts.of_intent(shop.actor, intent_id)[0]
    assert isinstance(gateway.capture(attempt), base.Approved)
    intents.cancel(shop.actor, intent_id, "user_cancel")
    with later(60):
        payment.sweep()
    run_jobs()
    after = intents.get(shop.actor, intent_id)
    assert (after.status, after.amount_refunded) == ("succeeded", 5000)
    assert the_book() == [("captured", 5000, 5000)]


def test_a_void_whose_answer_is_lost_is_asked_for_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    intent_id = held(shop)
    honest = SandboxConnector.void
    monkeypatch.setattr(SandboxConnector, "void", lambda *_: base.Unknown("timed out"))
    assert intents.cancel(shop.actor, intent_id, "fraud").status == "requires_capture"
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "void_unknown"
    with pytest.raises(InvalidState):
        intents.capture(shop.actor, intent_id)
    monkeypatch.setattr(SandboxConnector, "void", honest)
    with later(60):
        payment.sweep()
    assert status_of(shop, intent_id) == "canceled"
    assert the_book() == [("voided", 0, 0)]


def test_a_cancel_of_a_checkout_that_its_merchant_finalises_ends_it_and_gives_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture_loses(monkeypatch, base.Unknown("timed out"), executed=True)
    session = shop.session(hosted=False)
    assert shop.pay(session).status == "payment_processing"
    payments.cancel(shop.actor, shop.intent(session).id, "user_cancel")
    with later(60):
        payment.sweep()
    run_jobs()
    assert shop.read(session).status == "canceled"
    assert shop.left("MUG") == (100, 0, 0)
    assert the_book() == [("captured", 1620, 1620)]


@pytest.mark.parametrize("held_for_capture", [False, True])
def test_a_payment_whose_connector_is_gone_keeps_no_other_waiting_and_calls_a_person(
    shop: Shop, held_for_capture: bool
) -> None:
    """It is not installed any more: nobody can say what became of the payment."""
    broken = held(shop) if held_for_capture else confirmed(shop, TIMES_OUT_AFTER)
    sound = confirmed(shop, TIMES_OUT_AFTER)
    with transaction() as db:
        gone = update(Attempt).where(Attempt.intent_id == broken)
        db.execute(gone.values(connector="gone", next_query_at=clock.now()))
    if held_for_capture:
        with pytest.raises(ServiceUnavailable):
            intents.capture(shop.actor, broken)
    for turn in range(1, 9):
        with later(turn * 86_400):
            payment.sweep()
    assert status_of(shop, sound) == "succeeded"
    after = intents.get(shop.actor, broken)
    assert (after.status, after.needs_review) == ("processing", True)


def needs_a_person(shop: Shop, intent_id: str) -> bool:
    """Nothing was booked, and somebody is called, once (reliability.md 5)."""
    with reading() as db:
        assert list(db.scalars(select(LedgerTransaction.id))) == []
        assert (
            len(db.scalars(select(JournalEntry).where(JournalEntry.type == "payment.needs_review")).all())
            == 1
        )
    intent = intents.get(shop.actor, intent_id)
    assert intent.amount_captured == 0
    return intent.needs_review


@pytest.mark.parametrize(("amount", "currency"), [(5000, "USD"), (4000, "GBP")])
def test_a_capture_that_is_answered_in_another_currency_or_amount_is_not_booked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, amount: int, currency: str
) -> None:
    intent_id = held(shop)
    reference = attempts.of_intent(shop.actor, intent_id)[0].gateway_reference
    assert reference is not None
    capture_loses(monkeypatch, base.Approved(reference, amount, currency), executed=False)
    assert intents.capture(shop.actor, intent_id).status == "processing"
    assert needs_a_person(shop, intent_id)


@pytest.mark.parametrize("wrong", [{"captured": 5001}, {"currency": "USD"}, {"amount": 4999}])
def test_what_a_void_finds_captured_in_another_amount_is_not_booked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    intent_id = held(shop)
    attempt = attempts.of_intent(shop.actor, intent_id)[0]
    assert attempt.gateway_reference is not None
    found = base.GatewayPayment(
        attempt.gateway_reference, base.GatewayStatus.CAPTURED, 5000, "GBP", captured=5000
    )
    monkeypatch.setattr(SandboxConnector, "void", lambda *_: base.Unknown("timed out"))
    monkeypatch.setattr(SandboxConnector, "find", lambda *_: replace(found, **wrong))
    intents.cancel(shop.actor, intent_id, "user_cancel")
    with later(60):
        payment.sweep()
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "void_unknown"
    assert needs_a_person(shop, intent_id)


@pytest.mark.parametrize("taken", [5000, 3000])
def test_what_was_captured_at_the_gateway_by_hand_is_booked_when_it_says_so(shop: Shop, taken: int) -> None:
    intent_id = held(shop)
    attempt = attempts.of_intent(shop.actor, intent_id)[0]
    attempt.amount_to_capture = taken
    assert isinstance(gateway.capture(attempt), base.Approved)
    payment.look_again(attempt.id, "webhook")
    after = intents.get(shop.actor, intent_id)
    assert (after.status, after.amount_captured) == ("succeeded", taken)
    assert the_book() == [("captured", taken, 0)]


def test_what_was_released_at_the_gateway_by_hand_is_not_held_here_when_it_says_so(shop: Shop) -> None:
    intent_id = held(shop)
    attempt = attempts.of_intent(shop.actor, intent_id)[0]
    assert isinstance(gateway.void(attempt), base.Approved)
    payment.look_again(attempt.id, "webhook")
    assert status_of(shop, intent_id) == "canceled"
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "auth_expired"


def test_what_was_captured_by_hand_is_found_when_the_authorisation_lapses(shop: Shop) -> None:
    intent_id = held(shop)
    assert isinstance(gateway.capture(attempts.of_intent(shop.actor, intent_id)[0]), base.Approved)
    with later(8 * 86_400):
        payment.sweep()
    assert status_of(shop, intent_id) == "succeeded"


def test_what_a_person_had_to_look_at_is_settled_when_the_gateway_answers_at_last(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent_id = confirmed(shop, TIMES_OUT_AFTER)
    with monkeypatch.context() as patch:
        patch.setattr(SandboxConnector, "find", lambda *_: base.Unknown("timed out"))
        for turn in range(1, 9):
            with later(turn * 86_400):
                payment.sweep()
    asked = intents.get(shop.actor, intent_id)
    assert (asked.status, asked.needs_review) == ("processing", True)
    attempt = attempts.of_intent(shop.actor, intent_id)[0]
    assert attempt.next_query_at is None
    payment.look_again(attempt.id, "webhook")
    after = intents.get(shop.actor, intent_id)
    assert (after.status, after.needs_review) == ("succeeded", False)


def test_what_was_authorised_in_a_wrong_amount_is_released_by_a_cancel(shop: Shop) -> None:
    """Nothing touches it by itself, but the person who was called is not left without means."""
    method = methods.tokenize_card(shop.actor, card(WRONG_AMOUNT))
    draft = IntentDraft(5000, "GBP", capture_mode="manual", payment_method_id=method.id)
    intent_id = intents.create(shop.actor, draft).id
    intents.confirm(shop.actor, intent_id, nonce="n1")
    with later(8 * 3600):
        payment.sweep()
    assert needs_a_person(shop, intent_id)
    assert the_book() == [("authorized", 0, 0)]
    after = intents.cancel(shop.actor, intent_id, "fraud")
    assert (after.status, after.needs_review) == ("canceled", False)
    assert the_book() == [("voided", 0, 0)]


def test_a_person_is_called_off_by_a_good_answer_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    intent_id = held(shop)
    attempt = attempts.of_intent(shop.actor, intent_id)[0]
    assert attempt.gateway_reference is not None
    wrong = base.GatewayPayment(
        attempt.gateway_reference, base.GatewayStatus.CAPTURED, 5000, "USD", captured=5000
    )
    for answer in (wrong, base.Unknown("timed out")):
        with monkeypatch.context() as patch:
            patch.setattr(SandboxConnector, "find", lambda *_, answer=answer: answer)
            payment.look_again(attempt.id, "webhook")
        assert needs_a_person(shop, intent_id)
    payment.look_again(attempt.id, "webhook")
    assert not intents.get(shop.actor, intent_id).needs_review
    with later(8 * 86_400):
        payment.sweep()
        payment.sweep()
    assert status_of(shop, intent_id) == "canceled", "its hold is looked after again"
