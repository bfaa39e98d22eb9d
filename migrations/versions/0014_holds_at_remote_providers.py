"""Reservations: where remote providers hold what is reserved"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql')


def upgrade() -> None:
    op.add_column("reservations", sa.Column("held_by", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("reservations", "held_by")
