"""Disputes, uploads, credit notes"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db
from app.models import append_only

revision = "0003"
down_revision = "0002"

APPEND_ONLY = ('dispute_evidence', 'accounting_notes')


def upgrade() -> None:
    op.create_table('credit_notes',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('source', sa.String(length=80), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('reason', sa.String(length=40), nullable=False),
    sa.Column('payment_intent_id', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=64), nullable=True),
    sa.Column('invoice_id', sa.String(length=64), nullable=True),
    sa.Column('issued_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('voided_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_credit_notes_amount_positive')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credit_notes')),
    sa.UniqueConstraint('tenant_id', 'mode', 'source', name=op.f('uq_credit_notes_tenant_id_mode_source'))
    )
    with op.batch_alter_table('credit_notes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_credit_notes_payment_intent_id'), ['payment_intent_id'], unique=False)

    op.create_table('uploads',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('filename', sa.String(length=120), nullable=False),
    sa.Column('content_type', sa.String(length=40), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=True),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('stored_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_uploads'))
    )
    with op.batch_alter_table('uploads', schema=None) as batch_op:
        batch_op.create_index('ix_uploads_waiting', ['expires_at'], unique=False, sqlite_where=sa.text('stored_at IS NULL'), postgresql_where=sa.text('stored_at IS NULL'))

    op.create_table('disputes',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('intent_id', sa.String(length=40), nullable=False),
    sa.Column('attempt_id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=True),
    sa.Column('connector', sa.String(length=40), nullable=False),
    sa.Column('gateway_reference', sa.String(length=128), nullable=True),
    sa.Column('kind', sa.String(length=24), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('amount_reserved', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=False),
    sa.Column('reason_code', sa.String(length=40), nullable=False),
    sa.Column('merchant_account_id', sa.String(length=40), nullable=True),
    sa.Column('received_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('evidence_due_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('opened_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.String(length=8), nullable=True),
    sa.Column('decided_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('close_requested_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('closing_note', sa.String(), nullable=True),
    sa.Column('closed_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('credit_note_id', sa.String(length=40), nullable=True),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('next_query_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_disputes_amount_positive')),
    sa.CheckConstraint('amount_reserved >= 0 AND amount_reserved <= amount', name=op.f('ck_disputes_reserved_within_amount')),
    sa.ForeignKeyConstraint(['attempt_id'], ['attempts.id'], name=op.f('fk_disputes_attempt_id_attempts')),
    sa.ForeignKeyConstraint(['intent_id'], ['payment_intents.id'], name=op.f('fk_disputes_intent_id_payment_intents')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_disputes')),
    sa.UniqueConstraint('tenant_id', 'mode', 'connector', 'gateway_reference', name=op.f('uq_disputes_tenant_id_mode_connector_gateway_reference'))
    )
    with op.batch_alter_table('disputes', schema=None) as batch_op:
        batch_op.create_index('ix_disputes_account', ['tenant_id', 'mode', 'merchant_account_id', 'received_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_disputes_intent_id'), ['intent_id'], unique=False)
        batch_op.create_index('ix_disputes_status', ['tenant_id', 'mode', 'status', 'received_at', 'id'], unique=False)
        batch_op.create_index('ix_disputes_sweep', ['next_query_at'], unique=False, sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.create_index('ix_disputes_tenant', ['tenant_id', 'mode', 'received_at', 'id'], unique=False)

    op.create_table('accounting_notes',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('dispute_id', sa.String(length=40), nullable=False),
    sa.Column('outcome', sa.String(length=12), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('credit_note_id', sa.String(length=40), nullable=True),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.ForeignKeyConstraint(['dispute_id'], ['disputes.id'], name=op.f('fk_accounting_notes_dispute_id_disputes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_accounting_notes')),
    sa.UniqueConstraint('dispute_id', name=op.f('uq_accounting_notes_dispute_id'))
    )
    op.create_table('evidence_submissions',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('dispute_id', sa.String(length=40), nullable=False),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('sent_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('refusal', sa.String(length=64), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['dispute_id'], ['disputes.id'], name=op.f('fk_evidence_submissions_dispute_id_disputes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_evidence_submissions'))
    )
    with op.batch_alter_table('evidence_submissions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_evidence_submissions_dispute_id'), ['dispute_id'], unique=False)
        batch_op.create_index('uq_evidence_submissions_pending', ['dispute_id'], unique=True, sqlite_where=sa.text('sent_at IS NULL AND refusal IS NULL'), postgresql_where=sa.text('sent_at IS NULL AND refusal IS NULL'))

    op.create_table('dispute_evidence',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('submission_id', sa.String(length=40), nullable=False),
    sa.Column('dispute_id', sa.String(length=40), nullable=False),
    sa.Column('line', sa.Integer(), nullable=False),
    sa.Column('type', sa.String(length=32), nullable=False),
    sa.Column('text', sa.String(), nullable=True),
    sa.Column('url', sa.String(), nullable=True),
    sa.Column('upload_id', sa.String(length=40), nullable=True),
    sa.Column('filename', sa.String(length=120), nullable=True),
    sa.Column('content_type', sa.String(length=40), nullable=True),
    sa.Column('size', sa.BigInteger(), nullable=True),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.ForeignKeyConstraint(['dispute_id'], ['disputes.id'], name=op.f('fk_dispute_evidence_dispute_id_disputes')),
    sa.ForeignKeyConstraint(['submission_id'], ['evidence_submissions.id'], name=op.f('fk_dispute_evidence_submission_id_evidence_submissions')),
    sa.ForeignKeyConstraint(['upload_id'], ['uploads.id'], name=op.f('fk_dispute_evidence_upload_id_uploads')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dispute_evidence'))
    )
    with op.batch_alter_table('dispute_evidence', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_dispute_evidence_dispute_id'), ['dispute_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_dispute_evidence_submission_id'), ['submission_id'], unique=False)

    op.create_table('sandbox_disputes',
    sa.Column('reference', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('payment_reference', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=24), nullable=False),
    sa.Column('status', sa.String(length=20), nullable=False),
    sa.Column('reason', sa.String(length=40), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=False),
    sa.Column('evidence_due_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('answered', sa.Boolean(), nullable=False),
    sa.Column('decision', sa.String(length=32), nullable=True),
    sa.Column('decides_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('received_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('reference', name=op.f('pk_sandbox_disputes'))
    )
    with op.batch_alter_table('sandbox_disputes', schema=None) as batch_op:
        batch_op.create_index('ix_sandbox_disputes_payment', ['payment_reference'], unique=False)

    with op.batch_alter_table('refunds', schema=None) as batch_op:
        batch_op.add_column(sa.Column('credit_note_id', sa.String(length=40), nullable=True))

    for table in APPEND_ONLY:
        append_only.install(op.get_bind(), table)


def downgrade() -> None:
    for table in APPEND_ONLY:
        append_only.remove(op.get_bind(), table)

    with op.batch_alter_table('refunds', schema=None) as batch_op:
        batch_op.drop_column('credit_note_id')

    with op.batch_alter_table('sandbox_disputes', schema=None) as batch_op:
        batch_op.drop_index('ix_sandbox_disputes_payment')

    op.drop_table('sandbox_disputes')
    with op.batch_alter_table('dispute_evidence', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_dispute_evidence_submission_id'))
        batch_op.drop_index(batch_op.f('ix_dispute_evidence_dispute_id'))

    op.drop_table('dispute_evidence')
    with op.batch_alter_table('evidence_submissions', schema=None) as batch_op:
        batch_op.drop_index('uq_evidence_submissions_pending', sqlite_where=sa.text('sent_at IS NULL AND refusal IS NULL'), postgresql_where=sa.text('sent_at IS NULL AND refusal IS NULL'))
        batch_op.drop_index(batch_op.f('ix_evidence_submissions_dispute_id'))

    op.drop_table('evidence_submissions')
    op.drop_table('accounting_notes')
    with op.batch_alter_table('disputes', schema=None) as batch_op:
        batch_op.drop_index('ix_disputes_tenant')
        batch_op.drop_index('ix_disputes_sweep', sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.drop_index('ix_disputes_status')
        batch_op.drop_index(batch_op.f('ix_disputes_intent_id'))
        batch_op.drop_index('ix_disputes_account')

    op.drop_table('disputes')
    with op.batch_alter_table('uploads', schema=None) as batch_op:
        batch_op.drop_index('ix_uploads_waiting', sqlite_where=sa.text('stored_at IS NULL'), postgresql_where=sa.text('stored_at IS NULL'))

    op.drop_table('uploads')
    with op.batch_alter_table('credit_notes', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_credit_notes_payment_intent_id'))

    op.drop_table('credit_notes')
