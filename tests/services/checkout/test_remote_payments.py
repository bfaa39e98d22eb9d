"""Payments in parts and stored value with systems of the merchant's own: the same use cases, asked first."""

from __future__ import annotations

import pytest

from app.connectors.sandbox import challenges
from app.db import reading
from app.domain.errors import ProviderUnavailable
from app.models.payments.intent import PaymentIntent
from app.services.access import keys
from app.services.checkout import intents as session_intents
from app.services.checkout import payment, payments, split_runs, splits, stored_value
from app.services.checkout.payment import Order
from app.services.checkout.splits import Allocation
from app.services.operations import jobs, settings
from app.services.payments import attempts, intents, methods, parts
from app.worker.queue import run_job
from tests.providers_apart import Systems
from tests.shops import CHALLENGED, GOOD, Shop, card

pytestmark = pytest.mark.usefixtures("holds", "nothing_open")


@pytest.fixture
def own(shop: Shop, systems: Systems) -> Shop:
    """A shop whose stock and tax are its merchant's own, and whose holds last for a minute."""
    systems.knows(stock={"LAST": 1})
    systems.serve(shop, "inventory", "tax")
    settings.change(shop.actor, {"hold_ttl_seconds": 60})
    return Shop(keys.authenticate(shop.secret), shop.secret)


def opened(shop: Shop, checkout_id: str, second: str = GOOD) -> str:
    """A payment in two parts; its id. 1500 and 20 % tax are 1800."""
    whole = session_intents.open_for(shop.actor, checkout_id, session_intents.Terms())
    made = [methods.tokenize_card(shop.actor, card(number)).id for number in (GOOD, second)]
    wanted = [Allocation(1000, method_id=made[0]), Allocation(800, method_id=made[1])]
    return splits.split(shop.actor, whole.id, wanted).id


def test_a_payment_in_parts_holds_and_sells_there(own: Shop, systems: Systems) -> None:
    session = own.session("LAST")
    whole_id = opened(own, session.id)
    assert payments.confirm(own.actor, whole_id, Order("n1")).status == "succeeded"
    for job_id in jobs.due():
        run_job(job_id)
    assert (own.read(session).status, systems.state()["stock"]["LAST"]) == ("completed", 0)


def test_parts_that_are_captured_wait_for_a_system_that_is_down(own: Shop, systems: Systems) -> None:
    session = own.session("LAST")
    whole_id = opened(own, session.id, CHALLENGED)
    assert payments.confirm(own.actor, whole_id, Order("n1")).status == "requires_action"
    systems.misbehaves("inventory.hold", "status", status=503)
    with systems.later(70):  # the hold has to be asked for again
        _authenticate(own, whole_id)
        assert own.read(session).status == "payment_processing"
        assert [part.status for part in _parts(whole_id)] == ["succeeded", "succeeded"]
        systems.behaves()
    with systems.later(200):
        assert split_runs.sweep() == 1
        assert own.read(session).status == "completed"


def _parts(whole_id: str) -> list[PaymentIntent]:
    with reading() as db:
        return parts.of(db, whole_id)


def _authenticate(shop: Shop, whole_id: str) -> None:
    action = intents.get(shop.actor, whole_id).next_action
    assert action is not None
    challenges.answer(str(action["url"]).rsplit("/", 1)[1], challenges.GOOD_CODE)
    payment.resume(attempts.of_intent(shop.actor, _parts(whole_id)[1].id)[0].return_nonce)
    for _ in range(3):
        for job_id in jobs.due():
            run_job(job_id)


def test_while_tax_is_away_no_payment_is_opened_and_no_card_is_held(own: Shop, systems: Systems) -> None:
    session = own.session("LAST")
    systems.misbehaves("tax.rate", "drop")
    with pytest.raises(ProviderUnavailable):
        session_intents.open_for(own.actor, session.id, session_intents.Terms())
    assert own.read(session).payment_intent_id is None
    assert stored_value.show(own.actor, session.id)[1].applied == []
