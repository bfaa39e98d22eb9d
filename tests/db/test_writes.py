"""Writes that nobody waits for: sent as one statement, in the order of the program, all or none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, String, Table, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from app.db import Command, Lookup, engine, reading, transaction, when_undone
from app.db.engine import current_drivers
from app.db.prepared import MAX_FORMS
from app.db.writes import MAX_ROWS
from app.domain.errors import VersionConflict
from app.kit import clock
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.operations.idempotency import IdempotencyRecord
from app.models.reading import attached_copy
from tests.shops import Shop
from tests.statements import counted

TABLE: Table = IdempotencyRecord.__table__  # type: ignore[assignment]
ADD = Command(lambda _: insert(TABLE))


def record(shop: Shop, **given: Any) -> dict[str, Any]:
    """A row of a table with many columns and one key."""
    row = {"scope_hash": new_id("s"), "tenant_id": shop.actor.tenant_id, "key": "k", "route": "r"}
    row |= {"fingerprint": "f", "request_id": "q", "created_at": clock.now()}
    return row | {"headers": {"a": ["ü", None]}, "status": 200, "lease_until": None} | given


def count() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(TABLE)) or 0


def together(writes: int) -> int:
    return 1 if engine().dialect.name == "postgresql" else writes


def test_what_is_written_is_what_sqlalchemy_would_write(shop: Shop) -> None:
    mine, theirs = record(shop, lease_until=clock.now() + timedelta(seconds=1)), record(shop)
    theirs |= {"lease_until": mine["lease_until"], "created_at": mine["created_at"]}
    with transaction() as db:
        ADD.later(db, mine)
        db.execute(insert(TABLE), theirs)
    with reading() as db:
        rows = db.execute(select(TABLE).order_by(TABLE.c.scope_hash)).mappings().all()
    first, second = ({**row, "scope_hash": None} for row in rows)
    assert first == second


def test_rows_and_changes_of_a_transaction_are_one_statement(shop: Shop) -> None:
    session = shop.session()
    with counted() as sent, transaction() as db:
        db.get_one(CheckoutSession, session.id).title = "Tea"
        ADD.later(db, record(shop), record(shop))
    assert len(sent) == 1 + together(2), sent
    kept = shop.read(session)
    assert (kept.title, kept.version, count()) == ("Tea", session.version + 1, 2)
    assert kept.updated_at > session.updated_at


def test_a_row_that_changes_twice_has_both_changes(shop: Shop) -> None:
    session = shop.session()
    with transaction() as db:
        row = db.get_one(CheckoutSession, session.id)
        row.title = "Tea"
        ADD.later(db, record(shop))
        row.description = "Green"
    kept = shop.read(session)
    assert (kept.title, kept.description, kept.version) == ("Tea", "Green", session.version + 2)


def test_what_is_read_after_sees_it(shop: Shop) -> None:
    with transaction() as db:
        ADD.later(db, record(shop))
        assert db.scalar(select(func.count()).select_from(TABLE)) == 1
        ADD.later(db, record(shop))
        db.execute(update(TABLE).values(key="changed"))
    with reading() as db:
        assert list(db.scalars(select(TABLE.c.key))) == ["changed", "changed"]


@pytest.mark.parametrize("rows", [1, MAX_ROWS, MAX_ROWS + 1, 200])
def test_any_number_of_rows(shop: Shop, rows: int) -> None:
    with transaction() as db:
        for _ in range(rows):
            ADD.later(db, record(shop))
    assert count() == rows


@pytest.mark.parametrize("rows", [1, MAX_ROWS + 1])
def test_rows_come_after_those_that_they_refer_to(shop: Shop, rows: int) -> None:
    tables = MetaData()
    above = Table("above", tables, Column("id", String, primary_key=True))
    below = Table(
        "below", tables, Column("id", String, primary_key=True), Column("of", ForeignKey("above.id"))
    )
    tables.create_all(engine())
    add_above, add_below = Command(lambda _: insert(above)), Command(lambda _: insert(below))
    with transaction() as db:
        add_above.run(db, {"id": "a"})
        add_below.later(db, {"id": "first", "of": "a"})
        add_above.later(db, {"id": "b"})
        add_below.later(db, *({"id": str(number), "of": "b"} for number in range(rows)))
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(below)) == 1 + rows


def test_any_sets_of_columns_are_written_and_few_statements_are_kept(shop: Shop) -> None:
    tables, names = MetaData(), [f"c{number}" for number in range(7)]
    wide = Table("wide", tables, Column("id", String, primary_key=True), *(Column(n, String) for n in names))
    tables.create_all(engine())
    add = Command(lambda _: insert(wide))
    with transaction() as db:
        for chosen in range(2 ** len(names)):
            row = {name: name for place, name in enumerate(names) if chosen >> place & 1}
            add.later(db, {"id": str(chosen), **row})
    with reading() as db:
        rows = {row.id: row for row in db.execute(select(wide))}
    for chosen in range(2 ** len(names)):
        set_here = [name for name in names if getattr(rows[str(chosen)], name) == name]
        assert set_here == [name for place, name in enumerate(names) if chosen >> place & 1]
    assert add._plan_of.cache_info().currsize == MAX_FORMS < len(rows)


def test_one_that_cannot_be_written_takes_all_with_it(shop: Shop) -> None:
    twice, session = record(shop), shop.session()

    def with_a_change() -> None:
        with transaction() as db:
            db.get_one(CheckoutSession, session.id).title = "Tea"
            ADD.later(db, record(shop))
            ADD.later(db, twice, twice)

    def alone() -> None:
        with transaction() as db:
            ADD.later(db, record(shop), twice, twice)

    for work in (with_a_change, alone):
        with pytest.raises(IntegrityError):
            work()
    assert count() == 0
    assert shop.read(session).title == session.title


def test_a_row_that_changed_underneath_is_refused_and_nothing_is_written(shop: Shop) -> None:
    session = shop.session()
    overtaken = (
        update(CheckoutSession)
        .where(CheckoutSession.id == session.id)
        .values(version=CheckoutSession.version + 1)
        .execution_options(synchronize_session=False)
    )

    def change() -> None:
        with transaction() as db:
            row = db.get_one(CheckoutSession, session.id)
            db.execute(overtaken)
            row.title = "Tea"
            ADD.later(db, record(shop))

    with pytest.raises(VersionConflict):
        change()
    assert count() == 0
    assert shop.read(session).version == session.version


def test_nothing_is_written_after_an_error_of_the_program(shop: Shop) -> None:
    def fail() -> None:
        with transaction() as db:
            ADD.later(db, record(shop))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert count() == 0


def test_a_change_of_what_is_no_plain_column_is_the_unit_of_works(shop: Shop) -> None:
    session = shop.session()
    with transaction() as db:
        row = db.get_one(CheckoutSession, session.id)
        row.wallet_applied = CheckoutSession.wallet_applied + 5  # type: ignore[assignment]
        row.title = "Tea"
        db.get_one(Tenant, shop.actor.tenant_id).name = "Renamed"  # has no version
    kept = shop.read(session)
    assert (kept.wallet_applied, kept.title) == (session.wallet_applied + 5, "Tea")
    with reading() as db:
        assert db.get_one(Tenant, shop.actor.tenant_id).name == "Renamed"


def test_a_change_of_what_was_read_outside_is_one_statement_that_compares_versions(shop: Shop) -> None:
    seen = shop.session()

    def change(title: str) -> None:
        with transaction() as db:
            attached_copy(db, seen).title = title
            ADD.later(db, record(shop))

    with counted() as sent:
        change("Tea")
    assert len(sent) == together(2), sent
    kept = shop.read(seen)
    assert (kept.title, kept.version, count()) == ("Tea", seen.version + 1, 1)
    assert seen.title != "Tea"
    with pytest.raises(VersionConflict):
        change("Coffee")
    assert (shop.read(seen).title, count()) == ("Tea", 1)


CLAIM = Command(
    lambda name: {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[name](
        TABLE
    ).on_conflict_do_nothing()
)
LOOK = Lookup(select(TABLE.c.key).where(TABLE.c.scope_hash == bindparam("scope")))
LOCK = Lookup(select(TABLE.c.key).where(TABLE.c.scope_hash == bindparam("scope")).with_for_update())


@pytest.mark.parametrize("reads", [None, LOOK, LOCK], ids=["writes alone", "looks", "locks"])
def test_what_goes_first_is_there_once(shop: Shop, reads: Lookup | None) -> None:
    claim = record(shop, status=None)
    waits = reads is not LOCK and engine().dialect.name == "postgresql"

    def work() -> None:
        with transaction() as db:
            first = CLAIM.first(db, claim)
            if reads is not None:
                reads.one({"scope": "another"})
            assert first.complete({**claim, "status": 201}) == waits

    with counted() as sent:
        work()
    assert len(sent) == 1 + (reads is not None), sent
    with pytest.raises(VersionConflict):
        work()
    with reading() as db:
        assert list(db.scalars(select(TABLE.c.status))) == [201 if waits else None]


def test_a_refusal_is_not_noted_where_another_has_gone_first(shop: Shop) -> None:
    claim, noted = record(shop), list[str]()

    def refused() -> None:
        with transaction() as db:
            first = CLAIM.first(db, claim)
            when_undone(lambda: noted.append("refused"))
            try:
                raise LookupError
            except LookupError:
                first.send()
                raise

    with pytest.raises(LookupError):
        refused()
    assert noted == ["refused"]
    with transaction() as db:
        ADD.later(db, claim)
    with pytest.raises(VersionConflict):
        refused()
    assert noted == ["refused"]


def test_a_look_up_sees_what_its_transaction_has_changed(shop: Shop) -> None:
    row = record(shop)
    with transaction() as db:
        assert LOOK.one({"scope": row["scope_hash"]}) is None
        ADD.later(db, row)
        assert LOOK.one({"scope": row["scope_hash"]}).key == "k"
        db.execute(update(TABLE).values(key="changed"))
        assert LOOK.one({"scope": row["scope_hash"]}).key == "changed"


def test_what_is_relaxed_is_there_once_and_the_next_is_not_relaxed(shop: Shop) -> None:
    row = record(shop)
    assert [CLAIM.alone(row, relaxed=True) for _ in range(2)] == [1, 0]
    assert count() == 1
    if engine().dialect.name == "postgresql":
        level = "SELECT current_setting('synchronous_commit')"
        for before in ("on", "off"):
            current_drivers().change(f"SET synchronous_commit = {before}", ())
            CLAIM.alone(record(shop), relaxed=True)
            with transaction(relaxed=True) as db:
                ADD.later(db, record(shop))
            assert current_drivers().fetch(level, ())[0] == (before,)
