"""Stored value with a session's life: held at once, taken once with the order, given back at every other end."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from app.connectors.sandbox import book, challenges
from app.db import reading, transaction
from app.domain.errors import Conflict, Unprocessable
from app.models.checkout.session import CheckoutSession
from app.models.checkout.wallet_hold import WalletHold
from app.models.events.journal import JournalEntry
from app.services.checkout import details, hosted, payment, payments, sessions, stored_value, totals, wallet
from app.services.checkout.payment import Order
from app.services.ledger import postings
from app.services.operations import invariants
from app.services.payments import refunds
from tests import catalogue
from tests.buyers import together
from tests.processes import dies
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")
CODE = "GIFT-1234"
DUE = 1620


@pytest.fixture(autouse=True)
def stored(shop: Shop) -> None:
    catalogue.gift_card(shop, CODE, 1000)
    catalogue.credit(shop, "cust_1", 500)


def with_card(shop: Shop, code: str = CODE, **draft: object) -> CheckoutSession:
    session = shop.session(**draft)  # type: ignore[arg-type]
    stored_value.apply_gift_card(shop.actor, session.id, code)
    return shop.read(session)


def charged() -> list[int]:
    with reading() as db:
        return list(db.scalars(select(book.payments.c.captured).order_by(book.payments.c.reference)))


def test_the_rest_is_charged_and_the_card_taken_with_the_order(shop: Shop) -> None:
    session = with_card(shop)
    assert catalogue.on_card(shop) == (1000, 1000)
    paid = shop.pay(session)
    assert paid.status == "completed"
    assert shop.intent(session).amount == DUE - 1000
    assert charged() == [DUE - 1000]
    for change in (-1, 1):  # card and payment together are what it costs: a penny less is noticed
        with transaction() as db:
            names = ("amount", "amount_authorized", "amount_captured")
            sums = ", ".join(f"{name} = {name} + ({change})" for name in names)
            db.execute(text(f"UPDATE payment_intents SET {sums}"))
        found = {violation.rule for violation in invariants.check()}
        assert ("sales_are_paid_in_full" in found) == (change == -1)
    assert catalogue.on_card(shop) == (0, 0)
    assert postings.balances(shop.actor) == {
        ("receivable:sandbox", "GBP"): DUE - 1000,
        ("gift_cards", "GBP"): 1000,
        ("merchant_balance", "GBP"): -DUE,
    }


def test_a_session_that_is_covered_wholly_needs_no_gateway(shop: Shop) -> None:
    catalogue.gift_card(shop, "BIG-CARD-1", 5000)
    session = with_card(shop, "BIG-CARD-1")
    done = payment.finish_free(shop.actor, session.id, Order("n1"))
    assert (done.status, done.payment_intent_id) == ("completed", None)
    assert done.order_id is not None
    assert catalogue.on_card(shop, "BIG-CARD-1") == (5000 - DUE, 0)
    assert charged() == []
    assert shop.left("MUG") == (99, 0, 1)
    assert postings.balances(shop.actor)["gift_cards", "GBP"] == DUE


def test_no_more_is_taken_of_a_card_than_its_owner_saw(shop: Shop) -> None:
    catalogue.gift_card(shop, "BIG-CARD-1", 5000)
    session = shop.session(quantity=2, options={"allow_quantity": True})
    stored_value.apply_gift_card(shop.actor, session.id, "BIG-CARD-1")
    hosted.change_quantity(shop.actor, session.id, 1)
    seen = totals.quote(shop.read(session))
    hosted.change_quantity(shop.actor, session.id, 2)
    with pytest.raises(Conflict) as refused:
        payment.finish_free(shop.actor, session.id, Order("n1", quote=seen))
    assert refused.value.code == "quote_changed"
    assert (shop.read(session).status, catalogue.on_card(shop, "BIG-CARD-1")) == ("collecting", (5000, 3240))
    again = totals.quote(shop.read(session))
    assert payment.finish_free(shop.actor, session.id, Order("n2", quote=again)).status == "completed"


def test_card_and_credit_together(shop: Shop) -> None:
    session = with_card(shop, customer={"customer_id": "cust_1"})
    stored_value.apply_store_credit(shop.actor, session.id, 500)
    assert shop.pay(session).status == "completed"
    assert charged() == [DUE - 1500]
    assert (catalogue.on_card(shop), catalogue.of_customer(shop)) == ((0, 0), (0, 0))
    balances = postings.balances(shop.actor)
    assert (balances["store_credit", "GBP"], balances["gift_cards", "GBP"]) == (500, 1000)


def test_what_is_applied_changes_the_quote(shop: Shop) -> None:
    session = shop.session()
    seen = totals.quote(session)
    stored_value.apply_gift_card(shop.actor, session.id, CODE)
    with pytest.raises(Conflict) as refused:
        payment.pay_by_card(shop.actor, session.id, card(GOOD), Order("n1", quote=seen))
    assert refused.value.code == "quote_changed"
    again = totals.quote(shop.read(session))
    done = payment.pay_by_card(shop.actor, session.id, card(GOOD), Order("n2", quote=again))
    assert done.status == "completed"


def test_an_open_payment_follows_what_is_due(shop: Shop) -> None:
    from app.services.checkout import intents

    session = shop.session(hosted=False)
    intents.open_for(shop.actor, session.id, intents.Terms())
    _, part = stored_value.apply_gift_card(shop.actor, session.id, CODE)
    assert shop.intent(session).amount == DUE - 1000
    stored_value.remove_gift_card(shop.actor, session.id, str(part.id))
    assert shop.intent(session).amount == DUE
    with pytest.raises(Unprocessable) as refused:
        intents.open_for(shop.actor, session.id, intents.Terms(amount=DUE - 1000))
    assert refused.value.code == "amount_mismatch"


def test_a_total_that_fell_takes_what_it_needs_and_gives_the_rest_back(shop: Shop) -> None:
    session = shop.session(quantity=2, options={"allow_quantity": True})
    catalogue.gift_card(shop, "BIG-CARD-1", 3000)
    stored_value.apply_gift_card(shop.actor, session.id, CODE)
    stored_value.apply_gift_card(shop.actor, session.id, "BIG-CARD-1")
    assert catalogue.on_card(shop, "BIG-CARD-1") == (3000, 2240)
    hosted.change_quantity(shop.actor, session.id, 1)
    _, shown = stored_value.show(shop.actor, session.id)
    assert [part.applied for part in shown.applied] == [1000, 620]
    payment.finish_free(shop.actor, session.id, Order("n1"))
    assert catalogue.on_card(shop) == (0, 0)
    assert catalogue.on_card(shop, "BIG-CARD-1") == (3000 - 620, 0)
    hosted_at_a_third = shop.session(quantity=3)
    stored_value.apply_gift_card(shop.actor, hosted_at_a_third.id, "BIG-CARD-1")
    assert catalogue.on_card(shop, "BIG-CARD-1") == (2380, 2380)


def test_a_card_that_the_fallen_total_does_not_need_goes_back_whole(shop: Shop) -> None:
    catalogue.gift_card(shop, "BIG-CARD-1", 3240)
    session = shop.session(quantity=2, options={"allow_quantity": True})
    stored_value.apply_gift_card(shop.actor, session.id, "BIG-CARD-1")
    stored = shop.session(quantity=2, options={"allow_quantity": True})
    stored_value.apply_gift_card(shop.actor, stored.id, CODE)
    with transaction() as db:
        row = sessions.find(db, shop.actor, session.id, lock=True)
        row.cart_snapshot = {"currency": "GBP", "lines": [{**row.cart_snapshot["lines"][0], "unit_price": 0}]}
    payment.finish_free(shop.actor, session.id, Order("n1"))
    assert catalogue.on_card(shop, "BIG-CARD-1") == (3240, 0)
    assert shop.read(session).wallet_applied == 0


def ended_by_cancel(shop: Shop, session: CheckoutSession) -> None:
    sessions.cancel(shop.actor, session.id, release_inventory=False)


def ended_by_expiry(shop: Shop, session: CheckoutSession) -> None:
    with later(3700):
        assert sessions.expire_due() == 1


def ended_by_declines(shop: Shop, session: CheckoutSession) -> None:
    for number in range(5):
        assert catalogue.on_card(shop) == (1000, 1000), "a decline with tries left gives nothing back"
        shop.pay(session, NO_FUNDS, f"n{number}")
    assert shop.read(session).status == "failed"


def ended_by_a_void(shop: Shop, session: CheckoutSession) -> None:
    shop.pay(session, CHALLENGED)
    payments.cancel(shop.actor, shop.intent(session).id, "user_cancel")
    assert shop.read(session).status == "canceled"


def ended_by_a_shortfall(shop: Shop, session: CheckoutSession) -> None:
    """The hold on the goods lapses while the shopper is at the bank, and others buy the last one."""
    shop.pay(session, CHALLENGED)
    with transaction() as db:
        from app.services.checkout import reservations

        row = sessions.find(db, shop.actor, session.id, lock=True)
        reservations.release(db, row, shop.actor.tenant, cause="test")
    other = shop.session(sku="POT")
    assert shop.pay(other, GOOD, "n2").status == "completed"
    action = shop.intent(session).next_action
    assert action is not None
    challenges.answer(str(action["url"]).rsplit("/", 1)[1], "123456")
    payment.resume(shop.attempts(session)[0].return_nonce)
    assert (shop.read(session).status, shop.read(session).failure_reason) == ("failed", "inventory")


@pytest.mark.parametrize(
    "end", [ended_by_cancel, ended_by_expiry, ended_by_declines, ended_by_a_void, ended_by_a_shortfall]
)
def test_every_other_end_gives_it_back(shop: Shop, end: object) -> None:
    shop.stock("POT", 1)
    session = with_card(shop, sku="POT")
    end(shop, session)  # type: ignore[operator]
    assert catalogue.on_card(shop) == (1000, 0)
    assert shop.read(session).wallet_applied == 0
    with reading() as db:
        statuses = db.scalars(select(WalletHold.status).where(WalletHold.checkout_id == session.id))
        assert list(statuses) == ["released"]


def test_taking_giving_back_and_undoing_twice_does_nothing_more(shop: Shop) -> None:
    session = with_card(shop)
    shop.pay(session)
    for work in (wallet.commit, wallet.release):
        with transaction() as db:
            work(db, sessions.find(db, shop.actor, session.id, lock=True), cause="again")
        assert catalogue.on_card(shop) == (0, 0)
    for _ in range(2):
        with transaction() as db:
            wallet.undo(db, sessions.find(db, shop.actor, session.id, lock=True), cause="rollback")
        assert catalogue.on_card(shop) == (1000, 0)
    assert postings.balances(shop.actor)["gift_cards", "GBP"] == 0
    assert shop.read(session).wallet_applied == 0


def test_a_refund_goes_up_to_what_the_gateway_took(shop: Shop) -> None:
    session = with_card(shop)
    shop.pay(session)
    intent = shop.intent(session)
    with pytest.raises(Unprocessable) as refused:
        refunds.create(shop.actor, intent.id, DUE)
    assert refused.value.code == "refund_exceeds_captured"
    assert refunds.create(shop.actor, intent.id).amount == DUE - 1000
    assert catalogue.on_card(shop) == (0, 0)


def test_sixteen_sessions_that_apply_one_card_at_once_hold_no_more_than_it_has(shop: Shop) -> None:
    catalogue.gift_card(shop, "SHARED-01", 4000)
    mine = [shop.session() for _ in range(16)]
    found = together(
        16, lambda number: stored_value.apply_gift_card(shop.actor, mine[number].id, "SHARED-01")[1].applied
    )
    applied = [amount for amount in found if isinstance(amount, int)]
    refused = [error for error in found if isinstance(error, Unprocessable)]
    assert sum(applied) == 4000
    assert sorted(applied) == [4000 - 2 * DUE, DUE, DUE]
    assert {error.code for error in refused} == {"giftcard_empty"}
    assert len(applied) + len(refused) == 16
    assert catalogue.on_card(shop, "SHARED-01") == (4000, 4000)


def test_eight_threads_that_apply_and_remove_end_as_if_one_after_the_other(shop: Shop) -> None:
    session = shop.session(customer={"customer_id": "cust_1"})

    def turn(number: int) -> None:
        if number % 2:
            stored_value.apply_store_credit(shop.actor, session.id, 100 * number)
        else:
            stored_value.apply_gift_card(shop.actor, session.id, CODE)

    errors = [error for error in together(8, turn) if error is not None]
    assert [error for error in errors if not isinstance(error, Unprocessable)] == []
    assert catalogue.on_card(shop) == (1000, 1000)
    assert catalogue.of_customer(shop)[1] in (100, 300, 500)


def test_a_finished_session_is_charged_to_its_card_once_also_under_sixteen_clicks(shop: Shop) -> None:
    session = with_card(shop)
    together(16, lambda number: shop.pay(session, GOOD, f"click-{number}"))
    assert charged() == [DUE - 1000]
    assert catalogue.on_card(shop) == (0, 0)


def test_the_journal_never_shows_a_code(shop: Shop) -> None:
    session = with_card(shop)
    shop.pay(session)
    with reading() as db:
        entries = db.scalars(select(JournalEntry).where(JournalEntry.checkout_id == session.id)).all()
        told = [entry.type for entry in entries if entry.entity == "wallet_hold"]
        assert not any(CODE in str(vars(entry)) for entry in entries)
        assert db.scalar(select(func.count()).where(WalletHold.label == "…1234")) == 1
    assert told == ["wallet_hold.held", "wallet_hold.taken"]


PAY = """
import sys
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.services.access import keys
from app.services.checkout import payment
from tests.shops import GOOD, card
secret, checkout_id = sys.argv[1:3]
payment.pay_by_card(keys.authenticate(secret), checkout_id, card(GOOD), payment.Order("nonce-1"))
"""


@pytest.mark.parametrize("point", ["reserved", "auth_answered", "finishing"])
def test_a_process_that_dies_takes_the_card_once_or_not_at_all(
    database: str, tmp_path: Path, shop: Shop, point: str
) -> None:
    session = with_card(shop)
    dies(PAY, shop.secret, session.id, url=database, folder=tmp_path, at=point)
    assert catalogue.on_card(shop) == (1000, 1000)
    for seconds in (31, 120):
        with later(seconds):
            payment.sweep()
    paid = shop.read(session).status == "completed"
    assert paid == (point != "reserved")
    assert catalogue.on_card(shop) == ((0, 0) if paid else (1000, 1000))
    assert charged() == ([DUE - 1000] if paid else [])
    assert invariants.check() == []


def test_the_invariants_see_a_promise_that_nobody_made(shop: Shop) -> None:
    session = with_card(shop)
    with transaction() as db:
        hold = db.scalars(select(WalletHold)).one()
        hold.amount = 7
    found = {violation.rule for violation in invariants.check()}
    assert {"stored_value_holds", "wallets_agree"} <= found
    with transaction() as db:
        db.get_one(WalletHold, hold.id).amount = 1000
        sessions.find(db, shop.actor, session.id, lock=True)


@pytest.mark.parametrize("named", [{"customer_id": "cust_2"}, {"email": "a@example.com"}])
def test_credit_pays_for_its_own_customer_alone(shop: Shop, named: dict[str, str]) -> None:
    session = with_card(shop, customer={"customer_id": "cust_1"})
    stored_value.apply_store_credit(shop.actor, session.id, 500)
    details.set_customer(shop.actor, session.id, named)
    assert catalogue.of_customer(shop) == (500, 0)
    assert shop.pay(session).status == "completed"
    assert charged() == [DUE - 1000]
    assert catalogue.of_customer(shop) == (500, 0)


def test_credit_stays_applied_where_the_customer_stays(shop: Shop) -> None:
    session = with_card(shop, customer={"customer_id": "cust_1"})
    stored_value.apply_store_credit(shop.actor, session.id, 500)
    details.change(shop.actor, session.id, details.Change(customer={"email": "a@example.com"}))
    assert catalogue.of_customer(shop) == (500, 500)
    details.change(shop.actor, session.id, details.Change(customer={"customer_id": "cust_2"}))
    assert catalogue.of_customer(shop) == (500, 0)
    assert shop.read(session).wallet_applied == 1000
