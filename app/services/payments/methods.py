"""Payment methods: made from details, from a client's token or for a redirect method, and looked up again.

Contract: PY-001, PY-003, OP-37. What a customer keeps, and how that changes, is saved_methods.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from app.connectors.base import CardDetails, MethodToken, TokenRefused
from app.connectors.tokens import CardToken
from app.connectors.vaulting import ClientToken, MethodDetails, WalletDetails
from app.db import Lookup, reading, transaction
from app.domain.actor import Actor, ActorKind
from app.domain.decline_codes import describe
from app.domain.errors import NotFound, Unprocessable
from app.domain.lifecycles import methods as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.reading import Reader
from app.services.payments import vault

#: What is read when the vault refuses a field.
REFUSALS = {
    "incorrect_number": "Check the card number and type it again",
    "test_card_required": "Use one of the test card numbers: this page takes no real cards",
    "invalid_expiry_month": "Enter a month from 1 to 12",
    "invalid_expiry": "Enter an expiry date in the future",
    "invalid_cvc": "Enter the security code, the 3 or 4 digits on your card",
    "test_account_required": "Use one of the test accounts: real ones are not taken here",
    "payment_method_not_supported": "This payment method is not available",
    "token_expired": "This token has expired; ask the customer for the details again",
}


@dataclass(frozen=True, slots=True)
class MethodDraft:
    """What a method is made from: a client's token or details, and at which field of the request they are.

    `consent` is the customer's: with it the method may be used again, without it for one payment (OP-37).
    `save` says that it is meant to be kept, which needs consent.
    """

    source: str | MethodDetails
    place: str = ""
    type: str | None = None
    customer_id: str | None = None
    consent: bool | None = None
    save: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


def create(actor: Actor, draft: MethodDraft) -> PaymentMethod:
    """Make a method (PY-001). A token makes one method, however often and by whomever it is sent.

    Raises:
        NotFound: no such token.
        Unprocessable: `consent_required`, `token_already_used`, `payment_method_type_mismatch`, or a
            refusal of the gateway's vault, with the field.
    """
    if draft.save and not draft.consent:
        raise consent_required()
    token = draft.source if isinstance(draft.source, str) else None
    if token is not None and _of_token(actor, token) is not None:
        raise _already_used(draft.place)
    try:
        connector, found = (
            vault.redeem(actor, draft.source)
            if isinstance(draft.source, str)
            else vault.tokenize(actor, draft.source)
        )
    except TokenRefused as refused:
        raise _refusal(refused, draft.place) from refused
    if draft.type not in (None, found.type):
        raise Unprocessable(
            f"The token stands for {found.type}", code="payment_method_type_mismatch", field="type"
        )
    try:
        return _keep(
            actor,
            connector,
            found,
            customer_id=draft.customer_id,
            consent=bool(draft.consent),
            metadata=draft.metadata,
            source_token=token,
        )
    except IntegrityError as error:  # another request has just used the token
        raise _already_used(draft.place) from error


def issue_token(actor: Actor, details: MethodDetails, place: str = "") -> ClientToken:
    """Give a browser a token for details that it typed; in test mode alone.

    Raises:
        Unprocessable: the details are not good, or nobody here takes them.
    """
    try:
        return vault.issue_client_token(actor, details)
    except TokenRefused as refused:
        raise _refusal(refused, place) from refused


def tokenize_card(
    actor: Actor, card: CardDetails, *, customer_id: str | None = None, consent: bool = False
) -> PaymentMethod:
    """Keep a card at its gateway and remember what may be shown of it.

    Raises:
        Unprocessable: with the form field that the shopper should mend.
    """
    try:
        connector, token = vault.tokenize(actor, card)
    except TokenRefused as refused:
        raise _refusal(refused, "") from refused
    return _keep(actor, connector, token, customer_id=customer_id, consent=consent)


def framed(actor: Actor, token: str, *, customer_id: str | None = None) -> PaymentMethod:
    """The method of a token that a gateway's frames on our page made; kept for a customer who agreed to it.

    A token makes one method, however often it is sent: a second click finds it.

    Raises:
        Unprocessable: `card_not_read`: no connector of the merchant knows the token, or it was used.
    """
    for _ in range(2):
        known = _of_token(actor, token)
        if known is not None:
            return known
        try:
            connector, found = vault.redeem_framed(actor, token, keep=customer_id is not None)
            return _keep(
                actor,
                connector,
                found,
                customer_id=customer_id,
                consent=customer_id is not None,
                source_token=token,
            )
        except TokenRefused as refused:
            raise Unprocessable("Enter your card again", code="card_not_read", field="card") from refused
        except IntegrityError:  # another request has just kept it
            continue
    raise AssertionError("a token that is taken has its method")


def redirect(actor: Actor, method_type: str) -> PaymentMethod:
    """A one-off method of a redirect or QR type.

    Raises:
        Unprocessable: nobody here takes it.
    """
    try:
        connector, token = vault.tokenize(actor, WalletDetails(method_type))
    except TokenRefused as refused:
        raise _refusal(refused, "") from refused
    return _keep(actor, connector, token)


#: Made once: every confirm looks its method up.
_ONE = Reader(PaymentMethod)
_GET = Lookup(
    select(*_ONE.columns).where(
        PaymentMethod.id == bindparam("id"),
        PaymentMethod.tenant_id == bindparam("tenant_id"),
        PaymentMethod.mode == bindparam("mode"),
    )
)


def get(actor: Actor, method_id: str) -> PaymentMethod:
    """One method of this merchant and mode; of those that are kept, a browser sees its payment's alone.

    Raises:
        NotFound: there is none, or it is another's.
    """
    row = _GET.one({"id": method_id, "tenant_id": actor.tenant_id, "mode": str(actor.mode)})
    return seen_by(actor, None if row is None else _ONE.take(row)[0])


def seen_by(actor: Actor, found: PaymentMethod | None) -> PaymentMethod:
    """A method of this merchant and mode that was looked up; see `get`."""
    if found is None or not _may_see(actor, found):
        raise NotFound("Payment method not found", code="payment_method_not_found")
    return found


def usable(actor: Actor, method_id: str) -> PaymentMethod:
    """One method that may be paid with.

    Raises:
        NotFound: see `get`.
        Unprocessable: it was revoked.
    """
    method = get(actor, method_id)
    if method.status != lifecycle.Status.ACTIVE:
        raise revoked()
    return method


def revoked() -> Unprocessable:
    """The refusal of a method that was revoked."""
    return Unprocessable("This payment method was revoked", code="payment_method_revoked")


def consent_required() -> Unprocessable:
    """The refusal to keep a method without the customer's consent."""
    return Unprocessable(
        "Keeping a payment method needs the customer's consent", code="consent_required", field="consent"
    )


