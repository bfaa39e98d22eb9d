"""The vault: client tokens, consent for one payment or for more, proofs of ownership"""

from alembic import op
import sqlalchemy as sa

import app.db

revision = "0009"
down_revision = "0008"

_DEFAULT = sa.text('is_default')
_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    for column in (
        sa.Column('status', sa.String(length=32), nullable=False, server_default='active'),
        sa.Column('source_token', sa.String(length=128), nullable=True),
        sa.Column('merchant_account_id', sa.String(length=40), nullable=True),
        sa.Column('intent_id', sa.String(length=40), nullable=True),
        sa.Column('verified_at', app.db.UtcDateTime(timezone=True), nullable=True),
    ):
        op.add_column('payment_methods', column)
    op.execute("UPDATE payment_methods SET status = 'revoked', is_default = false WHERE revoked_at IS NOT NULL")
    op.drop_index('ix_payment_methods_customer', 'payment_methods')
    op.create_index('ix_payment_methods_customer', 'payment_methods', ['tenant_id', 'mode', 'customer_id', 'status', 'id'])
    op.create_index('uq_payment_methods_source', 'payment_methods', ['tenant_id', 'mode', 'source_token'], unique=True)
    op.create_index('uq_payment_methods_default', 'payment_methods', ['tenant_id', 'mode', 'customer_id'], unique=True, sqlite_where=_DEFAULT, postgresql_where=_DEFAULT)

    op.create_table('method_verifications',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('method_id', sa.String(length=40), nullable=False),
    sa.Column('type', sa.String(length=20), nullable=False),
    sa.Column('reason', sa.String(length=40), nullable=True),
    sa.Column('tries_left', sa.Integer(), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['method_id'], ['payment_methods.id'], name=op.f('fk_method_verifications_method_id_payment_methods')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_method_verifications'))
    )
    op.create_index('ix_method_verifications_method', 'method_verifications', ['method_id', 'id'])
    op.create_index('uq_method_verifications_pending', 'method_verifications', ['method_id'], unique=True, sqlite_where=_PENDING, postgresql_where=_PENDING)

    op.create_table('sandbox_client_tokens',
    sa.Column('client_token', sa.String(length=64), nullable=False),
    sa.Column('token', sa.String(length=64), nullable=False),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('client_token', name=op.f('pk_sandbox_client_tokens'))
    )
    op.create_table('sandbox_deposits',
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('token', sa.String(length=64), nullable=False),
    sa.Column('first', sa.Integer(), nullable=False),
    sa.Column('second', sa.Integer(), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('status', sa.String(length=12), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'key', name=op.f('pk_sandbox_deposits'))
    )


def downgrade() -> None:
    op.drop_table('sandbox_deposits')
    op.drop_table('sandbox_client_tokens')
    op.drop_table('method_verifications')
    for name in ('uq_payment_methods_default', 'uq_payment_methods_source', 'ix_payment_methods_customer'):
        op.drop_index(name, 'payment_methods')
    for name in ('verified_at', 'intent_id', 'merchant_account_id', 'source_token', 'status'):
        op.drop_column('payment_methods', name)
    op.create_index('ix_payment_methods_customer', 'payment_methods', ['tenant_id', 'mode', 'customer_id', 'id'])
