"""A process that dies while it finalises or rolls back leaves one order and one charge, or a clean undo.

Each point is reached by a real process that really dies, on both databases; then the worker's sweeps and jobs
run over the next half hour (reliability.md, finalisation).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.errors import DomainError
from app.kit.failpoints import FINALIZE_POINTS, HANDOVER_POINTS, ROLLBACK_POINTS
from app.models.checkout.session import CheckoutSession
from app.providers import registry
from app.services.checkout import (
    finalization,
    finalization_jobs,
    payment,
    receipts,
    reservations,
    rollback,
    sessions,
)
from app.services.operations import invariants
from app.services.payments import refunds
from tests import finalizations
from tests.finalizations import charges, orders, ready
from tests.processes import dies
from tests.shops import Shop, later

#: Does one thing in a process of its own.
ACT = """
import sys
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.providers import registry
from app.services.access import keys
from app.services.checkout import finalization, rollback
from tests import finalizations
secret, checkout_id, what = sys.argv[1:4]
actor = keys.authenticate(secret)
if what == "elsewhere":
    service = finalizations.OrderService()
    registry.orders = lambda tenant: service
if what == "job":
    finalizations.work()
elif what == "roll_back":
    rollback.roll_back(actor, checkout_id)
else:
    finalization.finalize(actor, checkout_id)
"""

#: Points that a capture passes on the way to a sale.
CAPTURING = ("capture_submitted", "capture_answered", "captured", "finishing", "finished")


def act(url: str, folder: Path, shop: Shop, session: CheckoutSession, what: str, point: str) -> None:
    """Do it in a process that dies at `point`."""
    dies(ACT, shop.secret, session.id, what, url=url, folder=folder, at=point)


def recover() -> None:
    """What the worker does after a restart, over the next half hour."""
    for seconds in (31, 95, 200, 600, 1900):
        with later(seconds):
            payment.sweep()
            refunds.sweep()
            finalizations.work()
            reservations.expire_due()
            sessions.expire_due()
            receipts.issue_due()


def assert_sold_once(shop: Shop, session: CheckoutSession) -> None:
    now = shop.read(session)
    assert now.status == "completed"
    assert orders(session) == [(now.order_id, "paid")]
    assert charges() == [("captured", 1620, 0)]
    assert shop.left("MUG") == (99, 0, 1)
    assert [row.id for row in finalizations.receipts(session)] == [now.receipt_id]
    assert invariants.check() == []


def assert_undone(shop: Shop, session: CheckoutSession) -> None:
    assert shop.read(session).status == "failed"
    assert finalizations.run(session).status == "undone"
    assert [status for _, status in orders(session)] in ([], ["cancelled"])
    assert charges() in ([("captured", 1620, 1620)], [("voided", 0, 0)])
    assert shop.left("MUG") == (100, 0, 0)
    assert [row for row in finalizations.receipts(session) if row.voided_at is None] == []
    assert invariants.check() == []


@pytest.mark.parametrize("point", FINALIZE_POINTS)
def test_dying_while_a_captured_payment_is_finalised(
    database: str, tmp_path: Path, shop: Shop, point: str
) -> None:
    session = ready(shop)
    act(database, tmp_path, shop, session, "finalize", point)
    finalization.finalize(shop.actor, session.id)
    recover()
    assert_sold_once(shop, session)


@pytest.mark.parametrize("point", ["finalize_begun", *CAPTURING])
def test_dying_while_money_that_is_held_is_captured_and_finalised(
    database: str, tmp_path: Path, shop: Shop, point: str
) -> None:
    session = ready(shop, "manual")
    act(database, tmp_path, shop, session, "finalize", point)
    recover()
    assert_sold_once(shop, session)


@pytest.mark.parametrize("point", ["finalize_begun", "finished"])
def test_dying_in_the_background(database: str, tmp_path: Path, shop: Shop, point: str) -> None:
    session = ready(shop, "manual")
    job_id = finalization_jobs.enqueue(shop.actor, session.id)
    act(database, tmp_path, shop, session, "job", point)
    recover()
    assert_sold_once(shop, session)
    found = finalization_jobs.progress(shop.actor, job_id)
    assert (found.status, (found.result or {})["order_id"]) == ("succeeded", shop.read(session).order_id)


@pytest.mark.parametrize("point", HANDOVER_POINTS)
def test_dying_while_another_system_is_told(
    database: str, tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    session = ready(shop)
    act(database, tmp_path, shop, session, "elsewhere", point)
    run = finalizations.run(session)
    assert run.order_draft is not None
    service = finalizations.OrderService(orders={run.id: "shop-1"})
    monkeypatch.setattr(registry, "orders", lambda tenant: service)
    recover()
    now = shop.read(session)
    assert (now.status, now.order_id) == ("completed", "shop-1")
    assert [asked == run.order_draft for asked in service.asked] in ([], [True])
    assert charges() == [("captured", 1620, 0)]
    assert [row.id for row in finalizations.receipts(session)] == [now.receipt_id]
    assert invariants.check() == []


@pytest.mark.parametrize("point", ROLLBACK_POINTS)
def test_dying_while_a_sale_is_rolled_back(database: str, tmp_path: Path, shop: Shop, point: str) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    act(database, tmp_path, shop, session, "roll_back", point)
    recover()
    assert_undone(shop, session)
    assert len(refunds.of_intent(shop.actor, shop.intent(session).id)) == 1
    rollback.roll_back(shop.actor, session.id)
    assert_undone(shop, session)


def test_dying_while_held_money_is_given_back(database: str, tmp_path: Path, shop: Shop) -> None:
    session = ready(shop, "manual")
    act(database, tmp_path, shop, session, "roll_back", "rollback_reservation")
    recover()
    assert_undone(shop, session)
    with pytest.raises(DomainError):
        finalization.finalize(shop.actor, session.id)