def _may_see(actor: Actor, method: PaymentMethod) -> bool:
    """A client token pays with what nobody keeps, and with what its server chose for its payment.

    It may name its customer itself, so that a customer's id opens nothing.
    """
    kept = method.reusable or method.customer_id is not None
    if actor.kind != ActorKind.CLIENT_TOKEN or not kept:
        return True
    chosen = (
        select(PaymentIntent.id)
        .join(
            CheckoutSession,
            CheckoutSession.payment_intent_id.in_((PaymentIntent.id, PaymentIntent.parent_intent_id)),
        )
        .where(
            CheckoutSession.id == actor.session_id,
            PaymentIntent.checkout_id == actor.session_id,
            PaymentIntent.payment_method_id == method.id,
        )
    )
    with reading() as db:
        return db.scalar(chosen) is not None


def _of_token(actor: Actor, token: str) -> PaymentMethod | None:
    """The method that a client's token has made."""
    statement = select(PaymentMethod).where(
        PaymentMethod.tenant_id == actor.tenant_id,
        PaymentMethod.mode == actor.mode,
        PaymentMethod.source_token == token,
    )
    with reading() as db:
        return db.scalars(statement).one_or_none()


def _already_used(place: str) -> Unprocessable:
    return Unprocessable(
        "This token has made its payment method already", code="token_already_used", field=place or None
    )


def _refusal(refused: TokenRefused, place: str) -> NotFound | Unprocessable:
    """What a caller reads of a refusal; `place` is where its request has the details."""
    if refused.code == "token_not_found":
        return NotFound("There is no such token", code=refused.code, field=place or None)
    name = refused.field_name
    if place:
        name = place if name in ("token", "method") else f"{place}.{name.removeprefix('card_')}"
    words = REFUSALS.get(refused.code, describe(refused.code).shopper_text)
    return Unprocessable(words, code=refused.code, field=name)


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
    actor: Actor,
    connector: str,
    token: MethodToken,
    *,
    customer_id: str | None = None,
    consent: bool = False,
    metadata: dict[str, Any] | None = None,
    source_token: str | None = None,
) -> PaymentMethod:
    method = PaymentMethod(
        id=new_id("pm"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        type=token.type,
        connector=connector,
        connector_id=token.connector_id,
        token=token.token,
        source_token=source_token,
        brand=token.brand,
        last4=token.last4,
        exp_month=token.exp_month,
        exp_year=token.exp_year,
        **_traits(token),
        customer_id=customer_id,
        consent=consent,
        consented_at=clock.now() if consent else None,
        reusable=consent,
        metadata_=metadata or {},
    )
    with transaction(actor) as db:
        db.add(method)
        method.begin(cause="tokenized")
    return method
