"""SQLite in WAL mode, its writers queued in the kernel (its own busy handler polls: docs/adr/0003)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection

#: Connections are handed from thread to thread, one at a time.
_ARGUMENTS = {"check_same_thread": False, "timeout": 10}


def make(url: str, ephemeral: bool) -> Engine:
    """The engine; `ephemeral` trades durability of commits for speed."""
    made = create_engine(url, hide_parameters=True, json_deserializer=from_json, connect_args=_ARGUMENTS)
    path = made.url.database
    lock_path = f"{path}.lock" if path and path != ":memory:" else None

    def on_connect(dbapi: Any, record: Any) -> None:
        _prepare(dbapi, ephemeral)
        if lock_path:
            record.info["lock"] = os.open(lock_path, os.O_CREAT | os.O_RDWR, 0o600)

    event.listen(made, "connect", on_connect)
    event.listen(made, "close", _close_lock)
    event.listen(made, "begin", _begin)
    event.listen(made, "commit", _commit)
    event.listen(made, "rollback", _rollback)
    return made


def connector(made: Engine, ephemeral: bool) -> Callable[[], Any]:
    """What opens a connection of the driver's own, for look-ups."""

    def connect() -> Any:
        connection = made.dialect.connect(made.url.database, **_ARGUMENTS)
        _prepare(connection, ephemeral)
        return connection

    return connect


_PRAGMAS = ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000", "cache_size=-16000")


def _prepare(dbapi: Any, ephemeral: bool) -> None:
    dbapi.isolation_level = None
    for pragma in (*_PRAGMAS, f"synchronous={'OFF' if ephemeral else 'NORMAL'}"):
        dbapi.execute("PRAGMA " + pragma)


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
