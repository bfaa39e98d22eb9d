"""Stock and codes that a merchant's own systems hold: asked for, sold and let go exactly once, whatever breaks."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.connectors.sandbox import challenges
from app.db import reading, transaction
from app.domain.errors import Conflict, InvalidRequest, ProviderUnavailable
from app.kit import clock
from app.kit.ids import new_id, new_uuid
from app.models.catalogue.product import Price, Product
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.models.operations.job import Job
from app.providers.remote import caller
from app.services.access import keys
from app.services.checkout import (
    details,
    payment,
    reservations,
    rollback,
    sessions,
    simple_sessions,
    validation,
)
from app.services.checkout import holds as stock_holds
from app.services.checkout.details import Change
from app.services.checkout.simple_sessions import SimpleDraft
from app.services.operations import invariants, jobs, provider_settings, settings
from app.worker.queue import run_job
from tests.buyers import together
from tests.finalizations import work
from tests.providers_apart import Systems
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, later

pytestmark = pytest.mark.usefixtures("nothing_open")


@pytest.fixture
def own(shop: Shop, systems: Systems) -> Shop:
    """A shop whose stock and codes are its merchant's own: five pots, one last tea, a code for two."""
    systems.knows(stock={"POT": 5, "LAST": 1}, coupons={"TEN": {"percent": "10", "limit": 2}})
    return systems.serve(shop, "inventory", "promotions")


@pytest.fixture
def hasty(own: Shop) -> Shop:
    """The same, whose holds last for a minute."""
    settings.change(own.actor, {"hold_ttl_seconds": 60})
    return Shop(keys.authenticate(own.secret), own.secret)


def tell() -> list[str]:
    """Let the worker tell what is due; what it told."""
    told = []
    for job_id in jobs.due():
        with reading() as db:
            told.append(
                f"{db.get_one(Job, job_id).arguments['provider']}.{db.get_one(Job, job_id).arguments['operation']}"
            )
        run_job(job_id)
    return sorted(told)


def held(systems: Systems, sku: str = "POT") -> int:
    """Units of a SKU that are held there."""
    return sum(
        line["reserved_qty"]
        for hold in systems.state()["holds"].values()
        for line in hold["lines"]
        if line["sku"] == sku
    )


def reservation(session: CheckoutSession) -> Reservation:
    """The session's newest reservation."""
    statement = (
        select(Reservation).where(Reservation.checkout_id == session.id).order_by(Reservation.id.desc())
    )
    with reading() as db:
        return db.scalars(statement.limit(1)).one()


def test_a_purchase_holds_and_sells_there_what_it_holds_and_sells_here(own: Shop, systems: Systems) -> None:
    session = own.session("POT", quantity=2, promotion_codes=("TEN",))
    made = stock_holds.reserve(own.actor, session.id, ttl_seconds=600)
    assert (made.partial, made.coupons, held(systems)) == (False, ["TEN"], 2)
    assert made.held_by == {
        "key": f"{session.id}.0",
        "inventory": systems.url("inventory"),
        "promotions": systems.url("promotions"),
    }
    assert systems.state()["code_holds"][f"{session.id}.0"]["codes"] == ["TEN"]
    assert own.pay(session).status == "completed"
    assert tell() == [
        "inventory.commit",
        "inventory.extend",
        "promotions.commit",
        "promotions.extend",
    ]
    state = systems.state()
    assert (state["stock"]["POT"], state["holds"], state["code_holds"]) == (3, {}, {})
    assert state["code_uses"] == {f"{session.id}.0": ["TEN"]}
    assert own.left("MUG") == (100, 0, 0)
    assert invariants.check() == []


def test_a_part_is_held_flagged_and_made_whole_in_the_place_of_the_first(own: Shop, systems: Systems) -> None:
    session = own.session("POT", quantity=7)
    part = stock_holds.reserve(own.actor, session.id)
    assert (part.partial, part.lines[0]["reserved_qty"], held(systems)) == (True, 5, 5)
    with pytest.raises(Conflict) as refused:
        own.pay(session)
    assert refused.value.code == "inventory_shortfall"
    assert (reservation(session).status, held(systems)) == ("active", 5)
    rival = own.session("POT", quantity=6)
    with pytest.raises(Conflict):
        own.pay(rival)
    assert list(systems.state()["holds"]) == [f"{session.id}.0"], "nothing is held for who got nothing"
    systems.knows(stock={"POT": 8})
    whole = stock_holds.reserve(own.actor, session.id)
    assert (whole.partial, whole.held_by and whole.held_by["key"]) == (False, f"{session.id}.1")
    assert list(systems.state()["holds"]) == [f"{session.id}.1"]
    assert tell() == ["inventory.release"]
    assert held(systems) == 7, "telling of the first hold does nothing to the second"
    assert own.pay(session, nonce="n2").status == "completed"
    tell()
    assert systems.state()["stock"]["POT"] == 1
    assert invariants.check() == []


