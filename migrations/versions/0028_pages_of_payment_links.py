"""What a payment link's page asks for, and says when nobody can pay"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("payment_links", sa.Column("page", _JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("payment_links", "page")
