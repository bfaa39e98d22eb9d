"""Facts for tests of the journal and of webhooks."""

from __future__ import annotations

from typing import Any

from app.db import transaction
from app.models.events.journal import record


def tell(
    tenant_id: str,
    type_: str = "payment.succeeded",
    *,
    count: int = 1,
    mode: str = "test",
    after: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
) -> list[str]:
    """Put facts on the journal; their event ids."""
    with transaction() as db:
        return [
            record(
                db,
                type_,
                tenant_id=tenant_id,
                mode=mode,
                entity="payment_intent",
                entity_id=f"pi_{number}",
                payment_intent_id=f"pi_{number}",
                checkout_id=f"chk_{number}",
                cause="test",
                before=before,
                after=after or {"id": f"pi_{number}", "amount": 1250, "status": "succeeded"},
            )
            for number in range(count)
        ]
