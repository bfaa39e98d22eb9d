"""Units of work: `transaction()` for what changes something, `reading()` for what only looks.

Writers queue and reads never block, on both databases (docs/adr/0003).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from app.db import changes, writes
from app.db.engine import engine, reader
from app.domain.actor import Actor
from app.domain.errors import ServiceUnavailable, VersionConflict

T = TypeVar("T")

#: Local work that lost a race for a lock is tried again this often (reliability.md 19).
MAX_RETRIES = 5
#: SQLSTATE of serialisation failure and deadlock.
RETRYABLE_STATES = frozenset({"40001", "40P01"})

_active: ContextVar[Session | None] = ContextVar("till_active_session", default=None)

#: Where a session keeps what is to be done once it was rolled back.
_UNDONE = "when_undone"


class BrokenTransaction(RuntimeError):
    """A statement failed and whoever sent it went on: PostgreSQL would commit nothing and say nothing."""


@contextmanager
def transaction(actor: Actor | None = None, *, relaxed: bool = False) -> Iterator[Session]:
    """One unit of work: commits at the end, rolls back on an error, joins a transaction already open.

    `actor` is who the journal names for what is changed in it. Rows that changed underneath raise.

    What a `relaxed` one writes is seen by everybody at once, but PostgreSQL need not wait until it is on the
    disk: should the machine fail, it is there if anything committed after it is. For what is worth nothing
    without that, or is found out again.

    Raises:
        VersionConflict: somebody else changed a row since it was read.
        ServiceUnavailable: the database cannot be reached.
        BrokenTransaction: one of its statements failed, and the error was caught in it.
    """
    outer = _active.get()
    if outer is not None:
        yield outer
        return
    session = Session(engine(), expire_on_commit=False)
    session.info |= {"actor": actor, writes.RELAXED: relaxed}
    token = _active.set(session)
    committed = False
    try:
        yield session
        _refuse_broken(session)
        changes.collect(session)
        for hook in _before_commit:
            hook(session)
        if not writes.send_alone(session):
            writes.send(session)
            session.commit()
        committed = True
    except StaleDataError as error:
        session.rollback()
        session.info.pop(_UNDONE, None)  # whatever was refused was judged by what no longer holds
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
        for work in () if committed else session.info.get(_UNDONE, ()):
            work()


def _refuse_broken(session: Session) -> None:
    failure = session.info.get(writes.FAILURE)
    if failure is not None:
        raise BrokenTransaction("A statement failed in this transaction: nothing of it is kept") from failure


@contextmanager
def reading() -> Iterator[Session]:
    """A session for reads alone: no BEGIN, no COMMIT; inside a transaction it is that transaction's."""
    outer = _active.get()
    if outer is not None:
        yield outer
        return
    session = Session(reader(), expire_on_commit=False, autoflush=False)
    try:
        yield session
    finally:
        session.close()


def active() -> Session | None:
    """The transaction that is open here, if one is."""
    return _active.get()


def in_transaction() -> bool:
    """Whether a transaction is open here; nothing outside may be called while one is."""
    return _active.get() is not None


def when_undone(work: Callable[[], None]) -> None:
    """Do this once the transaction that is open here was rolled back; without one, now.

    For what has to be written although the rest is not: that something was refused.
    """
    outer = _active.get()
    if outer is None:
        work()
    else:
        outer.info.setdefault(_UNDONE, []).append(work)


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


@event.listens_for(Session, "after_begin")
def _note_begin(session: Session, *_: Any) -> None:
    session.info[writes.BEGUN] = True


@event.listens_for(Engine, "before_cursor_execute")
def _in_order(*_: Any) -> None:
    """What SQLAlchemy sends comes after what was collected before it."""
    session = _active.get()
    if session is not None:
        writes.send(session)


@event.listens_for(Engine, "handle_error")
def _note_failure(context: ExceptionContext) -> None:
    """Nothing of a transaction is kept once a statement of it has failed, on either database."""
    session = _active.get()
    if session is not None:
        writes.fail(session, context.original_exception)


@event.listens_for(Engine, "savepoint")
def _refuse_savepoint(*_: Any) -> None:
    """A unit of work is undone as a whole: what was collected knows of no point to go back to."""
    if _active.get() is not None:
        raise NotImplementedError("transaction() has no savepoints")


_before_commit: list[Callable[[Session], None]] = []


def before_commit(hook: Callable[[Session], None]) -> Callable[[Session], None]:
    """Register what writes collected rows as the last statement of every transaction (the journal)."""
    _before_commit.append(hook)
    return hook
