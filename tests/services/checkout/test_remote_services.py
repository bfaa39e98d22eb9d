"""An Order Service and a Billing Service of a merchant's own: each sale and its undoing reaches them once."""

from __future__ import annotations

import pytest

from app.db import reading
from app.models.payments.refund import Refund
from app.services.access import keys
from app.services.checkout import payment, sessions
from app.services.checkout.finalization import finalize
from app.services.checkout.prerequisites import FinalizationFailed, FinalizationInProgress
from app.services.checkout.rollback import roll_back
from app.services.operations import invariants, jobs, provider_settings
from app.services.payments import refunds
from tests import finalizations
from tests.finalizations import charges, ready, work
from tests.providers_apart import Systems
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds", "nothing_open")


@pytest.fixture
def own(shop: Shop, systems: Systems) -> Shop:
    """A shop whose stock, orders and bills are its merchant's own."""
    systems.knows(stock={"POT": 5})
    return systems.serve(shop, "inventory", "orders", "billing")


def test_a_hosted_sale_is_ordered_and_billed_there(own: Shop, systems: Systems) -> None:
    session = own.session("POT")
    done = own.pay(session)
    run = finalizations.run(session)
    assert (done.status, done.order_id) == ("completed", "shop-1")
    state = systems.state()
    assert state["orders"] == {run.id: {"order_id": "shop-1", "status": "placed", "checkout_id": session.id}}
    [receipt] = state["receipts"].values()
    assert (receipt["receipt_id"], receipt["amount"]) == (done.receipt_id, 1620)
    assert finalizations.orders(session) == []
    [asked] = systems.seen("orders.create")
    assert asked["headers"]["idempotency-key"] == f"orders.create:{run.id}"
    assert asked["call"]["data"]["totals"]["grand_total"] == 1620


@pytest.mark.parametrize(
    ("operation", "how"),
    [
        ("orders.create", "slow"),
        ("orders.create", "act, then drop"),
        ("billing.issue_receipt", "drop"),
        ("billing.issue_receipt", "act, then drop"),
    ],
)
def test_a_sale_waits_until_a_service_has_answered_and_is_made_once(
    own: Shop, systems: Systems, operation: str, how: str
) -> None:
    session = ready(own, sku="POT")
    systems.misbehaves(operation, how)
    with pytest.raises(FinalizationInProgress):
        finalize(own.actor, session.id)
    assert own.read(session).status == "payment_processing"
    systems.behaves()
    with systems.later(40):
        work()
        done = finalize(own.actor, session.id)
    assert (done.order_id, own.read(session).status) == ("shop-1", "completed")
    state = systems.state()
    assert (len(state["orders"]), len(state["receipts"]), state["stock"]["POT"]) == (1, 1, 4)
    keys = {seen["headers"]["idempotency-key"] for seen in systems.seen(operation)}
    assert len(keys) == 1
    assert charges() == [("captured", 1620, 0)]


def test_an_order_that_is_refused_undoes_the_sale_there_too(own: Shop, systems: Systems) -> None:
    session = ready(own, sku="POT")
    systems.says("orders.create", {"refused": "not deliverable"})
    with pytest.raises(FinalizationFailed) as refused:
        finalize(own.actor, session.id)
    assert [reason["message"] for reason in refused.value.reasons] == ["not deliverable"]
    for seconds in (40, 60, 90):
        with systems.later(seconds):
            work()
    assert (own.read(session).status, charges()) == ("failed", [("captured", 1620, 1620)])
    state = systems.state()
    assert (state["stock"]["POT"], list(state["holds"]), state["orders"]) == (5, [], {})
    [note] = state["credit_notes"].values()
    assert (note["amount"], note["void"]) == (1620, False)


