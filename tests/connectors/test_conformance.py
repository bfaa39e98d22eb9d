"""What every connector in the registry has to do, on both databases: adding one adds a line to `SAMPLES`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app import settings
from app.connectors import base, configuring, registry
from tests import databases
from tests.connectors.conftest import Caller, fresh_key, places
from tests.shops import later


@dataclass(frozen=True)
class Samples:
    """Cards by what a connector's test mode does with them."""

    good: str
    declined: str
    lost_answer: str
    lost_call: str


SAMPLES = {
    "sandbox": Samples("4242424242424242", "4000000000009995", "4000009990000021", "4000009990000013"),
    "stripe": Samples(
        "pm_card_visa",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "pm_card_lost_answer",
        "pm_card_lost_call",
    ),
}

PLACES = places(base.Connector)

#: Longer than any call can be on its way: what is not found by then was not executed.
SETTLED = 600


@pytest.fixture(params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A connector's name, and the kind of database."""
    name, kind = request.param
    return name, kind


@pytest.fixture
def database(place: tuple[str, str], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with databases.fresh(place[1], request, tmp_path) as address:
        yield address


@pytest.fixture
def key() -> str:
    return fresh_key("authorize")


@pytest.fixture
def refund_key() -> str:
    return fresh_key("refund")


@pytest.fixture
def samples(caller: Caller) -> Samples:
    return SAMPLES[caller.connector.name]


def at_once(call: Callable[[int], Any], callers: int = 16) -> list[Any]:
    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


def test_it_says_what_it_can_do(caller: Caller) -> None:
    for capability in (base.Connector, base.Authorizes, base.Captures, base.Voids, base.Refunds):
        assert isinstance(caller.connector, capability)
    assert isinstance(caller.connector, configuring.Configurable)
    assert isinstance(caller.connector, configuring.Tests)
    assert caller.connector in registry.installed()


def test_its_configuration_can_be_drawn_as_a_form(caller: Caller) -> None:
    fields = caller.connector.credentials
    assert len({field.name for field in fields}) == len(fields)
    for field in fields:
        assert re.fullmatch("[a-z][a-z0-9_]{0,63}", field.name) and field.label
        assert not (field.signs_webhooks and not field.secret), "what signs is a secret"
        assert not (field.choices and field.secret), "a choice is no secret"
        re.compile(field.pattern)


def test_a_test_of_its_credentials_is_an_answer(caller: Caller) -> None:
    assert isinstance(caller.connector, configuring.Tests)
    found = caller.connector.ping(caller.context)
    assert found.message and not (found.ok and found.refused)


def test_an_account_can_be_tried(caller: Caller) -> None:
    assert caller.connector.ping(caller.context).ok


def test_an_unknown_key_was_never_executed(caller: Caller, key: str, refund_key: str) -> None:
    assert isinstance(caller.find("authorize_nobody"), base.NotFound)
    assert isinstance(caller.find_refund("refund_nobody"), base.NotFound)
    with later(SETTLED):
        assert isinstance(caller.find(key), base.NotFound)
        assert isinstance(caller.find_refund(refund_key), base.NotFound)


def test_find_follows_a_payment_through_its_life(
    caller: Caller, samples: Samples, key: str, refund_key: str
) -> None:
    approved = caller.authorize(caller.card(samples.good), key)
    assert (approved.amount, approved.currency) == (1500, "GBP")
    found = caller.find(key)
    assert (found.status, found.amount, found.currency) == ("authorized", 1500, "GBP")
    assert found.reference == approved.reference
    caller.capture(approved.reference)
    found = caller.find(key)
    assert (found.status, found.captured, found.refunded) == ("captured", 1500, 0)
    caller.refund(approved.reference, 400, refund_key)
    assert caller.find(key).refunded == 400
    assert caller.find(key, approved.reference) == caller.find(key)
    assert caller.find_refund(refund_key).amount == 400
    assert caller.find_refund(refund_key, approved.reference).amount == 400


def test_a_decline_is_a_fact_with_its_code(caller: Caller, samples: Samples, key: str) -> None:
    declined = caller.authorize(caller.card(samples.declined), key)
    assert isinstance(declined, base.Declined)
    found = caller.find(key)
    assert (found.status, found.decline_code) == ("declined", declined.code)
    assert isinstance(caller.capture(found.reference), base.Declined)
    assert isinstance(caller.void(found.reference), base.Declined)
    assert caller.find(key).status == "declined"


def test_the_same_key_gets_the_same_answer(
    caller: Caller, samples: Samples, key: str, refund_key: str
) -> None:
    token = caller.card(samples.good)
    first = caller.authorize(token, key)
    assert caller.authorize(token, key) == first
    assert caller.capture(first.reference, 900, "capture_1") == caller.capture(
        first.reference, 900, "capture_1"
    )
    assert caller.refund(first.reference, 300, refund_key) == caller.refund(first.reference, 300, refund_key)
    found = caller.find(key)
    assert (found.captured, found.refunded) == (900, 300)


def test_sixteen_callers_with_one_key_authorise_once(caller: Caller, samples: Samples, key: str) -> None:
    token = caller.card(samples.good)
    answers = at_once(lambda _: caller.authorize(token, key))
    assert len({answer.reference for answer in answers}) == 1
    assert all(isinstance(answer, base.Approved) for answer in answers)


def test_sixteen_callers_capture_and_refund_once(
    caller: Caller, samples: Samples, key: str, refund_key: str
) -> None:
    reference = caller.authorize(caller.card(samples.good), key).reference
    captures = at_once(lambda _: caller.capture(reference, 1000, "capture_1"))
    assert {(type(answer), answer.amount) for answer in captures} == {(base.Approved, 1000)}
    refunds = at_once(lambda _: caller.refund(reference, 300, refund_key))
    assert len({answer.reference for answer in refunds}) == 1
    found = caller.find(key)
    assert (found.captured, found.refunded) == (1000, 300)


def test_sixteen_refunds_with_their_own_keys_never_exceed_the_capture(
    caller: Caller, samples: Samples
) -> None:
    reference = caller.captured(samples.good)
    answers = at_once(lambda number: caller.refund(reference, 400, f"refund_{number}"))
    assert sum(isinstance(answer, base.Approved) for answer in answers) == 3
    assert isinstance(caller.refund(reference, 301), base.Declined)
    assert isinstance(caller.refund(reference, 300), base.Approved)


def test_capture_and_void_at_once_leave_one_winner(caller: Caller, samples: Samples, key: str) -> None:
    reference = caller.authorize(caller.card(samples.good), key).reference
    race = [caller.capture, caller.void] * 8
    answers = at_once(lambda number: (race[number].__name__, race[number](reference)))
    won = {name for name, answer in answers if isinstance(answer, base.Approved)}
    assert len(won) == 1
    assert caller.find(key).status == ("captured" if won == {"capture"} else "voided")


@pytest.mark.parametrize(("amount", "currency"), [(1501, "GBP"), (0, "GBP"), (-1, "GBP"), (1500, "EUR")])
def test_a_capture_stays_within_its_authorisation(
    caller: Caller, samples: Samples, amount: int, currency: str, key: str
) -> None:
    reference = caller.authorize(caller.card(samples.good), key).reference
    assert isinstance(caller.capture(reference, amount, currency=currency), base.Declined)
    found = caller.find(key)
    assert (found.status, found.captured) == ("authorized", 0)


def test_a_partial_capture_is_the_last_one(caller: Caller, samples: Samples, key: str) -> None:
    reference = caller.authorize(caller.card(samples.good), key).reference
    assert caller.capture(reference, 600).amount == 600
    assert isinstance(caller.capture(reference, 600), base.Declined)
    assert isinstance(caller.void(reference), base.Declined)
    assert caller.find(key).captured == 600


def test_what_is_voided_stays_voided(caller: Caller, samples: Samples, key: str) -> None:
    reference = caller.authorize(caller.card(samples.good), key).reference
    assert isinstance(caller.void(reference), base.Approved)
    assert isinstance(caller.void(reference), base.Approved)
    assert isinstance(caller.capture(reference), base.Declined)
    assert isinstance(caller.refund(reference, 1), base.Declined)
    assert caller.find(key).status == "voided"


@pytest.mark.parametrize(("amount", "currency"), [(1501, "GBP"), (0, "GBP"), (-500, "GBP"), (100, "EUR")])
def test_a_refund_stays_within_its_capture(
    caller: Caller, samples: Samples, amount: int, currency: str, key: str
) -> None:
    reference = caller.authorize(caller.card(samples.good), key).reference
    caller.capture(reference)
    assert isinstance(caller.refund(reference, amount, currency=currency), base.Declined)
    assert caller.find(key).refunded == 0


def test_a_lost_answer_is_found_and_the_key_does_not_pay_again(
    caller: Caller, samples: Samples, key: str
) -> None:
    token = caller.card(samples.lost_answer)
    assert isinstance(caller.authorize(token, key), base.Unknown)
    found = caller.find(key)
    assert (found.status, found.amount) == ("authorized", 1500)
    again = caller.authorize(token, key)
    assert isinstance(again, base.Approved)
    assert again.reference == found.reference
    assert caller.find(key) == found


def test_of_sixteen_callers_one_loses_the_answer(caller: Caller, samples: Samples, key: str) -> None:
    token = caller.card(samples.lost_answer)
    answers = at_once(lambda _: caller.authorize(token, key))
    assert sum(isinstance(answer, base.Unknown) for answer in answers) == 1
    assert len({answer.reference for answer in answers if isinstance(answer, base.Approved)}) == 1


def test_a_lost_call_was_not_executed_until_it_is_made_again(
    caller: Caller, samples: Samples, key: str
) -> None:
    token = caller.card(samples.lost_call)
    assert isinstance(caller.authorize(token, key), base.Unknown)
    with later(SETTLED):
        assert isinstance(caller.find(key), base.NotFound)
    assert isinstance(caller.authorize(token, key), base.Approved)
    assert caller.find(key).status == "authorized"
    assert isinstance(caller.authorize(token, fresh_key("authorize")), base.Unknown)


def test_another_merchant_or_mode_reaches_nothing(caller: Caller, samples: Samples, key: str) -> None:
    token = caller.card(samples.good)
    reference = caller.authorize(token, key).reference
    stranger = caller.stranger()
    with later(SETTLED):
        assert isinstance(stranger.find(key), base.NotFound)
    for answer in (
        stranger.authorize(token),
        stranger.capture(reference),
        stranger.void(reference),
        stranger.refund(reference, 1),
        replace(caller, context=replace(caller.context, mode="live")).authorize(token),
    ):
        assert isinstance(answer, base.Declined | base.NotExecuted)
    assert caller.find(key).status == "authorized"


def test_the_sandbox_does_not_exist_in_production(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    production = settings.current().model_copy(update={"env": "production"})
    monkeypatch.setattr(settings, "current", lambda: production)
    assert registry.get("sandbox") is None
    assert "sandbox" not in [connector.name for connector in registry.all_connectors()]
    assert all(connector.name != "sandbox" for connector in registry.for_method("card"))
