"""The one way in which a merchant's own systems are called: signed JSON over HTTP (docs/providers.md).

Time-out, retries with a jittered back-off, a circuit breaker for each merchant and system, addresses that may
be called, a strict and bounded answer. Nothing may be open in the database meanwhile.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog

from app import db, settings
from app.domain.errors import ProviderUnavailable
from app.kit import clock, signing, strict_json
from app.kit.breaker import Breaker
from app.kit.http import AddressRefused, Answer, ConnectionFailed, SafeClient, TimedOut

log = structlog.get_logger("till.providers")

#: Somebody waits: seconds for one try, and for all of them together.
TRY_SECONDS, TOTAL_SECONDS = 2.0, 5.0
TRIES = 3
#: Seconds before the second try, doubled before each further one; jittered.
BACK_OFF_SECONDS = 0.1
MAX_ANSWER = 256 * 1024

#: Five failures in a row, then nobody waits for this system for half a minute.
breaker = Breaker()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `operation` at `url` (no operation: of the URL itself).

    The same `key` says that it is the same call, however often it comes. `retries` says that it may be made
    again where no answer came.
    """

    tenant_id: str
    mode: str
    provider: str
    url: str
    operation: str
    body: dict[str, Any]
    key: str
    retries: bool = True

    @property
    def target(self) -> str:
        """Where the operation is."""
        return f"{self.url.rstrip('/')}/{self.operation}" if self.operation else self.url

    @property
    def breaker_name(self) -> str:
        """What fails together: a test system may be down while the live one is up."""
        return f"{self.tenant_id}/{self.mode}/{self.provider}/{self.url}"


class _NoAnswer(Exception):
    """The system is slow, away or broken: a reason to try again, and then to leave it alone."""


def call(asked: Call, secrets: Sequence[str], *, within: float = TOTAL_SECONDS) -> dict[str, Any]:
    """Make a call, again where that is allowed and helps; the object that it answers.

    `within` are seconds for all tries together.

    Raises:
        ProviderUnavailable: no usable answer came in time. Whether the system acted is not known.
    """
    assert not db.in_transaction(), "nothing outside is called inside a transaction"
    if breaker.is_open(asked.breaker_name):
        raise ProviderUnavailable(asked.provider, "left alone after failures")
    until = time.monotonic() + within
    body = json.dumps(asked.body, separators=(",", ":")).encode()
    tries = TRIES if asked.retries else 1
    for turn in range(1, tries + 1):
        try:
            answer = _post(asked, body, secrets, until - time.monotonic())
        except _NoAnswer as failure:
            breaker.failed(asked.breaker_name)
            pause = BACK_OFF_SECONDS * 2 ** (turn - 1) * random.uniform(0.5, 1.5)
            if turn == tries or time.monotonic() + pause >= until:
                raise _unavailable(asked, str(failure)) from failure
            time.sleep(pause)
        else:
            breaker.succeeded(asked.breaker_name)
            return _read(asked, answer)
    raise AssertionError("unreachable")


def _post(asked: Call, body: bytes, secrets: Sequence[str], left: float) -> Answer:
    signature = signing.timestamped_signature(body, secrets, clock.now())
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Idempotency-Key": asked.key,
        "Till-Signature": signature,
        "X-Webhook-Signature": signature,
    }
    client = _client(settings.current().loopback_webhooks_allowed)
    try:
        answer = client.request("POST", asked.target, body, headers, within=min(left, TRY_SECONDS))
    except TimedOut as error:
        raise _NoAnswer("timed out") from error
    except ConnectionFailed as error:
        raise _NoAnswer("could not be reached") from error
    except AddressRefused as error:
        raise _unavailable(asked, "leads to an address that may not be called") from error
    if answer.status >= 500 or answer.status == 429:
        raise _NoAnswer(f"answered {answer.status}")
    return answer


def _read(asked: Call, answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise _unavailable(asked, f"answered {answer.status}")
    if len(answer.body) >= MAX_ANSWER:
        raise _unavailable(asked, "answered too much")
    try:
        said = strict_json.loads(answer.body)
    except strict_json.StrictJsonError as error:
        raise _unavailable(asked, "answered something else than JSON") from error
    if not isinstance(said, dict):
        raise _unavailable(asked, "answered something else than an object")
    return said


def _unavailable(asked: Call, problem: str) -> ProviderUnavailable:
    log.warning("provider_failed", tenant_id=asked.tenant_id, name=asked.provider, problem=problem)
    return ProviderUnavailable(asked.provider, problem)


@lru_cache(maxsize=2)
def _client(allow_loopback: bool) -> SafeClient:
    return SafeClient(
        allow_loopback=allow_loopback,
        connect_timeout=TRY_SECONDS,
        total_timeout=TRY_SECONDS,
        max_response_bytes=MAX_ANSWER,
    )
