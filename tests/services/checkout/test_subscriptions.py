"""Subscriptions: begun with consent, charged once a period by the worker, tried again, ended, renewed at once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.connectors.sandbox import book
from app.db import reading, transaction
from app.domain.errors import DomainError, InvalidState, NotFound, Unprocessable
from app.domain.rules import periods
from app.kit import clock
from app.models.catalogue.stored_value import GiftCard
from app.models.checkout.session import CheckoutSession
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.models.events.journal import JournalEntry
from app.models.payments.refund import Refund
from app.services.access import tenants
from app.services.checkout import (
    gift_cards,
    payment,
    renewals,
    rollback,
    sessions,
    simple_sessions,
    stored_value,
    subscriptions,
)
from app.services.checkout.simple_sessions import SimpleDraft
from app.services.checkout.subscriptions import Change
from app.services.operations import invariants
from app.services.payments import intents, methods, refunds, saved_methods
from tests.payments_api import Api
from tests.processes import dies
from tests.risks import choose
from tests.shops import GOOD, NO_FUNDS, TIMES_OUT_AFTER, TIMES_OUT_BEFORE, Shop, card, later, make

RENEW = """
import sys
from datetime import timedelta
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.kit import clock
from app.services.checkout import renewals
with clock.frozen(clock.now() + timedelta(days=32)):
    renewals.renew(sys.argv[1])
"""
MONTH = 32 * 86400


@dataclass
class Club:
    """A shop that sells a membership of 9.00 a month."""

    shop: Shop
    price_id: str = field(init=False)

    def __post_init__(self) -> None:
        _, self.price_id = self.shop.offer("CLUB", 900, interval="month")

    def session(self, **draft: Any) -> CheckoutSession:
        values: dict[str, Any] = {
            "customer": {"email": "ann@example.com"},
            "price_id": self.price_id,
            **draft,
        }
        return simple_sessions.create(self.shop.actor, SimpleDraft(None, None, None, **values))

    def pay(self, session: CheckoutSession, number: str = GOOD, keep_for: str | None = "cus_1") -> None:
        order = payment.Order(f"n-{number}", keep_for=keep_for)
        paid = payment.pay_by_card(self.shop.actor, session.id, card(number), order)
        assert paid.status == "completed"

    def member(self, number: str = GOOD) -> str:
        """A subscription; it is charged to that card from now on."""
        session = self.session()
        self.pay(session)
        [found] = [row for row in self.all() if row.checkout_id == session.id]
        if number != GOOD:
            self.switch(found.id, number)
        return found.id

    def switch(self, subscription_id: str, number: str) -> None:
        kept = methods.tokenize_card(self.shop.actor, card(number), customer_id="cus_1", consent=True)
        subscriptions.update(self.shop.actor, subscription_id, Change(payment_method_id=kept.id))

    def all(self) -> list[Subscription]:
        return subscriptions.list_page(self.shop.actor).data

    def read(self, subscription_id: str) -> Subscription:
        return subscriptions.get(self.shop.actor, subscription_id)

    def periods(self, subscription_id: str) -> list[SubscriptionPeriod]:
        """Oldest first."""
        return subscriptions.periods_of(self.shop.actor, subscription_id).data[::-1]

    def statuses(self, subscription_id: str) -> list[str]:
        return [period.status for period in self.periods(subscription_id)]


@pytest.fixture
def club(shop: Shop, holds: None) -> Club:
    return Club(shop)


def captured() -> list[int]:
    """What the gateway's own book says it has taken, oldest first."""
    with reading() as db:
        statement = select(book.payments.c.captured).where(book.payments.c.captured > 0)
        return list(db.scalars(statement.order_by(book.payments.c.created_at)))


def told() -> list[str]:
    with reading() as db:
        statement = select(JournalEntry.type).where(JournalEntry.entity == "subscription")
        return list(db.scalars(statement.order_by(JournalEntry.id)))


