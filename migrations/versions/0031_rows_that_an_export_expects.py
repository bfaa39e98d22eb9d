"""How many rows an export expects to write"""

from alembic import op
import sqlalchemy as sa

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.add_column("exports", sa.Column("rows_expected", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("exports", "rows_expected")