def test_nothing_to_hold_and_more_than_was_asked(own: Shop, systems: Systems) -> None:
    systems.knows(stock={"POT": 0})
    session = own.session("POT")
    with pytest.raises(Conflict) as refused:
        stock_holds.reserve(own.actor, session.id)
    assert refused.value.explain is not None
    assert refused.value.explain["lines"][0]["reserved_qty"] == 0
    for answer in (
        {"lines": [{"line_id": "line_1", "reserved_qty": 2}]},
        {"lines": [{"line_id": "line_1", "reserved_qty": -1}]},
        {"lines": [{"line_id": "line_2", "reserved_qty": 1}]},
        {"lines": []},
        {},
    ):
        systems.says("inventory.hold", answer)
        with pytest.raises(ProviderUnavailable):
            stock_holds.reserve(own.actor, session.id)
    assert own.read(session).status == "created"


def test_the_last_unit_there_is_reserved_by_exactly_one_of_sixteen_buyers(
    own: Shop, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "TRY_SECONDS", 5.0)
    buying = [own.session("LAST") for _ in range(16)]
    results = together(16, lambda number: own.pay(buying[number], nonce=f"n{number}"))
    errors = [result for result in results if isinstance(result, Exception)]
    assert {getattr(error, "code", repr(error)) for error in errors} == {"inventory_shortfall"}
    assert len(errors) == 15
    states = sorted(sessions.get(own.actor, session.id).status for session in buying)
    assert states == ["completed"] + ["created"] * 15
    tell()
    assert systems.state()["stock"]["LAST"] == 0
    assert [sale["lines"][0]["reserved_qty"] for sale in systems.state()["sold"].values()] == [1]
    assert invariants.check() == []


def test_two_tabs_of_one_session_have_one_hold(own: Shop, systems: Systems) -> None:
    session = own.session("LAST")
    results = together(2, lambda number: stock_holds.reserve(own.actor, session.id))
    assert len({result.id for result in results if isinstance(result, Reservation)}) == 1
    assert not [result for result in results if isinstance(result, Exception)]
    assert held(systems, "LAST") == 1


def test_a_hold_whose_answer_was_lost_is_found_again(own: Shop, systems: Systems) -> None:
    session = own.session("LAST")
    systems.misbehaves("inventory.hold", "act, then drop", times=1)
    assert not stock_holds.reserve(own.actor, session.id).partial
    other = own.session("LAST")
    systems.misbehaves("inventory.hold", "act, then drop")
    stock_holds.release(own.actor, reservation(session).id)
    tell()
    with pytest.raises(ProviderUnavailable):
        stock_holds.reserve(own.actor, other.id)
    assert held(systems, "LAST") == 1, "it is held there for nobody here"
    systems.behaves()
    assert not stock_holds.reserve(own.actor, other.id).partial


def test_a_hold_that_nobody_knows_of_lapses_there(own: Shop, systems: Systems) -> None:
    lost, next_one = own.session("LAST"), own.session("LAST")
    systems.misbehaves("inventory.hold", "act, then drop", times=3)
    with pytest.raises(ProviderUnavailable):
        stock_holds.reserve(own.actor, lost.id, ttl_seconds=60)
    with pytest.raises(Conflict):
        stock_holds.reserve(own.actor, next_one.id)
    with systems.later(60 + 601):
        assert not stock_holds.reserve(own.actor, next_one.id).partial


