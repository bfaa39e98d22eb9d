"""The journal is append-only"""

from alembic import op

from app.models.events import journal_guard

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    journal_guard.install(op.get_bind())


def downgrade() -> None:
    journal_guard.remove(op.get_bind())
