"""Everything that is stored; importing this package makes `Base.metadata` whole."""

from app.models.access import api_key, role, tenant, user
from app.models.base import Base
from app.models.catalogue import (
    cart,
    credit_note,
    product,
    promotion,
    receipt,
    shipping,
    stock,
    stored_value,
    tax,
)
from app.models.checkout import (
    calculation,
    finalization,
    order,
    payment_link,
    reservation,
    session,
    wallet_hold,
)
from app.models.events import delivery, journal, provider_event, webhook_endpoint
from app.models.ledger import balance, posting
from app.models.operations import (
    alert,
    examination,
    export,
    heartbeat,
    idempotency,
    job,
    job_item,
    rate_window,
)
from app.models.payments import attempt, connector, dispute, intent, method, refund, upload, verification
from app.models.risk import fraud_decision, kyc, review, velocity_counter
from app.models.treasury import payout, reconciliation, settlement

__all__ = [
    "Base",
    "alert",
    "api_key",
    "attempt",
    "balance",
    "calculation",
    "cart",
    "connector",
    "credit_note",
    "delivery",
    "dispute",
    "examination",
    "export",
    "finalization",
    "fraud_decision",
    "heartbeat",
    "idempotency",
    "intent",
    "job",
    "job_item",
    "journal",
    "kyc",
    "method",
    "order",
    "payment_link",
    "payout",
    "posting",
    "product",
    "promotion",
    "provider_event",
    "rate_window",
    "receipt",
    "reconciliation",
    "refund",
    "reservation",
    "review",
    "role",
    "session",
    "settlement",
    "shipping",
    "stock",
    "stored_value",
    "tax",
    "tenant",
    "upload",
    "user",
    "velocity_counter",
    "verification",
    "wallet_hold",
    "webhook_endpoint",
]
