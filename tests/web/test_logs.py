"""What is written to the log: fields of the list alone, and no row that the database refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from app.db import transaction
from app.models.access.tenant import Tenant
from app.web import logs


@pytest.fixture
def written() -> Iterator[StringIO]:
    """The log as it is written in production."""
    before, file = structlog.get_config(), StringIO()
    logs.configure("INFO")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file), cache_logger_on_first_use=False)
    yield file
    structlog.configure(**before)


def test_a_row_that_the_database_refuses_is_not_quoted(database: str, written: StringIO) -> None:
    row = {"id": "ten_x", "name": "Ann Example\nSecond Line\n\nThird", "default_currency": "GBP"}
    try:
        with transaction() as db:
            db.execute(insert(Tenant.__table__), row)  # type: ignore[arg-type]
    except DBAPIError:
        structlog.get_logger("till.test").exception("it_failed", body=row, tenant_id="ten_x")
    line = json.loads(written.getvalue())
    assert (line["event"], line["tenant_id"]) == ("it_failed", "ten_x")
    assert "body" not in line
    assert "Error" in line["exception"]
    assert "test_logs.py" in line["exception"], "where it happened is still told"
    for text in ("Ann Example", "Second Line", "Third"):
        assert text not in line["exception"]
