"""Amounts that a payment link offers where its payer chooses"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("payment_links", sa.Column("presets", _JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("payment_links", "presets")
