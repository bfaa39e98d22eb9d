"""What every connector that takes money in one call has to do, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.connectors import base
from app.connectors.selling import Sells
from tests import databases
from tests.connectors.conftest import Caller, fresh_key, places
from tests.connectors.test_conformance import SAMPLES, SETTLED, Samples
from tests.shops import later


@pytest.fixture(params=places(Sells), ids="-".join)
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
def samples(caller: Caller) -> Samples:
    return SAMPLES[caller.connector.name]


def test_the_money_is_taken_and_can_go_back(caller: Caller, samples: Samples, key: str) -> None:
    answer = caller.sell(caller.card(samples.good), key)
    assert isinstance(answer, base.Approved)
    assert (answer.taken, answer.amount, answer.currency) == (True, 1500, "GBP")
    found = caller.find(key)
    assert (found.reference, found.status, found.captured) == (answer.reference, "captured", 1500)
    assert isinstance(caller.void(answer.reference), base.Declined)
    assert isinstance(caller.refund(answer.reference, 1500), base.Approved)
    assert caller.find(key).refunded == 1500


def test_of_sixteen_callers_with_one_key_one_takes_it(caller: Caller, samples: Samples, key: str) -> None:
    token = caller.card(samples.good)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: caller.sell(token, key), range(16)))
    assert {(type(answer), answer.taken) for answer in answers} == {(base.Approved, True)}
    assert len({answer.reference for answer in answers}) == 1
    assert caller.find(key).captured == 1500


def test_a_decline_takes_nothing(caller: Caller, samples: Samples, key: str) -> None:
    answer = caller.sell(caller.card(samples.declined), key)
    assert isinstance(answer, base.Declined)
    assert answer.code == "insufficient_funds"
    found = caller.find(key)
    assert (found.status, found.captured) == ("declined", 0)


def test_a_lost_answer_is_found_as_taken(caller: Caller, samples: Samples, key: str) -> None:
    token = caller.card(samples.lost_answer)
    assert isinstance(caller.sell(token, key), base.Unknown)
    with later(SETTLED):
        found = caller.find(key)
    assert (found.status, found.captured) == ("captured", 1500)