def test_what_is_let_go_here_is_let_go_there(own: Shop, systems: Systems) -> None:
    by_hand, lapsing, canceled = (own.session("POT", promotion_codes=("TEN",)) for _ in range(3))
    made = stock_holds.reserve(own.actor, by_hand.id)
    stock_holds.reserve(own.actor, lapsing.id, ttl_seconds=60)
    systems.knows(coupons={"TEN": {"percent": "10"}})
    stock_holds.reserve(own.actor, canceled.id)
    assert held(systems) == 3
    stock_holds.release(own.actor, made.id)
    sessions.cancel(own.actor, canceled.id)
    with later(61):
        reservations.expire_due()
        assert tell() == ["inventory.release"] * 3 + ["promotions.release"] * 3
    state = systems.state()
    assert (state["holds"], state["code_holds"], state["stock"]["POT"]) == ({}, {}, 5)


def test_a_decline_keeps_the_hold_and_a_longer_one_is_told(own: Shop, systems: Systems) -> None:
    session = own.session("POT")
    assert own.pay(session, NO_FUNDS).status == "reserved"
    first = systems.state()["holds"][f"{session.id}.0"]["until"]
    stock_holds.extend(own.actor, reservation(session).id, 3600)
    assert tell() == ["inventory.extend"]
    assert systems.state()["holds"][f"{session.id}.0"]["until"] > first
    assert own.pay(session, nonce="n2").status == "completed"
    assert len(systems.seen("inventory.hold")) == 1


def test_a_longer_hold_is_not_shortened_by_what_was_told_late(own: Shop, systems: Systems) -> None:
    session = own.session("POT")
    made = stock_holds.reserve(own.actor, session.id)
    systems.misbehaves("inventory.extend", "drop", times=1)
    stock_holds.extend(own.actor, made.id, 600)
    tell()
    longer = stock_holds.extend(own.actor, made.id, 3600)
    tell()
    until = systems.state()["holds"][f"{session.id}.0"]["until"]
    assert until > clock.to_rfc3339(longer.expires_at)
    with systems.later(10):
        assert tell() == ["inventory.extend"]
    assert systems.state()["holds"][f"{session.id}.0"]["until"] == until


def test_while_a_shopper_is_at_the_bank_the_hold_is_lengthened(own: Shop, systems: Systems) -> None:
    session = own.session("LAST")
    assert own.pay(session, CHALLENGED).status == "payment_processing"
    before = systems.state()["holds"][f"{session.id}.0"]["until"]
    with systems.later(901):
        assert reservations.expire_due() == 0
        assert tell() == ["inventory.extend"]
        assert reservation(session).status == "active"
    assert systems.state()["holds"][f"{session.id}.0"]["until"] > before


def test_codes_are_changed_as_one(own: Shop, systems: Systems) -> None:
    systems.knows(
        coupons={"TEN": {"percent": 10}, "FIVE": {"percent": 5}, "ONCE": {"percent": 1, "limit": 1}}
    )
    session = own.session("POT", promotion_codes=("TEN",))
    stock_holds.reserve(own.actor, session.id)
    key = f"{session.id}.0"
    details.change(own.actor, session.id, Change(promotion_codes=("TEN", "FIVE")))
    assert systems.state()["code_holds"][key]["codes"] == ["TEN", "FIVE"]
    assert reservation(session).coupons == ["TEN", "FIVE"]
    rival = own.session("POT", promotion_codes=("ONCE",))
    stock_holds.reserve(own.actor, rival.id)
    systems.says("promotions.resolve", {"applied": [{"code": "ONCE", "percent": 1}], "refused": {}}, times=1)
    with pytest.raises(Conflict) as refused:
        details.change(own.actor, session.id, Change(promotion_codes=("ONCE",)))
    assert refused.value.code == "promotion_invalid"
    assert systems.state()["code_holds"][key]["codes"] == ["TEN", "FIVE"]
    assert own.read(session).promotion_codes == ["TEN", "FIVE"]
    details.change(own.actor, session.id, Change(promotion_codes=()))
    assert systems.state()["code_holds"][key]["codes"] == []
    assert own.pay(session).status == "completed"
    assert "promotions.commit" not in tell()
    assert systems.state()["code_uses"] == {}


def test_the_last_use_of_a_code_is_promised_once(own: Shop, systems: Systems) -> None:
    systems.knows(coupons={"TEN": {"percent": 10, "limit": 1}})
    first, second = (own.session("POT", promotion_codes=("TEN",)) for _ in range(2))
    stock_holds.reserve(own.actor, first.id)
    with pytest.raises(Conflict) as refused:
        stock_holds.reserve(own.actor, second.id)
    assert refused.value.code == "promotion_invalid"
    assert own.read(second).status == "created"
    looked, found = validation.refresh(own.actor, first.id)
    assert [f.code for f in found if not f.ok] == [], "its own use is there"
    assert [p["code"] for p in looked.applied_promotions] == ["TEN"]


