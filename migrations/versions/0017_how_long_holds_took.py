"""How long it took to hold the goods of a reservation"""

from alembic import op
import sqlalchemy as sa

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("reservations", sa.Column("took_ms", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("reservations", "took_ms")
