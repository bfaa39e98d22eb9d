"""The engine of this process: which database it talks to, and the connections that look-ups keep."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.types.json import set_json_loads
from pydantic_core import from_json
from sqlalchemy import Engine, create_engine

from app.db import sqlite
from app.db.drivers import Drivers

#: psycopg's errors of a server that is gone, or did not answer in time.
_LOST = (psycopg.InterfaceError, psycopg.OperationalError)

_engine: Engine | None = None
_reader: Engine | None = None
_drivers: Drivers | None = None


def configure(url: str, *, ephemeral: bool = False, pool_size: int = 10) -> Engine:
    """Connect this process to the database at `url` (replaces an earlier connection).

    `ephemeral` trades durability of commits for speed, for tests.
    """
    global _engine, _reader, _drivers
    dispose()
    if url.startswith("sqlite"):
        _engine = sqlite.make(url, ephemeral)
        _drivers = Drivers(sqlite.connector(_engine, ephemeral), (sqlite3.OperationalError,))
    else:
        _engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_use_lifo=True,
            json_deserializer=from_json,
            connect_args=_postgresql_arguments(ephemeral),
        )
        _drivers = Drivers(_postgresql_connector(_engine, ephemeral), _LOST)
    _reader = _engine.execution_options(isolation_level="AUTOCOMMIT")
    return _engine


def engine() -> Engine:
    """The engine of this process."""
    if _engine is None:
        raise RuntimeError("the database is not configured")
    return _engine


def reader() -> Engine:
    """The same engine for reads alone: no BEGIN, no COMMIT."""
    assert _reader is not None, "the database is not configured"
    return _reader


def current_drivers() -> Drivers:
    """The connections that look-ups run on."""
    assert _drivers is not None, "the database is not configured"
    return _drivers


def dispose() -> None:
    """Close every connection (before a fork, at the end of a test)."""
    global _engine, _reader, _drivers
    if _engine is not None:
        _engine.dispose()
    if _drivers is not None:
        _drivers.close()
    _engine = _reader = _drivers = None


class _Cursor(psycopg.RawCursor[Any]):
    """A connection of the driver's own as its one cursor, which closes it."""

    def close(self) -> None:
        super().close()
        self.connection.close()


def _postgresql_arguments(ephemeral: bool) -> dict[str, Any]:
    return {
        "prepare_threshold": 1,
        "connect_timeout": 5,
        "options": "-c statement_timeout=15000 -c lock_timeout=8000"
        " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
        + (" -c synchronous_commit=off" if ephemeral else ""),
    }


def _postgresql_connector(made: Engine, ephemeral: bool) -> Callable[[], Any]:
    _, named = made.dialect.create_connect_args(made.url)
    arguments = {**named, **_postgresql_arguments(ephemeral), "prepare_threshold": 0, "autocommit": True}

    def connect() -> Any:
        connection = psycopg.connect(**arguments)
        set_json_loads(from_json, connection)
        return _Cursor(connection)

    return connect
