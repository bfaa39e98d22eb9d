"""The database: engine, sessions and the two ways to use them, `transaction()` and `reading()`.

SQLite (WAL) and PostgreSQL behave alike to callers: writers queue, reads never block, instants are UTC.
Recipes and measurements: docs/adr/0003.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import DateTime, Engine, Executable, Row, create_engine, event
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.types import TypeDecorator

from app.domain.actor import Actor
from app.domain.errors import ServiceUnavailable, VersionConflict

T = TypeVar("T")

#: Local work that lost a race for a lock is tried again this often (reliability.md 19).
MAX_RETRIES = 5
#: SQLSTATE of serialisation failure and deadlock.
RETRYABLE_STATES = frozenset({"40001", "40P01"})

_engine: Engine | None = None
_reader: Engine | None = None
_active: ContextVar[Session | None] = ContextVar("till_active_session", default=None)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant on both databases; a naive value is refused instead of being guessed."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs its time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def configure(url: str, *, ephemeral: bool = False, pool_size: int = 10) -> Engine:
    """Connect this process to the database at `url` (replaces an earlier connection).

    `ephemeral` trades durability of commits for speed, for tests.
    """
    global _engine, _reader
    dispose()
    if url.startswith("sqlite"):
        _engine = _sqlite_engine(url, ephemeral)
    else:
        _engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_use_lifo=True,
            connect_args={
                "prepare_threshold": 1,
                "connect_timeout": 5,
                "options": "-c statement_timeout=15000 -c lock_timeout=8000"
                " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
                + (" -c synchronous_commit=off" if ephemeral else ""),
            },
        )
    _reader = _engine.execution_options(isolation_level="AUTOCOMMIT")
    return _engine


def engine() -> Engine:
    """The engine of this process."""
    if _engine is None:
        raise RuntimeError("the database is not configured")
    return _engine


def dispose() -> None:
    """Close every connection (before a fork, at the end of a test)."""
    global _engine, _reader
    if _engine is not None:
        _engine.dispose()
    _engine = _reader = None


@contextmanager
def transaction(actor: Actor | None = None) -> Iterator[Session]:
    """One unit of work: commits at the end, rolls back on an error, joins a transaction already open.

    `actor` is who the journal names for what is changed in it. Rows that changed underneath raise.

    Raises:
        VersionConflict: somebody else changed a row since it was read.
        ServiceUnavailable: the database cannot be reached.
    """
    outer = _active.get()
    if outer is not None:
        yield outer
        return
    session = Session(engine(), expire_on_commit=False)
    session.info["actor"] = actor
    token = _active.set(session)
    try:
        yield session
        session.flush()
        for hook in _before_commit:
            hook(session)
        session.commit()
    except StaleDataError as error:
        session.rollback()
        raise VersionConflict() from error
    except OperationalError as error:
        session.rollback()
        if error.connection_invalidated:
            raise ServiceUnavailable("The database cannot be reached") from error
        raise
    except BaseException:
        session.rollback()
        raise
    finally:
        _active.reset(token)
        session.close()


@contextmanager
def reading() -> Iterator[Session]:
    """A session for reads alone: no BEGIN, no COMMIT; inside a transaction it is that transaction's."""
    outer = _active.get()
    if outer is not None:
        yield outer
        return
    assert _reader is not None, "the database is not configured"
    session = Session(_reader, expire_on_commit=False, autoflush=False)
    try:
        yield session
    finally:
        session.close()


def fetch_one(statement: Executable, parameters: dict[str, Any]) -> Row[Any] | None:
    """One row of a prepared statement, without a session around it: for look-ups on every request."""
    active = _active.get()
    if active is not None:
        return active.connection().execute(statement, parameters).one_or_none()
    assert _reader is not None, "the database is not configured"
    with _reader.connect() as connection:
        return connection.execute(statement, parameters).one_or_none()


def in_transaction() -> bool:
    """Whether a transaction is open here; nothing outside may be called while one is."""
    return _active.get() is not None


def retrying(work: Callable[[], T]) -> T:
    """Run local work again when it lost a deadlock or serialisation race, at most five times, jittered.

    Only for work that calls nothing outside the database (reliability.md 19).
    """
    if in_transaction():
        return work()
    for turn in range(MAX_RETRIES):
        try:
            return work()
        except DBAPIError as error:
            if turn == MAX_RETRIES - 1 or not lost_a_race(error):
                raise
            time.sleep(random.uniform(0, 0.02 * 2**turn))
    raise AssertionError("unreachable")


def lost_a_race(error: DBAPIError) -> bool:
    """Whether the database gave up this transaction for another's sake."""
    state = getattr(error.orig, "sqlstate", None)
    return state in RETRYABLE_STATES or "database is locked" in str(error.orig)


_before_commit: list[Callable[[Session], None]] = []


def before_commit(hook: Callable[[Session], None]) -> Callable[[Session], None]:
    """Register what writes collected rows as the last statement of every transaction (the journal)."""
    _before_commit.append(hook)
    return hook


def _sqlite_engine(url: str, ephemeral: bool) -> Engine:
    """SQLite in WAL mode, its writers queued in the kernel (its own busy handler polls: docs/adr/0003)."""
    made = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False, "timeout": 10})
    path = made.url.database
    lock_path = f"{path}.lock" if path and path != ":memory:" else None

    def on_connect(dbapi: Any, record: Any) -> None:
        dbapi.isolation_level = None
        for pragma in (*_PRAGMAS, f"synchronous={'OFF' if ephemeral else 'NORMAL'}"):
            dbapi.execute("PRAGMA " + pragma)
        if lock_path:
            record.info["lock"] = os.open(lock_path, os.O_CREAT | os.O_RDWR, 0o600)

    event.listen(made, "connect", on_connect)
    event.listen(made, "close", _close_lock)
    event.listen(made, "begin", _begin)
    event.listen(made, "commit", _commit)
    event.listen(made, "rollback", _rollback)
    return made


_PRAGMAS = ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000", "cache_size=-16000")


def _close_lock(_dbapi: Any, record: Any) -> None:
    descriptor = record.info.pop("lock", None)
    if descriptor is not None:
        os.close(descriptor)


def _begin(conn: Connection) -> None:
    if conn.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    descriptor = conn.info.get("lock")
    if descriptor is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        conn.exec_driver_sql("BEGIN IMMEDIATE")
    except BaseException:
        _release(conn)
        raise


def _commit(conn: Connection) -> None:
    if conn.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        conn.exec_driver_sql("COMMIT")
        _release(conn)


def _rollback(conn: Connection) -> None:
    driver = conn.connection.dbapi_connection
    if driver is not None and getattr(driver, "in_transaction", False):
        conn.exec_driver_sql("ROLLBACK")
    _release(conn)


def _release(conn: Connection) -> None:
    descriptor = conn.info.get("lock")
    if descriptor is not None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
