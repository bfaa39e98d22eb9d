"""A process that dies at any named point of a payment leaves it untouched or completed, after the sweeps.

Each point is reached by a real process that really dies (`os._exit`), on both databases (reliability.md,
finalisation). What is checked after restart and sweeps: the invariants, the gateway's own book, the stock.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from app.connectors.sandbox import book, challenges
from app.db import reading
from app.kit.failpoints import POINTS
from app.models.checkout.session import CheckoutSession
from app.services.checkout import payment, reservations, sessions
from app.services.operations import invariants
from tests import processes
from tests.shops import CHALLENGED, GOOD, Shop, later

#: Pays in another process; the return from 3DS is a second run.
PAY = """
import sys
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.services.access import keys
from app.services.checkout import payment
from tests.shops import card
secret, checkout_id, what = sys.argv[1:4]
if what.startswith("return:"):
    payment.resume(what.removeprefix("return:"))
else:
    payment.pay_by_card(keys.authenticate(secret), checkout_id, card(what), payment.Order("nonce-1"))
"""

#: Points that a payment without 3DS passes, and those of one that comes back from it.
DIRECT = [point for point in POINTS if point != "action_required"]
RETURNING = ["authorized", "capture_submitted", "capture_answered", "captured", "finishing", "finished"]


def run(url: str, folder: Path, shop: Shop, session: CheckoutSession, what: str, point: str | None) -> int:
    """Pay in a process of its own, which dies at `point`; its exit status."""
    return processes.run(PAY, shop.secret, session.id, what, url=url, folder=folder, at=point)


def recover() -> None:
    """What the worker does after a restart, over the next half hour."""
    for seconds in (31, 120, 600, 1900):
        with later(seconds):
            payment.sweep()
            reservations.expire_due()


def assert_untouched_or_completed(shop: Shop, session: CheckoutSession) -> str:
    """The session is paid with one charge and one sale, or as if nothing had been; and all invariants hold."""
    status = shop.read(session).status
    with reading() as db:
        charges = [tuple(row) for row in db.execute(select(book.payments.c.status, book.payments.c.captured))]
    if status == "completed":
        assert charges == [("captured", 1620)]
        assert shop.left("MUG") == (99, 0, 1)
    else:
        assert status in ("created", "collecting", "reserved"), status
        assert [row for row in charges if row[0] in ("authorized", "captured")] == []
        assert shop.left("MUG") == (100, 0, 0)
    assert invariants.check() == []
    return status


@pytest.mark.parametrize("point", DIRECT)
def test_dying_during_a_payment(database: str, tmp_path: Path, shop: Shop, point: str) -> None:
    session = shop.session()
    assert run(database, tmp_path, shop, session, GOOD, point) == 137
    recover()
    status = assert_untouched_or_completed(shop, session)
    if POINTS.index(point) >= POINTS.index("auth_answered"):
        assert status == "completed", "the gateway had the money, so the shopper must have the goods"
    if status != "completed":
        assert shop.pay(session, GOOD, "after the crash").status == "completed"


@pytest.mark.parametrize("point", RETURNING)
def test_dying_on_the_way_back_from_three_ds(database: str, tmp_path: Path, shop: Shop, point: str) -> None:
    session = shop.session()
    assert run(database, tmp_path, shop, session, CHALLENGED, "action_required") == 137
    action = shop.intent(session).next_action
    assert action is not None
    challenges.answer(str(action["url"]).rsplit("/", 1)[1], "123456")
    nonce = shop.attempts(session)[0].return_nonce
    assert run(database, tmp_path, shop, session, f"return:{nonce}", point) == 137
    recover()
    assert assert_untouched_or_completed(shop, session) == "completed"


def test_a_session_left_by_a_crash_expires_and_gives_everything_back(
    database: str, tmp_path: Path, shop: Shop
) -> None:
    session = shop.session()
    run(database, tmp_path, shop, session, GOOD, "started")
    with later(3700):
        reservations.expire_due()
        assert sessions.expire_due() == 1
    assert shop.read(session).status == "canceled"
    assert shop.left("MUG") == (100, 0, 0)
    assert invariants.check() == []
