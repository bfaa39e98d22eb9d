"""A model test: whatever is done to an intent in whatever order, the tables and the sums hold."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from app import db
from app.connectors import base
from app.connectors.sandbox import book, challenges
from app.connectors.sandbox.cards import CARDS
from app.connectors.sandbox.connector import SandboxConnector
from app.db import reading
from app.domain.errors import DomainError
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import intents as lifecycle
from app.models.payments.attempt import Attempt
from app.services.checkout import payment, payments
from app.services.checkout.payment import Order
from app.services.operations import invariants, jobs
from app.services.payments import apms, attempts, editing, intents, methods, refunds
from app.services.payments.editing import IntentChange
from app.services.payments.intents import IntentDraft
from app.services.payments.threeds import Completion, Result
from app.worker import queue
from tests import shops
from tests.databases import use
from tests.shops import card, later

NUMBERS = st.sampled_from([item.number for item in CARDS])
AMOUNTS = st.one_of(st.none(), st.integers(1, 6000))
#: What of a card's authorisation is asked for by name.
DAY = 86_400


class Gateway:
    """The sandbox, some of whose answers are lost, before or after they are executed."""

    def __init__(self) -> None:
        self.losing: list[tuple[str, bool]] = []
        self.honest = {name: getattr(SandboxConnector, name) for name in ("capture", "void", "find")}

    def __enter__(self) -> None:
        for name, work in self.honest.items():
            setattr(SandboxConnector, name, self._wrapped(name, work))

    def __exit__(self, *_: object) -> None:
        for name, work in self.honest.items():
            setattr(SandboxConnector, name, work)

    def _wrapped(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            lost = next((item for item in self.losing if item[0] == name), None)
            if lost is None:
                return work(*arguments)
            self.losing.remove(lost)
            if lost[1]:
                work(*arguments)
            return base.Unknown("timed out")

        return call


def machine(template: Path) -> type[RuleBasedStateMachine]:
    """The machine over fresh copies of a migrated database."""

    class Intent(RuleBasedStateMachine):
        @initialize(mode=st.sampled_from(["auto", "manual"]))
        def start(self, mode: str) -> None:
            self.folder = Path(tempfile.mkdtemp())
            shutil.copy(template, self.folder / "till.db")
            use(f"sqlite:///{self.folder / 'till.db'}", self.folder)
            self.gateway = Gateway()
            self.gateway.__enter__()
            self.shop = shops.make()
            self.at, self.turn, self.seen = 0, 0, []
            self.id = intents.create(self.shop.actor, IntentDraft(5000, "GBP", capture_mode=mode)).id

        def attempt(self, work: Callable[[], object]) -> None:
            with later(self.at):
                try:
                    work()
                except DomainError as refused:
                    assert refused.http_status in (404, 409, 410, 422, 429)

        @rule(number=NUMBERS, repeat=st.booleans(), three_ds=st.booleans())
        def confirm(self, number: str, repeat: bool, three_ds: bool) -> None:
            self.turn += 0 if repeat else 1

            def work() -> None:
                method = methods.tokenize_card(self.shop.actor, card(number))
                order = Order(f"n{self.turn}", force_three_ds=three_ds)
                payments.confirm(self.shop.actor, self.id, order, method_id=method.id)

            self.attempt(work)

        @rule(apm_id=st.sampled_from(sorted(apms.KNOWN)))
        def initiate(self, apm_id: str) -> None:
            self.turn += 1
            order = Order(f"n{self.turn}")
            self.attempt(lambda: payments.initiate_apm(self.shop.actor, apm_id, self.id, order))

        @rule(amount=AMOUNTS, repeat=st.booleans())
        def capture(self, amount: int | None, repeat: bool) -> None:
            self.turn += 0 if repeat else 1
            nonce = f"c{self.turn}"
            self.attempt(lambda: payments.capture(self.shop.actor, self.id, amount, nonce=nonce))

        @rule()
        def void(self) -> None:
            newest = attempts.newest(self.shop.actor, self.id)
            if newest is not None:
                self.attempt(lambda: payments.cancel(self.shop.actor, self.id, "fraud", attempt_id=newest.id))

        @rule(reason=st.sampled_from(["user_cancel", "timeout", "fraud"]))
        def cancel(self, reason: str) -> None:
            self.attempt(lambda: payments.cancel(self.shop.actor, self.id, reason))

        @rule(amount=AMOUNTS, mode=st.sampled_from([None, "auto", "manual"]))
        def change(self, amount: int | None, mode: str | None) -> None:
            wanted = IntentChange(amount=amount, capture_mode=mode, metadata={"turn": self.turn})
            self.attempt(lambda: editing.change(self.shop.actor, self.id, wanted))

        @rule(code=st.sampled_from(["123456", "000000"]))
        def answer_challenge(self, code: str) -> None:
            action = intents.get(self.shop.actor, self.id).next_action
            if action and action.get("url"):
                self.attempt(lambda: challenges.answer(str(action["url"]).rsplit("/", 1)[1], code))

        @rule(result=st.sampled_from(list(Result)))
        def complete(self, result: Result) -> None:
            self.attempt(lambda: payments.complete_three_ds(self.shop.actor, self.id, Completion(result)))

        @rule(name=st.sampled_from(["capture", "void", "find"]), executed=st.booleans())
        def lose_an_answer(self, name: str, executed: bool) -> None:
            self.gateway.losing.append((name, executed))

        @rule(amount=AMOUNTS)
        def refund(self, amount: int | None) -> None:
            self.attempt(lambda: refunds.send(refunds.create(self.shop.actor, self.id, amount).id))

        @rule(seconds=st.sampled_from([20, 90, 1000, DAY, 8 * DAY]))
        def wait_and_work(self, seconds: int) -> None:
            self.at += seconds
            for work in (payment.sweep, self.run_jobs, refunds.sweep):
                self.attempt(work)

        def run_jobs(self) -> None:
            for job_id in jobs.due():
                queue.run_job(job_id)

        @invariant()
        def holds(self) -> None:
            if not hasattr(self, "id"):
                return
            assert invariants.check() == []
            intent = intents.get(self.shop.actor, self.id)
            assert intent.amount_captured <= intent.amount_authorized <= intent.amount
            if self.seen and lifecycle.LIFECYCLE.is_terminal(self.seen[-1]):
                assert intent.status == self.seen[-1], "a terminal status is left"
            self.seen.append(intent.status)

        def teardown(self) -> None:
            if hasattr(self, "id"):
                self.come_to_rest()
                self.gateway.__exit__()
            db.dispose()
            if hasattr(self, "folder"):
                shutil.rmtree(self.folder)

        def come_to_rest(self) -> None:
            """After the sweeps nothing is unknown, and nobody's money is held for nothing."""
            self.gateway.losing.clear()
            for seconds in (90, 1000, 2 * DAY):
                self.wait_and_work(seconds)
            self.holds()
            intent = intents.get(self.shop.actor, self.id)
            if intent.needs_review:
                return
            for row in attempts.of_intent(self.shop.actor, self.id):
                assert not row.status.endswith(("unknown", "submitted")) or attempts.waits_for_shopper(row)
            if intent.cancel_requested:
                assert intent.status in lifecycle.LIFECYCLE.terminal
                assert intent.amount_captured == intent.amount_refunding, "what was taken has gone back"
            held = (
                select(Attempt.id)
                .join(book.payments, book.payments.c.key == "authorize_" + Attempt.id)
                .where(Attempt.status.in_(attempt_lifecycle.DEAD), book.payments.c.status == "authorized")
                .where(Attempt.status != attempt_lifecycle.Status.AUTH_EXPIRED)
            )
            with reading() as db_session:
                assert db_session.scalars(held).all() == []

    return Intent


@pytest.mark.parametrize("examples", [40])
def test_any_order_of_calls_keeps_the_books(sqlite_template: Path, examples: int) -> None:
    run_state_machine_as_test(
        machine(sqlite_template),
        settings=settings(
            max_examples=examples,
            stateful_step_count=14,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
