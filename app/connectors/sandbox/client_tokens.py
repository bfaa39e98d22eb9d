"""Tokens that the sandbox gives to browsers for what its vault keeps; each waits an hour for its server."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, select

from app.connectors.base import CardDetails, ConnectorContext, MethodToken, TokenRefused
from app.connectors.sandbox import book, vault
from app.connectors.vaulting import BankDetails, ClientToken, MethodDetails
from app.db import reading, transaction
from app.kit import clock
from app.kit.ids import random_token

LIFE = timedelta(hours=1)


def issue(context: ConnectorContext, details: MethodDetails) -> ClientToken:
    """Keep the details and give a token for them.

    Raises:
        TokenRefused: the vault does not take them.
    """
    if isinstance(details, CardDetails):
        method = vault.keep_card(context, details)
    elif isinstance(details, BankDetails):
        method = vault.keep_account(context, details)
    else:
        method = vault.keep_redirect(context, details.type)
    issued = ClientToken("tok_" + random_token(), method, clock.now() + LIFE)
    row = {
        "client_token": issued.token,
        "token": method.token,
        "expires_at": issued.expires_at,
        "created_at": clock.now(),
    }
    with transaction() as db:
        db.execute(insert(book.client_tokens), row)
    return issued


def redeem(context: ConnectorContext, client_token: str) -> MethodToken:
    """What a token stands for.

    Raises:
        TokenRefused: it is nobody's or another merchant's, or has expired.
    """
    given = book.client_tokens.c
    statement = select(given.token, given.expires_at).where(given.client_token == client_token)
    with reading() as db:
        row = db.execute(statement).one_or_none()
    kept = vault.find(context, row.token) if row is not None else None
    if row is None or kept is None:
        raise TokenRefused("token_not_found", "token")
    if row.expires_at <= clock.now():
        raise TokenRefused("token_expired", "token")
    return vault.token_of(kept)
