"""POST /v1/auth/token and /v1/auth/revoke: credentials for a JWT of ten minutes (OP-05, decision 8)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.auth.surface import surface
from app.domain.actor import ActorKind
from app.domain.errors import InvalidRequest, Unauthenticated
from app.kit import clock
from app.services.access import keys, refresh_tokens, tokens, users
from app.services.access.refresh_tokens import Granted
from app.web import agents
from app.web.authentication import client_address
from app.web.schemas import Body, View
from app.web.surface import PUBLIC, Idempotency


class TokenAsk(Body):
    """`client_credentials` takes an API key, `password` a dashboard user, `refresh_token` what that gave."""

    grant_type: Literal["client_credentials", "password", "refresh_token"]
    client_secret: str | None = Field(None, max_length=128)
    username: str | None = Field(None, max_length=254)
    password: str | None = Field(None, max_length=128)
    otp: str | None = Field(None, max_length=40)
    mode: Literal["test", "live"] = "test"
    refresh_token: str | None = Field(None, max_length=128)


class TokenView(View):
    """A bearer token; for people with a refresh token, which works once and gives the next."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = tokens.JWT_SECONDS
    refresh_token: str | None = None
    refresh_expires_in: int | None = None


class Revocation(Body):
    """A refresh token, or an access token of a person; names of RFC 7009."""

    token: str = Field(min_length=1, max_length=4096)
    token_type_hint: Literal["access_token", "refresh_token"] | None = None


class Revoked(View):
    """The same whether there was something to end or not."""

    revoked: Literal[True] = True


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
    """Exchange an API key, a password or a refresh token for a short-lived token."""
    if body.grant_type == "client_credentials":
        return _machine(_given(body.client_secret, "client_secret"))
    if body.grant_type == "password":
        return _view(_person(body))
    return _view(refresh_tokens.rotate(_given(body.refresh_token, "refresh_token")))


@surface.post(
    "/revoke",
    "OP-05-revoke",
    body=Revocation,
    returns=Revoked,
    auth=PUBLIC,
    idempotency=Idempotency.NONE,
)
def revoke(body: Revocation) -> Revoked:
    """End a sign-in: its refresh token and every access token that came of it."""
    refresh_tokens.revoke(body.token)
    return Revoked()


def _machine(secret: str) -> TokenView:
    actor = keys.authenticate(secret)
    if actor.kind != ActorKind.API_KEY:
        raise Unauthenticated("A publishable key gets no token")
    return TokenView(access_token=tokens.mint_jwt(actor))


def _person(body: TokenAsk) -> Granted:
    step = users.check_password(
        _given(body.username, "username"), _given(body.password, "password"), client_address()
    )
    if step.needs_otp:
        if body.otp is None:
            raise Unauthenticated("Send the code of your second factor", code="otp_required", field="otp")
        users.check_second_factor(step.user_id, body.otp)
        users.note_sign_in(step.user_id)
    return refresh_tokens.begin(step.user_id, body.mode, **agents.caller())


def _view(granted: Granted) -> TokenView:
    left = int((granted.expires_at - clock.now()).total_seconds())
    return TokenView(
        access_token=granted.access_token,
        refresh_token=granted.refresh_token,
        refresh_expires_in=max(left, 0),
    )


def _given(value: str | None, name: str) -> str:
    if value is None:
        raise InvalidRequest(f"{name} is required", code="missing_field", field=name)
    return value
