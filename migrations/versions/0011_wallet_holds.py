"""Gift cards and store credit held for checkouts, and what of them is applied to a session"""

from alembic import op
import sqlalchemy as sa

import app.db

revision = "0011"
down_revision = "0010"

_HELD = sa.text("status = 'held'")


def upgrade() -> None:
    op.create_table('wallet_holds',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=12), nullable=False),
    sa.Column('instrument_id', sa.String(length=40), nullable=False),
    sa.Column('label', sa.String(length=12), nullable=True),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['checkout_id'], ['checkout_sessions.id'], name=op.f('fk_wallet_holds_checkout_id_checkout_sessions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_wallet_holds'))
    )
    op.create_index('uq_wallet_holds_live', 'wallet_holds', ['checkout_id', 'instrument_id'], unique=True, sqlite_where=_HELD, postgresql_where=_HELD)
    op.create_index('ix_wallet_holds_checkout', 'wallet_holds', ['checkout_id', 'id'])
    op.create_index('ix_wallet_holds_instrument', 'wallet_holds', ['instrument_id', 'status'])
    op.add_column('checkout_sessions', sa.Column('wallet_applied', sa.BigInteger(), nullable=False, server_default='0'))


def downgrade() -> None:
    op.drop_column('checkout_sessions', 'wallet_applied')
    op.drop_table('wallet_holds')
