"""Units of work: all or nothing, also where an error is caught; and what is done once one was undone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from app.db import Command, in_transaction, reading, transaction, when_undone
from app.db.units import BrokenTransaction
from app.kit import clock
from app.models.operations.heartbeat import WorkerHeartbeat
from tests.shops import Shop

ADD = Command(lambda _: insert(WorkerHeartbeat.__table__))  # type: ignore[arg-type]


def beat(worker: str) -> dict[str, Any]:
    return {"worker": worker, "started_at": clock.now(), "seen_at": clock.now()}


def twice_by_sqlalchemy(db: Session, _: Shop) -> None:
    db.execute(insert(WorkerHeartbeat), [beat("a")])


def twice_prepared(db: Session, _: Shop) -> None:
    ADD.run(db, beat("a"))


def twice_collected(db: Session, _: Shop) -> None:
    ADD.later(db, beat("a"))
    db.execute(select(1))


def no_such_table(db: Session, _: Shop) -> None:
    with transaction() as inner:
        inner.execute(text("SELECT 1 FROM nowhere"))


def overtaken(db: Session, shop: Shop) -> None:
    row = shop.read(shop.session())
    mine = db.merge(row)
    changed = update(type(row)).values(version=type(row).version + 1)
    db.execute(changed.execution_options(synchronize_session=False))
    mine.title = "Tea"
    ADD.later(db, beat("c"))
    db.execute(select(1))


@pytest.mark.parametrize(
    "fail", [twice_by_sqlalchemy, twice_prepared, twice_collected, no_such_table, overtaken]
)
def test_nothing_is_kept_where_an_error_of_the_database_was_caught(
    shop: Shop, fail: Callable[[Session, Shop], None]
) -> None:
    with transaction() as db:
        ADD.run(db, beat("a"))

    def go_on() -> None:
        with transaction() as db:
            ADD.run(db, beat("before"))
            with suppress(DBAPIError, StaleDataError):
                fail(db, shop)

    with pytest.raises(BrokenTransaction):
        go_on()
    with reading() as db:
        assert list(db.scalars(select(WorkerHeartbeat.worker))) == ["a"]
    with transaction() as db:
        ADD.run(db, beat("after"))


def test_there_are_no_savepoints(database: str) -> None:
    with pytest.raises(NotImplementedError), transaction() as db, db.begin_nested():
        db.execute(select(1))


def test_what_waits_for_an_undoing_is_done_then_and_only_then(database: str) -> None:
    seen: list[tuple[str, bool]] = []

    def note(name: str) -> None:
        when_undone(lambda: seen.append((name, in_transaction())))

    def break_off() -> None:
        with transaction():
            with transaction():
                note("undone")
            assert len(seen) == 1
            raise ValueError

    note("at once")
    with transaction():
        note("committed")
    with pytest.raises(ValueError):
        break_off()
    assert seen == [("at once", False), ("undone", False)]
