"""Bringing the schema up to date with Alembic, from the command line and at start-up.

Alembic is imported when it is used: a web process, which never migrates, is 11 MB smaller without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app import settings

if TYPE_CHECKING:
    from alembic.config import Config

ROOT = Path(__file__).resolve().parent.parent


def config() -> Config:
    """Alembic's configuration; the address of the database comes from the settings."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(ROOT / "migrations"))
    made.set_main_option("path_separator", "os")
    made.attributes["url"] = settings.current().database
    return made


def upgrade() -> None:
    """Run every migration that has not run."""
    from alembic import command

    command.upgrade(config(), "head")