def test_a_sale_is_told_until_it_is_heard_and_in_the_end_somebody_has_to_look(
    own: Shop, systems: Systems
) -> None:
    session = own.session("POT")
    systems.misbehaves("inventory.commit", "status", status=500)
    assert own.pay(session).status == "completed"
    tell()
    [job] = _tellings()
    assert (job.status, job.tries) == ("retry_wait", 1)
    assert "ProviderUnavailable" in job.errors[0]["error"]
    systems.misbehaves("inventory.commit", "act, then drop", times=1)
    with later(2):
        tell()
    with later(8):
        tell()
    [job] = _tellings()
    assert (job.status, job.tries) == ("done", 3)
    assert systems.state()["stock"]["POT"] == 4, "sold once, though it was told twice"
    assert {seen["headers"]["idempotency-key"] for seen in systems.seen("inventory.commit")} == {
        f"inventory.commit:{session.id}.0"
    }
    other = own.session("POT")
    own.pay(other, nonce="n2")
    systems.misbehaves("inventory.commit", "status", status=500)
    with reading() as db:
        [due] = jobs.due()
        tries = db.get_one(Job, due).max_tries
    assert tries > 280
    claimed = jobs.claim(due)
    assert claimed is not None
    claimed.tries = tries
    jobs.fail(claimed, "at last")
    assert [violation.rule for violation in invariants.check()] == ["providers_are_told"]


def _tellings() -> list[Job]:
    with reading() as db:
        return list(db.scalars(select(Job).where(Job.name == "providers.tell").order_by(Job.id)))


def test_uses_of_codes_are_given_back_there_once_their_commit_was_heard(own: Shop, systems: Systems) -> None:
    systems.knows(coupons={"TEN": {"percent": 10, "limit": 1}})
    session = own.session("POT", promotion_codes=("TEN",))
    systems.misbehaves("promotions.commit", "status", status=500)
    own.pay(session)
    work()
    rollback.roll_back(own.actor, session.id)
    work()
    systems.behaves()
    for seconds in (60, 120, 180):
        with systems.later(seconds):
            work()
    assert len(systems.seen("promotions.restore")) > 1, "refused while its commit had not come"
    assert systems.state()["code_uses"] == {f"{session.id}.0": []}
    again = own.session("POT", promotion_codes=("TEN",))
    assert own.pay(again).status == "completed"


def test_a_captured_payment_waits_for_a_system_that_is_down(hasty: Shop, systems: Systems) -> None:
    session = hasty.session("LAST")
    hasty.pay(session, CHALLENGED)
    with systems.later(62):  # nobody lengthened the hold, which may have lapsed there
        systems.misbehaves("inventory.hold", "status", status=503)
        _authenticate(hasty, session)
        waiting = hasty.read(session)
        intent = hasty.intent(session)
        assert (waiting.status, intent.status, intent.needs_review) == (
            "payment_processing",
            "authorized",
            False,
        )
        assert hasty.attempts(session)[0].status == "captured"
    systems.behaves()
    with systems.later(120):
        assert payment.sweep() == 1
        assert (hasty.read(session).status, hasty.intent(session).status) == ("completed", "succeeded")
        assert "inventory.commit" in tell()
    assert systems.state()["stock"]["LAST"] == 0
    assert invariants.check() == []


def test_a_captured_payment_that_waits_too_long_is_an_alarm(hasty: Shop, systems: Systems) -> None:
    session = hasty.session("LAST")
    hasty.pay(session, CHALLENGED)
    with systems.later(62):
        systems.misbehaves("inventory.hold", "status", status=503)
        _authenticate(hasty, session)
    for hours in range(2, 60, 4):
        with systems.later(hours * 3600):
            payment.sweep()
    intent = hasty.intent(session)
    assert (intent.needs_review, hasty.read(session).status) == (True, "payment_processing")
    systems.behaves()
    with systems.later(70 * 3600):
        payment.look_again(hasty.attempts(session)[0].id, "operator")
    assert hasty.read(session).status == "completed"


