"""Sandbox: the connector that a payment, statement or payout belongs to; disputes are found by reference"""

from alembic import op
import sqlalchemy as sa

revision = "0010"
down_revision = "0009"

_TABLES = ("sandbox_payments", "sandbox_batches", "sandbox_payouts")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("account", sa.String(40), nullable=True))
    op.create_index(op.f("ix_disputes_gateway_reference"), "disputes", ["gateway_reference"])
    op.execute(
        "UPDATE sandbox_payments SET account = (SELECT min(attempts.connector_id) FROM attempts"
        " WHERE attempts.gateway_reference = sandbox_payments.reference"
        " AND attempts.tenant_id = sandbox_payments.tenant_id)"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_disputes_gateway_reference"), "disputes")
    for table in _TABLES:
        op.drop_column(table, "account")
