"""What a remote provider is asked, and what it is told (docs/adr/0021).

*Asking* never calls out where it stands, for that is inside a transaction. It looks into the answers that
were gathered for this use case; where there is none it raises `NotAsked`, the transaction rolls back, the
question is put with nothing open, and the use case runs again (services/operations/consulting.py). Only what
can be taken back is asked: readings, and holds that lapse by themselves.

*Telling* is for what is final. It is a job in the transaction of the change that it tells of, and so is told,
at least once, if and only if that was committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from app.db import transaction
from app.domain.lifecycles import jobs as lifecycle
from app.kit import clock
from app.kit.canonical import fingerprint
from app.kit.ids import new_id
from app.models.operations.job import Job
from app.providers.base import Scope

#: The job that tells; its handler is services/operations/consulting.tell.
TELL = "providers.tell"
#: A day of tries, five minutes apart at the end (rules/retry.py); then it is dead, and a person has to look.
TELL_TRIES = 290


@dataclass(frozen=True, slots=True)
class Question:
    """`arguments` are what the answer depends on; `terms` go with them, but may differ from run to run.

    With a `key` it is the same call whenever it is made again; else each time that it is asked is another.
    """

    scope: Scope
    provider: str
    url: str
    operation: str
    arguments: Mapping[str, Any]
    terms: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None

    @property
    def identity(self) -> str:
        """Equal questions have equal answers within a use case."""
        return fingerprint([self.provider, self.url, self.operation, self.arguments])

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        return envelope(self.scope, self.provider, self.operation, {**self.arguments, **self.terms})


class NotAsked(Exception):
    """This has to be asked first, with nothing open.

    `seconds` bound the use case from its start, and `too_late` is what to raise after them, where somebody on
    the way up has set a limit.
    """

    def __init__(self, question: Question) -> None:
        super().__init__(f"{question.provider}.{question.operation} was not asked")
        self.question = question
        self.seconds: float | None = None
        self.too_late: Exception | None = None


#: What was answered for the use case that runs now, by the identity of the question.
answers: ContextVar[dict[str, dict[str, Any]] | None] = ContextVar("till_provider_answers", default=None)


def ask(
    scope: Scope,
    provider: str,
    url: str,
    operation: str,
    arguments: Mapping[str, Any],
    *,
    terms: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> dict[str, Any]:
    """The answer to a question.

    Raises:
        NotAsked: there is none yet.
    """
    question = Question(scope, provider, url, operation, arguments, terms or {}, key)
    found = (answers.get() or {}).get(question.identity)
    if found is None:
        raise NotAsked(question)
    return found


def tell(
    scope: Scope, provider: str, url: str, operation: str, data: Mapping[str, Any], *, key: str | None = None
) -> None:
    """Tell a system something final, once the transaction here has been committed; told at least once."""
    job_id, now = new_id("job"), clock.now()
    told = {
        "tenant_id": scope.tenant.id,
        "mode": scope.mode,
        "provider": provider,
        "url": url,
        "operation": operation,
        "body": envelope(scope, provider, operation, data),
        "key": f"{provider}.{key or job_id}",
    }
    with transaction() as db:
        db.add(
            Job(
                id=job_id,
                tenant_id=scope.tenant.id,
                mode=scope.mode,
                name=TELL,
                arguments=told,
                status=str(lifecycle.Status.QUEUED),
                max_tries=TELL_TRIES,
                due_at=now,
            )
        )


def envelope(scope: Scope, provider: str, operation: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The body of every call: for whom, what, and the data of it; all of it is signed."""
    return {
        "merchant_id": scope.tenant.public_id,
        "mode": scope.mode,
        "operation": f"{provider}.{operation}",
        "data": dict(data),
    }
