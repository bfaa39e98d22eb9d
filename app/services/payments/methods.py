"""Payment methods: tokens made from a card form or for a redirect method, and their look-up."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.connectors.base import CardDetails, MethodToken, TokenRefused
from app.connectors.tokens import CardToken
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.decline_codes import describe
from app.domain.errors import NotFound, Unprocessable
from app.kit import clock
from app.kit.ids import new_id
from app.models.events.journal import record
from app.models.payments.method import PaymentMethod
from app.services.payments import gateway

#: What the shopper reads when the vault refuses a field.
REFUSALS = {
    "incorrect_number": "Check the card number and type it again",
    "test_card_required": "Use one of the test card numbers: this page takes no real cards",
    "invalid_expiry_month": "Enter a month from 1 to 12",
    "invalid_expiry": "Enter an expiry date in the future",
    "invalid_cvc": "Enter the security code, the 3 or 4 digits on your card",
}


def tokenize_card(
    actor: Actor, card: CardDetails, *, customer_id: str | None = None, consent: bool = False
) -> PaymentMethod:
    """Keep a card at its gateway and remember what may be shown of it.

    Raises:
        Unprocessable: with the form field that the shopper should mend.
    """
    try:
        connector, token = gateway.tokenize_card(actor, card)
    except TokenRefused as refused:
        raise Unprocessable(
            REFUSALS.get(refused.code, describe(refused.code).shopper_text),
            code=refused.code,
            field=refused.field_name,
        ) from refused
    return _keep(actor, connector, token, customer_id, consent)


def redirect(actor: Actor, method_type: str) -> PaymentMethod:
    """A one-off method of a redirect or QR type.

    Raises:
        Unprocessable: nobody here takes it.
    """
    connector, token = gateway.tokenize_redirect(actor, method_type)
    return _keep(actor, connector, token, None, consent=False)


def get(actor: Actor, method_id: str) -> PaymentMethod:
    """One method of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    statement = select(PaymentMethod).where(
        PaymentMethod.id == method_id,
        PaymentMethod.tenant_id == actor.tenant_id,
        PaymentMethod.mode == actor.mode,
    )
    with reading() as db:
        found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Payment method not found", code="payment_method_not_found")
    return found


def _traits(token: MethodToken) -> dict[str, Any]:
    """What the vault tells of a card for the risk rules."""
    if not isinstance(token, CardToken):
        return {}
    return {
        "country": token.country,
        "fingerprint": token.fingerprint,
        "prefix_hash": token.prefix_hash,
        "gateway_risk": token.risk,
    }


def _keep(
    actor: Actor, connector: str, token: MethodToken, customer_id: str | None, consent: bool
) -> PaymentMethod:
    method = PaymentMethod(
        id=new_id("pm"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        type=token.type,
        connector=connector,
        connector_id=token.connector_id,
        token=token.token,
        brand=token.brand,
        last4=token.last4,
        exp_month=token.exp_month,
        exp_year=token.exp_year,
        **_traits(token),
        customer_id=customer_id,
        consent=consent,
        consented_at=clock.now() if consent else None,
        reusable=consent and customer_id is not None,
    )
    with transaction(actor) as db:
        db.add(method)
        record(
            db,
            "payment_method.created",
            tenant_id=actor.tenant_id,
            mode=str(actor.mode),
            entity="payment_method",
            entity_id=method.id,
            cause="tokenized",
            after={"id": method.id, "type": method.type, "brand": method.brand, "last4": method.last4},
        )
    return method
