"""Settlements, payouts, reconciliations"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db
from app.models.ledger import ledger_guard

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table('ledger_balances',
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('account', sa.String(length=64), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'mode', 'account', 'currency', name=op.f('pk_ledger_balances'))
    )
    op.create_table('ledger_days',
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('account', sa.String(length=64), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'mode', 'account', 'currency', 'day', name=op.f('pk_ledger_days'))
    )
    op.create_table('payouts',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('connector', sa.String(length=40), nullable=False),
    sa.Column('connector_id', sa.String(length=40), nullable=False),
    sa.Column('merchant_account_id', sa.String(length=64), nullable=True),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('destination', sa.String(length=128), nullable=False),
    sa.Column('gateway_reference', sa.String(length=128), nullable=True),
    sa.Column('failure_reason', sa.String(length=64), nullable=True),
    sa.Column('metadata', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=False),
    sa.Column('created_by', sa.String(length=64), nullable=True),
    sa.Column('next_query_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('queries', sa.Integer(), nullable=False),
    sa.Column('needs_review', sa.Boolean(), nullable=False),
    sa.Column('paid_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_payouts_amount_is_positive')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payouts'))
    )
    with op.batch_alter_table('payouts', schema=None) as batch_op:
        batch_op.create_index('ix_payouts_reference', ['gateway_reference'], unique=False)
        batch_op.create_index('ix_payouts_sweep', ['next_query_at'], unique=False, sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.create_index('ix_payouts_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('reconciliation_resolutions',
    sa.Column('subject_id', sa.String(length=40), nullable=False),
    sa.Column('job_id', sa.String(length=40), nullable=False),
    sa.Column('settlement_id', sa.String(length=40), nullable=True),
    sa.Column('outcome', sa.String(length=16), nullable=False),
    sa.Column('action', sa.String(length=16), nullable=False),
    sa.Column('note', sa.String(length=1000), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('matched_to', sa.String(length=40), nullable=True),
    sa.Column('final', sa.Boolean(), nullable=False),
    sa.Column('decided_by', sa.String(length=64), nullable=False),
    sa.Column('decided_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.PrimaryKeyConstraint('subject_id', name=op.f('pk_reconciliation_resolutions'))
    )
    with op.batch_alter_table('reconciliation_resolutions', schema=None) as batch_op:
        batch_op.create_index('ix_reconciliation_resolutions_tenant', ['tenant_id', 'mode', 'subject_id'], unique=False)

    op.create_table('reconciliations',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('connector_id', sa.String(length=40), nullable=True),
    sa.Column('from', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('to', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('phase', sa.String(length=12), nullable=False),
    sa.Column('cursor', sa.String(length=96), nullable=False),
    sa.Column('summary', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('finished_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reconciliations'))
    )
    with op.batch_alter_table('reconciliations', schema=None) as batch_op:
        batch_op.create_index('ix_reconciliations_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('settlement_feeds',
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('connector_id', sa.String(length=40), nullable=False),
    sa.Column('complete_until', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('synced_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'mode', 'connector_id', name=op.f('pk_settlement_feeds'))
    )
    op.create_table('settlements',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('connector', sa.String(length=40), nullable=False),
    sa.Column('connector_id', sa.String(length=40), nullable=False),
    sa.Column('reference', sa.String(length=128), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('settled_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('available_on', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('line_count', sa.Integer(), nullable=False),
    sa.Column('gross', sa.BigInteger(), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=False),
    sa.Column('net', sa.BigInteger(), nullable=False),
    sa.Column('fetched_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('posted_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('reconciled_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_settlements')),
    sa.UniqueConstraint('tenant_id', 'mode', 'connector_id', 'reference', name=op.f('uq_settlements_tenant_id_mode_connector_id_reference'))
    )
    with op.batch_alter_table('settlements', schema=None) as batch_op:
        batch_op.create_index('ix_settlements_due', ['available_on'], unique=False, sqlite_where=sa.text("status = 'pending'"), postgresql_where=sa.text("status = 'pending'"))
        batch_op.create_index('ix_settlements_listed', ['tenant_id', 'mode', 'settled_at', 'id'], unique=False)

    op.create_table('reconciliation_items',
    sa.Column('job_id', sa.String(length=40), nullable=False),
    sa.Column('subject_id', sa.String(length=40), nullable=False),
    sa.Column('outcome', sa.String(length=16), nullable=False),
    sa.Column('type', sa.String(length=12), nullable=False),
    sa.Column('connector', sa.String(length=40), nullable=False),
    sa.Column('connector_id', sa.String(length=40), nullable=False),
    sa.Column('transaction_id', sa.String(length=40), nullable=True),
    sa.Column('line_id', sa.String(length=40), nullable=True),
    sa.Column('settlement_id', sa.String(length=40), nullable=True),
    sa.Column('reference', sa.String(length=128), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('expected', sa.BigInteger(), nullable=True),
    sa.Column('actual', sa.BigInteger(), nullable=True),
    sa.Column('occurred_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['reconciliations.id'], name=op.f('fk_reconciliation_items_job_id_reconciliations')),
    sa.PrimaryKeyConstraint('job_id', 'subject_id', name=op.f('pk_reconciliation_items'))
    )
    with op.batch_alter_table('reconciliation_items', schema=None) as batch_op:
        batch_op.create_index('ix_reconciliation_items_outcome', ['job_id', 'outcome', 'subject_id'], unique=False)
        batch_op.create_index('ix_reconciliation_items_transaction', ['job_id', 'transaction_id'], unique=False)

    op.create_table('settlement_lines',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('settlement_id', sa.String(length=40), nullable=False),
    sa.Column('connector_id', sa.String(length=40), nullable=False),
    sa.Column('line_id', sa.String(length=128), nullable=False),
    sa.Column('type', sa.String(length=12), nullable=False),
    sa.Column('reference', sa.String(length=128), nullable=True),
    sa.Column('gross', sa.BigInteger(), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=False),
    sa.Column('net', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('settled_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('available_on', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('transaction_id', sa.String(length=40), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.ForeignKeyConstraint(['settlement_id'], ['settlements.id'], name=op.f('fk_settlement_lines_settlement_id_settlements')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_settlement_lines')),
    sa.UniqueConstraint('settlement_id', 'line_id', name=op.f('uq_settlement_lines_settlement_id_line_id'))
    )
    with op.batch_alter_table('settlement_lines', schema=None) as batch_op:
        batch_op.create_index('ix_settlement_lines_reference', ['tenant_id', 'mode', 'connector_id', 'reference'], unique=False)
        batch_op.create_index('ix_settlement_lines_settlement', ['tenant_id', 'mode', 'settlement_id', 'id'], unique=False)
        batch_op.create_index('ix_settlement_lines_transaction', ['transaction_id'], unique=False)

    op.create_table('sandbox_batches',
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('reference', sa.String(length=64), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('day', sa.String(length=10), nullable=True),
    sa.Column('net', sa.BigInteger(), nullable=False),
    sa.Column('settled_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('available_on', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'mode', 'reference', name=op.f('pk_sandbox_batches'))
    )
    with op.batch_alter_table('sandbox_batches', schema=None) as batch_op:
        batch_op.create_index('ix_sandbox_batches_settled', ['tenant_id', 'mode', 'settled_at'], unique=False)

    op.create_table('sandbox_payouts',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('destination', sa.String(length=128), nullable=False),
    sa.Column('status', sa.String(length=12), nullable=False),
    sa.Column('code', sa.String(length=40), nullable=True),
    sa.Column('turns_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sandbox_payouts')),
    sa.UniqueConstraint('tenant_id', 'key', name=op.f('uq_sandbox_payouts_tenant_id_key'))
    )
    op.create_table('sandbox_statement_lines',
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('batch', sa.String(length=64), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('type', sa.String(length=12), nullable=False),
    sa.Column('reference', sa.String(length=64), nullable=False),
    sa.Column('gross', sa.BigInteger(), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'mode', 'batch', 'number', name=op.f('pk_sandbox_statement_lines'))
    )
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('settlement_id', sa.String(length=40), nullable=True))
        batch_op.create_index('ix_attempts_captured', ['tenant_id', 'mode', 'captured_at', 'id'], unique=False, sqlite_where=sa.text('captured_at IS NOT NULL'), postgresql_where=sa.text('captured_at IS NOT NULL'))

    with op.batch_alter_table('ledger_transactions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('summed_at', app.db.UtcDateTime(timezone=True), nullable=True))
        batch_op.create_index('ix_ledger_transactions_unsummed', ['id'], unique=False, sqlite_where=sa.text('summed_at IS NULL'), postgresql_where=sa.text('summed_at IS NULL'))

    with op.batch_alter_table('refunds', schema=None) as batch_op:
        batch_op.add_column(sa.Column('settlement_id', sa.String(length=40), nullable=True))
        batch_op.create_index('ix_refunds_succeeded', ['tenant_id', 'mode', 'succeeded_at', 'id'], unique=False, sqlite_where=sa.text('succeeded_at IS NOT NULL'), postgresql_where=sa.text('succeeded_at IS NOT NULL'))

    with op.batch_alter_table('sandbox_disputes', schema=None) as batch_op:
        batch_op.add_column(sa.Column('taken_at', app.db.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('taken_in', sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column('returned_at', app.db.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('returned_in', sa.String(length=64), nullable=True))
        batch_op.create_index('ix_sandbox_disputes_tenant', ['tenant_id', 'mode', 'taken_at'], unique=False)

    with op.batch_alter_table('sandbox_operations', schema=None) as batch_op:
        batch_op.add_column(sa.Column('settled_in', sa.String(length=64), nullable=True))
        batch_op.create_index('ix_sandbox_operations_unsettled', ['tenant_id', 'created_at'], unique=False, sqlite_where=sa.text('settled_in IS NULL'), postgresql_where=sa.text('settled_in IS NULL'))

    if op.get_bind().dialect.name == 'postgresql':  # SQLite keeps no lengths
        op.alter_column('ledger_postings', 'account', type_=sa.String(length=64), existing_type=sa.String(length=40), existing_nullable=False)
    ledger_guard.install(op.get_bind())


def downgrade() -> None:
    ledger_guard.remove(op.get_bind())
    with op.batch_alter_table('sandbox_disputes', schema=None) as batch_op:
        batch_op.drop_index('ix_sandbox_disputes_tenant')
        for name in ('returned_in', 'returned_at', 'taken_in', 'taken_at'):
            batch_op.drop_column(name)

    with op.batch_alter_table('sandbox_operations', schema=None) as batch_op:
        batch_op.drop_index('ix_sandbox_operations_unsettled', sqlite_where=sa.text('settled_in IS NULL'), postgresql_where=sa.text('settled_in IS NULL'))
        batch_op.drop_column('settled_in')

    with op.batch_alter_table('refunds', schema=None) as batch_op:
        batch_op.drop_index('ix_refunds_succeeded', sqlite_where=sa.text('succeeded_at IS NOT NULL'), postgresql_where=sa.text('succeeded_at IS NOT NULL'))
        batch_op.drop_column('settlement_id')

    with op.batch_alter_table('ledger_transactions', schema=None) as batch_op:
        batch_op.drop_index('ix_ledger_transactions_unsummed', sqlite_where=sa.text('summed_at IS NULL'), postgresql_where=sa.text('summed_at IS NULL'))
        batch_op.drop_column('summed_at')

    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.drop_index('ix_attempts_captured', sqlite_where=sa.text('captured_at IS NOT NULL'), postgresql_where=sa.text('captured_at IS NOT NULL'))
        batch_op.drop_column('settlement_id')

    op.drop_table('sandbox_statement_lines')
    op.drop_table('sandbox_payouts')
    with op.batch_alter_table('sandbox_batches', schema=None) as batch_op:
        batch_op.drop_index('ix_sandbox_batches_settled')

    op.drop_table('sandbox_batches')
    with op.batch_alter_table('settlement_lines', schema=None) as batch_op:
        batch_op.drop_index('ix_settlement_lines_transaction')
        batch_op.drop_index('ix_settlement_lines_settlement')
        batch_op.drop_index('ix_settlement_lines_reference')

    op.drop_table('settlement_lines')
    with op.batch_alter_table('reconciliation_items', schema=None) as batch_op:
        batch_op.drop_index('ix_reconciliation_items_transaction')
        batch_op.drop_index('ix_reconciliation_items_outcome')

    op.drop_table('reconciliation_items')
    with op.batch_alter_table('settlements', schema=None) as batch_op:
        batch_op.drop_index('ix_settlements_listed')
        batch_op.drop_index('ix_settlements_due', sqlite_where=sa.text("status = 'pending'"), postgresql_where=sa.text("status = 'pending'"))

    op.drop_table('settlements')
    op.drop_table('settlement_feeds')
    with op.batch_alter_table('reconciliations', schema=None) as batch_op:
        batch_op.drop_index('ix_reconciliations_tenant')

    op.drop_table('reconciliations')
    with op.batch_alter_table('reconciliation_resolutions', schema=None) as batch_op:
        batch_op.drop_index('ix_reconciliation_resolutions_tenant')

    op.drop_table('reconciliation_resolutions')
    with op.batch_alter_table('payouts', schema=None) as batch_op:
        batch_op.drop_index('ix_payouts_tenant')
        batch_op.drop_index('ix_payouts_sweep', sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.drop_index('ix_payouts_reference')

    op.drop_table('payouts')
    op.drop_table('ledger_days')
    op.drop_table('ledger_balances')
