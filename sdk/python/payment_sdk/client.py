"""The client: credentials and manners once, and every noun of the API as an attribute."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from payment_sdk._caller import Caller, Settings
from payment_sdk._limiter import Limiter, RateLimits
from payment_sdk._operations import Operation
from payment_sdk._secrets import Secret
from payment_sdk.errors import ConfigurationError
from payment_sdk.resources.access import Keys, Mfa, Tokens
from payment_sdk.resources.checkout import Checkout
from payment_sdk.resources.links import Links
from payment_sdk.resources.orders import Orders
from payment_sdk.resources.payments import Payments
from payment_sdk.resources.sessions import HostedSessions
from payment_sdk.resources.webhooks import Webhooks
from payment_sdk.transport import HTTPTransport, Timeout, Transport, check_address

#: Where `make run` serves; a deployment is named by `base_url` or TILL_BASE_URL.
DEFAULT_BASE_URL = "http://127.0.0.1:8000"


class PaymentClient:
    """A client of Till for a merchant's server. Make one and share it: threads may, and it keeps connections.

    `api_key` is a secret key (`sk_…`); `tenant_id` is checked against it where given. `access_token` is a
    person's or a machine's bearer token, or a function that gives a fresh one. `base_url` falls back to the
    environment's TILL_BASE_URL. A call is tried again `max_retries` times where that is safe, and
    waits for at most `max_wait` seconds in all, between tries and for its own `rate_limits`.
    """

    def __init__(
        self,
        api_key: str | None = None,
        tenant_id: str | None = None,
        base_url: str | None = None,
        *,
        access_token: str | Callable[[], str] | None = None,
        timeout: float | Timeout = Timeout(),  # noqa: B008 - it is frozen
        max_retries: int = 3,
        max_wait: float = 75.0,
        rate_limits: RateLimits | None = RateLimits(),  # noqa: B008
        transport: Transport | None = None,
        allow_insecure_http: bool = False,
    ) -> None:
        address = base_url or os.environ.get("TILL_BASE_URL") or DEFAULT_BASE_URL
        live = not (api_key or "").startswith(("sk_test_", "pk_test_"))
        settings = Settings(
            base_url=check_address(address, live=live, allow_insecure=allow_insecure_http),
            api_key=_secret(api_key, "api_key"),
            access_token=access_token if callable(access_token) else _secret(access_token, "access_token"),
            tenant_id=tenant_id,
            timeout=_timeout(timeout),
            max_retries=max_retries,
            max_wait=max_wait,
        )
        if settings.api_key is None and settings.access_token is None:
            raise ConfigurationError("Give the client an api_key or an access_token")
        self._use(Caller(settings, transport or HTTPTransport(), Limiter(rate_limits)))

    def _use(self, caller: Caller) -> None:
        self._caller = caller
        self.checkout = Checkout(caller)
        self.sessions = HostedSessions(caller)
        self.payments = Payments(caller)
        self.links = Links(caller)
        self.orders = Orders(caller)
        self.webhooks = Webhooks(caller)
        self.keys = Keys(caller)
        self.auth = Tokens(caller)
        self.mfa = Mfa(caller)

    def with_options(
        self,
        *,
        access_token: str | Callable[[], str] | None = None,
        mfa_token: str | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int | None = None,
        max_wait: float | None = None,
    ) -> Self:
        """A copy with other options; it shares connections and rate limits with this one."""
        changes: dict[str, Any] = {}
        if access_token is not None:
            changes["access_token"] = (
                access_token if callable(access_token) else _secret(access_token, "access_token")
            )
        if mfa_token is not None:
            changes["mfa_token"] = _secret(mfa_token, "mfa_token")
        if timeout is not None:
            changes["timeout"] = _timeout(timeout)
        if max_retries is not None:
            changes["max_retries"] = max_retries
        if max_wait is not None:
            changes["max_wait"] = max_wait
        copy = object.__new__(type(self))
        caller = self._caller
        copy._use(Caller(replace(caller.settings, **changes), caller.transport, caller.limiter))
        return copy

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        keyed: bool = True,
    ) -> Any:
        """Call an endpoint that has no method here yet, with the same manners; the answer as parsed JSON.

        Writes are repeated under an idempotency key, which nearly every endpoint for a merchant's server
        takes; `keyed=False` is for one that takes none.
        """
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
            raise ConfigurationError("path begins with a slash, without base_url, and is quoted")
        operation = Operation("request", method.upper(), "(request)", keyed=keyed)  # a path may hold a code
        return self._caller.call(
            operation, path, query=query, body=body, idempotency_key=idempotency_key
        ).value

    def close(self) -> None:
        """Close the connections that are kept; the client can still be used."""
        self._caller.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        settings = self._caller.settings
        return f"PaymentClient(api_key={settings.api_key!r}, base_url={settings.base_url!r})"


def _secret(text: str | None, name: str) -> Secret | None:
    if text is None:
        return None
    if not text.strip() or not text.isascii() or not text.isprintable():
        raise ConfigurationError(f"{name} is empty, or has characters that it cannot have")
    return Secret(text.strip())


def _timeout(value: float | Timeout) -> Timeout:
    found = value if isinstance(value, Timeout) else Timeout(connect=min(value, 5.0), read=value)
    if found.connect <= 0 or found.read <= 0:
        raise ConfigurationError("A timeout is a positive number of seconds")
    return found
