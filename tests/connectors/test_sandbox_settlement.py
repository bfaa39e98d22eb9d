"""The sandbox's statements do not change once drawn up, and no movement is in two of them or in none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from app.connectors.sandbox import settlement
from app.connectors.settling import PaysOut, SettlementLine, Settles
from app.kit import clock
from tests.connectors.conftest import Caller, context

GOOD, REFUND_LATER, AT_ONCE = "4242424242424242", "4000000000007726", "4000000000000077"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(days: float) -> Any:
    return clock.frozen(NOON + timedelta(days=days))


def statements(caller: Caller) -> dict[str, list[SettlementLine]]:
    """Batch → its lines, as the gateway gives them."""
    found = caller.connector.settlement_batches(caller.context, None)
    return {
        batch.reference: list(caller.connector.settlement_lines(caller.context, batch.reference, None).lines)
        for batch in found.batches
    }


def types(lines: list[SettlementLine]) -> list[tuple[str, int]]:
    return [(str(line.type), line.gross) for line in lines]


def test_it_says_that_it_settles_and_pays_out(sandbox: Caller) -> None:
    assert isinstance(sandbox.connector, Settles)
    assert isinstance(sandbox.connector, PaysOut)


def test_a_day_is_drawn_up_once_and_stays(sandbox: Caller) -> None:
    with at(0):
        sandbox.captured(GOOD)
        assert statements(sandbox) == {}
    with at(1):
        first = statements(sandbox)
        assert list(first) == ["GBP-2026-03-02"]
        head = sandbox.connector.settlement_batches(sandbox.context, None)
        assert head.complete_until == datetime(2026, 3, 3, tzinfo=UTC)
        assert (head.batches[0].settled_at, head.batches[0].available_on) == (
            datetime(2026, 3, 3, tzinfo=UTC),
            datetime(2026, 3, 4, tzinfo=UTC),
        )
        sandbox.captured(GOOD)
        assert statements(sandbox) == first
    with at(2):
        assert list(statements(sandbox)) == ["GBP-2026-03-02", "GBP-2026-03-03"]
        since = sandbox.connector.settlement_batches(sandbox.context, datetime(2026, 3, 4, tzinfo=UTC))
        assert [batch.reference for batch in since.batches] == ["GBP-2026-03-03"]


def test_a_refund_that_turns_late_comes_in_a_later_batch(sandbox: Caller) -> None:
    with at(0):
        reference = sandbox.captured(REFUND_LATER)
        sandbox.refund(reference, 400, "refund_1")
    with at(1):
        assert types(statements(sandbox)["GBP-2026-03-02"]) == [("charge", 1500)]
        sandbox.connector.find_refund(sandbox.context, "refund_1")
        assert list(statements(sandbox)) == ["GBP-2026-03-02"]
    with at(2):
        found = statements(sandbox)
    assert types(found["GBP-2026-03-02"]) == [("charge", 1500)]
    assert types(found["GBP-2026-03-03"]) == [("refund", -400)]


def test_sixteen_readers_see_one_statement(sandbox: Caller) -> None:
    with at(0):
        for _ in range(3):
            sandbox.captured(GOOD)
        sandbox.captured(AT_ONCE)
    with at(1), ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: statements(sandbox), range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert sorted(len(lines) for lines in answers[0].values()) == [1, 3]
    assert len({line.line_id for lines in answers[0].values() for line in lines}) == 4


def test_pages_of_lines_and_another_merchant(sandbox: Caller, monkeypatch: Any) -> None:
    monkeypatch.setattr(settlement, "PAGE", 2)
    with at(0):
        for _ in range(5):
            sandbox.captured(GOOD)
    with at(1):
        sandbox.connector.settlement_batches(sandbox.context, None)
        read, cursor = [], None
        while True:
            page = sandbox.connector.settlement_lines(sandbox.context, "GBP-2026-03-02", cursor)
            read += page.lines
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len({line.line_id for line in read}) == len(read) == 5
        for stranger in (context("ten_b"), context(mode="live")):
            assert sandbox.connector.settlement_batches(stranger, None).batches == ()
            assert sandbox.connector.settlement_lines(stranger, "GBP-2026-03-02", None).lines == ()
