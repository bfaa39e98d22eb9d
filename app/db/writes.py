"""Writes that nobody waits for: collected in their transaction, and sent as one statement (docs/adr/0025).

On PostgreSQL the INSERTs and UPDATEs become the parts of one `WITH`: one round trip, where each would be one.
SQLite has no way to go: there each is run at once. Whatever reads, or has to know what it changed, sends
first what was collected before it, so that the order of a program stays the order of its writes; an error is
raised then, and at the latest by `transaction()`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from app.db import drivers
from app.db.engine import current_drivers, engine
from app.db.plans import Plan

T = TypeVar("T")

#: More rows of a table are sent in turn: a statement for each number of rows is prepared, and has a largest.
MAX_ROWS = 8

_QUEUE, _DRIVER = "writes", "driver"
#: Where a session keeps the error of the first statement of it that failed.
FAILURE = "failure"
#: Where a session keeps that the database has begun its transaction.
BEGUN = "begun"
#: Where a session keeps that its commit need not wait for the disk.
RELAXED = "relaxed"

#: What a statement selects to have its own transaction committed without waiting (`true`: for that alone).
RELAX = "set_config('synchronous_commit', 'off', true)"


@dataclass(slots=True, eq=False)
class Write:
    """An INSERT of some rows, or a statement for one row that must change it (`exact`).

    What is `unread` is not waited for by look-ups.
    """

    plan: Plan
    rows: list[list[Any]]
    exact: bool
    unread: bool = False


def collect(session: Session, plan: Plan, rows: list[list[Any]], *, exact: bool = False) -> None:
    """Have these rows written before anything else is read or sent."""
    if _written_at_once(session, plan, rows, exact):
        return
    queue: list[Write] = session.info.setdefault(_QUEUE, [])
    for write in queue:
        if write.plan is plan and plan.adds:
            write.rows += rows
            return
        if write.plan.table == plan.table and not (plan.adds and write.plan.adds):
            send(session)  # the parts of one statement do not see each other's rows
            break
    session.info.setdefault(_QUEUE, []).append(Write(plan, rows, exact))


def collect_first(session: Session, plan: Plan, row: list[Any]) -> Write | None:
    """Have a row written before all else, which nothing of the transaction reads; None where it is done.

    If it changes nothing the transaction is stale.
    """
    if _written_at_once(session, plan, [row], exact=True):
        return None
    write = Write(plan, [row], exact=True, unread=True)
    session.info.setdefault(_QUEUE, []).insert(0, write)
    return write


def waits(session: Session, write: Write) -> bool:
    """Whether it was not sent yet."""
    return write in session.info.get(_QUEUE, ())


def may_look_outside(session: Session) -> bool:
    """Whether a look-up sees outside the transaction what it would see in it: nothing has been done there.

    Each statement of a transaction sees what is committed when it starts (READ COMMITTED). On SQLite a
    transaction that has begun keeps others from writing, so it begins with its first look.
    """
    if session.info.get(BEGUN) or engine().dialect.name == "sqlite":
        return False
    return all(write.unread for write in session.info.get(_QUEUE, ()))


def _written_at_once(session: Session, plan: Plan, rows: list[list[Any]], exact: bool) -> bool:
    if engine().dialect.name != "sqlite":
        return False
    changed = run(session, drivers.change, plan.sql, rows)
    _refuse_stale(session, [changed] if exact else [])
    return True


def send(session: Session) -> None:
    """Write what was collected.

    Raises:
        DBAPIError: as SQLAlchemy raises it.
        StaleDataError: a row that was to be changed is no longer as it was read.
    """
    queue: list[Write] | None = session.info.pop(_QUEUE, None)
    if queue:
        _send(session, queue)


def send_alone(session: Session) -> bool:
    """Write what was collected as a transaction that is this one statement; False where there is more to it.

    Raises:
        DBAPIError: as SQLAlchemy raises it.
        StaleDataError: see `send`.
        ServiceUnavailable: the database cannot be reached, or did not say that it was done.
    """
    if session.info.get(BEGUN) or not session.info.get(_QUEUE):
        return False
    if any(len(write.rows) > MAX_ROWS for write in session.info[_QUEUE]):
        return False
    queue: list[Write] = session.info.pop(_QUEUE)
    try:
        sql = _together(_shape(queue), alone=True, relaxed=bool(session.info.get(RELAXED)))
        current_drivers().change(sql, _parameters(queue))
    except psycopg.errors.DivisionByZero as error:
        raise StaleDataError("a row was changed underneath") from error
    except psycopg.Error as error:
        raise wrapped(error) from error
    return True


def run(session: Session, how: Callable[[Any, str, Any], T], sql: str, values: Any) -> T:
    """Run a prepared statement in a transaction, on the driver itself.

    Raises:
        DBAPIError: as SQLAlchemy raises it.
    """
    try:
        return how(_driver(session), sql, values)
    except engine().dialect.loaded_dbapi.Error as error:
        fail(session, error)
        raise _as_sqlalchemy(session, error) from error


def _driver(session: Session) -> Any:
    """A transaction's connection as the driver has it: on PostgreSQL a cursor that is kept with it."""
    found = session.info.get(_DRIVER)
    if found is None:
        connection = session.connection().connection
        found = connection.dbapi_connection
        if isinstance(found, psycopg.Connection):
            if _DRIVER not in connection.info:
                connection.info[_DRIVER] = psycopg.RawCursor(found)
            found = connection.info[_DRIVER]
        session.info[_DRIVER] = found
    return found