def test_what_was_sold_to_others_meanwhile_is_paid_back(hasty: Shop, systems: Systems) -> None:
    session = hasty.session("LAST")
    hasty.pay(session, CHALLENGED)
    with systems.later(62):
        systems.knows(stock={"LAST": 0})
        _authenticate(hasty, session)
        assert hasty.read(session).status == "failed"
        assert hasty.intent(session).status == "succeeded"
        assert hasty.intent(session).amount_refunding == hasty.intent(session).amount


def test_what_is_held_at_a_system_is_ended_there_whatever_was_chosen_since(
    own: Shop, systems: Systems
) -> None:
    remote = own.session("POT")
    stock_holds.reserve(own.actor, remote.id)
    choice = {name: {"kind": "builtin"} for name in ("inventory", "promotions")}
    provider_settings.choose(own.actor, choice)
    now = Shop(_fresh(own), own.secret)
    assert now.pay(remote).status == "completed"
    assert "inventory.commit" in tell()
    assert systems.state()["stock"]["POT"] == 4
    mugs = now.session("MUG")
    stock_holds.reserve(now.actor, mugs.id)
    back = systems.serve(now, "inventory")
    assert back.pay(mugs, nonce="n2").status == "completed"
    assert back.left("MUG") == (99, 0, 1)
    assert invariants.check() == []


def test_blockers_know_the_stock_there(own: Shop, systems: Systems) -> None:
    session = own.session("POT", quantity=6)
    [blocker] = validation.blockers(own.actor, session.id)
    assert (blocker.code, blocker.explain and blocker.explain["lines"][0]["available_qty"]) == (
        "inventory_shortfall",
        5,
    )
    stock_holds.reserve(own.actor, session.id)
    systems.knows(stock={"POT": 6})
    assert validation.blockers(own.actor, session.id) == []


def test_nothing_to_pay_is_sold_there_too(own: Shop, systems: Systems) -> None:
    systems.knows(coupons={"ALL": {"percent": 100}})
    session = own.session("POT", promotion_codes=("ALL",))
    done = payment.finish_free(own.actor, session.id, payment.Order("n1"))
    assert done.status == "completed"
    assert tell() == ["inventory.commit", "promotions.commit"]
    assert systems.state()["stock"]["POT"] == 4


def test_the_page_says_to_try_again_and_keeps_what_it_had(
    own: Shop, systems: Systems, client: FlaskClient
) -> None:
    session = own.session("LAST")
    page = client.get(f"/pay/{session.hosted_id}").text
    fields = dict(re.findall(r'name="(csrf_token|nonce|quote)"[^>]*value="([^"]+)"', page))
    systems.misbehaves("inventory.hold", "drop")
    card = {"card_number": GOOD, "exp_month": "12", "exp_year": "34", "cvc": "123"}
    refused = client.post(f"/pay/{session.hosted_id}/card", data={**fields, **card})
    assert (refused.status_code, "Please try again in a moment" in refused.text) == (503, True)
    after = own.read(session)
    assert (after.status, after.payment_intent_id, after.totals) == ("created", None, session.totals)


def test_a_product_is_offered_while_there_is_stock_there(own: Shop, systems: Systems) -> None:
    with transaction() as db:
        product = Product(
            id=new_id("prod"),
            public_id=new_uuid(),
            tenant_id=own.actor.tenant_id,
            mode="test",
            sku="LAST",
            name="The last tea",
        )
        db.add(product)
        db.flush()
        ours = {"tenant_id": own.actor.tenant_id, "mode": "test", "product_id": product.id}
        db.add(Price(id=new_id("prc"), public_id=new_uuid(), unit_amount=900, currency="GBP", **ours))
        public_id = product.public_id
    draft = SimpleDraft(None, None, None, customer={"email": "ann@example.com"}, product_id=public_id)
    assert simple_sessions.create(own.actor, draft).grand_total == 900
    with pytest.raises(InvalidRequest):
        simple_sessions.create(own.actor, replace(draft, quantity=2))


def _fresh(shop: Shop) -> Any:
    return keys.authenticate(shop.secret)


def _authenticate(shop: Shop, session: CheckoutSession) -> None:
    """The shopper passes the challenge, and comes back."""
    action = shop.intent(session).next_action
    assert action is not None
    challenges.answer(str(action["url"]).rsplit("/", 1)[1], challenges.GOOD_CODE)
    payment.resume(shop.attempts(session)[0].return_nonce)