def test_a_sale_with_consent_begins_one_and_without_it_none(club: Club) -> None:
    once = club.session()
    club.pay(once, keep_for=None)
    assert club.all() == []
    session = club.session(quantity=2, metadata={"seat": "4"})
    club.pay(session)
    [made] = club.all()
    assert (made.status, made.amount, made.currency, made.interval) == ("active", 1800, "GBP", "month")
    assert (made.customer_id, made.price_id, made.metadata_) == ("cus_1", club.price_id, {"seat": "4"})
    assert made.current_period_end == periods.start_of(made.current_period_start, "month", 1, 2)
    sold = club.shop.read(session)
    assert (sold.subscription_id, sold.customer["customer_id"]) == (made.public_id, "cus_1")
    [period] = club.periods(made.id)
    assert (period.number, period.status, period.checkout_id) == (1, "paid", session.id)
    assert period.payment_intent_id == sold.payment_intent_id
    assert told() == ["subscription.created"]
    with pytest.raises(NotFound):
        subscriptions.get(make("Other").actor, made.id)


def test_what_passes_while_the_merchant_is_suspended_is_charged_to_nobody(club: Club) -> None:
    member = club.member()
    tenants.suspend(club.shop.actor)
    for months in (1, 2, 3):
        with later(months * MONTH + 60):
            renewals.renew_due()
    assert (club.statuses(member), captured()) == (["paid", "void", "void", "void"], [900])
    tenants.resume(club.shop.actor)
    with later(3 * MONTH + 7200):
        renewals.renew_due()
        assert captured() == [900], "the period that has begun passes, too"
    with later(4 * MONTH + 7200):
        for _ in range(3):
            renewals.renew_due()
    assert (club.statuses(member)[4:], captured()) == (["paid"], [900, 900])


def test_the_worker_charges_each_period_once(club: Club) -> None:
    member = club.member()
    assert renewals.renew_due() == 0
    with later(MONTH):
        for _ in range(3):
            renewals.renew_due()
        assert renewals.renew(member) is False
    after = club.read(member)
    assert (after.status, club.statuses(member)) == ("active", ["paid", "paid"])
    second = club.periods(member)[1]
    assert (after.current_period_start, after.current_period_end) == (second.starts_at, second.ends_at)
    intent = intents.get(club.shop.actor, str(second.payment_intent_id))
    assert (intent.status, intent.amount_captured, intent.customer_id) == ("succeeded", 900, "cus_1")
    assert intent.metadata_["subscription_id"] == after.public_id
    assert captured() == [900, 900]
    assert told() == ["subscription.created", "subscription.renewed"]
    refunds.send(refunds.create(club.shop.actor, intent.id, 100).id)  # as any payment
    with later(3 * MONTH):  # what was missed while nobody worked is caught up, period by period
        for _ in range(5):
            renewals.renew_due()
    assert len(captured()) == 4


def test_sixteen_workers_charge_a_period_once(club: Club) -> None:
    member = club.member()
    with later(MONTH), ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: renewals.renew(member), range(16)))
    assert captured() == [900, 900]
    assert club.statuses(member) == ["paid", "paid"]


def test_a_decline_is_tried_again_until_it_is_paid(club: Club) -> None:
    member = club.member(NO_FUNDS)
    with later(MONTH):
        renewals.renew_due()
        assert club.read(member).status == "past_due"
        renewals.renew(member)  # not before its time
    [_, owed] = club.periods(member)
    assert (owed.status, owed.tries, owed.last_error) == ("open", 1, "insufficient_funds")
    with later(MONTH + 86500):
        renewals.renew_due()
        assert club.periods(member)[1].tries == 2
        club.switch(member, GOOD)  # a better card is charged at once
        renewals.renew_due()
    after = club.read(member)
    assert (after.status, club.statuses(member), captured()) == ("active", ["paid", "paid"], [900, 900])
    assert after.current_period_end == periods.start_of(after.anchor_at, "month", 1, 3)
    assert told().count("subscription.past_due") == 2


def test_after_the_last_try_it_ends(club: Club) -> None:
    member = club.member(NO_FUNDS)
    for day in range(20):
        with later(MONTH + day * 86500):
            renewals.renew_due()
    after = club.read(member)
    assert (after.status, after.cancel_reason, after.next_query_at) == ("canceled", "unpaid", None)
    [_, owed] = club.periods(member)
    assert (owed.status, owed.tries) == ("failed", 1 + len(periods.DUNNING_DAYS))
    assert captured() == [900]
    with pytest.raises(InvalidState):
        subscriptions.cancel(club.shop.actor, member, at_period_end=False)


