"""What the dashboard looks up: figures of days, notes about payments, indexes of searches and filters"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_COUNTS = ("begun", "paying", "completed", "paid", "declined")
#: Name → table, columns, and where it holds rows.
_INDEXES = {
    "ix_payment_intents_status_time": (
        "payment_intents",
        ["tenant_id", "mode", "status", "created_at", "id"],
        None,
    ),
    "ix_payment_intents_amount": (
        "payment_intents",
        ["tenant_id", "mode", "amount", "created_at", "id"],
        None,
    ),
    "ix_payment_intents_customer": (
        "payment_intents",
        ["tenant_id", "mode", "customer_id", "id"],
        "customer_id IS NOT NULL",
    ),
    "ix_payment_intents_method": ("payment_intents", ["payment_method_id"], None),
    "ix_payment_methods_last4": (
        "payment_methods",
        ["tenant_id", "mode", "last4", "id"],
        "last4 IS NOT NULL",
    ),
    "ix_disputes_due": ("disputes", ["tenant_id", "mode", "status", "evidence_due_at", "id"], None),
    "ix_deliveries_failing": (
        "deliveries",
        ["endpoint_id", "created_at", "status"],
        "status IN ('exhausted', 'retry_wait')",
    ),
    "ix_checkout_sessions_reference": (
        "checkout_sessions",
        ["tenant_id", "mode", "reference"],
        "reference IS NOT NULL",
    ),
    "ix_checkout_sessions_order": (
        "checkout_sessions",
        ["tenant_id", "mode", "order_id"],
        "order_id IS NOT NULL",
    ),
}
_EMAIL = {
    "sqlite": "lower(json_extract(customer, '$.email'))",
    "postgresql": "lower(customer ->> 'email')",
}


def upgrade() -> None:
    op.create_table(
        "day_figures",
        sa.Column("tenant_id", sa.String(40), nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
        sa.Column("money", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "mode", "day", name=op.f("pk_day_figures")),
    )
    with op.batch_alter_table("support_notes") as notes:
        notes.alter_column("checkout_id", existing_type=sa.String(40), nullable=True)
        notes.add_column(sa.Column("payment_intent_id", sa.String(40), nullable=True))
    op.create_index("ix_support_notes_payment", "support_notes", ["payment_intent_id", "id"])
    for name, (table, columns, where) in _INDEXES.items():
        rows = sa.text(where) if where else None
        op.create_index(name, table, columns, sqlite_where=rows, postgresql_where=rows)
    email = sa.text(_EMAIL[op.get_bind().dialect.name])
    op.create_index("ix_checkout_sessions_email", "checkout_sessions", ["tenant_id", "mode", email, "id"])


def downgrade() -> None:
    op.drop_index("ix_checkout_sessions_email", "checkout_sessions")
    for name, (table, _, _) in _INDEXES.items():
        op.drop_index(name, table)
    op.drop_index("ix_support_notes_payment", "support_notes")
    op.execute("DELETE FROM support_notes WHERE checkout_id IS NULL")
    with op.batch_alter_table("support_notes") as notes:
        notes.drop_column("payment_intent_id")
        notes.alter_column("checkout_id", existing_type=sa.String(40), nullable=False)
    op.drop_table("day_figures")
