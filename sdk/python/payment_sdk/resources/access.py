"""`client.keys`, `client.auth`, `client.mfa`: API keys, tokens and the second factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from payment_sdk import _operations as op
from payment_sdk._operations import Auth
from payment_sdk.errors import ConfigurationError
from payment_sdk.models.access import ApiKey, MfaToken, RolledKey, Token
from payment_sdk.pages import Page
from payment_sdk.resources.base import Resource, given

_LIST = op.get("PY-070", "/v1/payments/keys")
_CREATE = op.post("PY-071", "/v1/payments/keys")
_REVOKE = op.delete("PY-072", "/v1/payments/keys/{key_id}")
_ROLL = op.post("OP-06-roll", "/v1/payments/keys/{key_id}/roll")
_TAKE_OVER = op.post("OP-06-take-over", "/v1/payments/keys/{key_id}/take-over", auth=Auth.TOKEN)
_END = op.post("OP-05-revoke", "/v1/auth/revoke", auth=Auth.NONE, keyed=False)
_TOKEN = op.post("OP-05", "/v1/auth/token", auth=Auth.NONE, keyed=False)
_VERIFY = op.post("OP-08-verify", "/api/v1/mfa/verify", auth=Auth.TOKEN, keyed=False)

TokenKind = Literal["access_token", "refresh_token"]


class Keys(Resource):
    """API keys; a key manages others when it has the scope `api_keys.manage`."""

    def create(
        self,
        *,
        name: str,
        type: Literal["secret", "publishable"] = "secret",  # noqa: A002 - the API's word
        scopes: Sequence[str] | None = None,
        expires_in: str | None = None,
        idempotency_key: str | None = None,
    ) -> ApiKey:
        """Make a key of the same mode; `expires_in` as in `30d`. The answer alone has `key`: keep it.

        Where an answer was lost and the call repeated, `key` is None: revoke that key and make another.
        """
        body = given(
            name=name,
            type=type,
            scopes=list(scopes) if scopes is not None else None,
            expires_in=expires_in,
        )
        return self._one(_CREATE, ApiKey, body=body, key=idempotency_key)

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[ApiKey]:
        """The merchant's keys in this mode."""
        return self._page(_LIST, ApiKey, query=given(limit=limit, cursor=cursor))

    def roll(
        self,
        key_id: str,
        *,
        overlap: str | None = None,
        expires_in: str | None = None,
        idempotency_key: str | None = None,
    ) -> RolledKey:
        """Make a key in place of another, which works on for `overlap`, a day unless it is said.

        The answer alone has `key`: keep it.
        """
        body = given(overlap=overlap, expires_in=expires_in)
        return self._one(_ROLL, RolledKey, _ROLL.at(key_id=key_id), body=body, key=idempotency_key)

    def take_over(self, key_id: str, *, idempotency_key: str | None = None) -> ApiKey:
        """Answer for a key from now on; it takes a person's access token."""
        return self._one(_TAKE_OVER, ApiKey, _TAKE_OVER.at(key_id=key_id), key=idempotency_key)

    def revoke(self, key_id: str, *, idempotency_key: str | None = None) -> None:
        """End a key; it works no more from now on."""
        self._nothing(_REVOKE, _REVOKE.at(key_id=key_id), key=idempotency_key)


class Tokens(Resource):
    """Bearer tokens of ten minutes."""

    def token(self) -> Token:
        """A machine's token for this client's API key; it never stands for a person."""
        key = self._caller.settings.api_key
        if key is None:
            raise ConfigurationError("Only a client with an api_key can ask for a machine's token")
        body = {"grant_type": "client_credentials", "client_secret": key.reveal()}
        return self._one(_TOKEN, Token, body=body)

    def sign_in(
        self, username: str, password: str, *, otp: str | None = None, mode: Literal["test", "live"] = "test"
    ) -> Token:
        """A person's token, for `client.with_options(access_token=…)`."""
        body = given(grant_type="password", username=username, password=password, otp=otp, mode=mode)
        return self._one(_TOKEN, Token, body=body)

    def refresh(self, refresh_token: str) -> Token:
        """The next token of a person, and the next refresh token: each works once, a second use ends all.

        So it is not repeated where an answer was lost; sign in again then.
        """
        body = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._one(_TOKEN, Token, body=body)

    def revoke(self, token: str, *, token_type_hint: TokenKind | None = None) -> None:
        """End a person's sign-in, by its access or refresh token."""
        self._nothing(_END, _END.path, body=given(token=token, token_type_hint=token_type_hint))


class Mfa(Resource):
    """The second factor of a person whose access token the client has."""

    def verify(self, challenge_id: str, code: str) -> MfaToken:
        """Answer the challenge of an `MFARequiredError`; then `client.with_options(mfa_token=…)`."""
        return self._one(_VERIFY, MfaToken, body={"challengeId": challenge_id, "code": code})
