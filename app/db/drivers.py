"""The driver's own connections, for single statements: in autocommit, kept open, last in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from app.domain.errors import ServiceUnavailable


class Drivers:
    """Idle connections of one database; as many come to be as there are look-ups at once.

    `connect` opens one; `lost` are the driver's errors of a database that does not answer.
    """

    def __init__(self, connect: Callable[[], Any], lost: tuple[type[Exception], ...]) -> None:
        self._connect = connect
        self._lost = lost
        self._idle: deque[Any] | None = deque()

    def fetch(self, sql: str, values: Any) -> tuple[Sequence[Any] | None, Any]:
        """The one row of a SELECT and the cursor's description; a connection that died is replaced once.

        Raises:
            ServiceUnavailable: the database cannot be reached.
        """
        try:
            return self._fetch(self._take(), sql, values)
        except self._lost:
            self._drop_idle()
        try:
            return self._fetch(self._connect(), sql, values)
        except self._lost as error:
            raise ServiceUnavailable("The database cannot be reached") from error

    def change(self, sql: str, values: Any, *, counts: bool = False) -> int:
        """Run one INSERT or UPDATE and commit it; it is not sent twice. How many rows it changed.

        One that `counts` answers that number itself.

        Raises:
            ServiceUnavailable: the database cannot be reached, or did not say that it was done.
        """
        connection = None
        try:
            connection = self._take()
            changed = fetch(connection, sql, values)[0][0] if counts else change(connection, sql, [values])  # type: ignore[index]
        except BaseException as error:
            if connection is not None:  # after an answer it is as good as before: no transaction is open
                self._put(connection) if _answered(error) else connection.close()
            if isinstance(error, self._lost) and not _answered(error):
                self._drop_idle()
                raise ServiceUnavailable("The database cannot be reached") from error
            raise
        self._put(connection)
        return changed

    def close(self) -> None:
        """Close every connection; one that is in use is closed when it comes back."""
        self._drop_idle()
        self._idle = None

    def _fetch(self, connection: Any, sql: str, values: Any) -> tuple[Sequence[Any] | None, Any]:
        try:
            found = fetch(connection, sql, values)
        except BaseException:
            connection.close()
            raise
        self._put(connection)
        return found

    def _put(self, connection: Any) -> None:
        if self._idle is None:
            connection.close()
        else:
            self._idle.append(connection)

    def _take(self) -> Any:
        try:
            return self._idle.pop() if self._idle else self._connect()
        except IndexError:  # another thread was quicker
            return self._connect()

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return


def _answered(error: BaseException) -> bool:
    """Whether the server is there and said why not: a lock not given, a statement that took too long."""
    state = getattr(error, "sqlstate", None)
    return state is not None and not state.startswith(("08", "57P"))


def fetch(connection: Any, sql: str, values: Any) -> tuple[Sequence[Any] | None, Any]:
    """Run a SELECT of one row at most on a driver's connection."""
    cursor = connection.execute(sql, values)
    row: Sequence[Any] | None = cursor.fetchone()
    return row, cursor


def fetch_all(connection: Any, sql: str, values: Any) -> tuple[Sequence[Sequence[Any]], Any]:
    """Run a SELECT on a driver's connection."""
    cursor = connection.execute(sql, values)
    return cursor.fetchall(), cursor


def change(connection: Any, sql: str, rows: Sequence[Any]) -> int:
    """Run an INSERT or UPDATE for each of these values on a driver's connection; how many rows it changed."""
    if len(rows) == 1:
        cursor = connection.execute(sql, rows[0])
    else:
        cursor = connection.executemany(sql, rows) or connection  # PostgreSQL's is a cursor itself
    changed: int = cursor.rowcount
    return changed