def test_a_rolled_back_sale_is_canceled_voided_and_restocked_there(own: Shop, systems: Systems) -> None:
    session = own.session("POT")
    own.pay(session)
    work()
    assert systems.state()["stock"]["POT"] == 4
    systems.misbehaves("orders.cancel", "act, then drop", times=3)
    _, run = roll_back(own.actor, session.id)
    assert run.status == "undoing"
    with systems.later(40):
        work()
    with systems.later(60):
        work()
    assert finalizations.run(session).status == "undone"
    state = systems.state()
    assert [order["status"] for order in state["orders"].values()] == ["canceled"]
    assert [receipt["void"] for receipt in state["receipts"].values()] == [True]
    assert state["stock"]["POT"] == 5
    assert [note["amount"] for note in state["credit_notes"].values()] == [1620]
    assert (charges(), jobs.due()) == ([("captured", 1620, 1620)], [])


def test_what_is_on_its_way_stays_sold(own: Shop, systems: Systems) -> None:
    session = own.session("POT")
    own.pay(session)
    systems.says("orders.cancel", {"refused": "it is on its way"})
    _, run = roll_back(own.actor, session.id)
    steps = {step["step"]: (step["status"], step["detail"].get("message")) for step in run.steps}
    assert (run.status, steps["order"]) == ("undo_failed", ("failed", "it is on its way"))
    assert charges() == [("captured", 1620, 0)]


def test_an_order_of_this_house_is_canceled_here_whatever_was_chosen_since(
    shop: Shop, systems: Systems
) -> None:
    session = ready(shop)
    finalize(shop.actor, session.id)
    assert len(finalizations.receipts(session)) == 1
    now = systems.serve(shop, "orders", "billing")
    _, run = roll_back(now.actor, session.id)
    assert run.status == "undone"
    assert [status for _, status in finalizations.orders(session)] == ["cancelled"]
    assert [row.voided_at is not None for row in finalizations.receipts(session)] == [True]
    assert systems.seen("orders.cancel") == []
    assert charges() == [("captured", 1620, 1620)]


@pytest.mark.parametrize("prefix", ["", "order_"])
def test_an_order_that_is_elsewhere_cancels_none_of_ours(shop: Shop, systems: Systems, prefix: str) -> None:
    ours = shop.session()
    shop.pay(ours)
    [(number, _)] = finalizations.orders(ours)
    there = systems.serve(shop, "orders")
    systems.says("orders.create", {"order_id": prefix + number.removeprefix("order_")})
    session = there.session()
    assert there.pay(session, nonce="n2").status == "completed"
    provider_settings.choose(shop.actor, {"orders": {"kind": "builtin"}})
    _, run = roll_back(keys.authenticate(shop.secret), session.id)
    assert finalizations.orders(ours) == [(number, "paid")]
    assert run.status == "undo_failed", "a person has to look: its order stands where it was placed"
    assert [back for _, _, back in charges()] == [0, 0]


def test_a_refund_has_its_credit_note_there(own: Shop, systems: Systems) -> None:
    session = own.session("POT")
    own.pay(session)
    made = refunds.create(own.actor, own.intent(session).id, amount=600, reason="customer_request")
    refunds.send(made.id)
    work()
    with reading() as db:
        note_id = db.get_one(Refund, made.id).credit_note_id
    assert note_id is not None
    assert systems.state()["credit_notes"] == {
        f"refund:{made.id}": {"credit_note_id": note_id, "amount": 600, "void": False}
    }
    assert invariants.check() == []


def test_a_free_sale_waits_for_the_services_and_does_not_expire(own: Shop, systems: Systems) -> None:
    systems.knows(coupons={"ALL": {"percent": 100}})
    free = systems.serve(own, "promotions")
    session = free.session("POT", promotion_codes=("ALL",))
    systems.misbehaves("orders.create", "drop")
    payment.finish_free(free.actor, session.id, payment.Order("n1"))
    systems.behaves()
    with systems.later(4000):
        assert sessions.expire_due() == 0
        work()
        work()
    done = free.read(session)
    assert (done.status, done.order_id) == ("completed", "shop-1")
    assert systems.state()["stock"]["POT"] == 4
