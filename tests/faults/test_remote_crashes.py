"""A process that dies at any point of a payment leaves a merchant's own stock as it leaves the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from app.db import reading
from app.models.checkout.reservation import Reservation
from app.services.checkout import holds as stock_holds
from app.services.checkout import payment, reservations
from app.services.operations import invariants, jobs
from app.worker.queue import run_job
from tests.faults.test_crash_points import run
from tests.providers_apart import Systems
from tests.shops import GOOD, Shop


@pytest.mark.parametrize("point", ["auth_submitted", "captured", "finished"])
def test_dying_while_a_system_of_the_merchants_own_holds_the_last_unit(
    database: str, tmp_path: Path, shop: Shop, systems: Systems, point: str
) -> None:
    systems.knows(stock={"LAST": 1})
    own = systems.serve(shop, "inventory", "tax")
    session = own.session("LAST")
    assert run(database, tmp_path, own, session, GOOD, point) == 137
    asked = [seen["call"]["data"]["hold_id"] for seen in systems.seen("inventory.hold")]
    assert asked == [f"{session.id}.0"]
    for seconds in (31, 120, 600):
        with systems.later(seconds):
            payment.sweep()
            reservations.expire_due()
            for job_id in jobs.due():
                run_job(job_id)
    if point == "auth_submitted":  # the gateway never heard of it: its buyer comes back
        assert (own.read(session).status, systems.state()["sold"]) == ("reserved", {})
        with systems.later(700):
            own.pay(session, nonce="n2")
            for job_id in jobs.due():
                run_job(job_id)
    assert own.read(session).status == "completed"
    state = systems.state()
    assert (state["stock"]["LAST"], list(state["sold"]), state["holds"]) == (0, [f"{session.id}.0"], {})
    assert jobs.due() == []
    assert invariants.check() == []


def test_a_hold_that_died_with_its_process_is_the_same_hold_for_its_buyer_and_lapses_for_others(
    database: str, tmp_path: Path, shop: Shop, systems: Systems
) -> None:
    systems.knows(stock={"LAST": 1})
    own = systems.serve(shop, "inventory")
    session, rival = own.session("LAST"), own.session("LAST")
    assert run(database, tmp_path, own, session, GOOD, "reserved") == 137
    assert list(systems.state()["holds"]) == [f"{session.id}.0"]
    with reading() as db:
        assert db.scalars(select(Reservation)).all() == []
    assert not stock_holds.reserve(own.actor, session.id, ttl_seconds=60).partial
    assert list(systems.state()["holds"]) == [f"{session.id}.0"]
    with systems.later(70):
        reservations.expire_due()
        for job_id in jobs.due():
            run_job(job_id)
        assert not stock_holds.reserve(own.actor, rival.id).partial
