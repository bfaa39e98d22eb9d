"""Card payments end to end through the services: outcomes, repeats, races, lost answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from app.connectors.sandbox import book, challenges
from app.connectors.sandbox.cards import CARDS, Behaviour
from app.db import reading, transaction
from app.domain.errors import Conflict, DomainError, Unprocessable
from app.models.access.tenant import Tenant
from app.models.checkout.order import Order
from app.services.access import keys
from app.services.checkout import payment, reservations, sessions
from app.services.payments import refunds
from tests import shops
from tests.shops import (
    CHALLENGED,
    GOOD,
    NO_FUNDS,
    TIMES_OUT_AFTER,
    TIMES_OUT_BEFORE,
    WRONG_AMOUNT,
    Shop,
    later,
)

pytestmark = pytest.mark.usefixtures("holds")

#: The card that our own risk rules deny is tests/services/risk's.
DECLINES = [
    c
    for c in CARDS
    if c.behaviour in (Behaviour.DECLINE, Behaviour.CHALLENGE_ERROR) and c.detail != "fraudulent"
]


def in_the_book() -> list[tuple[str, int, int]]:
    """(status, captured, refunded) of each payment that the gateway knows."""
    with reading() as db:
        rows = db.execute(select(book.payments.c.status, book.payments.c.captured, book.payments.c.refunded))
        return [tuple(row) for row in rows]


def test_a_good_card_completes_the_checkout(shop: Shop) -> None:
    session = shop.session(quantity=2)
    done = shop.pay(session)
    assert done.status == "completed"
    assert done.order_id is not None and done.receipt_id is not None
    assert shop.intent(session).status == "succeeded"
    assert shop.left("MUG") == (98, 0, 2)
    assert in_the_book() == [("captured", 3240, 0)]


@pytest.mark.parametrize("declined", DECLINES, ids=lambda c: c.number)
def test_each_declining_card_says_why_and_another_card_pays(shop: Shop, declined: object) -> None:
    session = shop.session()
    after = shop.pay(session, declined.number, "first")  # type: ignore[attr-defined]
    assert after.status == "reserved"
    intent = shop.intent(session)
    assert intent.status == "requires_payment_method"
    assert intent.last_error is not None
    assert intent.last_error["decline_code"] == declined.detail  # type: ignore[attr-defined]
    assert shop.pay(session, GOOD, "second").status == "completed"


def test_the_same_nonce_never_pays_twice(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, GOOD, "once")
    assert shop.pay(session, GOOD, "once").status == "completed"
    assert len(shop.attempts(session)) == 1
    assert len(in_the_book()) == 1


def test_sixteen_clicks_at_once_charge_once(shop: Shop) -> None:
    session = shop.session()

    def click(number: int) -> str:
        try:
            return shop.pay(session, GOOD, f"tab-{number % 4}").status
        except DomainError as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(click, range(16)))
    assert shop.read(session).status == "completed", outcomes
    assert [row for row in in_the_book() if row[1]] == [("captured", 1620, 0)]
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(Order)) == 1


def test_spent_attempts_end_the_session_and_free_the_stock(shop: Shop) -> None:
    session = shop.session()
    for number in range(5):
        shop.pay(session, NO_FUNDS, f"try-{number}")
    assert shop.read(session).status == "failed"
    assert shop.intent(session).status == "failed"
    assert shop.left("MUG") == (100, 0, 0)
    with pytest.raises(DomainError):
        shop.pay(session, GOOD, "one more")


def challenge_of(shop: Shop, session: object) -> str:
    action = shop.intent(session).next_action  # type: ignore[arg-type]
    assert action is not None and action["type"] == "3ds_challenge"
    return str(action["url"]).rsplit("/", 1)[1]


def test_three_ds_succeeds_after_the_right_code(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session, CHALLENGED).status == "payment_processing"
    challenges.answer(challenge_of(shop, session), "123456")
    payment.resume(shop.attempts(session)[0].return_nonce)
    assert shop.read(session).status == "completed"


def test_three_ds_fails_after_three_wrong_codes_and_another_card_pays(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    challenge = challenge_of(shop, session)
    for _ in range(3):
        challenges.answer(challenge, "000000")
    payment.resume(shop.attempts(session)[0].return_nonce)
    assert shop.read(session).status == "reserved"
    assert shop.intent(session).last_error["decline_code"] == "authentication_failed"  # type: ignore[index]
    assert shop.pay(session, GOOD, "again").status == "completed"


def test_walking_away_from_three_ds_is_noticed_and_a_live_attempt_never_expires(shop: Shop) -> None:
    session = shop.session(lifetime_seconds=300)
    shop.pay(session, CHALLENGED)
    with later(600):
        assert sessions.expire_due() == 0
        assert reservations.expire_due() == 0
        payment.sweep()
        assert shop.read(session).status == "payment_processing"
    with later(16 * 60):
        payment.sweep()
        assert shop.read(session).status == "reserved"
        assert sessions.expire_due() == 1
    assert shop.left("MUG") == (100, 0, 0)


def test_coming_back_late_with_the_code_still_pays(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    challenges.answer(challenge_of(shop, session), "123456")
    with later(120):
        assert payment.sweep() == 1
    assert shop.read(session).status == "completed"


def test_a_return_says_nothing_by_itself(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    payment.resume(shop.attempts(session)[0].return_nonce)
    assert shop.read(session).status == "payment_processing"
    assert payment.resume("somebody-else") is None


def test_an_answer_lost_after_execution_is_found_again(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session, TIMES_OUT_AFTER).status == "payment_processing"
    assert shop.attempts(session)[0].status == "unknown"
    with pytest.raises(Conflict):
        shop.pay(session, GOOD, "impatient")
    with later(40):
        payment.sweep()
    assert shop.read(session).status == "completed"
    assert in_the_book() == [("captured", 1620, 0)]


def test_a_call_that_never_arrived_gives_the_intent_back_after_two_answers(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, TIMES_OUT_BEFORE)
    with later(40):
        payment.sweep()
    with later(400):
        payment.sweep()
    assert shop.attempts(session)[0].status == "not_found"
    assert shop.read(session).status == "reserved"
    assert in_the_book() == []


def test_a_wrong_amount_in_the_answer_is_quarantined(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, WRONG_AMOUNT)
    with later(3600):
        payment.sweep()
    intent = shop.intent(session)
    assert intent.needs_review and intent.status == "processing"
    assert in_the_book() == [("authorized", 0, 0)]


def test_changed_totals_are_shown_before_they_are_paid(shop: Shop) -> None:
    session = shop.session()
    with pytest.raises(Conflict) as refused:
        payment.pay_by_card(shop.actor, session.id, shops.card(GOOD), payment.Order("n", quote="other"))
    assert refused.value.code == "quote_changed"
    assert in_the_book() == []


def test_a_number_that_is_not_a_test_card_is_refused_and_kept_nowhere(shop: Shop) -> None:
    session = shop.session()
    for number in ("4111111111111111", "4242424242424241"):
        with pytest.raises(Unprocessable) as refused:
            shop.pay(session, number)
        assert refused.value.field == "card_number"
    assert in_the_book() == []


def test_the_last_item_goes_to_one_of_sixteen_buyers(shop: Shop) -> None:
    shop.stock("LAST", 1)
    baskets = [shop.session("LAST") for _ in range(16)]

    def buy(number: int) -> str:
        try:
            return shop.pay(baskets[number]).status
        except Conflict as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(buy, range(16)))
    assert outcomes.count("completed") == 1
    assert outcomes.count("inventory_shortfall") == 15
    assert shop.left("LAST") == (0, 0, 1)


def test_refunds_never_exceed_the_capture_under_sixteen_callers(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    intent = shop.intent(session)

    def give_back(_: int) -> str:
        try:
            return refunds.create(shop.actor, intent.id, 500).id
        except Unprocessable as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(give_back, range(16)))
    made = [item for item in outcomes if item.startswith("rf_")]
    assert len(made) == 3
    for refund_id in made:
        refunds.send(refund_id)
    assert shop.intent(session).amount_refunded == 1500
    assert in_the_book() == [("captured", 1620, 1500)]


def test_a_refund_that_the_bank_sends_back_reverses_its_postings(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, "4000000000005126")
    refund = refunds.create(shop.actor, shop.intent(session).id, 1000)
    refunds.send(refund.id)
    assert refunds.get(shop.actor, refund.id).status == "succeeded"
    with later(90):
        refunds.sweep()
    again = refunds.get(shop.actor, refund.id)
    assert (again.status, again.failure_reason) == ("failed", "returned_by_bank")
    assert refunds.left_to_refund(shop.intent(session)) == 1620


def test_a_pending_refund_becomes_known_later(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, "4000000000007726")
    refund = refunds.create(shop.actor, shop.intent(session).id)
    refunds.send(refund.id)
    assert refunds.get(shop.actor, refund.id).status == "processing"
    with later(90):
        refunds.sweep()
    assert refunds.get(shop.actor, refund.id).status == "succeeded"
    assert shop.intent(session).amount_refunded == 1620


def test_a_refund_that_was_not_sent_can_be_canceled(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    refund = refunds.create(shop.actor, shop.intent(session).id, 700)
    assert refunds.cancel(shop.actor, refund.id).failure_reason == "canceled"
    refunds.send(refund.id)
    assert in_the_book() == [("captured", 1620, 0)]
    assert refunds.left_to_refund(shop.intent(session)) == 1620


def test_another_merchant_sees_none_of_it(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    stranger = shops.make("Stranger")
    for look in (
        lambda: stranger.read(session),
        lambda: refunds.create(stranger.actor, shop.intent(session).id),
    ):
        with pytest.raises(DomainError) as refused:
            look()
        assert refused.value.http_status == 404


@pytest.mark.parametrize("merchants", [False, True])
def test_a_shopper_pays_by_no_method_that_was_not_offered(shop: Shop, merchants: bool) -> None:
    """Whatever form they send: the session, or the merchant's settings, take cards alone."""
    if merchants:
        with transaction() as db:
            db.execute(update(Tenant).values(settings={"allowed_methods": ["card"]}))
        shop.actor = keys.authenticate(shop.secret)
    session = shop.session(method_types=() if merchants else ("card",))
    with pytest.raises(Unprocessable) as refused:
        payment.pay_by_redirect(shop.actor, session.id, "ideal", payment.Order("n1"))
    assert refused.value.code == "payment_method_not_supported"
    assert in_the_book() == []
    assert shop.left("MUG") == (100, 0, 0)
    assert shop.pay(session).status == "completed"
