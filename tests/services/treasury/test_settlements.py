"""Settlements: read once, matched, posted once, whoever reads them and however often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select

from app.connectors import settling
from app.connectors.sandbox import settlement as statement_of
from app.db import reading, transaction
from app.domain.errors import Conflict, InvalidRequest, NotFound, ServiceUnavailable
from app.kit import clock
from app.models.ledger.posting import LedgerTransaction
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund
from app.models.treasury.settlement import Settlement, SettlementFeed, SettlementLine
from app.services.ledger import balances
from app.services.operations.exporting import datasets
from app.services.treasury import gateways, matching, settlements, statements
from app.services.treasury.settlements import Filters
from tests.shops import GOOD, Shop, make
from tests.statements import counted
from tests.treasuries import Gateway, account, days_later, give_back, job, line, pay, rows, work

pytestmark = pytest.mark.usefixtures("holds")


def sync(shop: Shop, connector: str | None = "sandbox") -> Any:
    job_id = settlements.request_sync(shop.actor, connector)
    work()
    return job(shop.actor, job_id)


def test_a_day_is_settled_after_it_and_available_a_day_later(shop: Shop) -> None:
    charge = pay(shop, 10_000, GOOD)
    refund = give_back(shop, charge, 3_000)
    assert sync(shop).result == {"settlements": 0, "lines": 0}
    with days_later(1):
        assert sync(shop).result == {"settlements": 1, "lines": 2}
        [batch] = rows(Settlement)
        assert (batch.status, batch.gross, batch.fee, batch.net) == ("pending", 7_000, 160, 6_840)
        assert account(shop, "balance:sandbox") == 0
        assert statements.post_due() == 0
    with days_later(2):
        assert statements.post_due() == 1
        assert statements.post_due() == 0
    [batch] = rows(Settlement)
    assert batch.status == "posted"
    assert [account(shop, f"{name}:sandbox") for name in ("balance", "fees", "receivable")] == [6_840, 160, 0]
    assert account(shop, "merchant_balance") == -7_000
    assert balances.guarded(shop.actor, "GBP") == {"balance:sandbox": 6_840}
    assert [(line.type, line.transaction_id) for line in rows(SettlementLine)] == [
        ("charge", charge),
        ("refund", refund),
    ]
    for row in (*rows(Attempt), *rows(Refund)):
        assert (row.settlement_id, row.settlement_date) == (batch.id, batch.settled_at.date())


def test_the_card_that_settles_at_once_does(shop: Shop) -> None:
    charge = pay(shop, 5_000)
    assert sync(shop).result == {"settlements": 1, "lines": 1}
    assert [(row.status, row.net) for row in rows(Settlement)] == [("posted", 4_910)]
    assert rows(Attempt)[0].settlement_date == clock.now().date()
    give_back(shop, charge, 5_000)
    sync(shop)
    assert balances.guarded(shop.actor, "GBP") == {"balance:sandbox": -90}


def test_each_currency_and_day_has_its_own_batch(shop: Shop) -> None:
    pay(shop, 1_000, GOOD)
    pay(shop, 2_000, GOOD, "EUR")
    with days_later(1):
        pay(shop, 4_000, GOOD)
        sync(shop)
    with days_later(2):
        sync(shop)
    found = [(row.currency, row.gross, row.fee) for row in rows(Settlement)]
    assert sorted(found) == [("EUR", 2_000, 48), ("GBP", 1_000, 34), ("GBP", 4_000, 76)]


def test_reading_again_adds_nothing(shop: Shop) -> None:
    pay(shop)
    assert sync(shop).result == {"settlements": 1, "lines": 1}
    for connector in ("sandbox", None):
        assert sync(shop, connector).result == {"settlements": 0, "lines": 0}
    assert len(rows(SettlementLine)) == 1
    assert account(shop, "balance:sandbox") == 9_840


def test_sixteen_workers_at_once_post_once(shop: Shop) -> None:
    for number in range(4):
        pay(shop, 1_000 * (number + 1))
    whose = (shop.actor.tenant_id, "test", ["sandbox"])
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda _: statements.sync(*whose), range(16)))
    assert sum(result["settlements"] for result in done) == 4
    assert sum(result["lines"] for result in done) == 4
    assert (len(rows(Settlement)), len(rows(SettlementLine))) == (4, 4)
    assert account(shop, "balance:sandbox") == 10_000 - sum(
        statement_of.fee_of(n * 1_000) for n in (1, 2, 3, 4)
    )
    assert account(shop, "receivable:sandbox") == 0


def test_sixteen_workers_make_a_settlement_available_once(shop: Shop) -> None:
    pay(shop, 1_000, GOOD)
    with days_later(1):
        sync(shop)
    with days_later(2), ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: statements.post_due(), range(16))) == 1
    assert balances.guarded(shop.actor, "GBP") == {"balance:sandbox": 966}


def test_a_worker_that_died_between_pages_is_followed_by_another(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_of, "PAGE", 2)
    for _ in range(5):
        pay(shop, 1_000, GOOD)
    whole, calls = gateways.lines, []

    def dies(*given: Any) -> settling.SettlementPage:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*given)

    with days_later(2):
        with monkeypatch.context() as patch:
            patch.setattr(gateways, "lines", dies)
            with pytest.raises(KeyboardInterrupt):
                statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
        assert [(row.status, row.fetched_at, row.line_count) for row in rows(Settlement)] == [
            ("pending", None, 0)
        ]
        assert len(rows(SettlementLine)) == 2
        assert statements.post_due() == 0
        assert sync(shop).result == {"settlements": 1, "lines": 5}
    assert [(row.status, row.line_count) for row in rows(Settlement)] == [("posted", 5)]
    assert account(shop, "receivable:sandbox") == 0


def test_many_lines_cost_few_statements(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(payments: int, day: int) -> int:
        with days_later(day):
            for _ in range(payments):
                pay(shop, 1_000, GOOD)
        with days_later(day + 1), counted() as sent:
            statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
        return len(sent)

    cost(1, 1)
    assert cost(12, 2) <= cost(1, 3)


def test_chunks_cover_every_line_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "CHUNK", 2)
    charges = [pay(shop, 1_000, GOOD) for _ in range(5)]
    with days_later(1):
        sync(shop)
    assert sorted(line.transaction_id for line in rows(SettlementLine)) == sorted(charges)
    assert all(row.settlement_id for row in rows(Attempt))


def test_fees_and_payouts_of_the_gateway_itself_are_posted_as_such(shop: Shop, gateway: Gateway) -> None:
    gateway.lines = (line("charge", 10_000, 100), line("fee", -250), line("payout", -4_000))
    gateway.net = 5_650
    sync(shop)
    [row] = rows(Settlement)
    assert (row.status, row.gross, row.fee, row.net, row.line_count) == ("posted", 10_000, 350, 9_650, 3)
    found = {name: account(shop, name) for name in ("balance:sandbox", "fees:sandbox", "bank")}
    assert found == {"balance:sandbox": 5_650, "fees:sandbox": 350, "bank": 4_000}
    assert balances.guarded(shop.actor, "GBP") == {"balance:sandbox": 5_650}


@pytest.mark.parametrize(
    ("spoilt", "net"),
    [
        (line("charge", 1_000, 10, currency="EUR"), 990),
        (line("charge", 1_000, 10, net=1_000), 990),
        (line("charge", 1_000, 10), 991),
    ],
)
def test_a_statement_that_does_not_add_up_is_not_posted(
    shop: Shop, gateway: Gateway, spoilt: settling.SettlementLine, net: int
) -> None:
    gateway.lines, gateway.net = (spoilt,), net
    with pytest.raises(Conflict, match="does not add up"):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    assert [(row.status, row.fetched_at) for row in rows(Settlement)] == [("pending", None)]
    assert rows(LedgerTransaction) == []


def test_a_statement_that_does_not_add_up_keeps_no_other_waiting(
    shop: Shop, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    found = settling.SettlementBatches(
        tuple(settling.SettlementBatch(name, "GBP", now, now, 990) for name in ("bad", "good")), now
    )
    net = {"bad": 991, "good": 990}
    monkeypatch.setattr(gateway, "settlement_batches", lambda *_: found)
    monkeypatch.setattr(
        gateway,
        "settlement_lines",
        lambda _, batch, __: settling.SettlementPage((line("charge", net[batch] + 10, 10),)),
    )
    with pytest.raises(Conflict, match="bad"):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    assert [(row.reference, row.status) for row in rows(Settlement)] == [
        ("bad", "pending"),
        ("good", "posted"),
    ]
    with reading() as db:
        assert db.scalars(select(SettlementFeed)).all() == [], "what the bad one names is not missing"


def test_a_page_of_lines_reads_no_others(shop: Shop) -> None:
    pay(shop)
    sync(shop)
    [row] = rows(Settlement)
    with counted() as sent:
        settlements.lines(shop.actor, row.id, limit=1)
        list(datasets._settlement_lines(shop.actor.tenant_id, "test", row.id))
    pages = [sql for sql in sent if "FROM settlement_lines" in sql]
    assert len(pages) == 2
    for sql in pages:
        assert _order_of(sql) == ["id"]
        assert all(f"settlement_lines.{name} = " in sql for name in ("tenant_id", "mode", "settlement_id"))


def _order_of(sql: str) -> list[str]:
    """The columns of `ix_settlement_lines_settlement` that an order wants beyond its equal ones."""
    order = sql.partition("ORDER BY ")[2].partition("LIMIT")[0]
    return [name.strip().removeprefix("settlement_lines.") for name in order.split(",")]


def test_a_gateway_that_does_not_answer_is_asked_again(shop: Shop, gateway: Gateway) -> None:
    gateway.answers = False
    with pytest.raises(ServiceUnavailable):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    gateway.answers, gateway.lines = True, (line("charge", 1_000),)
    assert statements.sync(shop.actor.tenant_id, "test", ["sandbox"])["settlements"] == 1


def test_a_feed_never_goes_back(shop: Shop) -> None:
    now = clock.now()
    for until in (now, now - timedelta(days=3), None, now + timedelta(days=1)):
        statements._note(shop.actor.tenant_id, "test", "sandbox", until)
    with reading() as db:
        feed = db.get_one(SettlementFeed, (shop.actor.tenant_id, "test", "sandbox"))
    assert feed.complete_until == now + timedelta(days=1)


def test_only_gateways_in_use_are_read_by_themselves(shop: Shop) -> None:
    assert statements.sync(shop.actor.tenant_id, "test", None) == {"settlements": 0, "lines": 0}
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(SettlementFeed)) == 0
    pay(shop)
    assert statements.sync(shop.actor.tenant_id, "test", None)["settlements"] == 1


def test_every_merchant_who_takes_payments_is_read_once_a_day(shop: Shop) -> None:
    make("Idle shop")
    for active in (shop, make("Another shop")):
        pay(active, 1_000, GOOD)
    assert (settlements.sync_daily(), settlements.sync_daily()) == (2, 0)
    assert work() == [{"settlements": 0, "lines": 0}] * 2
    with days_later(1):
        assert settlements.sync_daily() == 2
        assert work() == [{"settlements": 1, "lines": 1}] * 2


def test_the_list_is_paged_and_filtered_and_ones_own(shop: Shop) -> None:
    for number in range(5):
        with days_later(0, minutes=number + 1):
            pay(shop, 1_000 + number)
            sync(shop)
    pay(shop, 900, GOOD)
    with days_later(1):
        sync(shop)
    first = settlements.list_page(shop.actor, limit=4)
    second = settlements.list_page(shop.actor, limit=4, cursor=first.next_cursor)
    assert [row.gross for row in (*first.data, *second.data)] == [900, 1004, 1003, 1002, 1001, 1000]
    assert second.next_cursor is None
    latest = first.data[0]
    assert [r.id for r in settlements.list_page(shop.actor, Filters(status="pending")).data] == [latest.id]
    assert len(settlements.list_page(shop.actor, Filters(since=latest.settled_at)).data) == 1
    assert len(settlements.list_page(shop.actor, Filters(until=latest.settled_at)).data) == 5
    assert settlements.list_page(shop.actor, Filters(connector_id="other")).data == []
    other = make("Another shop")
    assert settlements.list_page(other.actor).data == []
    for call in (settlements.get, settlements.lines):
        with pytest.raises(NotFound):
            call(other.actor, latest.id)
        with pytest.raises(NotFound):
            call(replace(shop.actor, mode="live"), latest.id)
    for cursor in ("*", "YWJj", "OTk5OTk5OTk5OTk5OTk5OTk5X3g"):
        with pytest.raises(InvalidRequest):
            settlements.list_page(shop.actor, cursor=cursor)
    with pytest.raises(NotFound):
        settlements.request_sync(shop.actor, "nobody")


def test_another_merchants_references_are_not_matched(shop: Shop) -> None:
    other = make("Another shop")
    pay(other)
    pay(shop)
    sync(shop)
    assert {row.tenant_id for row in rows(SettlementLine)} == {shop.actor.tenant_id}
    assert [row.settlement_id is not None for row in rows(Attempt)] == [False, True]


@pytest.mark.parametrize(
    ("gross", "fee"), [(1, 20), (36, 21), (250, 24), (1_000, 34), (10_000, 160), (99_999, 1_420)]
)
def test_fees_are_rounded_half_up(gross: int, fee: int) -> None:
    assert statement_of.fee_of(gross) == fee


def test_a_line_finds_its_transaction_by_the_reference_and_reads_no_others(shop: Shop) -> None:
    asked: list[tuple[str, Any]] = []
    with transaction() as db:
        connection = db.connection()
        postgresql = connection.dialect.name == "postgresql"
        if postgresql:  # the tables are empty, and it would rather read them whole
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")

        def note(_: Any, __: Any, sql: str, given: Any, *___: Any) -> None:
            asked.append((sql, given))

        event.listen(connection, "before_cursor_execute", note)
        matching.match(db, SettlementLine.settlement_id == "set_1")
        event.remove(connection, "before_cursor_execute", note)
        searches = [(sql, given) for sql, given in asked if "SET transaction_id" in sql]
        assert len(searches) == len(matching.KINDS)
        for kind, (sql, given) in zip(matching.KINDS, searches, strict=True):
            explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
            plan = str(connection.exec_driver_sql(explain + sql, given).all())
            table = kind.model.__tablename__
            indexes = (f"ix_{table}_gateway_reference", f"ix_{table}_reference")
            assert any(index in plan for index in indexes), plan