def _as_sqlalchemy(session: Session, error: Exception) -> Exception:
    """The driver's error as SQLAlchemy's; a connection that is lost is given up, as it would do."""
    connection = session.connection()
    lost = connection.dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    return wrapped(error, lost=lost)


def wrapped(error: Exception, *, lost: bool = False) -> Exception:
    """The driver's error as SQLAlchemy's."""
    dialect = engine().dialect
    return DBAPIError.instance(
        "",
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )


def send_only(session: Session, write: Write) -> None:
    """Write one thing of what was collected; see `send`."""
    session.info[_QUEUE].remove(write)
    _send(session, [write])


def _send(session: Session, queue: list[Write]) -> None:
    if any(len(write.rows) > MAX_ROWS for write in queue):
        for write in sorted(queue, key=_turn):  # each sees the ones before it alone
            changed = run(session, drivers.change, write.plan.sql, write.rows)
            _refuse_stale(session, [changed] if write.exact else [])
    elif any(write.exact for write in queue):
        _refuse_stale(session, _counted(session, queue))
    else:
        run(session, drivers.change, _together(_shape(queue)), [_parameters(queue)])


def _turn(write: Write) -> tuple[bool, int]:
    return not write.unread, write.plan.place


def _counted(session: Session, queue: list[Write]) -> Sequence[int]:
    """Send several writes; how many rows those changed that must change one.

    Where the first is for nothing, the others are not even tried: their errors would hide that.
    """
    first = any(write.unread for write in queue)
    try:
        counts, _ = run(session, drivers.fetch, _together(_shape(queue), alone=first), _parameters(queue))
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.DivisionByZero):
            raise
        return (0,)
    return counts or ()


def _refuse_stale(session: Session, counts: Sequence[int]) -> None:
    """Each UPDATE of a row in its version has changed that row."""
    if any(count != 1 for count in counts):
        stale = StaleDataError("a row was changed underneath")
        fail(session, stale)
        raise stale


def fail(session: Session, error: BaseException) -> None:
    """Have nothing of a transaction kept, whoever catches this error."""
    session.info.setdefault(FAILURE, error)


def _shape(queue: list[Write]) -> tuple[tuple[Plan, int, bool], ...]:
    return tuple((write.plan, len(write.rows), write.exact) for write in queue)


def _parameters(queue: list[Write]) -> list[Any]:
    return [value for write in queue for row in write.rows for value in row]


@lru_cache(maxsize=512)
def _together(
    shape: tuple[tuple[Plan, int, bool], ...], *, alone: bool = False, relaxed: bool = False
) -> str:
    """One statement of several; those that must change their row are counted, in turn.

    In one that stands `alone` a count of zero is an error of the database's, a division by zero: nobody can
    look at the counts before it is committed.
    """
    parts, last = [], 0
    for plan, rows, exact in shape:
        text, last = _repeated(plan.sql, rows, last)
        parts.append(text + " RETURNING 1" if exact else text)
    counted = [number for number, (_, _, exact) in enumerate(shape) if exact]
    if not counted and len(parts) == 1 and not relaxed:
        return parts[0]
    named = ", ".join(f"w{number} AS ({part})" for number, part in enumerate(parts))
    each = "1 / (SELECT count(*) FROM w{})" if alone else "(SELECT count(*) FROM w{})"
    chosen = [each.format(number) for number in counted] + ([RELAX] if relaxed else [])
    return f"WITH {named} SELECT {', '.join(chosen) or 1}"


def _repeated(sql: str, rows: int, last: int) -> tuple[str, int]:
    """A statement with its parameters numbered on from `last`, its VALUES once a row; and the last number."""
    if rows == 1:
        return _renumbered(sql, last)
    head, values = sql.split(" VALUES ")
    texts = []
    for _ in range(rows):
        text, last = _renumbered(values, last)
        texts.append(text)
    return f"{head} VALUES {', '.join(texts)}", last


def _renumbered(sql: str, last: int) -> tuple[str, int]:
    numbers = [int(number) for number in re.findall(r"\$(\d+)", sql)]
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + last}", sql), last + max(numbers)
