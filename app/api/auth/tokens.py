"""POST /v1/auth/token: an API key or a person's password for a JWT of ten minutes (OP-05, decision 8)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.auth.surface import surface
from app.domain.actor import Actor, ActorKind
from app.domain.errors import InvalidRequest, Unauthenticated
from app.services.access import keys, tokens, users
from app.web.authentication import client_address
from app.web.schemas import Body, View
from app.web.surface import PUBLIC, Idempotency


class TokenAsk(Body):
    """`client_credentials` takes an API key, `password` a dashboard user; names of RFC 6749."""

    grant_type: Literal["client_credentials", "password"]
    client_secret: str | None = Field(None, max_length=128)
    username: str | None = Field(None, max_length=254)
    password: str | None = Field(None, max_length=128)
    otp: str | None = Field(None, max_length=40)
    mode: Literal["test", "live"] = "test"


class TokenView(View):
    """A bearer token; it cannot be renewed, only asked for again."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = tokens.JWT_SECONDS


@surface.post(
    "/token",
    "OP-05",
    body=TokenAsk,
    returns=TokenView,
    auth=PUBLIC,
    idempotency=Idempotency.NONE,
    card_fields=("password",),  # it is compared and kept nowhere, whatever it looks like
)
def create(body: TokenAsk) -> TokenView:
    """Exchange an API key or a password for a short-lived token."""
    actor = _machine(body) if body.grant_type == "client_credentials" else _person(body)
    return TokenView(access_token=tokens.mint_jwt(actor))


def _machine(body: TokenAsk) -> Actor:
    actor = keys.authenticate(_given(body.client_secret, "client_secret"))
    if actor.kind != ActorKind.API_KEY:
        raise Unauthenticated("A publishable key gets no token")
    return actor


def _person(body: TokenAsk) -> Actor:
    step = users.check_password(
        _given(body.username, "username"), _given(body.password, "password"), client_address()
    )
    if step.needs_otp:
        if body.otp is None:
            raise Unauthenticated("Send the code of your second factor", code="otp_required", field="otp")
        users.check_second_factor(step.user_id, body.otp)
        users.note_sign_in(step.user_id)
    return tokens.person(step.user_id, body.mode)


def _given(value: str | None, name: str) -> str:
    if value is None:
        raise InvalidRequest(f"{name} is required", code="missing_field", field=name)
    return value
