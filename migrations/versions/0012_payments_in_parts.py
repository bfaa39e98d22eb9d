"""Payments in parts: each part of a split payment is an intent below the one that the session has"""

from alembic import op
import sqlalchemy as sa

revision = "0012"
down_revision = "0011"

_PARTS = sa.text("parent_intent_id IS NOT NULL")
_SPLIT = sa.text("split")


def upgrade() -> None:
    op.add_column('payment_intents', sa.Column('split', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('payment_intents', sa.Column('parent_intent_id', sa.String(length=40), nullable=True))
    op.add_column('payment_intents', sa.Column('part', sa.Integer(), nullable=True))
    op.create_index('ix_payment_intents_parts', 'payment_intents', ['parent_intent_id', 'part'], sqlite_where=_PARTS, postgresql_where=_PARTS)
    op.create_index('ix_payment_intents_split', 'payment_intents', ['status', 'updated_at'], sqlite_where=_SPLIT, postgresql_where=_SPLIT)
    op.add_column('refunds', sa.Column('group_id', sa.String(length=40), nullable=True))


def downgrade() -> None:
    op.drop_column('refunds', 'group_id')
    op.drop_index('ix_payment_intents_split', 'payment_intents')
    op.drop_index('ix_payment_intents_parts', 'payment_intents')
    for name in ('part', 'parent_intent_id', 'split'):
        op.drop_column('payment_intents', name)
