"""What support does about failed checkouts: another method, a discount, a transfer confirmed by hand."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import (
    Conflict,
    InvalidRequest,
    InvalidState,
    NotFound,
    PermissionDenied,
    Unprocessable,
)
from app.models.checkout.calculation import Calculation
from app.models.checkout.payment_link import PaymentLink
from app.models.ledger.posting import LedgerTransaction
from app.models.payments.intent import PaymentIntent
from app.services.access import keys
from app.services.checkout import (
    copies,
    links,
    payment,
    reservations,
    resolutions,
    sale,
    sessions,
    stored_value,
    totals,
)
from app.services.checkout import holds as stock_holds
from app.services.checkout.links import LinkDraft
from app.services.checkout.resolutions import DISCOUNT, OVERRIDE, REPLACE, Resolution
from app.services.operations import invariants
from app.services.payments import intents, methods, refunds
from tests import catalogue
from tests.buyers import together
from tests.catalogue import coupon, uses
from tests.disputes import deliver, work
from tests.failures import awaited, bank_decides, failed, strict, told
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card, later, make

pytestmark = pytest.mark.usefixtures("holds")


def resolve(shop: Shop, session: Any, action: str = REPLACE, **wanted: Any) -> Any:
    return resolutions.resolve(shop.actor, session.id, Resolution(action, **wanted))


def limited(shop: Shop) -> Actor:
    """A key that may write checkouts and nothing else."""
    _, secret = keys.create(shop.actor, "support", scopes=["checkout:write", "checkout:read"])
    return keys.authenticate(secret)


def test_a_checkout_that_its_shopper_started_over_is_not_opened_again(shop: Shop) -> None:
    session = failed(shop)
    copy = copies.copy(shop.actor, session.id)
    with pytest.raises(Conflict) as refused:
        resolve(shop, session)
    assert (refused.value.code, refused.value.explain["checkout_id"]) == ("checkout_copied", copy.id)
    sessions.cancel(shop.actor, copy.id)
    assert resolve(shop, session).status == "collecting"


def test_a_failed_checkout_is_paid_with_another_method(shop: Shop) -> None:
    session = failed(shop)
    lost = session.payment_intent_id
    opened = resolve(shop, session, note="called, has a second card")
    assert (opened.status, opened.failure_reason, opened.failed_at) == ("collecting", None, None)
    assert (opened.payment_attempts, opened.totals) == (0, session.totals)
    intent = shop.intent(session)
    assert intent.id != lost
    assert (intent.status, intent.amount, intent.attempts) == ("requires_payment_method", 1620, 0)
    assert shop.pay(session, GOOD, "again").status == "completed"
    assert intents.get(shop.actor, str(lost)).status == "failed"
    assert shop.left("MUG") == (99, 0, 1)
    [entry] = told(shop, session, resolutions.RESOLVED)
    assert (entry.actor_id, entry.cause) == (shop.actor.id, REPLACE)
    assert entry.data["after"]["note"] == "called, has a second card"
    assert entry.data["before"]["status"] == "failed"


def test_all_tries_are_there_again_and_can_be_used_up_again(shop: Shop) -> None:
    session = failed(shop)
    resolve(shop, session)
    assert shop.pay(session, NO_FUNDS, "again").status == "reserved"
    ended = failed(shop)
    resolutions.resolve(strict(shop).actor, ended.id, Resolution(REPLACE))
    assert strict(shop).pay(ended, NO_FUNDS, "again").status == "failed"
    assert shop.read(ended).failure_reason == "payment_declined"


def test_a_method_that_is_named_is_attached(shop: Shop) -> None:
    session = failed(shop)
    method = methods.tokenize_card(shop.actor, card(GOOD))
    resolve(shop, session, payment_method_id=method.id)
    intent = shop.intent(session)
    assert (intent.status, intent.payment_method_id) == ("requires_confirmation", method.id)
    with pytest.raises(NotFound):
        resolve(shop, failed(shop), payment_method_id="pm_none")


def test_a_lifetime_that_is_over_begins_again(shop: Shop) -> None:
    session = failed(shop)
    with later(7200):
        opened = resolve(shop, session)
        assert (opened.expires_at - session.expires_at).total_seconds() > 7000
        assert shop.pay(session, GOOD, "again").status == "completed"


def test_a_use_of_a_link_and_of_a_code_is_held_again(shop: Shop) -> None:
    coupon(shop, usage_limit=1)
    link = links.create(shop.actor, LinkDraft("One", "GBP", slug="one", amount=1500, usage_limit=1))
    session = links.pay("one")
    strict(shop).pay(session, NO_FUNDS)
    assert shop.read(session).status == "failed"

    def held() -> tuple[int, int]:
        with reading() as db:
            row = db.get_one(PaymentLink, link.id)
            return row.held, row.used

    assert held() == (0, 0)
    resolve(shop, session)
    assert held() == (1, 0)
    assert shop.pay(session, GOOD, "again").status == "completed"
    assert held() == (0, 1)
    coded = failed(shop, promotion_codes=("SAVE10",))
    assert uses(shop) == (0, 0)
    resolve(shop, coded)
    shop.pay(coded, GOOD, "again")
    assert uses(shop) == (0, 1)


def test_what_is_still_held_stays_held(shop: Shop) -> None:
    session = shop.session()
    held = stock_holds.reserve(shop.actor, session.id)
    with transaction() as db:
        row = sessions.find(db, shop.actor, session.id, lock=True)
        row.advance("failed", cause="test", failure_reason="validation")
    opened = resolve(shop, session)
    assert (opened.status, opened.reservation_id) == ("reserved", held.id)
    assert shop.pay(session).status == "completed"
    assert shop.left("MUG") == (99, 0, 1)


def test_a_gift_card_goes_back_and_may_be_applied_again(shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT123", 500)
    session = shop.session()
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT123")
    strict(shop).pay(session, NO_FUNDS)
    assert shop.read(session).status == "failed"
    opened = resolve(shop, session)
    assert (opened.wallet_applied, shop.intent(session).amount) == (0, 1620)
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT123")
    assert shop.intent(session).amount == 1120
    assert shop.pay(session, GOOD, "again").status == "completed"
    assert shop.intent(session).amount_captured == 1120


@pytest.mark.parametrize(("wanted", "total"), [({"amount": 500}, 1080), ({"percent": 50}, 810)])
def test_a_discount_comes_off_the_goods_and_can_be_redone(
    shop: Shop, wanted: dict[str, int], total: int
) -> None:
    session = failed(shop)
    quoted = totals.quote(session)
    opened = resolve(shop, session, DISCOUNT, **wanted)
    assert (opened.status, opened.grand_total) == ("collecting", total)
    assert totals.quote(opened) != quoted
    with reading() as db:
        kept = db.get_one(Calculation, opened.calculation_id)
    [given] = kept.inputs["support_discounts"]
    [adjustment] = kept.outputs["lines"][0]["adjustments"]
    assert (adjustment["type"], adjustment["code"]) == ("support_discount", given["id"])
    assert adjustment["amount"] == -kept.outputs["totals"]["discount_total"]
    assert shop.intent(session).amount == total
    assert shop.pay(session, GOOD, "again").grand_total == total
    assert shop.intent(session).amount_captured == total


def test_discounts_add_up_to_the_goods_and_no_further(shop: Shop) -> None:
    coupon(shop)
    session = failed(shop, promotion_codes=("SAVE10",))
    for amount in (1351, 10_000):
        with pytest.raises(Unprocessable) as refused:
            resolve(shop, session, DISCOUNT, amount=amount)
        assert refused.value.code == "discount_too_large"
    assert shop.read(session).version == session.version
    free = resolve(shop, session, DISCOUNT, amount=1350)
    assert free.totals == {
        "currency": "GBP",
        "sub_total": 1500,
        "discount_total": 1500,
        "tax_total": 0,
        "shipping_total": 0,
        "fee_total": 0,
        "grand_total": 0,
    }
    assert free.payment_intent_id is None
    done = payment.finish_free(shop.actor, session.id, payment.Order("free"))
    assert done.status == "completed"


def test_nothing_is_opened_again_while_its_money_has_not_gone_back(shop: Shop) -> None:
    """Sold out while it was paid: the session fails, its payment stands until the refund has come through."""
    session = shop.session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sale.reservations, "commit", _sold_out)
        assert shop.pay(session).status == "failed"
    assert shop.read(session).failure_reason == "inventory"
    with pytest.raises(Conflict) as refused:
        resolve(shop, session)
    assert refused.value.code == "payment_not_returned"
    reservations_left = shop.left("MUG")
    work()
    [refund] = refunds.of_intent(shop.actor, str(session_intent(shop, session)))
    assert refund.status == "succeeded"
    assert reservations_left[0] == 100
    assert resolve(shop, session).status in ("collecting", "reserved")
    assert shop.pay(session, GOOD, "again").status == "completed"
    taken = [row for row in _intents(session) if row.amount_captured > row.amount_refunded]
    assert len(taken) == 1


def session_intent(shop: Shop, session: Any) -> str | None:
    return shop.read(session).payment_intent_id


def _sold_out(*_: Any, **__: Any) -> None:
    raise Conflict("Some of it is no longer in stock", code="inventory_shortfall")


def _intents(session: Any) -> list[PaymentIntent]:
    with reading() as db:
        return list(db.scalars(select(PaymentIntent).where(PaymentIntent.checkout_id == session.id)))


def test_of_sixteen_who_resolve_one_does(shop: Shop) -> None:
    session = failed(shop)
    answers = together(16, lambda n: resolve(shop, session, DISCOUNT, amount=100, note=f"{n}"))
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(refused) == 15
    assert all(isinstance(answer, Conflict) for answer in refused), refused
    opened = shop.read(session)
    assert opened.support_discounts is not None
    assert (len(opened.support_discounts), opened.totals["discount_total"]) == (1, 100)  # type: ignore[index]
    assert len(told(shop, session, resolutions.RESOLVED)) == 1
    assert len(_intents(session)) == 2


def test_what_has_not_failed_is_not_resolved(shop: Shop) -> None:
    paid, fresh = shop.session(), shop.session()
    shop.pay(paid)
    for session in (paid, fresh):
        for action, more in ((REPLACE, {}), (DISCOUNT, {"percent": 10}), (OVERRIDE, {"note": "why"})):
            with pytest.raises(InvalidState):
                resolve(shop, session, action, **more)
    other = make("Other shop")
    with pytest.raises(NotFound):
        resolutions.resolve(other.actor, failed(shop).id, Resolution(REPLACE))


def test_parameters_belong_to_their_action(shop: Shop) -> None:
    session = failed(shop)
    for action, more in (
        (DISCOUNT, {}),
        (DISCOUNT, {"amount": 1, "percent": 1}),
        (DISCOUNT, {"amount": 1, "payment_method_id": "pm_1"}),
        (REPLACE, {"amount": 1}),
        (REPLACE, {"note": "  "}),
        (OVERRIDE, {}),
        (OVERRIDE, {"note": "why", "percent": 1}),
    ):
        with pytest.raises(InvalidRequest):
            resolve(shop, session, action, **more)
    with pytest.raises(Unprocessable) as refused:
        resolve(shop, session, note=f"their card is {GOOD}")
    assert refused.value.code == "card_number_refused"
    assert shop.read(session).version == session.version


def test_a_transfer_is_confirmed_by_hand_and_its_checkout_completes(shop: Shop) -> None:
    session = awaited(shop)
    done = resolve(shop, session, OVERRIDE, note="seen on the statement of 3 June")
    assert (done.status, shop.intent(session).status) == ("completed", "succeeded")
    [attempt] = shop.attempts(session)
    assert (attempt.status, attempt.confirmed_by) == ("captured", shop.actor.id)
    assert shop.left("MUG") == (99, 0, 1)
    [entry] = told(shop, session, resolutions.RESOLVED)
    assert (entry.actor_id, entry.data["after"]["note"]) == (
        shop.actor.id,
        "seen on the statement of 3 June",
    )
    with pytest.raises(InvalidState):
        resolve(shop, session, OVERRIDE, note="again")


@pytest.mark.parametrize("approve", [True, False])
def test_what_the_bank_says_later_counts_nothing_twice(shop: Shop, approve: bool) -> None:
    session = awaited(shop)
    resolve(shop, session, OVERRIDE, note="it is there")
    bank_decides(shop, session, approve=approve)
    deliver()
    payment.sweep()
    intent = shop.intent(session)
    assert (intent.status, intent.amount_captured, intent.amount_refunded) == ("succeeded", 1620, 0)
    assert shop.read(session).status == "completed"
    with reading() as db:
        posted = list(
            db.scalars(select(LedgerTransaction.kind).where(LedgerTransaction.payment_intent_id == intent.id))
        )
    assert posted == ["capture"]


def test_who_dies_after_confirming_leaves_the_rest_to_the_sweep(shop: Shop) -> None:
    session = awaited(shop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payment, "look_again", lambda *_: None)
        resolve(shop, session, OVERRIDE, note="it is there")
    assert shop.read(session).status == "payment_processing"
    with later(31):
        assert payment.sweep() == 1
    assert shop.read(session).status == "completed"


def test_a_session_that_its_merchant_finalises_waits_for_that(shop: Shop) -> None:
    session = shop.session(hosted=False)
    payment.pay_by_redirect(shop.actor, session.id, "bank_transfer", payment.Order("t"))
    done = resolve(shop, session, OVERRIDE, note="it is there")
    assert (done.status, shop.intent(session).status) == ("payment_processing", "succeeded")


def test_of_sixteen_who_confirm_one_does_also_beside_the_bank(shop: Shop) -> None:
    session = awaited(shop)
    bank_decides(shop, session, approve=True)

    def one(number: int) -> Any:
        if number % 4 == 0:
            [attempt] = shop.attempts(session)
            return payment.look_again(attempt.id, "webhook")
        return resolve(shop, session, OVERRIDE, note="it is there")

    together(16, one)
    work()
    intent = shop.intent(session)
    assert (intent.status, intent.amount_captured, intent.amount_refunding) == ("succeeded", 1620, 0)
    assert shop.left("MUG") == (99, 0, 1)
    assert len(told(shop, session, resolutions.RESOLVED)) <= 1


def test_only_an_awaited_transfer_is_confirmed(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    with pytest.raises(InvalidState):
        resolve(shop, session, OVERRIDE, note="they say that they paid")
    canceling = awaited(shop)
    with transaction() as db:
        db.get_one(PaymentIntent, canceling.payment_intent_id).cancel_requested = True
    with pytest.raises(InvalidState):
        resolve(shop, canceling, OVERRIDE, note="it is there")


def test_an_override_wants_its_permission(shop: Shop) -> None:
    session, actor = awaited(shop), limited(shop)
    with pytest.raises(PermissionDenied):
        resolutions.resolve(actor, session.id, Resolution(OVERRIDE, note="it is there"))
    assert shop.read(session).status == "payment_processing"
    other = failed(shop)
    assert resolutions.resolve(actor, other.id, Resolution(REPLACE)).status == "collecting"
    assert invariants.check() == []
    assert reservations.expire_due() == 0
