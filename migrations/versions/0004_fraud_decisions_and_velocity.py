"""Fraud decisions, velocity counters, and what an attempt keeps of its screening"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db

revision = "0004"
down_revision = "0003"

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql')

METHOD = (('country', 2), ('fingerprint', 64), ('prefix_hash', 64))


def upgrade() -> None:
    op.create_table('fraud_decisions',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('intent_id', sa.String(length=40), nullable=False),
    sa.Column('payment_method_id', sa.String(length=40), nullable=True),
    sa.Column('source', sa.String(length=8), nullable=False),
    sa.Column('provider', sa.String(length=24), nullable=False),
    sa.Column('problem', sa.String(length=80), nullable=True),
    sa.Column('score', sa.Integer(), nullable=False),
    sa.Column('action', sa.String(length=10), nullable=False),
    sa.Column('reasons', JSON, nullable=False),
    sa.Column('inputs', JSON, nullable=False),
    sa.Column('override_of', sa.String(length=40), nullable=True),
    sa.Column('override_action', sa.String(length=10), nullable=True),
    sa.Column('override_reason', sa.String(length=500), nullable=True),
    sa.Column('overridden_by', sa.String(length=64), nullable=True),
    sa.Column('overridden_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.ForeignKeyConstraint(['intent_id'], ['payment_intents.id'], name=op.f('fk_fraud_decisions_intent_id_payment_intents')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fraud_decisions'))
    )
    op.create_index('ix_fraud_decisions_intent', 'fraud_decisions', ['intent_id', 'id'])
    op.create_table('velocity_counters',
    sa.Column('bucket', sa.String(length=64), nullable=False),
    sa.Column('window_seconds', sa.Integer(), nullable=False),
    sa.Column('window_start', sa.BigInteger(), nullable=False),
    sa.Column('over_at', sa.BigInteger(), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('tries_before', sa.Integer(), nullable=False),
    sa.Column('declines', sa.Integer(), nullable=False),
    sa.Column('declines_before', sa.Integer(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('amount_before', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('bucket', name=op.f('pk_velocity_counters'))
    )
    op.create_index('ix_velocity_counters_over', 'velocity_counters', ['over_at'])
    for table in ('payment_methods', 'sandbox_tokens'):
        for name, length in METHOD:
            op.add_column(table, sa.Column(name, sa.String(length=length), nullable=True))
    op.add_column('payment_methods', sa.Column('gateway_risk', sa.Integer(), nullable=True))
    op.add_column('attempts', sa.Column('decision_id', sa.String(length=40), nullable=True))
    there = {column['name'] for column in sa.inspect(op.get_bind()).get_columns('attempts')}
    for name in sorted({'force_three_ds', 'off_session'} - there):  # an earlier migration may have brought one
        op.add_column('attempts', sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('attempts', sa.Column('block_code', sa.String(length=48), nullable=True))
    op.add_column('attempts', sa.Column('counted_in', JSON, nullable=True))


def downgrade() -> None:
    for name in ('counted_in', 'block_code', 'off_session', 'force_three_ds', 'decision_id'):
        op.drop_column('attempts', name)
    op.drop_column('payment_methods', 'gateway_risk')
    for table in ('sandbox_tokens', 'payment_methods'):
        for name, _ in reversed(METHOD):
            op.drop_column(table, name)
    op.drop_table('velocity_counters')
    op.drop_table('fraud_decisions')
