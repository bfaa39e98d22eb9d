"""Canceling and expiry: what is held goes back, a payment under way comes first."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidState
from app.services.checkout import cancellation, copies, hosted, reservations, sessions
from app.services.checkout import holds as stock_holds
from app.services.events import timeline
from app.services.operations import invariants
from app.services.payments import intents
from tests.buyers import together
from tests.shops import CHALLENGED, NO_FUNDS, Shop, later

pytestmark = pytest.mark.usefixtures("holds")


def test_canceling_releases_what_is_held_when_asked(shop: Shop) -> None:
    session = shop.session()
    held = stock_holds.reserve(shop.actor, session.id)
    assert shop.left("MUG") == (100, 1, 0)
    ended = cancellation.cancel(shop.actor, session.id, release_inventory=True)
    assert (ended.status, ended.cancel_reason, ended.reservation_id) == ("canceled", "requested", None)
    assert shop.left("MUG") == (100, 0, 0)
    assert stock_holds.word(stock_holds.get(shop.actor, held.id)) == "released"


def test_without_that_the_hold_lasts_until_its_own_end(shop: Shop) -> None:
    session = shop.session()
    stock_holds.reserve(shop.actor, session.id, ttl_seconds=60)
    cancellation.cancel(shop.actor, session.id, release_inventory=False)
    assert shop.left("MUG") == (100, 1, 0)
    with later(61):
        assert reservations.expire_due() == 1
    assert shop.left("MUG") == (100, 0, 0)
    assert shop.read(session).status == "canceled"


def test_canceling_twice_changes_nothing_and_releases_late_when_asked(shop: Shop) -> None:
    session = shop.session()
    stock_holds.reserve(shop.actor, session.id)
    first = sessions.cancel(shop.actor, session.id, release_inventory=False)
    again = sessions.cancel(shop.actor, session.id, release_inventory=True)
    assert again.status == first.status == "canceled"
    assert shop.left("MUG") == (100, 0, 0)
    assert [e.type for e in timeline.of_checkout(shop.actor, session.id)].count("checkout.canceled") == 1


def test_a_completed_session_stays(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session).status == "completed"
    with pytest.raises(InvalidState):
        cancellation.cancel(shop.actor, session.id, release_inventory=True)


def test_canceling_during_3ds_cancels_the_payment_with_it(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session, CHALLENGED).status == "payment_processing"
    with pytest.raises(InvalidState):
        sessions.cancel(shop.actor, session.id)
    ended = cancellation.cancel(shop.actor, session.id, release_inventory=True)
    assert ended.status == "canceled"
    assert shop.intent(session).status == "canceled"
    assert shop.left("MUG") == (100, 0, 0)


def test_canceling_after_a_decline_cancels_the_open_intent(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session, NO_FUNDS).status == "reserved"
    sessions.cancel(shop.actor, session.id)
    intent = shop.intent(session)
    assert (intent.status, intent.cancel_reason) == ("canceled", "user_cancel")


def test_time_runs_out_once_and_tells_it_under_both_names(shop: Shop) -> None:
    session, fresh = shop.session(), shop.session(lifetime_seconds=9000)
    stock_holds.reserve(shop.actor, session.id)
    with later(3601):
        assert hosted.has_lapsed(session)
        assert sessions.expire_due() == 1
        assert sessions.expire_due() == 0
    ended = shop.read(session)
    assert (ended.status, ended.cancel_reason) == ("canceled", "expired")
    assert shop.left("MUG") == (100, 0, 0)
    assert shop.read(fresh).status == "created"
    types = [entry.type for entry in timeline.of_checkout(shop.actor, session.id)]
    assert types.count("checkout.session.expired") == types.count("checkout.canceled") == 1


def test_a_payment_under_way_never_expires(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    with later(24 * 3600):
        assert (sessions.expire_due(), reservations.expire_due()) == (0, 0)
    assert shop.read(session).status == "payment_processing"
    assert shop.left("MUG") == (100, 1, 0)
    intents.cancel(shop.actor, shop.intent(session).id, "user_cancel")


def test_a_hold_that_lapses_sends_its_session_back_to_collecting(shop: Shop) -> None:
    session = shop.session()
    stock_holds.reserve(shop.actor, session.id, ttl_seconds=30)
    with later(31):
        assert reservations.expire_due() == 1
    now = shop.read(session)
    assert (now.status, now.reservation_id) == ("collecting", None)
    assert invariants.check() == []


def test_an_ended_session_starts_again_as_a_fresh_copy(shop: Shop) -> None:
    session = shop.session(title="A mug", reference="order_9", metadata={"k": "v"})
    with pytest.raises(InvalidState):
        copies.copy(shop.actor, session.id)
    with later(3601):
        sessions.expire_due()
        fresh = copies.copy(shop.actor, session.id)
        assert fresh.id != session.id
        assert fresh.hosted_id != session.hosted_id
        assert (fresh.title, fresh.reference, fresh.metadata_) == ("A mug", "order_9", {"k": "v"})
        assert fresh.cart_snapshot == session.cart_snapshot
        assert fresh.totals == session.totals
        assert not hosted.has_lapsed(fresh)
        shop.pay(fresh)
        assert copies.copy(shop.actor, session.id).id == fresh.id, "asking again leads to what was paid"


def test_however_many_start_again_at_once_there_is_one_copy(shop: Shop) -> None:
    """Also where nobody has swept by: what the old session holds is free for the copy, which is priced afresh."""
    session = shop.session(quantity=100)
    stock_holds.reserve(shop.actor, session.id, ttl_seconds=7200)
    with later(3601):
        made = together(16, lambda _: copies.copy(shop.actor, session.id).id)
        assert len(set(made)) == 1, made
        old, fresh = shop.read(session), sessions.get(shop.actor, str(made[0]))
        assert (old.status, old.cancel_reason, fresh.copied_from) == ("canceled", "expired", old.id)
        stock_holds.reserve(shop.actor, fresh.id)
    assert shop.left("MUG") == (100, 100, 0)


def test_a_session_without_a_page_is_given_one_and_keeps_it(shop: Shop) -> None:
    session = shop.session(hosted=False)
    assert session.hosted_id is None
    first, second = hosted.open_page(shop.actor, session.id), hosted.open_page(shop.actor, session.id)
    assert first.hosted_id == second.hosted_id
    assert hosted.url_of(first).endswith(f"/pay/{first.hosted_id}")
    sessions.cancel(shop.actor, session.id)
    with pytest.raises(InvalidState):
        hosted.open_page(shop.actor, session.id)
