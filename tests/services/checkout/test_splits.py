"""Split payments: authorised in order, captured in order, undone together, whoever dies meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from app.connectors.sandbox import book, challenges
from app.db import reading, transaction
from app.domain.errors import Conflict, InvalidState, Unprocessable
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from app.models.payments.intent import PaymentIntent
from app.services.checkout import details, payment, payments, sessions, split_runs, splits
from app.services.checkout import intents as session_intents
from app.services.checkout.payment import Order
from app.services.checkout.splits import Allocation
from app.services.ledger import postings
from app.services.operations import invariants
from app.services.payments import intents, listing, methods, parts, refunds
from app.services.payments.listing import Filters
from app.services.payments.threeds import Completion, Result
from tests import catalogue
from tests import disputes as disputed
from tests.buyers import together
from tests.processes import dies
from tests.shops import (
    CHALLENGED,
    GOOD,
    NO_FUNDS,
    TIMES_OUT_AFTER,
    TIMES_OUT_BEFORE,
    Shop,
    card,
    later,
)

pytestmark = pytest.mark.usefixtures("holds")
DUE, FIRST, SECOND = 1620, 1000, 620


class Paid:
    """A session whose payment is split over two cards."""

    def __init__(self, shop: Shop, first: str = GOOD, second: str = GOOD, **draft: Any) -> None:
        self.shop = shop
        self.session = shop.session(**{"hosted": False, **draft})
        self.id = session_intents.open_for(shop.actor, self.session.id, session_intents.Terms()).id
        self.split((FIRST, first), (SECOND, second))

    def split(self, *pairs: tuple[int, str]) -> PaymentIntent:
        wanted = [
            Allocation(amount, method_id=methods.tokenize_card(self.shop.actor, card(number)).id)
            for amount, number in pairs
        ]
        return splits.split(self.shop.actor, self.id, wanted)

    def confirm(self, nonce: str = "n1") -> PaymentIntent:
        return payments.confirm(self.shop.actor, self.id, Order(nonce))

    def capture(self, amount: int | None = None) -> PaymentIntent:
        return payments.capture(self.shop.actor, self.id, amount)

    @property
    def whole(self) -> PaymentIntent:
        return intents.get(self.shop.actor, self.id)

    @property
    def parts(self) -> list[PaymentIntent]:
        with reading() as db:
            return parts.of(db, self.id)

    @property
    def statuses(self) -> list[str]:
        return [part.status for part in self.parts]

    def read(self) -> CheckoutSession:
        return self.shop.read(self.session)

    def attach(self, number: int, pan: str) -> None:
        method = methods.tokenize_card(self.shop.actor, card(pan))
        intents.attach(self.shop.actor, self.parts[number].id, method.id)

    def answer(self) -> None:
        action = self.whole.next_action
        assert action is not None
        challenges.answer(str(action["url"]).rsplit("/", 1)[1], "123456")


def there() -> list[tuple[str, int, int]]:
    """What the gateway has, in the order in which it was asked: (status, amount, captured)."""
    rows = select(book.payments.c.status, book.payments.c.amount, book.payments.c.captured)
    with reading() as db:
        return [tuple(row) for row in db.execute(rows.order_by(book.payments.c.reference))]  # type: ignore[misc]


def recover() -> None:
    """What the worker does over the next hours."""
    for seconds in (31, 120, 600, 1900):
        with later(seconds):
            payment.sweep()
            split_runs.sweep()
            refunds.sweep()


def test_both_cards_are_charged_and_the_whole_is_their_sum(shop: Shop) -> None:
    paid = Paid(shop)
    assert (paid.whole.split, [part.amount for part in paid.parts]) == (True, [FIRST, SECOND])
    done = paid.confirm()
    assert (done.status, done.amount_captured, done.amount_authorized) == ("succeeded", DUE, DUE)
    assert paid.statuses == ["succeeded", "succeeded"]
    assert there() == [("captured", FIRST, FIRST), ("captured", SECOND, SECOND)]
    assert paid.read().status == "payment_processing"
    assert (paid.read().payment_attempts, done.attempts) == (1, 1)
    assert postings.balances(shop.actor)["merchant_balance", "GBP"] == -DUE


def test_a_merchant_hears_of_the_whole_alone(shop: Shop) -> None:
    paid = Paid(shop)
    paid.confirm()
    statement = select(JournalEntry.type, JournalEntry.entity_id).where(
        JournalEntry.checkout_id == paid.session.id, JournalEntry.entity == "payment_intent"
    )
    with reading() as db:
        told = list(db.execute(statement))
    assert [entity for type_, entity in told if type_ == "payment.succeeded"] == [paid.id]
    assert {type_ for type_, entity in told if entity != paid.id} >= {"payment_part.succeeded"}
    assert all(type_.startswith("payment_part.") for type_, entity in told if entity != paid.id)
    assert [row.intent.id for row in listing.page(shop.actor, Filters()).data] == [paid.id]


def test_a_session_that_finalises_itself_is_sold_with_the_last_capture(shop: Shop) -> None:
    paid = Paid(shop, hosted=True)
    paid.confirm()
    read = paid.read()
    assert (read.status, read.order_id is not None) == ("completed", True)
    assert shop.left("MUG") == (99, 0, 1)


def test_a_manual_capture_waits_for_all_parts_and_takes_all(shop: Shop) -> None:
    paid = Paid(shop, options={"capture_mode": "manual"})
    done = paid.confirm()
    assert (done.status, done.amount_authorized) == ("requires_capture", DUE)
    assert [status for status, _, _ in there()] == ["authorized", "authorized"]
    with pytest.raises(Unprocessable) as refused:
        paid.capture(FIRST)
    assert refused.value.code == "partial_capture_not_supported"
    assert paid.capture().status == "succeeded"
    with pytest.raises(InvalidState):
        paid.capture()
    assert [captured for _, _, captured in there()] == [FIRST, SECOND]


def test_a_declined_part_voids_the_one_before_and_leaves_another_try(shop: Shop) -> None:
    paid = Paid(shop, second=NO_FUNDS)
    done = paid.confirm()
    assert (done.status, done.amount_captured) == ("requires_payment_method", 0)
    assert (done.last_error or {})["decline_code"] == "insufficient_funds"
    assert [status for status, _, _ in there()] == ["voided", "declined"]
    assert paid.read().status == "reserved"
    first, second = paid.parts
    assert (first.status, second.status) == ("requires_confirmation", "requires_payment_method")
    with pytest.raises(InvalidState) as refused:
        paid.confirm("n2")
    assert refused.value.code == "payment_method_required"
    assert (refused.value.explain or {})["payment_intent_id"] == second.id
    paid.attach(1, GOOD)
    assert paid.confirm("n3").status == "succeeded"
    assert [row for row in there() if row[2]] == [("captured", FIRST, FIRST), ("captured", SECOND, SECOND)]


def test_after_a_declined_first_part_the_second_is_never_asked(shop: Shop) -> None:
    paid = Paid(shop, first=NO_FUNDS)
    assert paid.confirm().status == "requires_payment_method"
    assert [status for status, _, _ in there()] == ["declined"]


def test_tries_are_the_wholes_and_end_the_session(shop: Shop) -> None:
    paid = Paid(shop, second=NO_FUNDS)
    for number in range(5):
        done = paid.confirm(f"n{number}")
        if number < 4:
            paid.attach(1, NO_FUNDS)
    assert (done.status, paid.read().status) == ("failed", "failed")
    assert paid.read().failure_reason == "payment_declined"
    assert shop.left("MUG") == (100, 0, 0)
    assert {status for status, _, _ in there()} == {"voided", "declined"}


@pytest.mark.parametrize("challenged", [0, 1])
def test_a_challenge_of_a_part_is_the_wholes_and_goes_on_afterwards(shop: Shop, challenged: int) -> None:
    cards = [GOOD, GOOD]
    cards[challenged] = CHALLENGED
    paid = Paid(shop, *cards)
    waiting = paid.confirm()
    assert (waiting.status, (waiting.next_action or {})["type"]) == ("requires_action", "3ds_challenge")
    assert waiting.next_action == paid.parts[challenged].next_action
    paid.answer()
    done = payments.complete_three_ds(shop.actor, paid.id, Completion())
    assert (done.status, done.next_action) == ("succeeded", None)
    assert [captured for _, _, captured in there()] == [FIRST, SECOND]


def test_two_challenges_come_one_after_the_other(shop: Shop) -> None:
    paid = Paid(shop, CHALLENGED, CHALLENGED)
    paid.confirm()
    paid.answer()
    waiting = payments.complete_three_ds(shop.actor, paid.id, Completion())
    assert (waiting.status, paid.statuses) == ("requires_action", ["requires_capture", "requires_action"])
    paid.answer()
    landing = payment.resume(shop.attempts(paid.session)[-1].return_nonce)
    assert landing is not None
    assert (landing.intent.id, landing.intent.status) == (paid.id, "succeeded")


def test_a_challenge_that_is_given_up_undoes_the_part_before(shop: Shop) -> None:
    paid = Paid(shop, second=CHALLENGED)
    paid.confirm()
    done = payments.complete_three_ds(shop.actor, paid.id, Completion(Result.ABANDONED))
    assert (done.status, paid.read().status) == ("requires_payment_method", "reserved")
    assert [status for status, _, _ in there()] == ["voided", "voided"]


def test_an_unknown_outcome_is_waited_for(shop: Shop) -> None:
    paid = Paid(shop, second=TIMES_OUT_AFTER)
    assert paid.confirm().status == "processing"
    assert paid.statuses == ["requires_capture", "processing"]
    with later(31):
        payment.sweep()
    assert paid.whole.status == "succeeded"


def test_a_part_that_never_arrived_undoes_the_other(shop: Shop) -> None:
    paid = Paid(shop, second=TIMES_OUT_BEFORE)
    assert paid.confirm().status == "processing"
    recover()
    assert paid.whole.status == "requires_payment_method"
    assert [status for status, _, _ in there()] == ["voided"]


@pytest.mark.parametrize("cards", [(GOOD, GOOD), (GOOD, CHALLENGED)])
def test_canceling_voids_every_part_and_ends_the_session(shop: Shop, cards: tuple[str, str]) -> None:
    paid = Paid(shop, *cards, options={"capture_mode": "manual"})
    paid.confirm()
    done = payments.cancel(shop.actor, paid.id, "user_cancel")
    assert (done.status, done.cancel_reason, paid.read().status) == ("canceled", "user_cancel", "canceled")
    assert [status for status, _, _ in there()] == ["voided", "voided"]
    assert shop.left("MUG") == (100, 0, 0)
    with pytest.raises(InvalidState):
        payments.cancel(shop.actor, paid.id, "user_cancel")


def test_canceling_while_an_outcome_is_unknown_undoes_it_when_it_is_known(shop: Shop) -> None:
    paid = Paid(shop, second=TIMES_OUT_AFTER)
    paid.confirm()
    assert payments.cancel(shop.actor, paid.id, "user_cancel").status == "processing"
    recover()
    assert paid.whole.status == "canceled"
    assert [status for status, _, _ in there()] == ["voided", "voided"]


def test_a_capture_that_is_refused_sends_the_other_back(shop: Shop) -> None:
    paid = Paid(shop, options={"capture_mode": "manual"})
    paid.confirm()
    lost = paid.parts[1].id
    with transaction() as db:
        statement = update(book.payments).where(book.payments.c.amount == SECOND)
        db.execute(statement.values(status="voided"))
    done = paid.capture()
    assert (done.status, done.amount_captured) == ("requires_payment_method", 0)
    assert intents.get(shop.actor, lost).status == "canceled"
    back = refunds.list_page(shop.actor).data
    assert [(row.amount, row.reason_text) for row in back] == [(FIRST, "The rest of a split payment failed")]
    refunds.send(back[0].id)
    assert postings.balances(shop.actor)["merchant_balance", "GBP"] == 0
    assert paid.read().status == "reserved"
    assert [part.payment_method_id for part in paid.parts] == [None, None]


def test_a_sold_out_article_gives_all_parts_back(shop: Shop) -> None:
    shop.stock("POT", 1)
    paid = Paid(shop, second=CHALLENGED, hosted=True, sku="POT")
    paid.confirm()
    with transaction() as db:
        from app.services.checkout import reservations

        row = sessions.find(db, shop.actor, paid.session.id, lock=True)
        reservations.release(db, row, shop.actor.tenant, cause="test")
    assert shop.pay(shop.session(sku="POT"), GOOD, "n2").status == "completed"
    paid.answer()
    payments.complete_three_ds(shop.actor, paid.id, Completion())
    assert (paid.read().status, paid.read().failure_reason) == ("failed", "inventory")
    assert paid.whole.amount_refunding == DUE
    for row in refunds.of_intent(shop.actor, paid.id):
        refunds.send(row.id)
    assert paid.whole.amount_refunded == DUE


def test_refunds_are_spread_over_the_charges(shop: Shop) -> None:
    paid = Paid(shop)
    paid.confirm()
    with pytest.raises(Unprocessable) as refused:
        refunds.create(shop.actor, paid.id, DUE + 1)
    assert (refused.value.explain or {})["left"] == DUE
    first = refunds.create(shop.actor, paid.id, 1200)
    made = refunds.of_intent(shop.actor, paid.id)
    assert [(row.amount, row.group_id) for row in made] == [(FIRST, first.id), (200, first.id)]
    assert paid.whole.amount_refunding == 1200
    for row in made:
        refunds.send(row.id)
    assert (paid.whole.amount_refunded, refunds.left_to_refund(paid.whole)) == (1200, 420)
    charge = shop.attempts(paid.session)[1]
    rest = refunds.create(shop.actor, paid.id, charge_id=charge.id, amount=20)
    assert (rest.attempt_id, rest.group_id) == (charge.id, None)
    last = refunds.create(shop.actor, paid.id)
    assert (last.amount, last.group_id) == (400, None)
    with pytest.raises(Unprocessable):
        refunds.create(shop.actor, paid.id, 1)


def test_eight_refunds_at_once_give_back_no_more_than_was_paid(shop: Shop) -> None:
    paid = Paid(shop)
    paid.confirm()
    found = together(8, lambda _: refunds.create(shop.actor, paid.id, 500).id)
    assert len([one for one in found if isinstance(one, str)]) == 3
    assert {type(one) for one in found if not isinstance(one, str)} == {Unprocessable}
    assert paid.whole.amount_refunding == 1500


def test_refunds_of_ten_parts_that_are_sent_at_once_are_all_in_the_whole(shop: Shop) -> None:
    paid = Paid(shop)
    paid.split(*[(DUE // 10, GOOD)] * 10)
    paid.confirm()
    refunds.create(shop.actor, paid.id)
    sent = [refund.id for refund in refunds.of_intent(shop.actor, paid.id)]
    assert together(10, lambda number: refunds.send(sent[number])) == [None] * 10
    assert (paid.whole.amount_refunding, paid.whole.amount_refunded) == (DUE, DUE)


def test_a_disputed_part_counts_for_the_whole(shop: Shop) -> None:
    paid = Paid(shop, second=disputed.FRAUD)
    paid.confirm()
    disputed.deliver()
    assert paid.whole.amount_disputed == SECOND
    assert refunds.left_to_refund(paid.whole) == FIRST
    assert refunds.create(shop.actor, paid.id).amount == FIRST
    with pytest.raises(Unprocessable):
        refunds.create(shop.actor, paid.id, 1)


def test_a_run_that_nobody_drives_is_seen_through_by_its_jobs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = Paid(shop, hosted=True)
    with monkeypatch.context() as patch:
        patch.setattr(splits.split_runs, "go_on", lambda *_: None)
        assert paid.confirm().status == "processing"
    assert paid.statuses == ["requires_capture", "requires_confirmation"]
    with later(31):
        disputed.work()
    assert (paid.whole.status, paid.read().status) == ("succeeded", "completed")


def test_a_shopper_who_takes_their_time_keeps_the_sweep_from_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    Paid(shop, CHALLENGED).confirm()
    stuck = Paid(shop)
    with monkeypatch.context() as patch:
        patch.setattr(splits.split_runs, "go_on", lambda *_: None)
        stuck.confirm()
    with later(61):
        assert split_runs.sweep(limit=1) == 1
    assert stuck.whole.status == "succeeded"


@pytest.mark.parametrize(
    "meanwhile", [[Allocation(DUE, "paypal")], [Allocation(1000, "card"), Allocation(620, "paypal")]]
)
def test_a_split_that_is_replaced_while_it_is_confirmed_is_not_sent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, meanwhile: list[Allocation]
) -> None:
    paid = Paid(shop)
    monkeypatch.setattr(splits, "_make_methods", lambda *_: splits.split(shop.actor, paid.id, meanwhile))
    with pytest.raises(Conflict) as refused:
        paid.confirm()
    assert (refused.value.code, there()) == ("split_replaced", [])


def test_whoever_meant_a_split_that_is_none_any_more_touches_no_money(shop: Shop) -> None:
    paid = Paid(shop, options={"capture_mode": "manual"})
    seen = paid.whole
    paid.split((DUE, GOOD))
    assert paid.confirm().status == "requires_capture"
    for late in (
        lambda: splits.cancel(shop.actor, seen, "fraud"),
        lambda: splits.capture(shop.actor, seen, None),
    ):
        with pytest.raises(Conflict):
            late()
    split_runs.go_on(paid.id, "cancel")
    assert (paid.whole.status, paid.whole.cancel_requested) == ("requires_capture", False)
    assert paid.capture().status == "succeeded"


@pytest.mark.parametrize("place", [0, 1])
def test_a_kept_card_in_a_split_pays_for_its_own_customer_alone(shop: Shop, place: int) -> None:
    session = shop.session(hosted=False, customer={"customer_id": "cust_1"})
    whole = session_intents.open_for(shop.actor, session.id, session_intents.Terms())
    chosen = [methods.tokenize_card(shop.actor, card(GOOD)).id]
    kept = methods.tokenize_card(shop.actor, card(GOOD), customer_id="cust_1", consent=True)
    chosen.insert(place, kept.id)
    splits.split(shop.actor, whole.id, [Allocation(DUE // 2, method_id=one) for one in chosen])
    details.set_customer(shop.actor, session.id, {"customer_id": "cust_2"})
    with pytest.raises(Unprocessable) as refused:
        payments.confirm(shop.actor, whole.id, Order("n1"))
    assert (refused.value.code, there()) == ("payment_method_customer_mismatch", [])
    details.set_customer(shop.actor, session.id, {"customer_id": "cust_1"})
    assert payments.confirm(shop.actor, whole.id, Order("n2")).status == "succeeded"


def test_a_split_is_replaced_or_undone_while_nothing_was_sent(shop: Shop) -> None:
    paid = Paid(shop)
    old = [part.id for part in paid.parts]
    paid.split((20, GOOD), (600, GOOD), (1000, GOOD))
    assert [part.amount for part in paid.parts] == [20, 600, 1000]
    assert {intents.get(shop.actor, name).status for name in old} == {"canceled"}
    whole = paid.split((DUE, GOOD))
    assert (whole.split, whole.status, paid.parts) == (False, "requires_confirmation", [])
    assert paid.confirm().status == "succeeded"
    with pytest.raises(Conflict):
        paid.split((20, GOOD), (1600, GOOD))


def test_a_session_that_ends_gives_up_its_parts(shop: Shop) -> None:
    for number, end in enumerate(("cancel session", "cancel payment", "expire", "other methods")):
        paid = Paid(shop)
        old = [part.id for part in paid.parts]
        if end == "cancel session":
            sessions.cancel(shop.actor, paid.session.id)
        elif end == "cancel payment":
            payments.cancel(shop.actor, paid.id, "user_cancel")
        elif end == "expire":
            with later(3700 + number):
                assert sessions.expire_due() == 2
        else:
            terms = session_intents.Terms(method_types=("paypal",))
            session_intents.open_for(shop.actor, paid.session.id, terms)
        assert (paid.whole.split, paid.parts) == (False, []), end
        assert {intents.get(shop.actor, name).status for name in old} == {"canceled"}


def test_who_pays_on_the_page_pays_all_of_it(shop: Shop) -> None:
    paid = Paid(shop, hosted=True)
    assert shop.pay(paid.session).status == "completed"
    assert (paid.whole.split, there()) == (False, [("captured", DUE, DUE)])


def test_a_total_that_moved_wants_another_split(shop: Shop) -> None:
    paid = Paid(shop)
    with transaction() as db:
        row = sessions.find(db, shop.actor, paid.session.id, lock=True)
        line = {**row.cart_snapshot["lines"][0], "quantity": 2}
        row.cart_snapshot = {"currency": "GBP", "lines": [line]}
    with pytest.raises(Unprocessable) as refused:
        paid.confirm()
    assert (refused.value.code, (refused.value.explain or {})["due"]) == ("split_sum_mismatch", 2 * DUE)
    assert there() == []


def test_parts_are_not_paid_by_themselves(shop: Shop) -> None:
    paid = Paid(shop, options={"capture_mode": "manual"})
    part = paid.parts[0].id
    for work in (
        lambda: payments.confirm(shop.actor, part, Order("n2")),
        lambda: payments.capture(shop.actor, part),
        lambda: payments.cancel(shop.actor, part, "user_cancel"),
        lambda: splits.split(shop.actor, part, [Allocation(FIRST, "paypal")]),
    ):
        with pytest.raises(InvalidState):
            work()
    method = methods.tokenize_card(shop.actor, card(GOOD)).id
    for again in (
        lambda: payments.confirm(shop.actor, paid.id, Order("n3"), method_id=method),
        lambda: intents.attach(shop.actor, paid.id, method),
        lambda: payments.start_three_ds(shop.actor, paid.id, Order("n4")),
        lambda: payments.initiate_apm(shop.actor, "paypal", paid.id, Order("n5")),
    ):
        with pytest.raises(InvalidState) as refused:
            again()
        assert refused.value.code == "payment_is_split"


def test_eight_confirms_at_once_are_one_run(shop: Shop) -> None:
    paid = Paid(shop)
    together(8, lambda number: paid.confirm(f"n{number}"))
    recover()
    assert paid.whole.status == "succeeded"
    assert there() == [("captured", FIRST, FIRST), ("captured", SECOND, SECOND)]


def test_a_repeated_confirm_is_one_run(shop: Shop) -> None:
    paid = Paid(shop, second=NO_FUNDS)
    paid.confirm("n1")
    assert paid.confirm("n1").status == "requires_payment_method"
    assert len(there()) == 2


def test_stored_value_leaves_the_rest_to_one_method_or_several(shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-1234", 1000)
    catalogue.credit(shop, "cust_1", 100)
    session = shop.session(hosted=False, customer={"customer_id": "cust_1"})
    intent = session_intents.open_for(shop.actor, session.id, session_intents.Terms())
    gift = Allocation(500, "gift_card", code="GIFT-1234")
    for wrong, code in (
        ([gift], "split_sum_mismatch"),
        (
            [Allocation(1100, "gift_card", code="GIFT-1234"), Allocation(520, "paypal")],
            "giftcard_insufficient",
        ),
        ([Allocation(101, "store_credit"), Allocation(1519, "paypal")], "insufficient_store_credit"),
        ([Allocation(500, "gift_card", code="NOPE-1234"), Allocation(1120, "paypal")], "giftcard_invalid"),
    ):
        with pytest.raises(Unprocessable) as refused:
            splits.split(shop.actor, intent.id, wrong)
        assert refused.value.code == code
    assert (catalogue.on_card(shop), catalogue.of_customer(shop)) == ((1000, 0), (100, 0))
    one = splits.split(shop.actor, intent.id, [gift, Allocation(1120, "card")])
    assert (one.split, one.amount) == (False, 1120)
    again = splits.split(
        shop.actor,
        intent.id,
        [
            Allocation(100, "store_credit"),
            Allocation(20, "paypal"),
            Allocation(1000, method_id=methods.tokenize_card(shop.actor, card(GOOD)).id),
        ],
    )
    assert (again.split, again.amount) == (True, 1020)
    assert catalogue.on_card(shop) == (1000, 500)
    waiting = payments.confirm(shop.actor, intent.id, Order("n1", return_url="https://shop.example/x"))
    assert (waiting.next_action or {})["type"] == "redirect_to_url"
    challenges.decide(str((waiting.next_action or {})["url"]).rsplit("/", 1)[1], approve=True)
    landing = payment.resume(shop.attempts(session)[0].return_nonce)
    assert landing is not None
    assert landing.intent.status == "succeeded"
    assert [captured for _, _, captured in there()] == [20, 1000]


def test_the_same_two_cards_in_either_order_are_held_by_eight_at_once(shop: Shop) -> None:
    codes = ["GIFT-AAAA", "GIFT-BBBB"]
    for code in codes:
        catalogue.gift_card(shop, code, 5 * DUE)
    opened = [
        session_intents.open_for(shop.actor, shop.session(hosted=False).id, session_intents.Terms()).id
        for _ in range(8)
    ]

    def one(number: int) -> str:
        named = codes if number % 2 else codes[::-1]
        return splits.split(
            shop.actor, opened[number], [Allocation(DUE // 2, "gift_card", code=code) for code in named]
        ).id

    assert together(8, one) == opened
    assert [catalogue.on_card(shop, code) for code in codes] == [(5 * DUE, 4 * DUE)] * 2


def test_the_invariants_see_a_whole_that_is_not_its_parts(shop: Shop) -> None:
    paid = Paid(shop)
    paid.confirm()
    raised = update(PaymentIntent).where(PaymentIntent.id == paid.id)
    with transaction() as db:
        db.execute(raised.values(amount_refunded=1))
    assert {violation.rule for violation in invariants.check()} == {"wholes_are_their_parts"}
    with transaction() as db:
        db.execute(raised.values(amount_refunded=0))


PAY = """
import sys
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.services.access import keys
from app.services.checkout import payments
from app.services.checkout.payment import Order
secret, intent_id = sys.argv[1:3]
payments.confirm(keys.authenticate(secret), intent_id, Order("n1"))
"""


@pytest.mark.parametrize(
    ("point", "second", "outcome"),
    [
        ("auth_submitted", GOOD, "requires_payment_method"),
        ("auth_answered", GOOD, "succeeded"),
        ("part_submitted", GOOD, "requires_payment_method"),
        ("capture_submitted", GOOD, "succeeded"),
        ("captured", GOOD, "succeeded"),
        ("part_captured", GOOD, "succeeded"),
        ("finishing", GOOD, "succeeded"),
        ("part_voided", NO_FUNDS, "requires_payment_method"),
    ],
)
def test_a_process_that_dies_leaves_all_or_nothing(
    database: str, tmp_path: Path, shop: Shop, point: str, second: str, outcome: str
) -> None:
    paid = Paid(shop, second=second, hosted=True)
    dies(PAY, shop.secret, paid.id, url=database, folder=tmp_path, at=point)
    recover()
    assert paid.whole.status == outcome
    taken = [row for row in there() if row[0] in ("authorized", "captured")]
    if outcome == "succeeded":
        assert taken == [("captured", FIRST, FIRST), ("captured", SECOND, SECOND)]
        assert paid.read().status == "completed"
    else:
        assert taken == []
        assert paid.read().status == "reserved"
        for number, part in enumerate(paid.parts):
            if part.payment_method_id is None:
                paid.attach(number, GOOD)
        if second == NO_FUNDS:
            paid.attach(1, GOOD)
        assert paid.confirm("after the crash").status == "succeeded"
    assert invariants.check() == []
