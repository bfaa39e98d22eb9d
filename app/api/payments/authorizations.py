"""PY-018 to PY-021: authorisations by their own id, and charges."""

from __future__ import annotations

from app.api.payments.intents import Capture
from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.checkout import payments
from app.services.payments import charges
from app.services.payments.attempts import nonce_of
from app.web.charge_views import AuthorizationView, CaptureView, ChargeView
from app.web.schemas import Nothing
from app.web.surface import Idempotency


@surface.get("/authorizations/{auth_id}", "PY-018", returns=AuthorizationView, permission="intents:read")
def get(actor: Actor, auth_id: str) -> AuthorizationView:
    """Read an authorisation."""
    return AuthorizationView.of(charges.of_authorization(actor, auth_id))


@surface.post(
    "/authorizations/{auth_id}/capture",
    "PY-019",
    body=Capture,
    returns=CaptureView,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
    key_required=True,
)
def capture(actor: Actor, auth_id: str, body: Capture, idempotency_key: str | None) -> CaptureView:
    """Capture this authorisation, or part of it, which is final and releases the rest."""
    charge = charges.of_authorization(actor, auth_id)
    nonce = nonce_of(idempotency_key)
    payments.capture(actor, charge.intent_id, body.amount, nonce=nonce, attempt_id=charge.id)
    return CaptureView.of(charges.get(actor, charge.id))


@surface.post(
    "/authorizations/{auth_id}/void",
    "PY-020",
    body=Nothing,
    returns=AuthorizationView,
    permission="intents:write",
    idempotency=Idempotency.LEASED,
)
def void(actor: Actor, auth_id: str, body: Nothing) -> AuthorizationView:
    """Void a pre-authorisation; its intent is canceled with it."""
    charge = charges.of_authorization(actor, auth_id)
    payments.cancel(actor, charge.intent_id, "user_cancel", attempt_id=charge.id)
    return AuthorizationView.of(charges.get(actor, charge.id))


@surface.get("/charges/{charge_id}", "PY-021", returns=ChargeView, permission="intents:read")
def get_charge(actor: Actor, charge_id: str) -> ChargeView:
    """Read a charge: gateway id, network response code, reconciliation reference."""
    return ChargeView.of(charges.get(actor, charge_id))
