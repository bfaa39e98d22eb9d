"""The counters behind the general rate limits: of one process, of a machine, of the database, of a store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from limits.storage import MemoryStorage

from app.kit import clock
from app.services.operations import rate_counters
from app.web import counters, shared_counters
from app.web.counters import Counters, ProcessCounters, StoreCounters
from app.web.shared_counters import SharedCounters


def at(seconds: float) -> AbstractContextManager[None]:
    return clock.frozen(datetime.fromtimestamp(1000 + seconds, UTC))


MAKERS: dict[str, Callable[[Path], Counters]] = {
    "process": lambda _: ProcessCounters(),
    "machine": lambda folder: SharedCounters(folder / "counters.bin"),
    "database": lambda _: rate_counters.Counters(),
}


@pytest.fixture(params=list(MAKERS))
def kept(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Counters:
    """Counters of each kind."""
    return MAKERS[request.param](tmp_path)


def test_a_window_counts_and_starts_anew_when_it_is_over(kept: Counters) -> None:
    with at(0):
        assert [kept.count("a", 1), kept.count("a", 1), kept.count("b", 1)] == [
            (1, 1001.0),
            (2, 1001.0),
            (1, 1001.0),
        ]
    with at(0.99):
        assert kept.count("a", 1) == (3, 1001.0)
    with at(1):
        assert kept.count("a", 1) == (1, 1002.0)


def test_many_at_once_are_all_counted(kept: Counters) -> None:
    with at(0), ThreadPoolExecutor(8) as pool:
        seen = [calls for calls, _ in pool.map(lambda _: kept.count("a", 60), range(160))]
    assert sorted(seen) == list(range(1, 161))


def test_a_clock_that_was_ahead_leaves_no_long_window(database: str, tmp_path: Path) -> None:
    for kind in ("machine", "database"):
        kept = MAKERS[kind](tmp_path)
        with at(3600):
            kept.count("a", 1)
        with at(0):
            assert kept.count("a", 1) == (1, 1001.0), kind


def test_those_who_have_gone_are_forgotten(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_CROWD", 10)
    kept, rows = ProcessCounters(), rate_counters.Counters()
    with at(0):
        for number in range(10):
            kept.count(f"caller-{number}", 1 if number else 60)
            rows.count(f"caller-{number}", 1 if number else 60)
    with at(5):
        kept.count("late", 1)
        assert len(kept._windows) == 2
        assert kept.count("caller-0", 60)[0] == 2
        assert rate_counters.clean() == 9


def test_a_full_file_makes_room_and_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_counters, "_SETS", 1)
    kept = SharedCounters(tmp_path / "counters.bin")
    with at(0):
        kept.count("long", 60)
        for number in range(20):
            kept.count(f"caller-{number}", 1)
        assert kept.count("long", 60) == (2, 1060.0), "what ends first makes room"
        again = SharedCounters(tmp_path / "counters.bin")
        assert again.count("long", 60) == (3, 1060.0)


def test_a_folder_that_takes_no_file_leaves_each_process_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    wanted = counters.Settings(data_dir=tmp_path / "file" / "below")
    assert isinstance(counters.make(wanted), ProcessCounters)


def test_while_a_store_is_away_the_process_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away(MemoryStorage):
        @property
        def base_exceptions(self) -> type[Exception]:
            return OSError

        def incr(self, *_: object, **__: object) -> int:
            tried.append(1)
            raise ConnectionError("nobody there")

    tried: list[int] = []
    kept = StoreCounters(Away())
    with at(0):
        assert [kept.count("a", 1)[0] for _ in range(3)] == [1, 2, 3]
        assert len(tried) == 1, "it is left alone for a while"
    with at(10):
        kept.count("a", 1)
        assert len(tried) == 2
    there = StoreCounters(MemoryStorage())
    assert [there.count("a", 60)[0] for _ in range(3)] == [1, 2, 3]
