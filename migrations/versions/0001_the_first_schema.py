"""The first schema"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db
from app.models.events import journal_guard

revision = '0001'
down_revision = None


def upgrade() -> None:
    op.create_table('carts',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('cart_id', sa.String(length=64), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('lines', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_carts')),
    sa.UniqueConstraint('tenant_id', 'mode', 'cart_id', name=op.f('uq_carts_tenant_id_mode_cart_id'))
    )
    op.create_table('coupons',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('code', sa.String(length=64), nullable=False),
    sa.Column('percent', sa.Numeric(precision=6, scale=3), nullable=False),
    sa.Column('starts_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('ends_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('usage_limit', sa.BigInteger(), nullable=True),
    sa.Column('used', sa.BigInteger(), nullable=False),
    sa.Column('held', sa.BigInteger(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.CheckConstraint('percent > 0 AND percent <= 100', name=op.f('ck_coupons_percent_range')),
    sa.CheckConstraint('usage_limit IS NULL OR used + held <= usage_limit', name=op.f('ck_coupons_within_limit')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_coupons')),
    sa.UniqueConstraint('tenant_id', 'mode', 'code', name=op.f('uq_coupons_tenant_id_mode_code'))
    )
    op.create_table('gift_cards',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('code', sa.String(length=64), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('balance', sa.BigInteger(), nullable=False),
    sa.Column('held', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.CheckConstraint('held >= 0 AND held <= balance', name=op.f('ck_gift_cards_held_within_balance')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gift_cards')),
    sa.UniqueConstraint('tenant_id', 'mode', 'code', name=op.f('uq_gift_cards_tenant_id_mode_code'))
    )
    op.create_table('idempotency_records',
    sa.Column('scope_hash', sa.String(length=64), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=255), nullable=False),
    sa.Column('route', sa.String(length=160), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('request_id', sa.String(length=64), nullable=False),
    sa.Column('lease_until', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('headers', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('body', sa.String(), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('scope_hash', name=op.f('pk_idempotency_records'))
    )
    with op.batch_alter_table('idempotency_records', schema=None) as batch_op:
        batch_op.create_index('ix_idempotency_records_created_at', ['created_at'], unique=False)

    op.create_table('jobs',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('arguments', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('unique_key', sa.String(length=128), nullable=True),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('max_tries', sa.Integer(), nullable=False),
    sa.Column('due_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('lease_token', sa.String(length=40), nullable=True),
    sa.Column('lease_until', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('result', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('errors', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('finished_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')),
    sa.UniqueConstraint('unique_key', name=op.f('uq_jobs_unique_key'))
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('ix_jobs_due', ['status', 'due_at'], unique=False)
        batch_op.create_index('ix_jobs_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('journal',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('type', sa.String(length=64), nullable=False),
    sa.Column('entity', sa.String(length=32), nullable=False),
    sa.Column('entity_id', sa.String(length=64), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=True),
    sa.Column('payment_intent_id', sa.String(length=40), nullable=True),
    sa.Column('trigger', sa.String(length=32), nullable=True),
    sa.Column('from_status', sa.String(length=32), nullable=True),
    sa.Column('to_status', sa.String(length=32), nullable=True),
    sa.Column('cause', sa.String(length=64), nullable=False),
    sa.Column('actor_kind', sa.String(length=20), nullable=False),
    sa.Column('actor_id', sa.String(length=64), nullable=False),
    sa.Column('on_behalf_of', sa.String(length=64), nullable=True),
    sa.Column('correlation_id', sa.String(length=64), nullable=False),
    sa.Column('data', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('sequence', sa.BigInteger(), nullable=True),
    sa.Column('hash', sa.String(length=64), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_journal'))
    )
    with op.batch_alter_table('journal', schema=None) as batch_op:
        batch_op.create_index('ix_journal_checkout', ['tenant_id', 'checkout_id', 'id'], unique=False)
        batch_op.create_index('ix_journal_entity', ['tenant_id', 'entity_id', 'id'], unique=False)
        batch_op.create_index('ix_journal_payment', ['tenant_id', 'payment_intent_id', 'id'], unique=False)
        batch_op.create_index('ix_journal_type', ['tenant_id', 'mode', 'type', 'id'], unique=False)
        batch_op.create_index('ix_journal_unsealed', ['id'], unique=False, sqlite_where=sa.text('sequence IS NULL'), postgresql_where=sa.text('sequence IS NULL'))
        batch_op.create_index('uq_journal_chain', ['tenant_id', 'sequence'], unique=True)

    op.create_table('ledger_transactions',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('source', sa.String(length=80), nullable=False),
    sa.Column('kind', sa.String(length=24), nullable=False),
    sa.Column('payment_intent_id', sa.String(length=40), nullable=True),
    sa.Column('posted_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_transactions')),
    sa.UniqueConstraint('source', name=op.f('uq_ledger_transactions_source'))
    )
    with op.batch_alter_table('ledger_transactions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_ledger_transactions_payment_intent_id'), ['payment_intent_id'], unique=False)
        batch_op.create_index('ix_ledger_transactions_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('orders',
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=True),
    sa.Column('payment_intent_id', sa.String(length=40), nullable=True),
    sa.Column('user_number', sa.Integer(), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('sub_total', sa.BigInteger(), nullable=False),
    sa.Column('discount_total', sa.BigInteger(), nullable=False),
    sa.Column('tax_total', sa.BigInteger(), nullable=False),
    sa.Column('shipping_total', sa.BigInteger(), nullable=False),
    sa.Column('fee_total', sa.BigInteger(), nullable=False),
    sa.Column('grand_total', sa.BigInteger(), nullable=False),
    sa.Column('discount_code', sa.String(length=64), nullable=True),
    sa.Column('lines', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('receipt_id', sa.String(length=40), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_orders')),
    sa.UniqueConstraint('checkout_id', name=op.f('uq_orders_checkout_id')),
    sa.UniqueConstraint('id', name=op.f('uq_orders_id'))
    )
    op.create_table('products',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('public_id', sa.String(length=36), nullable=False),
    sa.Column('sku', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('description', sa.String(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_products')),
    sa.UniqueConstraint('public_id', name=op.f('uq_products_public_id'))
    )
    with op.batch_alter_table('products', schema=None) as batch_op:
        batch_op.create_index('ix_products_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('provider_events',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('provider', sa.String(length=40), nullable=False),
    sa.Column('event_id', sa.String(length=128), nullable=False),
    sa.Column('type', sa.String(length=64), nullable=False),
    sa.Column('payload', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('received_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('processed_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_provider_events')),
    sa.UniqueConstraint('tenant_id', 'provider', 'event_id', name=op.f('uq_provider_events_tenant_id_provider_event_id'))
    )
    op.create_table('rate_hits',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('bucket', sa.String(length=64), nullable=False),
    sa.Column('at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('weight', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rate_hits'))
    )
    with op.batch_alter_table('rate_hits', schema=None) as batch_op:
        batch_op.create_index('ix_rate_hits_bucket', ['bucket', 'at'], unique=False)

    op.create_table('shipping_rates',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('code', sa.String(length=40), nullable=False),
    sa.Column('label', sa.String(), nullable=False),
    sa.Column('carrier', sa.String(length=40), nullable=False),
    sa.Column('service_code', sa.String(length=40), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('cost', sa.BigInteger(), nullable=False),
    sa.Column('countries', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('days_min', sa.Integer(), nullable=False),
    sa.Column('days_max', sa.Integer(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_shipping_rates')),
    sa.UniqueConstraint('tenant_id', 'mode', 'code', 'currency', name=op.f('uq_shipping_rates_tenant_id_mode_code_currency'))
    )
    op.create_table('stock_items',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('sku', sa.String(length=64), nullable=False),
    sa.Column('location', sa.String(length=40), nullable=False),
    sa.Column('on_hand', sa.BigInteger(), nullable=False),
    sa.Column('held', sa.BigInteger(), nullable=False),
    sa.Column('sold', sa.BigInteger(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.CheckConstraint('held <= on_hand', name=op.f('ck_stock_items_held_within_on_hand')),
    sa.CheckConstraint('held >= 0', name=op.f('ck_stock_items_held_not_negative')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stock_items')),
    sa.UniqueConstraint('tenant_id', 'mode', 'sku', 'location', name=op.f('uq_stock_items_tenant_id_mode_sku_location'))
    )
    op.create_table('store_credits',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('balance', sa.BigInteger(), nullable=False),
    sa.Column('held', sa.BigInteger(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.CheckConstraint('held >= 0 AND held <= balance', name=op.f('ck_store_credits_held_within_balance')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_credits')),
    sa.UniqueConstraint('tenant_id', 'mode', 'customer_id', 'currency', name=op.f('uq_store_credits_tenant_id_mode_customer_id_currency'))
    )
    op.create_table('tax_rates',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('country', sa.String(length=2), nullable=False),
    sa.Column('region', sa.String(length=40), nullable=False),
    sa.Column('percent', sa.Numeric(precision=7, scale=4), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tax_rates')),
    sa.UniqueConstraint('tenant_id', 'mode', 'country', 'region', name=op.f('uq_tax_rates_tenant_id_mode_country_region'))
    )
    op.create_table('tenants',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('public_id', sa.String(length=36), nullable=False),
    sa.Column('slug', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('default_currency', sa.String(length=3), nullable=False),
    sa.Column('settings', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('inbound_secrets', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tenants')),
    sa.UniqueConstraint('public_id', name=op.f('uq_tenants_public_id')),
    sa.UniqueConstraint('slug', name=op.f('uq_tenants_slug'))
    )
    op.create_table('worker_heartbeats',
    sa.Column('worker', sa.String(length=80), nullable=False),
    sa.Column('started_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('seen_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('worker', name=op.f('pk_worker_heartbeats'))
    )
    op.create_table('api_keys',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('public_id', sa.String(length=36), nullable=False),
    sa.Column('kind', sa.String(length=2), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('prefix', sa.String(length=12), nullable=False),
    sa.Column('last4', sa.String(length=4), nullable=False),
    sa.Column('key_hash', sa.String(length=64), nullable=False),
    sa.Column('scopes', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('last_used_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_api_keys_tenant_id_tenants')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('key_hash', name=op.f('uq_api_keys_key_hash')),
    sa.UniqueConstraint('public_id', name=op.f('uq_api_keys_public_id'))
    )
    with op.batch_alter_table('api_keys', schema=None) as batch_op:
        batch_op.create_index('ix_api_keys_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('checkout_sessions',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('public_id', sa.String(length=36), nullable=False),
    sa.Column('hosted_id', sa.String(length=64), nullable=True),
    sa.Column('surface', sa.String(length=10), nullable=False),
    sa.Column('cancel_reason', sa.String(length=20), nullable=True),
    sa.Column('failure_reason', sa.String(length=64), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('owner_type', sa.String(length=5), nullable=False),
    sa.Column('owner_id', sa.String(length=64), nullable=False),
    sa.Column('title', sa.String(), nullable=True),
    sa.Column('description', sa.String(), nullable=True),
    sa.Column('reference', sa.String(), nullable=True),
    sa.Column('cart_id', sa.String(length=64), nullable=True),
    sa.Column('cart_snapshot', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('customer', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('contact', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('shipping_address', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('billing_address', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('selected_shipping', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('pickup_location', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('promotion_codes', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('applied_promotions', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('validation_issues', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('options', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('method_types', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('calculation_id', sa.String(length=40), nullable=True),
    sa.Column('totals', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('calculated_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('totals_stale', sa.Boolean(), nullable=False),
    sa.Column('reservation_id', sa.String(length=40), nullable=True),
    sa.Column('payment_intent_id', sa.String(length=40), nullable=True),
    sa.Column('payment_attempts', sa.Integer(), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=True),
    sa.Column('receipt_id', sa.String(length=40), nullable=True),
    sa.Column('payment_link_id', sa.String(length=40), nullable=True),
    sa.Column('product_id', sa.String(length=36), nullable=True),
    sa.Column('price_id', sa.String(length=36), nullable=True),
    sa.Column('subscription_id', sa.String(length=36), nullable=True),
    sa.Column('success_url', sa.String(), nullable=True),
    sa.Column('cancel_url', sa.String(), nullable=True),
    sa.Column('metadata', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('completed_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_checkout_sessions_tenant_id_tenants')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_checkout_sessions')),
    sa.UniqueConstraint('hosted_id', name=op.f('uq_checkout_sessions_hosted_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_checkout_sessions_public_id'))
    )
    with op.batch_alter_table('checkout_sessions', schema=None) as batch_op:
        batch_op.create_index('ix_checkout_sessions_expiry', ['expires_at'], unique=False, sqlite_where=sa.text("status IN ('created', 'collecting', 'reserved')"), postgresql_where=sa.text("status IN ('created', 'collecting', 'reserved')"))
        batch_op.create_index(batch_op.f('ix_checkout_sessions_payment_intent_id'), ['payment_intent_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_checkout_sessions_payment_link_id'), ['payment_link_id'], unique=False)
        batch_op.create_index('ix_checkout_sessions_surface', ['tenant_id', 'mode', 'surface', 'status', 'id'], unique=False)
        batch_op.create_index('ix_checkout_sessions_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('ledger_postings',
    sa.Column('transaction_id', sa.String(length=40), nullable=False),
    sa.Column('line', sa.Integer(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('account', sa.String(length=40), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['transaction_id'], ['ledger_transactions.id'], name=op.f('fk_ledger_postings_transaction_id_ledger_transactions')),
    sa.PrimaryKeyConstraint('transaction_id', 'line', name=op.f('pk_ledger_postings'))
    )
    with op.batch_alter_table('ledger_postings', schema=None) as batch_op:
        batch_op.create_index('ix_ledger_postings_account', ['tenant_id', 'mode', 'account', 'currency'], unique=False)

    op.create_table('payment_intents',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=True),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=True),
    sa.Column('payment_method_id', sa.String(length=40), nullable=True),
    sa.Column('method_types', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('capture_mode', sa.String(length=6), nullable=False),
    sa.Column('description', sa.String(), nullable=True),
    sa.Column('metadata', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('payment_method_options', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('merchant_account_id', sa.String(length=40), nullable=True),
    sa.Column('request_id', sa.String(length=128), nullable=True),
    sa.Column('next_action', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('last_error', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('risk', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('max_attempts', sa.Integer(), nullable=False),
    sa.Column('cancel_requested', sa.Boolean(), nullable=False),
    sa.Column('cancel_reason', sa.String(length=20), nullable=True),
    sa.Column('settles_with_checkout', sa.Boolean(), nullable=False),
    sa.Column('amount_authorized', sa.BigInteger(), nullable=False),
    sa.Column('amount_captured', sa.BigInteger(), nullable=False),
    sa.Column('amount_refunding', sa.BigInteger(), nullable=False),
    sa.Column('amount_refunded', sa.BigInteger(), nullable=False),
    sa.Column('amount_disputed', sa.BigInteger(), nullable=False),
    sa.Column('needs_review', sa.Boolean(), nullable=False),
    sa.Column('succeeded_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('amount_captured <= amount_authorized', name=op.f('ck_payment_intents_captured_within_authorized')),
    sa.CheckConstraint('amount_refunding + amount_disputed <= amount_captured', name=op.f('ck_payment_intents_refunds_within_captured')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_payment_intents_tenant_id_tenants')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payment_intents'))
    )
    with op.batch_alter_table('payment_intents', schema=None) as batch_op:
        batch_op.create_index('ix_payment_intents_checkout', ['checkout_id'], unique=False)
        batch_op.create_index('ix_payment_intents_status', ['tenant_id', 'mode', 'status', 'id'], unique=False)
        batch_op.create_index('ix_payment_intents_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('payment_links',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('public_id', sa.String(length=36), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('slug', sa.String(length=64), nullable=False),
    sa.Column('title', sa.String(), nullable=False),
    sa.Column('description', sa.String(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=True),
    sa.Column('min_amount', sa.BigInteger(), nullable=True),
    sa.Column('max_amount', sa.BigInteger(), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('reference', sa.String(), nullable=True),
    sa.Column('method_types', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('usage_limit', sa.BigInteger(), nullable=True),
    sa.Column('used', sa.BigInteger(), nullable=False),
    sa.Column('held', sa.BigInteger(), nullable=False),
    sa.Column('scans', sa.BigInteger(), nullable=False),
    sa.Column('metadata', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('usage_limit IS NULL OR used + held <= usage_limit', name=op.f('ck_payment_links_within_limit')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_payment_links_tenant_id_tenants')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payment_links')),
    sa.UniqueConstraint('public_id', name=op.f('uq_payment_links_public_id')),
    sa.UniqueConstraint('slug', name=op.f('uq_payment_links_slug'))
    )
    with op.batch_alter_table('payment_links', schema=None) as batch_op:
        batch_op.create_index('ix_payment_links_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('payment_methods',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('type', sa.String(length=24), nullable=False),
    sa.Column('connector', sa.String(length=40), nullable=False),
    sa.Column('token', sa.String(length=128), nullable=False),
    sa.Column('brand', sa.String(length=24), nullable=True),
    sa.Column('last4', sa.String(length=4), nullable=True),
    sa.Column('exp_month', sa.Integer(), nullable=True),
    sa.Column('exp_year', sa.Integer(), nullable=True),
    sa.Column('customer_id', sa.String(length=64), nullable=True),
    sa.Column('consent', sa.Boolean(), nullable=False),
    sa.Column('consented_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('reusable', sa.Boolean(), nullable=False),
    sa.Column('is_default', sa.Boolean(), nullable=False),
    sa.Column('metadata', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('revoked_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_payment_methods_tenant_id_tenants')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payment_methods'))
    )
    with op.batch_alter_table('payment_methods', schema=None) as batch_op:
        batch_op.create_index('ix_payment_methods_customer', ['tenant_id', 'mode', 'customer_id', 'id'], unique=False)

    op.create_table('prices',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('public_id', sa.String(length=36), nullable=False),
    sa.Column('product_id', sa.String(length=40), nullable=False),
    sa.Column('unit_amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('interval', sa.String(length=10), nullable=True),
    sa.Column('interval_count', sa.Integer(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['product_id'], ['products.id'], name=op.f('fk_prices_product_id_products')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_prices')),
    sa.UniqueConstraint('public_id', name=op.f('uq_prices_public_id'))
    )
    with op.batch_alter_table('prices', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_prices_product_id'), ['product_id'], unique=False)

    op.create_table('users',
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('role', sa.String(length=40), nullable=False),
    sa.Column('password_hash', sa.String(), nullable=False),
    sa.Column('totp_secret', sa.String(), nullable=True),
    sa.Column('totp_enabled', sa.Boolean(), nullable=False),
    sa.Column('totp_last_step', sa.BigInteger(), nullable=False),
    sa.Column('failed_logins', sa.Integer(), nullable=False),
    sa.Column('locked_until', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('last_login_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tokens_valid_after', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('disabled_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_users_tenant_id_tenants')),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_users')),
    sa.UniqueConstraint('email', name=op.f('uq_users_email')),
    sa.UniqueConstraint('id', name=op.f('uq_users_id'))
    )
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_users_tenant_id'), ['tenant_id'], unique=False)

    op.create_table('webhook_endpoints',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('url', sa.String(), nullable=False),
    sa.Column('description', sa.String(), nullable=False),
    sa.Column('events', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('secret', sa.String(), nullable=False),
    sa.Column('previous_secret', sa.String(), nullable=True),
    sa.Column('previous_until', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('failing_since', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('disabled_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('disabled_reason', sa.String(), nullable=True),
    sa.Column('deleted_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_webhook_endpoints_tenant_id_tenants')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_endpoints'))
    )
    with op.batch_alter_table('webhook_endpoints', schema=None) as batch_op:
        batch_op.create_index('ix_webhook_endpoints_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('attempts',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('intent_id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=True),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('nonce', sa.String(length=80), nullable=False),
    sa.Column('return_nonce', sa.String(length=64), nullable=False),
    sa.Column('returned_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('connector', sa.String(length=40), nullable=False),
    sa.Column('payment_method_id', sa.String(length=40), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('gateway_reference', sa.String(length=128), nullable=True),
    sa.Column('action', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=True),
    sa.Column('action_expires_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('decline_code', sa.String(length=48), nullable=True),
    sa.Column('response_code', sa.String(length=24), nullable=True),
    sa.Column('avs_result', sa.String(length=16), nullable=True),
    sa.Column('cvv_result', sa.String(length=16), nullable=True),
    sa.Column('three_ds_result', sa.String(length=24), nullable=True),
    sa.Column('risk_score', sa.Integer(), nullable=True),
    sa.Column('amount_to_capture', sa.BigInteger(), nullable=True),
    sa.Column('amount_captured', sa.BigInteger(), nullable=False),
    sa.Column('authorized_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('captured_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('auth_expires_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('next_query_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('queries', sa.Integer(), nullable=False),
    sa.Column('needs_review', sa.Boolean(), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['intent_id'], ['payment_intents.id'], name=op.f('fk_attempts_intent_id_payment_intents')),
    sa.ForeignKeyConstraint(['payment_method_id'], ['payment_methods.id'], name=op.f('fk_attempts_payment_method_id_payment_methods')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attempts')),
    sa.UniqueConstraint('intent_id', 'nonce', name=op.f('uq_attempts_intent_id_nonce')),
    sa.UniqueConstraint('return_nonce', name=op.f('uq_attempts_return_nonce'))
    )
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_attempts_gateway_reference'), ['gateway_reference'], unique=False)
        batch_op.create_index(batch_op.f('ix_attempts_intent_id'), ['intent_id'], unique=False)
        batch_op.create_index('ix_attempts_sweep', ['next_query_at'], unique=False, sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.create_index('uq_attempts_live', ['intent_id'], unique=True, sqlite_where=sa.text("status NOT IN ('declined', 'not_found', 'voided', 'auth_expired')"), postgresql_where=sa.text("status NOT IN ('declined', 'not_found', 'voided', 'auth_expired')"))

    op.create_table('calculations',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=False),
    sa.Column('inputs', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('outputs', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('calculated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.ForeignKeyConstraint(['checkout_id'], ['checkout_sessions.id'], name=op.f('fk_calculations_checkout_id_checkout_sessions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_calculations'))
    )
    with op.batch_alter_table('calculations', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_calculations_checkout_id'), ['checkout_id'], unique=False)

    op.create_table('deliveries',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('endpoint_id', sa.String(length=40), nullable=False),
    sa.Column('event_id', sa.String(length=40), nullable=False),
    sa.Column('event_type', sa.String(length=64), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('due_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('lease_token', sa.String(length=40), nullable=True),
    sa.Column('lease_until', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('delivered_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('replay_of', sa.String(length=40), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['endpoint_id'], ['webhook_endpoints.id'], name=op.f('fk_deliveries_endpoint_id_webhook_endpoints')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries'))
    )
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.create_index('ix_deliveries_due', ['status', 'due_at'], unique=False)
        batch_op.create_index('ix_deliveries_endpoint', ['endpoint_id', 'id'], unique=False)
        batch_op.create_index('ix_deliveries_event', ['event_id'], unique=False)

    op.create_table('recovery_codes',
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('user_id', sa.String(length=40), nullable=False),
    sa.Column('used_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_recovery_codes_user_id_users')),
    sa.PrimaryKeyConstraint('code_hash', name=op.f('pk_recovery_codes'))
    )
    with op.batch_alter_table('recovery_codes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_recovery_codes_user_id'), ['user_id'], unique=False)

    op.create_table('reservations',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=False),
    sa.Column('allocation_strategy', sa.String(length=20), nullable=False),
    sa.Column('partial', sa.Boolean(), nullable=False),
    sa.Column('lines', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('coupons', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('extended_until_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['checkout_id'], ['checkout_sessions.id'], name=op.f('fk_reservations_checkout_id_checkout_sessions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reservations'))
    )
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        batch_op.create_index('ix_reservations_expiry', ['expires_at'], unique=False, sqlite_where=sa.text("status = 'active'"), postgresql_where=sa.text("status = 'active'"))
        batch_op.create_index('uq_reservations_live', ['checkout_id'], unique=True, sqlite_where=sa.text("status = 'active'"), postgresql_where=sa.text("status = 'active'"))

    op.create_table('web_sessions',
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('user_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('step_up', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('mfa_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('last_seen_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_web_sessions_user_id_users')),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_web_sessions'))
    )
    with op.batch_alter_table('web_sessions', schema=None) as batch_op:
        batch_op.create_index('ix_web_sessions_user_id', ['user_id'], unique=False)

    op.create_table('delivery_attempts',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('delivery_id', sa.String(length=40), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('started_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('duration_ms', sa.Integer(), nullable=False),
    sa.Column('http_status', sa.Integer(), nullable=True),
    sa.Column('error', sa.String(), nullable=True),
    sa.Column('answer', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_delivery_attempts_delivery_id_deliveries')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery_attempts'))
    )
    with op.batch_alter_table('delivery_attempts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_delivery_attempts_delivery_id'), ['delivery_id'], unique=False)

    op.create_table('refunds',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('intent_id', sa.String(length=40), nullable=False),
    sa.Column('attempt_id', sa.String(length=40), nullable=False),
    sa.Column('checkout_id', sa.String(length=40), nullable=True),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('reason', sa.String(length=24), nullable=False),
    sa.Column('reason_text', sa.String(), nullable=True),
    sa.Column('refund_method', sa.String(length=32), nullable=False),
    sa.Column('gateway_reference', sa.String(length=128), nullable=True),
    sa.Column('failure_reason', sa.String(length=64), nullable=True),
    sa.Column('actions', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('metadata', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), 'postgresql'), nullable=False),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('next_query_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('queries', sa.Integer(), nullable=False),
    sa.Column('succeeded_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['attempt_id'], ['attempts.id'], name=op.f('fk_refunds_attempt_id_attempts')),
    sa.ForeignKeyConstraint(['intent_id'], ['payment_intents.id'], name=op.f('fk_refunds_intent_id_payment_intents')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_refunds'))
    )
    with op.batch_alter_table('refunds', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_refunds_gateway_reference'), ['gateway_reference'], unique=False)
        batch_op.create_index('ix_refunds_intent', ['intent_id', 'id'], unique=False)
        batch_op.create_index('ix_refunds_sweep', ['next_query_at'], unique=False, sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.create_index('ix_refunds_tenant', ['tenant_id', 'mode', 'id'], unique=False)

    op.create_table('sandbox_operations',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('reference', sa.String(length=40), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('status', sa.String(length=12), nullable=False),
    sa.Column('code', sa.String(length=40), nullable=True),
    sa.Column('turns_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sandbox_operations')),
    sa.UniqueConstraint('tenant_id', 'key', name=op.f('uq_sandbox_operations_tenant_id_key'))
    )
    with op.batch_alter_table('sandbox_operations', schema=None) as batch_op:
        batch_op.create_index('ix_sandbox_operations_reference', ['reference'], unique=False)

    op.create_table('sandbox_payments',
    sa.Column('reference', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('token', sa.String(length=64), nullable=False),
    sa.Column('method_type', sa.String(length=24), nullable=False),
    sa.Column('behaviour', sa.String(length=32), nullable=False),
    sa.Column('detail', sa.String(length=40), nullable=False),
    sa.Column('last4', sa.String(length=4), nullable=True),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('status', sa.String(length=20), nullable=False),
    sa.Column('captured', sa.BigInteger(), nullable=False),
    sa.Column('refunded', sa.BigInteger(), nullable=False),
    sa.Column('decline_code', sa.String(length=40), nullable=True),
    sa.Column('three_ds_result', sa.String(length=24), nullable=True),
    sa.Column('risk_score', sa.Integer(), nullable=False),
    sa.Column('cvc_given', sa.Boolean(), nullable=False),
    sa.Column('challenge_id', sa.String(length=64), nullable=True),
    sa.Column('challenge_kind', sa.String(length=12), nullable=True),
    sa.Column('challenge_tries', sa.Integer(), nullable=False),
    sa.Column('action_expires_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('return_url', sa.Text(), nullable=False),
    sa.Column('webhook_url', sa.Text(), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('reference', name=op.f('pk_sandbox_payments')),
    sa.UniqueConstraint('challenge_id', name=op.f('uq_sandbox_payments_challenge_id')),
    sa.UniqueConstraint('tenant_id', 'key', name=op.f('uq_sandbox_payments_tenant_id_key'))
    )
    op.create_table('sandbox_tokens',
    sa.Column('token', sa.String(length=64), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('type', sa.String(length=24), nullable=False),
    sa.Column('brand', sa.String(length=24), nullable=True),
    sa.Column('last4', sa.String(length=4), nullable=True),
    sa.Column('exp_month', sa.Integer(), nullable=True),
    sa.Column('exp_year', sa.Integer(), nullable=True),
    sa.Column('behaviour', sa.String(length=32), nullable=False),
    sa.Column('detail', sa.String(length=40), nullable=False),
    sa.Column('risk_score', sa.Integer(), nullable=False),
    sa.Column('cvc_given', sa.Boolean(), nullable=False),
    sa.Column('created_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('token', name=op.f('pk_sandbox_tokens'))
    )
    op.create_table('sandbox_webhooks',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('event_id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=False),
    sa.Column('mode', sa.String(length=4), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.Column('due_at', app.db.UtcDateTime(timezone=True), nullable=False),
    sa.Column('sent_at', app.db.UtcDateTime(timezone=True), nullable=True),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sandbox_webhooks'))
    )
    with op.batch_alter_table('sandbox_webhooks', schema=None) as batch_op:
        batch_op.create_index('ix_sandbox_webhooks_due', ['sent_at', 'due_at'], unique=False)
    journal_guard.install(op.get_bind())


def downgrade() -> None:
    with op.batch_alter_table('sandbox_webhooks', schema=None) as batch_op:
        batch_op.drop_index('ix_sandbox_webhooks_due')

    op.drop_table('sandbox_webhooks')
    op.drop_table('sandbox_tokens')
    op.drop_table('sandbox_payments')
    with op.batch_alter_table('sandbox_operations', schema=None) as batch_op:
        batch_op.drop_index('ix_sandbox_operations_reference')

    op.drop_table('sandbox_operations')
    with op.batch_alter_table('refunds', schema=None) as batch_op:
        batch_op.drop_index('ix_refunds_tenant')
        batch_op.drop_index('ix_refunds_sweep', sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.drop_index('ix_refunds_intent')
        batch_op.drop_index(batch_op.f('ix_refunds_gateway_reference'))

    op.drop_table('refunds')
    with op.batch_alter_table('delivery_attempts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_delivery_attempts_delivery_id'))

    op.drop_table('delivery_attempts')
    with op.batch_alter_table('web_sessions', schema=None) as batch_op:
        batch_op.drop_index('ix_web_sessions_user_id')

    op.drop_table('web_sessions')
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        batch_op.drop_index('uq_reservations_live', sqlite_where=sa.text("status = 'active'"), postgresql_where=sa.text("status = 'active'"))
        batch_op.drop_index('ix_reservations_expiry', sqlite_where=sa.text("status = 'active'"), postgresql_where=sa.text("status = 'active'"))

    op.drop_table('reservations')
    with op.batch_alter_table('recovery_codes', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_recovery_codes_user_id'))

    op.drop_table('recovery_codes')
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.drop_index('ix_deliveries_event')
        batch_op.drop_index('ix_deliveries_endpoint')
        batch_op.drop_index('ix_deliveries_due')

    op.drop_table('deliveries')
    with op.batch_alter_table('calculations', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_calculations_checkout_id'))

    op.drop_table('calculations')
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.drop_index('uq_attempts_live', sqlite_where=sa.text("status NOT IN ('declined', 'not_found', 'voided', 'auth_expired')"), postgresql_where=sa.text("status NOT IN ('declined', 'not_found', 'voided', 'auth_expired')"))
        batch_op.drop_index('ix_attempts_sweep', sqlite_where=sa.text('next_query_at IS NOT NULL'), postgresql_where=sa.text('next_query_at IS NOT NULL'))
        batch_op.drop_index(batch_op.f('ix_attempts_intent_id'))
        batch_op.drop_index(batch_op.f('ix_attempts_gateway_reference'))

    op.drop_table('attempts')
    with op.batch_alter_table('webhook_endpoints', schema=None) as batch_op:
        batch_op.drop_index('ix_webhook_endpoints_tenant')

    op.drop_table('webhook_endpoints')
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_users_tenant_id'))

    op.drop_table('users')
    with op.batch_alter_table('prices', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_prices_product_id'))

    op.drop_table('prices')
    with op.batch_alter_table('payment_methods', schema=None) as batch_op:
        batch_op.drop_index('ix_payment_methods_customer')

    op.drop_table('payment_methods')
    with op.batch_alter_table('payment_links', schema=None) as batch_op:
        batch_op.drop_index('ix_payment_links_tenant')

    op.drop_table('payment_links')
    with op.batch_alter_table('payment_intents', schema=None) as batch_op:
        batch_op.drop_index('ix_payment_intents_tenant')
        batch_op.drop_index('ix_payment_intents_status')
        batch_op.drop_index('ix_payment_intents_checkout')

    op.drop_table('payment_intents')
    with op.batch_alter_table('ledger_postings', schema=None) as batch_op:
        batch_op.drop_index('ix_ledger_postings_account')

    op.drop_table('ledger_postings')
    with op.batch_alter_table('checkout_sessions', schema=None) as batch_op:
        batch_op.drop_index('ix_checkout_sessions_tenant')
        batch_op.drop_index('ix_checkout_sessions_surface')
        batch_op.drop_index(batch_op.f('ix_checkout_sessions_payment_link_id'))
        batch_op.drop_index(batch_op.f('ix_checkout_sessions_payment_intent_id'))
        batch_op.drop_index('ix_checkout_sessions_expiry', sqlite_where=sa.text("status IN ('created', 'collecting', 'reserved')"), postgresql_where=sa.text("status IN ('created', 'collecting', 'reserved')"))

    op.drop_table('checkout_sessions')
    with op.batch_alter_table('api_keys', schema=None) as batch_op:
        batch_op.drop_index('ix_api_keys_tenant')

    op.drop_table('api_keys')
    op.drop_table('worker_heartbeats')
    op.drop_table('tenants')
    op.drop_table('tax_rates')
    op.drop_table('store_credits')
    op.drop_table('stock_items')
    op.drop_table('shipping_rates')
    with op.batch_alter_table('rate_hits', schema=None) as batch_op:
        batch_op.drop_index('ix_rate_hits_bucket')

    op.drop_table('rate_hits')
    op.drop_table('provider_events')
    with op.batch_alter_table('products', schema=None) as batch_op:
        batch_op.drop_index('ix_products_tenant')

    op.drop_table('products')
    op.drop_table('orders')
    with op.batch_alter_table('ledger_transactions', schema=None) as batch_op:
        batch_op.drop_index('ix_ledger_transactions_tenant')
        batch_op.drop_index(batch_op.f('ix_ledger_transactions_payment_intent_id'))

    op.drop_table('ledger_transactions')
    with op.batch_alter_table('journal', schema=None) as batch_op:
        batch_op.drop_index('uq_journal_chain')
        batch_op.drop_index('ix_journal_unsealed', sqlite_where=sa.text('sequence IS NULL'), postgresql_where=sa.text('sequence IS NULL'))
        batch_op.drop_index('ix_journal_type')
        batch_op.drop_index('ix_journal_payment')
        batch_op.drop_index('ix_journal_entity')
        batch_op.drop_index('ix_journal_checkout')

    op.drop_table('journal')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('ix_jobs_tenant')
        batch_op.drop_index('ix_jobs_due')

    op.drop_table('jobs')
    with op.batch_alter_table('idempotency_records', schema=None) as batch_op:
        batch_op.drop_index('ix_idempotency_records_created_at')

    op.drop_table('idempotency_records')
    op.drop_table('gift_cards')
    op.drop_table('coupons')
    op.drop_table('carts')
