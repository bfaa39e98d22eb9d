"""Bringing the schema up to date with Alembic, from the command line and at start-up."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from app import settings

ROOT = Path(__file__).resolve().parent.parent


def config() -> Config:
    """Alembic's configuration; the address of the database comes from the settings."""
    made = Config()
    made.set_main_option("script_location", str(ROOT / "migrations"))
    made.set_main_option("path_separator", "os")
    made.attributes["url"] = settings.current().database
    return made


def upgrade() -> None:
    """Run every migration that has not run."""
    command.upgrade(config(), "head")
