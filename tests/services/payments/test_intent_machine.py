"""A model test: whatever is done to an intent in whatever order, the tables and the sums hold."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app import db
from app.connectors.sandbox import challenges
from app.connectors.sandbox.cards import CARDS
from app.domain.errors import DomainError
from app.domain.lifecycles import intents as lifecycle
from app.services.checkout import payment
from app.services.operations import invariants
from app.services.payments import intents, methods, refunds
from app.services.payments.intents import IntentDraft
from tests import shops
from tests.databases import use
from tests.shops import card, later

NUMBERS = st.sampled_from([item.number for item in CARDS])


def machine(template: Path) -> type[RuleBasedStateMachine]:
    """The machine over fresh copies of a migrated database."""

    class Intent(RuleBasedStateMachine):
        @initialize(mode=st.sampled_from(["auto", "manual"]))
        def start(self, mode: str) -> None:
            self.folder = Path(tempfile.mkdtemp())
            shutil.copy(template, self.folder / "till.db")
            use(f"sqlite:///{self.folder / 'till.db'}", self.folder)
            self.shop = shops.make()
            self.at, self.turn, self.seen = 0, 0, []
            self.id = intents.create(self.shop.actor, IntentDraft(5000, "GBP", capture_mode=mode)).id

        def attempt(self, work: object) -> None:
            with later(self.at):
                try:
                    work()  # type: ignore[operator]
                except DomainError as refused:
                    assert refused.http_status in (404, 409, 410, 422)

        @rule(number=NUMBERS, repeat=st.booleans())
        def confirm(self, number: str, repeat: bool) -> None:
            self.turn += 0 if repeat else 1

            def work() -> None:
                method = methods.tokenize_card(self.shop.actor, card(number))
                intents.confirm(self.shop.actor, self.id, nonce=f"n{self.turn}", method_id=method.id)

            self.attempt(work)

        @rule(amount=st.one_of(st.none(), st.integers(1, 6000)))
        def capture(self, amount: int | None) -> None:
            self.attempt(lambda: intents.capture(self.shop.actor, self.id, amount))

        @rule()
        def cancel(self) -> None:
            self.attempt(lambda: intents.cancel(self.shop.actor, self.id, "user_cancel"))

        @rule(code=st.sampled_from(["123456", "000000"]))
        def answer_challenge(self, code: str) -> None:
            action = intents.get(self.shop.actor, self.id).next_action
            if action and action.get("url"):
                self.attempt(lambda: challenges.answer(str(action["url"]).rsplit("/", 1)[1], code))

        @rule(amount=st.one_of(st.none(), st.integers(1, 6000)))
        def refund(self, amount: int | None) -> None:
            self.attempt(lambda: refunds.send(refunds.create(self.shop.actor, self.id, amount).id))

        @rule(seconds=st.sampled_from([20, 90, 1000, 90_000]))
        def wait_and_sweep(self, seconds: int) -> None:
            self.at += seconds
            self.attempt(payment.sweep)
            self.attempt(refunds.sweep)

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
            db.dispose()
            if hasattr(self, "folder"):
                shutil.rmtree(self.folder)

    return Intent


@pytest.mark.parametrize("examples", [30])
def test_any_order_of_calls_keeps_the_books(sqlite_template: Path, examples: int) -> None:
    run_state_machine_as_test(
        machine(sqlite_template),
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
