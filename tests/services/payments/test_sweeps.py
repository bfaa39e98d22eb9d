"""Sweeps: a row that breaks keeps no other waiting, is looked at again later, and not all the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app.db import reading
from app.kit import clock
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.services.checkout import payment
from app.services.operations import sweeping
from app.services.payments import disputes, gateway, intents, methods
from tests.disputes import FRAUD, told
from tests.shops import TIMES_OUT_AFTER, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")

DAY = 86_400


def _open_payments(shop: Shop) -> None:
    for number in range(3):
        method = methods.tokenize_card(shop.actor, card(TIMES_OUT_AFTER))
        intent = intents.create(
            shop.actor, intents.IntentDraft(2000 + number, "GBP", payment_method_id=method.id)
        )
        intents.confirm(shop.actor, intent.id, nonce="n1")


def _open_disputes(shop: Shop) -> None:
    for number in range(3):
        told(shop.actor, FRAUD, 2000 + number)


def _statuses(model: Any) -> list[str]:
    with reading() as db:
        return list(db.scalars(select(model.status)))


@pytest.mark.parametrize(
    ("open_some", "model", "sweep", "seconds", "done"),
    [
        (_open_payments, Attempt, payment.sweep, 60, "captured"),
        (_open_disputes, Dispute, disputes.sweep, 21 * DAY, "lost"),
    ],
    ids=["payments", "disputes"],
)
def test_one_that_breaks_keeps_no_other_waiting(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    open_some: Callable[[Shop], None],
    model: Any,
    sweep: Callable[[], int],
    seconds: int,
    done: str,
) -> None:
    open_some(shop)
    with reading() as db:
        first, *others = db.scalars(select(model).order_by(model.next_query_at))
    assert len(others) == 2
    charge = first.id if model is Attempt else first.attempt_id

    def breaking(look: Callable[..., Any]) -> Callable[..., Any]:
        def asked(attempt: Attempt, *rest: Any) -> Any:
            if attempt.id == charge:
                raise RuntimeError("this row cannot be worked on")
            return look(attempt, *rest)

        return asked

    with monkeypatch.context() as patch, later(seconds):
        patch.setattr(gateway, "find", breaking(gateway.find))
        patch.setattr(gateway, "find_dispute", breaking(gateway.find_dispute))
        assert sweep() == 2
        with reading() as db:
            broken = db.get_one(model, first.id)
        assert broken.next_query_at == clock.now() + sweeping.CLAIM, "due again, but not at once"
        assert broken.updated_at == first.updated_at, "nothing has changed"
        assert _statuses(model).count(done) == 2
    with later(seconds + 61):
        sweep()
    assert _statuses(model) == [done] * 3


def test_two_sweepers_share_the_work(shop: Shop) -> None:
    _open_payments(shop)
    with later(60):
        first, second = sweeping.claim_due(Attempt, 2), sweeping.claim_due(Attempt, 50)
        assert (len(first), len(second)) == (2, 1)
        assert not set(first) & set(second)


def test_what_is_done_is_counted() -> None:
    def work(name: str) -> bool | None:
        if name == "breaks":
            raise ValueError(name)
        return {"done": None, "changed": True, "nothing to do": False}[name]

    assert sweeping.each(["done", "breaks", "changed", "nothing to do"], work) == 2
