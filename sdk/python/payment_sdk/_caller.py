"""One call and its tries: credentials, idempotency key, client-side limits, retries, errors.

What may be tried again: reads, and writes under an idempotency key, which stays the same over all tries of
a call. Any other write is tried again only where it cannot have been done: no connection, or 429.
"""

from __future__ import annotations

import json
import logging
import platform
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time as unix_time
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from payment_sdk import _clock, errors
from payment_sdk._limiter import Limiter, Window
from payment_sdk._models import ResponseInfo
from payment_sdk._operations import Auth, Operation
from payment_sdk._secrets import Secret
from payment_sdk._version import __version__
from payment_sdk.errors import APIConnectionError, ConfigurationError, InvalidResponseError, RateLimitError
from payment_sdk.transport import Answer, Request, Timeout, Transport

log = logging.getLogger("payment_sdk")

AGENT = f"payment-sdk-python/{__version__} python/{platform.python_version()}"
#: Answers after which the same call may succeed; others too where the API says when to come back.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How calls are made; `client.with_options()` changes it for a copy."""

    base_url: str
    api_key: Secret | None
    access_token: Secret | Callable[[], str] | None = field(repr=False)
    tenant_id: str | None
    timeout: Timeout
    max_retries: int
    max_wait: float
    mfa_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The parsed answer to a call, and how it came."""

    value: Any = field(repr=False)
    info: ResponseInfo


class Caller:
    """What the resources call through; any thread may."""

    def __init__(self, settings: Settings, transport: Transport, limiter: Limiter) -> None:
        self.settings, self.transport, self.limiter = settings, transport, limiter

    def call(
        self,
        operation: Operation,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Reply:
        """Do a call, over as many tries as it may take.

        Raises:
            APIError: the API answered no; its class says why.
            APIConnectionError: there was no answer.
            RateLimitError: also before anything is sent, where waiting for a place would take too long.
        """
        request = self._request(operation, path, query, body, idempotency_key)
        patience = _Patience(self.settings)
        windows = self.limiter.windows(operation.id, reads=operation.reads, per_minute=operation.per_minute)
        while True:
            for window in windows:
                patience.wait_for(window)
            try:
                return self._once(operation, request)
            except APIConnectionError as error:
                patience.pause_after(error, may_repeat=operation.repeatable or not error.sent)
            except errors.APIError as error:
                passing = error.status in _PASSING or error.retry_after is not None
                refused = isinstance(error, RateLimitError)
                if refused and operation.per_minute and windows:  # its own limit: let no other thread try
                    windows[0].close(error.retry_after or 1.0)
                patience.pause_after(error, may_repeat=passing and (operation.repeatable or refused))

    def _once(self, operation: Operation, request: Request) -> Reply:
        started = _clock.now()
        answer = self.transport.send(request)
        info = ResponseInfo(
            answer.status,
            answer.headers.get("x-request-id"),
            answer.headers.get("idempotent-replayed") == "true",
            answer.headers.get("etag"),
        )
        log.debug(
            "%s %s answered %d in %.0f ms (request %s)",
            operation.method, operation.path, answer.status, (_clock.now() - started) * 1000, info.request_id,
        )  # fmt: skip
        if not 200 <= answer.status < 300:
            raise errors.of_answer(
                answer.status,
                _parsed(answer, lenient=True),
                request_id=info.request_id,
                retry_after=_retry_after(answer),
            )
        return Reply(_parsed(answer), info)

    def _request(
        self,
        operation: Operation,
        path: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        key: str | None,
    ) -> Request:
        settings = self.settings
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        url = settings.base_url + path
        if given:
            url += ("&" if "?" in path else "?") + urlencode(given)
        headers = {"Accept": "application/json", "User-Agent": AGENT, **self._credentials(operation.auth)}
        if settings.tenant_id is not None:
            headers["X-Tenant"] = settings.tenant_id
        if settings.mfa_token is not None:
            headers["X-MFA-Token"] = settings.mfa_token.reveal()
        if not operation.reads and operation.keyed:
            headers["Idempotency-Key"] = str(uuid4()) if key is None else key
        content: bytes | None = None
        if not operation.reads and operation.method != "DELETE":
            content = _json(body or {})
            headers["Content-Type"] = "application/json"
        for name, value in headers.items():
            if not value.isascii() or not value.isprintable():
                raise ConfigurationError(f"{name} has characters that no header takes")
        return Request(operation.method, url, headers, content, settings.timeout, operation.repeatable)

    def _credentials(self, auth: Auth) -> dict[str, str]:
        key, token = self.settings.api_key, self.settings.access_token
        if auth is Auth.NONE:
            return {}
        if auth is Auth.X_API_KEY:
            if key is None:
                raise ConfigurationError("These sessions take an api_key")
            return {"x-api-key": key.reveal()}
        if auth is Auth.TOKEN and token is None:
            raise ConfigurationError("This takes an access_token; an api_key is not enough")
        if token is not None and (auth is Auth.TOKEN or key is None):
            return {"Authorization": "Bearer " + (token.reveal() if isinstance(token, Secret) else token())}
        if key is None:
            raise ConfigurationError("Give the client an api_key or an access_token")
        return {"Authorization": f"Bearer {key.reveal()}"}


class _Patience:
    """How often a call has been tried, and for how long it has waited."""

    def __init__(self, settings: Settings) -> None:
        self._tries_left, self._wait_left = settings.max_retries, settings.max_wait
        self._pause = _FIRST_PAUSE

    def wait_for(self, window: Window) -> None:
        """Wait for a place in a window.

        Raises:
            RateLimitError: it would take too long; nothing was sent.
        """
        wait = window.book(self._wait_left)
        if wait < 0:
            held = RateLimitError(
                "Held back by the client's own rate limit", status=429, code="rate_limit_exceeded",
                retry_after=-wait,
            )  # fmt: skip
            held.sent = False
            raise held
        self._sleep(wait)

    def pause_after(self, error: errors.PaymentError, *, may_repeat: bool) -> None:
        """Wait before the next try: at least as long as the API says, else longer each time, by chance.

        Raises:
            PaymentError: the error itself, where there is no next try.
        """
        if not may_repeat or self._tries_left <= 0:
            raise error
        pause = self._pause * random.uniform(0.5, 1.0)
        told = getattr(error, "retry_after", None)
        if told is not None:
            pause = max(pause, told)
        if pause > self._wait_left:
            raise error
        self._tries_left -= 1
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        log.info("Trying again in %.2f s: %s", pause, error)
        self._sleep(pause)

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._wait_left -= seconds
            _clock.sleep(seconds)


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"This cannot be sent as JSON: {error}") from error


def _parsed(answer: Answer, *, lenient: bool = False) -> Any:
    if not answer.body.strip():
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        if lenient:  # a proxy's page, for example
            return None
        raise InvalidResponseError(f"Not JSON, with status {answer.status}") from error


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _retry_after(answer: Answer) -> float | None:
    """Seconds until it makes sense to come back, by the header or by the body's `retryAfter`."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 9:
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - unix_time())
    except (ValueError, TypeError, OverflowError):
        pass
    body = _parsed(answer, lenient=True)
    told = body.get("retryAfter") if isinstance(body, dict) else None
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not 0 <= told < 1e9:
        return None
    return float(told)
