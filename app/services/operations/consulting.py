"""Consulting: use cases that need an answer of a merchant's own system, which is asked with nothing open.

A use case runs; where it needs an answer that nobody has yet, all that it has done is rolled back, the
question is put, and it runs again with the answer at hand (docs/adr/0021). For merchants whose providers are
all built in this is one call more. What is to be told afterwards is a job (`tell`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from app.db import in_transaction
from app.domain.errors import ProviderUnavailable
from app.kit.ids import random_token
from app.providers.remote import caller
from app.providers.remote.caller import Call
from app.providers.remote.questions import NotAsked, answers
from app.services.operations import inbound_secrets

P = ParamSpec("P")
T = TypeVar("T")

#: More questions than any use case has; a bound, so that a mistake cannot loop.
MAX_QUESTIONS = 12
#: A use case whose questions take longer than this in all is given up: somebody waits.
MAX_SECONDS = 15.0
#: Nobody waits for what is told.
TELL_SECONDS = 6.0


def consulting(use_case: Callable[P, T]) -> Callable[P, T]:
    """Let a use case ask. It must be local work alone, that may run again after it was rolled back."""

    @wraps(use_case)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return consult(lambda: use_case(*args, **kwargs))

    return run


def consult(work: Callable[[], T]) -> T:
    """Run work that may ask; inside a transaction, or another such work, that one asks.

    Raises:
        ProviderUnavailable: a system gave no usable answer; nothing was done.
    """
    if in_transaction() or answers.get() is not None:
        return work()
    started = time.monotonic()
    try:
        return work()
    except NotAsked as missing:
        first = missing
    return _again(work, first, started)


@contextmanager
def at_most(seconds: float | None, too_late: Callable[[], Exception]) -> Iterator[None]:
    """Bound the time that the questions asked in here may take, from the start of the use case."""
    try:
        yield
    except NotAsked as missing:
        if seconds is not None:
            missing.seconds, missing.too_late = seconds, too_late()
        raise


def tell(told: dict[str, Any]) -> None:
    """Tell a system what has happened here; the job runs again where it does not take it.

    Raises:
        ProviderUnavailable: it did not.
    """
    call = Call(**told, retries=False)
    caller.call(call, _secrets(call), within=TELL_SECONDS)


def _again(work: Callable[[], T], missing: NotAsked, started: float) -> T:
    gathered: dict[str, dict[str, Any]] = {}
    token = answers.set(gathered)
    try:
        for _ in range(MAX_QUESTIONS):
            gathered[missing.question.identity] = _ask(missing, started)
            try:
                return work()
            except NotAsked as next_one:
                missing = next_one
    finally:
        answers.reset(token)
    raise ProviderUnavailable(missing.question.provider, "had to be asked too often")


def _ask(missing: NotAsked, started: float) -> dict[str, Any]:
    question = missing.question
    left = (missing.seconds or MAX_SECONDS) - (time.monotonic() - started)
    call = Call(
        question.scope.tenant.id,
        question.scope.mode,
        question.provider,
        question.url,
        question.operation,
        question.body,
        key=question.key or f"ask_{random_token()}",
    )
    if left > 0:
        try:
            return caller.call(call, _secrets(call), within=min(left, caller.TOTAL_SECONDS))
        except ProviderUnavailable:
            in_time = missing.seconds is None or time.monotonic() - started < missing.seconds
            if in_time or missing.too_late is None:
                raise
    raise missing.too_late or ProviderUnavailable(question.provider, "took too long")


def _secrets(call: Call) -> list[str]:
    found = inbound_secrets.find_for(call.tenant_id, call.provider, call.mode)
    if not found:
        raise ProviderUnavailable(call.provider, "has no secret to sign with")
    return found
