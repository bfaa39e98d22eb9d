"""The wire below Stripe's library: our own HTTP client, which knows whether a request ever left.

Five seconds to connect and twenty in all, where the library's own client would wait eighty for each read.
Connections are kept and shared by all accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stripe

from app.kit.http import AddressRefused, ConnectionFailed, SafeClient

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 20.0
#: A page of a hundred payments with their charges stays well below.
MAX_ANSWER_BYTES = 8 * 2**20


class Transport(stripe.HTTPClient):
    """What `stripe.StripeClient` sends its requests with."""

    name = "till"

    def __init__(self) -> None:
        super().__init__()
        self._client = SafeClient(
            allow_loopback=True,
            allow_any=True,
            connect_timeout=CONNECT_SECONDS,
            total_timeout=TOTAL_SECONDS,
            max_response_bytes=MAX_ANSWER_BYTES,
        )

    def request(  # type: ignore[override]
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request.

        Raises:
            stripe.APIConnectionError: no answer came; its cause says whether the request left.
        """
        content = post_data.encode() if isinstance(post_data, str) else post_data or b""
        try:
            answer = self._client.request(method.upper(), url, content, headers or {})
        except (ConnectionFailed, AddressRefused) as failed:
            raise stripe.APIConnectionError(str(failed)) from failed  # type: ignore[no-untyped-call]
        return answer.body, answer.status, answer.headers

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def never_left(error: BaseException) -> bool:
    """Whether the request provably did not reach Stripe: no address, no connection, no TLS."""
    cause = error.__cause__
    return isinstance(cause, AddressRefused) or (isinstance(cause, ConnectionFailed) and cause.not_executed)
