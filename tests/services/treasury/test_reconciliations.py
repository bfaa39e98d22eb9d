"""Reconciliations: every discrepancy that the sandbox plants is found, kept, decided once, and posted once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.db import reading
from app.domain.errors import Conflict, DomainError, InvalidRequest, InvalidState, NotFound, Unprocessable
from app.kit import clock
from app.models.events.journal import JournalEntry
from app.models.ledger.posting import LedgerTransaction
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund
from app.models.treasury.reconciliation import Resolution
from app.models.treasury.settlement import Settlement, SettlementLine
from app.services.operations import jobs
from app.services.payments import refunds
from app.services.treasury import comparison, matching, reconciliations, resolutions, statements
from app.services.treasury.resolutions import Decision
from tests.shops import GOOD, Shop, later, make
from tests.statements import counted
from tests.treasuries import (
    NEVER,
    REFUND_RETURNED,
    SHORT,
    STRANGER,
    TWICE,
    Gateway,
    account,
    compare,
    days_later,
    give_back,
    job,
    line,
    outcomes,
    pay,
    read,
    resolve,
    rows,
    run_sql,
)

pytestmark = pytest.mark.usefixtures("holds")


def planted(shop: Shop) -> dict[str, str]:
    """A day with one payment of each card that is settled wrongly, a good one and a refund, read and posted."""
    numbers = {"good": GOOD, "never": NEVER, "short": SHORT, "twice": TWICE, "stranger": STRANGER}
    made = {name: pay(shop, 1_000, number) for name, number in numbers.items()}
    made["refund"] = give_back(shop, made["good"], 400)
    with days_later(1):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    with days_later(2):
        statements.post_due()
    with reading() as db:
        unknown = select(SettlementLine.id).where(SettlementLine.transaction_id.is_(None))
        made["line"] = db.scalars(unknown).one()
    return made


def test_every_planted_discrepancy_is_found(shop: Shop) -> None:
    made = planted(shop)
    with days_later(2):
        run_id = compare(shop)
        report = reconciliations.get(shop.actor, run_id)
    assert (report.status, report.open, report.error) == ("succeeded", 4, None)
    assert job(shop.actor, run_id).result == {
        "matched": 4,
        "unmatched": 1,
        "amount_mismatch": 1,
        "duplicate": 1,
        "missing": 1,
    }
    assert outcomes(shop, run_id) == {
        made["never"]: "missing",
        made["short"]: "amount_mismatch",
        made["twice"]: "duplicate",
        made["line"]: "unmatched",
    }
    found = {(r["outcome"], r["count"], r["expected"], r["actual"]) for r in report.run.summary or []}
    assert found == {
        ("matched", 4, 2_600, 2_600),
        ("missing", 1, 1_000, 0),
        ("amount_mismatch", 1, 1_000, 900),
        ("duplicate", 1, 1_000, 1_000),
        ("unmatched", 1, 0, 1_000),
    }
    assert [row.status for row in rows(Settlement)] == ["posted"]


def test_decisions_square_the_gateways_account_and_end_the_settlement(shop: Shop) -> None:
    made = planted(shop)
    assert account(shop, "receivable:sandbox") == 1_000 + 100 - 1_000 - 1_000
    with days_later(2):
        run_id = compare(shop)
        resolve(shop, run_id, made["short"], "investigate", note="asked the gateway")
        assert reconciliations.get(shop.actor, run_id).open == 4
        decided = {
            "short": ("write_off", 100),
            "never": ("write_off", 1_000),
            "twice": ("accept", -1_000),
            "line": ("accept", -1_000),
        }
        for name, (action, amount) in decided.items():
            assert resolve(shop, run_id, made[name], action, note="looked at").amount == amount
        assert reconciliations.get(shop.actor, run_id).open == 0
    assert account(shop, "receivable:sandbox") == 0
    assert account(shop, "write_offs") == 1_100
    assert account(shop, "merchant_balance") == -(5_000 - 400) - 2_000
    assert [row.status for row in rows(Settlement)] == ["reconciled"]
    decisions = select(JournalEntry.data).where(JournalEntry.type == "reconciliation.resolved")
    with reading() as db:
        told = list(db.scalars(decisions.order_by(JournalEntry.id)))
    assert [entry["object"]["action"] for entry in told] == [
        "investigate",
        "write_off",
        "write_off",
        "accept",
        "accept",
    ]
    with days_later(3):
        again = compare(shop)
        report = reconciliations.get(shop.actor, again)
    assert (report.open, len(outcomes(shop, again))) == (0, 4)
    assert [row.status for row in rows(Settlement)] == ["reconciled"]


def test_a_clean_settlement_is_reconciled_by_the_run(shop: Shop) -> None:
    give_back(shop, pay(shop, 1_000, GOOD), 100)
    pay(shop, 2_000)
    read(shop)
    with days_later(2):
        read(shop)
        compare(shop)
        assert {row.status for row in rows(Settlement)} == {"reconciled"}
        assert len(rows(Settlement)) == 2


def test_what_is_early_is_not_missing(shop: Shop) -> None:
    pay(shop, 1_000, GOOD)
    pay(shop, 1_000, NEVER)
    read(shop)
    assert outcomes(shop, compare(shop)) == {}
    with days_later(1):
        assert outcomes(shop, compare(shop)) == {}, "the day's statements have not been read yet"
        read(shop)
        assert set(outcomes(shop, compare(shop)).values()) == {"missing"}


def test_deciding_again_changes_nothing_and_otherwise_is_refused(shop: Shop) -> None:
    made = planted(shop)
    with days_later(2):
        first, second = compare(shop), compare(shop)
        resolve(shop, first, made["short"], "write_off")
        for run_id in (first, second):
            resolve(shop, run_id, made["short"], "write_off")
            with pytest.raises(Conflict) as refused:
                resolve(shop, run_id, made["short"], "accept")
            assert refused.value.code == "already_resolved"
    assert account(shop, "write_offs") == 100


def test_sixteen_people_at_once_decide_once(shop: Shop) -> None:
    made = planted(shop)
    with days_later(2):
        runs = [compare(shop) for _ in range(2)]

        def decide(number: int) -> str:
            try:
                return resolve(
                    shop, runs[number % 2], made["never"], "accept" if number % 4 < 2 else "write_off"
                ).action
            except DomainError as refused:
                return refused.code

        with ThreadPoolExecutor(16) as pool:
            answers = set(pool.map(decide, range(16)))
    assert len(answers & {"accept", "write_off"}) == 1
    assert answers <= {"accept", "write_off", "already_resolved"}
    posted = [row.kind for row in rows(LedgerTransaction) if row.source.startswith("resolution:")]
    assert len(posted) == 1


def test_a_missing_transaction_and_an_unknown_line_can_be_one(shop: Shop) -> None:
    made = planted(shop)
    with days_later(2):
        run_id = compare(shop)
        other = make("Another shop")
        for wrong in (made["short"], made["twice"], made["good"]):
            with pytest.raises(Unprocessable):
                resolve(shop, run_id, wrong, "match", settlement_line_id=made["line"])
        with pytest.raises(InvalidRequest):
            resolve(shop, run_id, made["never"], "match")
        with pytest.raises(NotFound):
            resolve(other, run_id, made["never"], "match", settlement_line_id=made["line"])
        for _ in range(2):
            done = resolve(shop, run_id, made["never"], "match", settlement_line_id=made["line"])
            assert (done.matched_to, done.amount) == (made["line"], 0)
        assert reconciliations.get(shop.actor, run_id).open == 2
        again = compare(shop)
        assert set(outcomes(shop, again).values()) == {"amount_mismatch", "duplicate"}
    with reading() as db:
        settled = db.get_one(Attempt, made["never"])
    assert settled.settlement_id == rows(Settlement)[0].id
    assert account(shop, "write_offs") == 0


def test_decisions_are_all_or_none_and_about_discrepancies_of_ones_own(shop: Shop) -> None:
    made = planted(shop)
    with days_later(2):
        run_id = compare(shop)
        with pytest.raises(Unprocessable, match="is matched"):
            resolutions.resolve(
                shop.actor, run_id, [Decision(made["never"], "accept"), Decision(made["good"], "accept")]
            )
        with pytest.raises(NotFound):
            resolutions.resolve(
                shop.actor, run_id, [Decision(made["never"], "accept"), Decision("ch_nobody", "accept")]
            )
        with pytest.raises(InvalidRequest, match="twice"):
            resolutions.resolve(shop.actor, run_id, [Decision(made["never"], "accept")] * 2)
        for stranger in (make("Another shop").actor, replace(shop.actor, mode="live")):
            with pytest.raises(NotFound):
                resolutions.resolve(stranger, run_id, [Decision(made["never"], "accept")])
            with pytest.raises(NotFound):
                reconciliations.get(stranger, run_id)
            with pytest.raises(NotFound):
                reconciliations.items(stranger, run_id)
        waiting = reconciliations.create(shop.actor)
        with pytest.raises(InvalidState):
            resolutions.resolve(shop.actor, waiting.id, [Decision(made["never"], "accept")])
    assert rows_of_resolutions() == 0


def rows_of_resolutions() -> int:
    with reading() as db:
        return len(db.scalars(select(Resolution)).all())


def test_several_discrepancies_of_one_transaction_want_the_line_named(shop: Shop) -> None:
    made = planted(shop)
    with reading() as db:
        doubled = select(SettlementLine).where(SettlementLine.transaction_id == made["twice"])
        first, second = db.scalars(doubled.order_by(SettlementLine.id))
    run_sql(update(Attempt).where(Attempt.id == made["twice"]).values(amount_captured=1_500))
    with days_later(2):
        run_id = compare(shop)
        with pytest.raises(Unprocessable) as refused:
            resolve(shop, run_id, made["twice"], "investigate")
        assert refused.value.explain == {
            "reason": "ambiguous_transaction",
            "lines": sorted([first.id, second.id]),
        }
        assert resolve(shop, run_id, second.id, "investigate").outcome == "duplicate"
    run_sql(update(Attempt).where(Attempt.id == made["twice"]).values(amount_captured=1_000))


def test_a_worker_that_dies_is_followed_by_another_and_writes_nothing_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "CHUNK", 2)
    made = planted(shop)
    whole = comparison._step
    with days_later(2):
        run_id = reconciliations.create(shop.actor).id
        assert reconciliations.get(shop.actor, run_id).status == "queued"
        for death in (1, 2, 3, 3):
            steps = iter(range(death))

            def dies(job_id: str, steps: Iterator[int] = steps) -> bool:
                if next(steps, None) is None:
                    raise KeyboardInterrupt
                return whole(job_id)

            with monkeypatch.context() as patch:
                patch.setattr(comparison, "_step", dies)
                with pytest.raises(KeyboardInterrupt):
                    comparison.run(run_id)
            if death == 1:
                assert reconciliations.get(shop.actor, run_id).status == "running"
        comparison.run(run_id)
        assert sorted(outcomes(shop, run_id).values()) == [
            "amount_mismatch",
            "duplicate",
            "missing",
            "unmatched",
        ]
        assert len(reconciliations.items(shop.actor, run_id, limit=100).data) == 8
    assert made


def test_sixteen_workers_compare_once(shop: Shop) -> None:
    planted(shop)
    with days_later(2):
        run_id = reconciliations.create(shop.actor).id
        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(lambda _: comparison.run(run_id), range(16)))
        assert all(result == results[0] for result in results)
        assert len(reconciliations.items(shop.actor, run_id, limit=100).data) == 8


def test_many_transactions_cost_no_more_statements(shop: Shop) -> None:
    def cost(payments: int) -> int:
        for _ in range(payments):
            pay(shop, 1_000, GOOD)
        with days_later(1):
            read(shop)
            run_id = reconciliations.create(shop.actor).id
            with counted() as sent:
                comparison.run(run_id)
        return len(sent)

    assert cost(12) <= cost(1) + 2


def test_a_payment_that_was_learnt_of_late_is_matched_by_the_run(shop: Shop) -> None:
    charge = pay(shop, 1_000)
    with reading() as db:
        reference = db.get_one(Attempt, charge).gateway_reference
    run_sql(update(Attempt).where(Attempt.id == charge).values(gateway_reference=None))
    read(shop)
    assert set(outcomes(shop, compare(shop)).values()) == {"unmatched"}
    run_sql(update(Attempt).where(Attempt.id == charge).values(gateway_reference=reference))
    assert outcomes(shop, compare(shop)) == {}
    assert [row.status for row in rows(Settlement)] == ["reconciled"]


def test_what_settles_after_it_was_written_off_wants_a_decision_again(shop: Shop) -> None:
    made = planted(shop)
    with days_later(2):
        run_id = compare(shop)
        resolve(shop, run_id, made["never"], "write_off")
        run_sql(
            update(SettlementLine)
            .where(SettlementLine.id == made["line"])
            .values(transaction_id=made["never"])
        )
        again = compare(shop)
        assert outcomes(shop, again)[made["never"]] == "unmatched"
        assert resolve(shop, again, made["line"], "accept").amount == -1_000


def test_the_span_and_the_connector_bound_a_run(shop: Shop) -> None:
    planted(shop)
    now = clock.now()
    with days_later(2):
        empty = compare(shop, since=now - timedelta(days=9), until=now - timedelta(days=8))
        assert reconciliations.items(shop.actor, empty).data == []
        whole = compare(shop, connector_id="sandbox")
        assert len(reconciliations.items(shop.actor, whole).data) == 8
    for span in ({"since": now, "until": now}, {"since": now - timedelta(days=401), "until": now}):
        with pytest.raises(InvalidRequest):
            reconciliations.create(shop.actor, **span)
    with pytest.raises(NotFound):
        reconciliations.create(shop.actor, connector_id="nobody")


def test_pages_and_filters_of_the_report(shop: Shop) -> None:
    made = planted(shop)
    with days_later(2):
        run_id = compare(shop)
        resolve(shop, run_id, made["short"], "accept")
    first = reconciliations.items(shop.actor, run_id, limit=5)
    second = reconciliations.items(shop.actor, run_id, limit=5, cursor=first.next_cursor)
    assert (len(first.data), len(second.data), second.next_cursor) == (5, 3, None)
    assert len({item.subject_id for item, _ in (*first.data, *second.data)}) == 8

    def count(**filters: Any) -> int:
        return len(reconciliations.items(shop.actor, run_id, **filters).data)

    assert (count(outcome="matched"), count(outcome="missing")) == (4, 1)
    assert (count(resolved=True), count(resolved=False)) == (1, 3)
    with pytest.raises(InvalidRequest):
        reconciliations.items(shop.actor, run_id, cursor="*")


def test_a_run_that_was_given_up_says_so_and_nothing_of_the_machine(shop: Shop) -> None:
    run_id = reconciliations.create(shop.actor).id
    for _ in range(10):
        with clock.frozen(clock.now() + timedelta(days=1)):
            claimed = jobs.claim(run_id)
        assert claimed is not None
        jobs.fail(claimed, "OperationalError: disk I/O error [SQL: SELECT secret FROM somewhere]")
    report = reconciliations.get(shop.actor, run_id)
    assert (report.status, report.error) == ("failed", "It was given up after 10 tries")


def test_a_refund_that_came_back_has_two_lines_and_both_match(shop: Shop, gateway: Gateway) -> None:
    charge = pay(shop, 1_000, REFUND_RETURNED)
    refund_id = give_back(shop, charge, 400)
    with reading() as db:
        paid, sent = (
            db.get_one(Attempt, charge).gateway_reference,
            db.get_one(Refund, refund_id).gateway_reference,
        )
    gateway.lines = (line("charge", 1_000, reference=paid), line("refund", -400, reference=sent))
    back = line("refund", 400, reference=sent)
    with later(61):
        gateway.lines += (back,)
        read(shop)
    with later(62):
        assert set(outcomes(shop, compare(shop)).values()) == {"amount_mismatch"}
        refunds.sweep()
        assert outcomes(shop, compare(shop)) == {}
    assert account(shop, "receivable:sandbox") == 0
