"""Calls of Stripe's API by its own library: one client for each account, plain dictionaries as answers.

Every POST carries our idempotency key. A key in use and a locked object are tried again for a moment, since
both say that the call was not begun; nothing else is tried again here.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import stripe

from app import settings
from app.connectors.base import ConnectorContext
from app.connectors.stripe import account as accounts
from app.connectors.stripe.transport import Transport

Json = dict[str, Any]

#: Waits before a call that Stripe did not begin is made again, in seconds.
WAITS = (0.1, 0.3, 0.9, 1.8)
#: Objects on a page of a list, the most that Stripe gives.
PAGE = 100


class Api:
    """Stripe's API as one account sees it."""

    def __init__(self, account: accounts.Account) -> None:
        self.account = account
        self._client = _client(account.secret_key, settings.current().stripe_api_base.rstrip("/"))

    def get(self, path: str, **params: Any) -> Json:
        """Read an object or a page of a list."""
        return self._call("get", path, params)

    def post(self, path: str, key: str, **params: Any) -> Json:
        """Do something once, under our key."""
        return self._call("post", path, {**params, "idempotency_key": key})

    def upload(self, key: str, purpose: str, name: str, content: bytes) -> str:
        """Upload a file; its id at Stripe."""
        file = io.BytesIO(content)
        file.name = name
        options: Json = {"idempotency_key": key, "content_type": "multipart/form-data", "base": "files"}
        return str(self._call("post", "/v1/files", {"purpose": purpose, "file": file, **options})["id"])

    def pages(self, path: str, **params: Any) -> Iterator[list[Json]]:
        """The pages of a list, newest objects first."""
        after: Json = {}
        while True:
            page = self.get(path, limit=PAGE, **params, **after)
            yield page["data"]
            if not page.get("has_more") or not page["data"]:
                return
            after = {"starting_after": page["data"][-1]["id"]}

    def _call(self, method: str, path: str, params: Json) -> Json:
        for wait in (*WAITS, None):
            try:
                data = self._client.raw_request(method, path, **params).data
            except stripe.StripeError as error:
                if wait is None or not _not_begun(error):
                    raise
                time.sleep(wait)
            except (AttributeError, KeyError, TypeError, ValueError) as odd:  # the library trips over it
                raise stripe.APIError("Stripe's answer cannot be read") from odd
            else:
                if not isinstance(data, dict):
                    raise stripe.APIError("Stripe's answer is no object")
                return data
        raise AssertionError("the last turn returns or raises")


def of(context: ConnectorContext) -> Api:
    """The API for a caller.

    Raises:
        NotConfigured: there is no key for the caller's mode.
    """
    return Api(accounts.of(context))


def details(error: stripe.StripeError) -> Json:
    """What Stripe says of an error: `type`, `code`, `decline_code`, `param`, `payment_intent` …"""
    body = error.json_body
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def is_replayed(error: stripe.StripeError) -> bool:
    """Whether Stripe repeats what it once answered under the key, without doing anything."""
    headers = {str(name).lower(): value for name, value in (error.headers or {}).items()}
    return headers.get("idempotent-replayed") == "true"


def _not_begun(error: stripe.StripeError) -> bool:
    return (error.http_status, details(error).get("code")) in (
        (409, "idempotency_key_in_use"),
        (429, "lock_timeout"),
    )


@lru_cache(maxsize=256)
def _client(secret_key: str, base: str) -> stripe.StripeClient:
    addresses: Json = {"api": base} if base == "https://api.stripe.com" else {"api": base, "files": base}
    return stripe.StripeClient(
        secret_key,
        base_addresses=addresses,  # type: ignore[arg-type]
        max_network_retries=0,
        http_client=_transport(),
    )


@lru_cache(maxsize=1)
def _transport() -> Transport:
    return Transport()