@pytest.mark.parametrize("why", ["stolen", "revoked"])
def test_a_method_that_is_refused_for_good_is_not_asked_again(club: Club, why: str) -> None:
    member = club.member("4000000000009979" if why == "stolen" else "5555555555554444")
    if why == "revoked":
        saved_methods.revoke(club.shop.actor, club.read(member).payment_method_id)
    for day in (0, 1.1, 4.2):
        with later(MONTH + day * 86400):
            renewals.renew_due()
    [_, owed] = club.periods(member)
    assert (owed.tries, club.read(member).status) == (3, "past_due")
    with reading() as db:
        asked = db.scalar(text("SELECT count(*) FROM attempts WHERE off_session"))
    assert asked == (1 if why == "stolen" else 0)


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
def test_a_limit_of_the_merchant_is_no_decline(
    club: Club, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    member = club.member()
    with later(MONTH):
        if written:  # the period's payment stands already, and no gateway could take it
            monkeypatch.setattr(intents, "confirm", _no_connector)
            renewals.renew_due()
            monkeypatch.undo()
    choose(club.shop, max_authorization_amount=899)
    with later(MONTH + 3700):
        renewals.renew_due()
        put_off = club.read(member)
        assert put_off.next_query_at == clock.now() + renewals.AFTER_TROUBLE
    assert (put_off.status, [period.tries for period in club.periods(member)][1:]) == (
        "active",
        [0] * written,
    )
    choose(club.shop, max_authorization_amount=900)
    with later(MONTH + 7400):
        renewals.renew_due()
    assert (club.read(member).status, captured()) == ("active", [900, 900])


def _no_connector(*_: Any, **__: Any) -> None:
    raise Unprocessable("No connector can take this payment method now", code="no_connector")


@pytest.mark.parametrize(("number", "came"), [(TIMES_OUT_AFTER, True), (TIMES_OUT_BEFORE, False)])
def test_a_lost_answer_is_found_out_and_never_charged_twice(club: Club, number: str, came: bool) -> None:
    member = club.member(number)
    for seconds in (0, 70, 200, 900):
        with later(MONTH + seconds):
            renewals.renew_due()
            payment.sweep()
    assert club.read(member).status == ("active" if came else "past_due")
    assert captured() == ([900, 900] if came else [900])


@pytest.mark.parametrize(("point", "came"), [("renewal_written", False), ("auth_answered", True)])
def test_a_worker_that_dies_charges_once(
    database: str, tmp_path: Path, club: Club, point: str, came: bool
) -> None:
    member = club.member()
    dies(RENEW, member, url=database, folder=tmp_path, at=point)
    assert captured() == ([900, 900] if came else [900])
    for seconds in (100, 300, 1000, 90000):
        with later(MONTH + seconds):
            renewals.renew_due()
            payment.sweep()
    assert (captured(), club.read(member).status) == ([900, 900], "active")


def test_canceled_with_its_period_it_is_not_charged_again(club: Club) -> None:
    member = club.member()
    first = subscriptions.cancel(club.shop.actor, member, at_period_end=True, reason="moved away")
    assert (first.status, first.cancel_at_period_end) == ("active", True)
    subscriptions.update(club.shop.actor, member, Change(cancel_at_period_end=False))  # no, stay
    assert club.read(member).cancel_reason is None
    subscriptions.cancel(club.shop.actor, member, at_period_end=True, reason="moved away")
    with later(MONTH):
        renewals.renew_due()
    after = club.read(member)
    assert (after.status, after.cancel_reason, captured()) == ("canceled", "moved away", [900])


def test_told_to_end_while_it_is_past_due_it_is_not_charged_again(club: Club) -> None:
    member = club.member(NO_FUNDS)
    with later(MONTH):
        renewals.renew_due()
        changed = subscriptions.update(club.shop.actor, member, Change(cancel_at_period_end=True))
        assert (changed.status, changed.cancel_reason) == ("canceled", "requested")
    with later(MONTH + 90000):
        assert renewals.renew_due() == 0
    assert club.statuses(member) == ["paid", "void"]


def test_canceled_while_its_charge_is_on_the_way_the_money_goes_back(club: Club) -> None:
    member = club.member(TIMES_OUT_AFTER)
    with later(MONTH):
        renewals.renew_due()
    ended = subscriptions.cancel(club.shop.actor, member, at_period_end=False)
    assert (ended.status, club.statuses(member)) == ("canceled", ["paid", "void"])
    for seconds in (70, 200):
        with later(MONTH + seconds):
            payment.sweep()
            renewals.renew_due()
    lost = str(club.periods(member)[1].payment_intent_id)
    refunds.give_back_canceled(lost)
    with reading() as db:
        sent = db.scalars(select(Refund.id).where(Refund.intent_id == lost)).one()
    refunds.send(sent)
    assert intents.get(club.shop.actor, lost).amount_refunded == 900


def test_a_session_of_a_subscription_renews_it_at_once(club: Club) -> None:
    member = club.member()
    public_id, ends = club.read(member).public_id, club.read(member).current_period_end
    renewal = club.session(price_id=None, subscription_id=public_id, customer={"customer_id": "cus_1"})
    assert (renewal.grand_total, renewal.subscription_id) == (900, public_id)
    club.pay(renewal, keep_for=None)
    after = club.read(member)
    assert after.current_period_end == periods.start_of(after.anchor_at, "month", 1, 3) > ends
    assert [period.checkout_id for period in club.periods(member)][1:] == [renewal.id]
    with later(MONTH):  # the worker has nothing to charge for that period
        renewals.renew_due()
    assert captured() == [900, 900]


def test_a_session_pays_what_is_owed(club: Club) -> None:
    member = club.member(NO_FUNDS)
    with later(MONTH):
        renewals.renew_due()
    public_id = club.read(member).public_id
    renewal = club.session(price_id=None, subscription_id=public_id)
    club.pay(renewal, "5555555555554444")
    after = club.read(member)
    assert (after.status, club.statuses(member), captured()) == ("active", ["paid", "paid"], [900, 900])
    kept = methods.get(club.shop.actor, after.payment_method_id)
    assert kept.last4 == "4444"  # kept with consent, it takes the place of the one that was declined
    with later(MONTH + 90000):
        renewals.renew_due()
    assert captured() == [900, 900]


def test_what_is_paid_for_a_canceled_subscription_goes_back(club: Club) -> None:
    member = club.member()
    renewal = club.session(price_id=None, subscription_id=club.read(member).public_id)
    subscriptions.cancel(club.shop.actor, member, at_period_end=False)
    club.pay(renewal, keep_for=None)
    intent = club.shop.intent(renewal)
    refunds.give_back_canceled(intent.id)
    assert club.shop.intent(renewal).amount_refunding == 900
    for wanted in (club.read(member).public_id, "no-such"):
        with pytest.raises(DomainError, match="Product, price or subscription not found"):
            club.session(price_id=None, subscription_id=wanted)


@pytest.mark.parametrize("covered", [500, 900])
def test_stored_value_paid_for_a_canceled_subscription_goes_back(club: Club, covered: int) -> None:
    member = club.member()
    renewal = club.session(price_id=None, subscription_id=club.read(member).public_id)
    issued = gift_cards.issue(club.shop.actor, covered, "GBP", code="PRESENT-1")
    stored_value.apply_gift_card(club.shop.actor, renewal.id, "PRESENT-1")
    subscriptions.cancel(club.shop.actor, member, at_period_end=False)
    if covered == 900:
        payment.finish_free(club.shop.actor, renewal.id, payment.Order("free"))
    else:
        club.pay(renewal, keep_for=None)
        refunds.give_back_canceled(club.shop.intent(renewal).id)
        assert club.shop.intent(renewal).amount_refunding == 400
    with reading() as db:
        assert db.get_one(GiftCard, issued.id).balance == covered
    assert invariants.check() == []


def test_a_sale_that_is_rolled_back_ends_its_subscription(club: Club) -> None:
    session = club.session()
    club.pay(session)
    rollback.roll_back(club.shop.actor, session.id)
    [ended] = club.all()
    assert (ended.status, ended.cancel_reason) == ("canceled", "rolled_back")
    assert sessions.get(club.shop.actor, session.id).status == "failed"


def test_methods_of_others_and_without_consent_are_refused(club: Club) -> None:
    member = club.member()
    for facts in ({"consent": True, "customer_id": "cus_2"}, {"customer_id": "cus_1"}):
        other = methods.tokenize_card(club.shop.actor, card(GOOD), **facts)  # type: ignore[arg-type]
        with pytest.raises(Unprocessable):
            subscriptions.update(club.shop.actor, member, Change(payment_method_id=other.id))


def test_the_page_wants_consent_and_says_to_what(club: Club, client: FlaskClient) -> None:
    session = club.session()
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    words = " ".join(page.split())
    assert "charges this card £9.00 every month until I cancel" in words
    assert 'value="paypal"' not in page
    fields = dict(re.findall(r'name="(csrf_token|nonce|quote)"[^>]*value="([^"]+)', page))
    typed = {
        **fields,
        "card_number": GOOD,
        "exp_month": "12",
        "exp_year": str(clock.now().year + 2),
        "cvc": "123",
    }
    refused = client.post(f"/pay/{session.hosted_id}/card", data=typed)
    assert (refused.status_code, "Agree to the renewals" in refused.get_data(as_text=True)) == (422, True)
    paid = client.post(f"/pay/{session.hosted_id}/card", data={**typed, "consent": "1"})
    assert paid.status_code == 303
    [made] = club.all()
    assert made.customer_id is not None
    assert made.customer_id == club.shop.read(session).customer["customer_id"]
    with later(MONTH):
        renewals.renew_due()
    assert captured() == [900, 900]


def test_subscriptions_by_api(club: Club, client: FlaskClient) -> None:
    api, member = Api(client, club.shop), club.member()
    other = club.member()
    listed = api.get("/subscriptions?limit=1")
    assert ([row["id"] for row in listed["data"]], listed["has_more"]) == ([other], True)
    rest = api.get(f"/subscriptions?limit=1&cursor={listed['next_cursor']}&customer_id=cus_1&status=active")
    assert [row["id"] for row in rest["data"]] == [member]
    one = api.get(f"/subscriptions/{member}")
    assert api.get(f"/subscriptions/{one['subscription_id']}") == one
    assert (one["status"], one["amount"], one["interval"]) == ("active", 900, "month")
    [period] = api.get(f"/subscriptions/{member}/periods")["data"]
    assert (period["number"], period["status"], period["amount"]) == (1, "paid", 900)
    changed = api.patch(f"/subscriptions/{member}", {"metadata": {"a": 1}, "cancel_at_period_end": True})
    assert (changed["metadata"], changed["cancel_at_period_end"]) == ({"a": 1}, True)
    ended = api.post(f"/subscriptions/{member}/cancel", {"at_period_end": False, "reason": "fraud"})
    assert (ended["status"], ended["cancel_reason"]) == ("canceled", "fraud")
    assert api.post(f"/subscriptions/{member}/cancel", {}, 409)["code"] == "invalid_state"
    assert api.get("/subscriptions/sub_none", 404)["code"] == "subscription_not_found"
    assert Api(client, make("Other")).get(f"/subscriptions/{other}", 404)["code"] == "subscription_not_found"


def second_of_one_number(club: Club, member: str) -> None:
    first = club.periods(member)[0]
    facts = {"starts_at": first.starts_at, "ends_at": first.ends_at, "amount": 900, "currency": "GBP"}
    owned = {"tenant_id": first.tenant_id, "mode": "test", "subscription_id": member, "status": "open"}
    with transaction() as db:
        db.add(SubscriptionPeriod(id="per_x", number=1, **facts, **owned))


def test_a_second_period_of_a_number_cannot_be(club: Club) -> None:
    member = club.member()
    with pytest.raises(IntegrityError):
        second_of_one_number(club, member)


def test_a_period_that_is_paid_without_money_is_noticed(club: Club) -> None:
    club.member()
    with later(MONTH):
        renewals.renew_due()
    assert invariants.check() == []
    breaks = {
        "payment_intents SET status = 'failed'": "payment_intents SET status = 'succeeded'",
        "subscription_periods SET amount = amount + 1": "subscription_periods SET amount = amount - 1",
        "subscription_periods SET currency = 'USD'": "subscription_periods SET currency = 'GBP'",
    }
    for broken, mended in breaks.items():
        for change in (broken, mended):
            with transaction() as db:
                db.execute(text(f"UPDATE {change}"))
            found = {violation.rule for violation in invariants.check()}
            assert ("periods_are_paid_once" in found) == (change == broken), change


def test_periods_are_counted_from_the_first_day() -> None:
    last = datetime(2024, 1, 31, 9, tzinfo=UTC)
    starts = [periods.start_of(last, "month", 1, number).date().isoformat() for number in (1, 2, 3, 4)]
    assert starts == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]
    leap = datetime(2024, 2, 29, tzinfo=UTC)
    assert periods.start_of(leap, "year", 1, 2).date().isoformat() == "2025-02-28"
    assert periods.start_of(leap, "year", 4, 2).date().isoformat() == "2028-02-29"
    assert periods.start_of(last, "week", 2, 3) == last + timedelta(weeks=4)
    assert periods.start_of(last, "day", 10, 2) == last + timedelta(days=10)
