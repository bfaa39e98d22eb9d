"""The models say what the migrations have made."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.connectors.sandbox import book
from app.db import engine
from app.models.base import Base
from tests.shops import Shop


def test_models_and_migrations_agree(shop: Shop) -> None:
    # Of SQLite's types the length is a word alone, and an older one stays as it was written.
    options = {"compare_type": engine().dialect.name == "postgresql"}
    with engine().connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, [Base.metadata, book.metadata]) == []
