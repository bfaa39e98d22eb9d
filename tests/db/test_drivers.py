"""The driver's own connections: what is said where the database is not there."""

from __future__ import annotations

import pytest

from app.db.drivers import Drivers
from app.domain.errors import ServiceUnavailable


def test_a_write_that_finds_no_database_says_so() -> None:
    def connect() -> None:
        raise ConnectionError

    with pytest.raises(ServiceUnavailable):
        Drivers(connect, (ConnectionError,)).change("INSERT", [])
