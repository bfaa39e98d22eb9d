"""The sandbox's vault: turns the published test numbers into random tokens, and refuses every other one."""

from __future__ import annotations

from sqlalchemy import bindparam, insert, select

from app import settings
from app.connectors.base import CardDetails, ConnectorContext, MethodToken, TokenRefused
from app.connectors.sandbox import banks, book
from app.connectors.sandbox.book import Row
from app.connectors.sandbox.cards import BY_NUMBER, Behaviour
from app.connectors.tokens import CardToken
from app.connectors.vaulting import BankDetails
from app.db import Lookup, transaction
from app.domain.rules import cards as rules
from app.kit import clock
from app.kit.crypto import keyed_hash
from app.kit.ids import random_token

#: Methods that go by a bank page or a QR code.
REDIRECT_TYPES = frozenset(
    {
        "paypal",
        "ideal",
        "bancontact",
        "klarna",
        "buy_now_pay_later",
        "bank_transfer",
        "promptpay",
        "apple_pay",
        "google_pay",
    }
)


def keep_card(context: ConnectorContext, card: CardDetails) -> MethodToken:
    """Keep a test card as a token.

    Raises:
        TokenRefused: not a test number, a date in the past, or a security code of the wrong length.
    """
    number = rules.digits_of(card.number)
    known = BY_NUMBER.get(number)
    if known is None or known.behaviour == Behaviour.REFUSE:
        possible = 12 <= len(number) <= 19 and rules.passes_luhn(number)
        code = "test_card_required" if possible else "incorrect_number"
        raise TokenRefused(code, "card_number")
    year, today = rules.full_year(card.exp_year), clock.now()
    if not 1 <= card.exp_month <= 12:
        raise TokenRefused("invalid_expiry_month", "exp_month")
    if (year, card.exp_month) < (today.year, today.month) or year > today.year + 50:
        raise TokenRefused("invalid_expiry", "exp_year")
    brand = rules.brand_of(number)
    if card.cvc is not None and not _good_cvc(card.cvc, brand):
        raise TokenRefused("invalid_cvc", "cvc")
    token = CardToken(
        "sbtok_" + random_token(),
        "card",
        brand,
        number[-4:],
        card.exp_month,
        year,
        country=known.country,
        fingerprint=_keyed(context, "card", number),
        prefix_hash=_keyed(context, "prefix", number[:6]),
        risk=known.risk_score,
    )
    _write(context, token, known.behaviour, known.detail, known.risk_score, bool(card.cvc))
    return token


def keep_redirect(context: ConnectorContext, method_type: str) -> MethodToken:
    """Make a token for one payment by a redirect or QR method.

    Raises:
        TokenRefused: the sandbox does not simulate this method.
    """
    if method_type not in REDIRECT_TYPES:
        raise TokenRefused("payment_method_not_supported", "method")
    token = MethodToken("sbtok_" + random_token(), method_type)
    _write(context, token, Behaviour.APPROVE, "", 12, cvc_given=False)
    return token


def keep_account(context: ConnectorContext, account: BankDetails) -> MethodToken:
    """Keep a test account as a token.

    Raises:
        TokenRefused: not one of the published test accounts.
    """
    known = banks.find(account)
    token = MethodToken("sbtok_" + random_token(), account.type, last4=known.number[-4:])
    _write(context, token, known.behaviour, known.detail, 12, cvc_given=False)
    return token


def token_of(row: Row) -> MethodToken:
    """What was answered when this row of the book was written."""
    shown = (row["token"], row["type"], row["brand"], row["last4"], row["exp_month"], row["exp_year"])
    if row["type"] != "card":
        return MethodToken(*shown)
    return CardToken(
        *shown,
        country=row["country"],
        fingerprint=row["fingerprint"],
        prefix_hash=row["prefix_hash"],
        risk=row["risk_score"],
    )


#: Made once: each payment looks for its token.
_FIND = Lookup(
    select(book.tokens).where(
        book.tokens.c.token == bindparam("token"),
        book.tokens.c.tenant_id == bindparam("tenant_id"),
        book.tokens.c.mode == bindparam("mode"),
    )
)


def find(context: ConnectorContext, token: str) -> Row | None:
    """What the token stands for."""
    found = _FIND.one({"token": token, "tenant_id": context.tenant_id, "mode": context.mode})
    return found._asdict() if found is not None else None


def _keyed(context: ConnectorContext, what: str, digits: str) -> str:
    """The same card gives the same hash, to one merchant in one mode; without our key it says nothing."""
    return keyed_hash(f"{what}|{context.tenant_id}|{context.mode}|{digits}", settings.current().signing_key)


def _good_cvc(cvc: str, brand: str) -> bool:
    return cvc.isascii() and cvc.isdigit() and len(cvc) in ((3, 4) if brand == "AMEX" else (3,))


def _write(
    context: ConnectorContext,
    token: MethodToken,
    behaviour: Behaviour,
    detail: str,
    risk_score: int,
    cvc_given: bool,
) -> None:
    row = {
        "token": token.token,
        "tenant_id": context.tenant_id,
        "mode": context.mode,
        "type": token.type,
        "brand": token.brand,
        "last4": token.last4,
        "exp_month": token.exp_month,
        "exp_year": token.exp_year,
        **{name: getattr(token, name, None) for name in ("country", "fingerprint", "prefix_hash")},
        "behaviour": str(behaviour),
        "detail": detail,
        "risk_score": risk_score,
        "cvc_given": cvc_given,
        "created_at": clock.now(),
    }
    with transaction() as db:
        db.execute(insert(book.tokens), row)
