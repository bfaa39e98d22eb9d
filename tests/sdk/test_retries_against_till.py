"""A bad line between the client and Till: whatever is lost on it, one call makes one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.models.payments.refund import Refund
from app.services.operations import invariants
from payment_sdk import APIConnectionError, PaymentClient, ServerError
from tests.sdk import flaky
from tests.sdk.conftest import Naps
from tests.sdk.flaky import BREAK, CUT, DROP, LOSE, Line
from tests.sdk.test_client_against_till import method, rows
from tests.shops import Shop

BUSY = (
    429,
    {"Retry-After": "7"},
    b'{"error":"Rate limit exceeded","code":"RATE_LIMIT_EXCEEDED","retryAfter":7}',
)
SORRY = (500, {}, b'{"error":"Something went wrong on our side","code":"INTERNAL_ERROR"}')


@pytest.fixture
def line(till: str) -> Iterator[Line]:
    """The bad line."""
    with flaky.line(till) as made:
        yield made


@pytest.fixture
def far(line: Line, merchant: Shop, naps: Naps) -> Iterator[PaymentClient]:
    """A client at its other end."""
    with PaymentClient(merchant.secret, base_url=line.url, rate_limits=None) as made:
        yield made


@pytest.mark.parametrize(
    "faults", [(BUSY,), (SORRY, SORRY), (DROP, LOSE), (LOSE, BREAK, CUT)], ids=["429", "500", "drop", "lost"]
)
def test_a_create_that_is_tried_again_makes_one_session(
    far: PaymentClient, line: Line, merchant: Shop, naps: Naps, faults: tuple[Any, ...]
) -> None:
    line.then(*faults)
    made = far.checkout.create(amount=10000, currency="USD", reference="order_123")
    assert rows(merchant) == 1, "one session, however often it was asked for"
    assert far.checkout.get(made.id).reference == "order_123"
    assert len(line.keys) == len(faults) + 1 and len(set(line.keys)) == 1, "every try has the same key"
    assert made.response.replayed == any(fault in (LOSE, BREAK, CUT) for fault in faults)
    assert len(naps.taken) == len(faults)
    assert all(0 < nap <= 2 for nap in naps.taken) or naps.taken == [7], "as long as it was told, else longer"


def test_a_refund_whose_answer_is_lost_is_given_once(far: PaymentClient, line: Line, merchant: Shop) -> None:
    intents = far.payments.intents
    made = intents.create(amount=5000, currency="GBP", payment_method_id=method(merchant))
    line.then(LOSE, BREAK)
    assert intents.confirm(made.id).status == "succeeded"
    assert len(list(intents.charges(made.id))) == 1, "charged once"
    line.then(LOSE, DROP, BREAK)
    refund = far.payments.refunds.create(payment_intent_id=made.id, amount=3000)
    assert refund.response.replayed and rows(merchant, Refund) == 1
    assert [one.id for one in intents.refunds(made.id)] == [refund.id]
    assert invariants.check() == []


def test_what_never_comes_through_says_whether_it_may_have_arrived(
    far: PaymentClient, line: Line, merchant: Shop
) -> None:
    line.then(LOSE, LOSE, LOSE, LOSE)
    with pytest.raises(APIConnectionError) as lost:
        far.checkout.create(amount=1, currency="USD", reference="r", idempotency_key="order-1")
    assert lost.value.sent and len(line.seen) == 4
    made = far.checkout.create(amount=1, currency="USD", reference="r", idempotency_key="order-1")
    assert made.response.replayed and rows(merchant) == 1, "the caller's own key outlives the call"


def test_a_write_without_a_key_is_not_sent_twice_unless_it_was_refused(
    far: PaymentClient, line: Line, merchant: Shop
) -> None:
    link = far.links.create(amount=100, currency="USD", reference="r")
    lost: tuple[Any, type[Exception]] = (LOSE, APIConnectionError)
    for fault, error in (lost, ((502, {}, b"<h1>Bad gateway</h1>"), ServerError)):
        line.then(fault)
        before = len(line.seen)
        with pytest.raises(error):
            far.links.pay(link.slug)
        assert len(line.seen) == before + 1, "it may have been done: nobody does it again"
    assert rows(merchant) == 1
    line.then(BUSY)
    far.links.pay(link.slug)
    assert rows(merchant) == 2, "what was refused was not done"
