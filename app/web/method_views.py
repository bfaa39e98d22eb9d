"""How a payment method looks in JSON (contract/payments.md 2.3); no number, no token of a gateway."""

from __future__ import annotations

from typing import Any

from app.models.payments.method import PaymentMethod
from app.web.schemas import Instant, View

#: What the contract calls the vault of our own sandbox.
_OUR_VAULT = {"sandbox": "our_vault"}


class MethodView(View):
    """A payment method."""

    id: str
    payment_method_id: str
    type: str
    status: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    customer_id: str | None
    merchant_account_id: str | None
    vault_provider: str
    consent: bool
    consented_at: Instant | None
    reusable: bool
    is_default: bool
    metadata: dict[str, Any]
    verified_at: Instant | None
    revoked_at: Instant | None
    livemode: bool
    version: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: PaymentMethod) -> MethodView:
        """The view of a row."""
        return cls.model_construct(
            id=row.id,
            payment_method_id=row.id,
            type=row.type,
            status=row.status,
            brand=row.brand,
            last4=row.last4,
            exp_month=row.exp_month,
            exp_year=row.exp_year,
            customer_id=row.customer_id,
            merchant_account_id=row.merchant_account_id,
            vault_provider=_OUR_VAULT.get(row.connector, row.connector),
            consent=row.consent,
            consented_at=row.consented_at,
            reusable=row.reusable,
            is_default=row.is_default,
            metadata=row.metadata_,
            verified_at=row.verified_at,
            revoked_at=row.revoked_at,
            livemode=row.mode == "live",
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
