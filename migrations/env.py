"""Alembic's environment: the tables of app/models and the sandbox's own book, on both databases."""

from alembic import context
from sqlalchemy import create_engine, pool

from app import models, settings
from app.connectors.sandbox import book

target_metadata = [models.Base.metadata, book.metadata]


def run() -> None:
    """Migrate over a connection of our own; SQLite alters tables by copying them (batch mode)."""
    url = context.config.attributes.get("url") or settings.current().database
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=target_metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=False,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
