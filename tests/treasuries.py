"""Money for tests of the treasury: payments that wait to be settled, the days after, and the worker's jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from app.connectors import settling
from app.connectors.base import ConnectorContext, Unknown
from app.connectors.sandbox.connector import SandboxConnector
from app.db import reading, transaction
from app.domain.actor import Actor
from app.kit import clock
from app.models.ledger.posting import Posting
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.treasury.reconciliation import Resolution
from app.services.ledger import balances
from app.services.operations import jobs
from app.services.payments import attempts, intents, methods, refunds
from app.services.payments.intents import IntentDraft
from app.services.treasury import reconciliations, resolutions, statements
from app.worker.handlers import HANDLERS
from tests.shops import Shop, card

#: Cards by how they are settled.
AT_ONCE, NEVER, SHORT = "4000000000000077", "4000009990007703", "4000009990007711"
TWICE, STRANGER = "4000009990007729", "4000009990007737"
REFUND_RETURNED = "4000000000005126"


def pay(shop: Shop, amount: int = 10_000, number: str = AT_ONCE, currency: str = "GBP") -> str:
    """A captured payment; the id of its charge."""
    method = methods.tokenize_card(shop.actor, card(number))
    draft = IntentDraft(amount, currency, capture_mode="auto", payment_method_id=method.id)
    intent = intents.create(shop.actor, draft)
    done = intents.confirm(shop.actor, intent.id, nonce="n")
    assert done.status == "succeeded"
    return attempts.of_intent(shop.actor, intent.id)[0].id


def give_back(shop: Shop, charge_id: str, amount: int) -> str:
    """A refund that has been sent; its id."""
    with reading() as db:
        intent_id = db.get_one(Attempt, charge_id).intent_id
    refund = refunds.create(shop.actor, intent_id, amount)
    refunds.send(refund.id)
    return refund.id


def work() -> list[dict[str, Any] | None]:
    """Run what is due, as a worker does; the results."""
    results = []
    for job_id in jobs.due(100):
        job = jobs.claim(job_id)
        if job is None or job.name == "refunds.send":
            continue
        result = HANDLERS[job.name](job.arguments)
        jobs.finish(job, result)
        results.append(result)
    return results


def settled(shop: Shop, amount: int = 10_160) -> int:
    """Money that is settled and available at the sandbox; how much."""
    pay(shop, amount)
    statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    return balances.guarded(shop.actor, "GBP")["balance:sandbox"]


def read(shop: Shop) -> None:
    """Read the sandbox's statements, and post what is available."""
    statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
    statements.post_due()


def compare(shop: Shop, **span: Any) -> str:
    """A reconciliation to its end; its id."""
    run_id = reconciliations.create(shop.actor, **span).id
    work()
    return run_id


def outcomes(shop: Shop, run_id: str) -> dict[str, str]:
    """Transaction (or line) → outcome of what isn't matched."""
    entries = reconciliations.items(shop.actor, run_id, limit=100).data
    return {i.transaction_id or i.subject_id: i.outcome for i, _ in entries if i.outcome != "matched"}


def resolve(shop: Shop, run_id: str, transaction_id: str, action: str, **more: Any) -> Resolution:
    """Decide about one discrepancy."""
    decision = resolutions.Decision(transaction_id, action, **more)
    [made] = resolutions.resolve(shop.actor, run_id, [decision])
    return made


def job(actor: Actor, job_id: str) -> Job:
    """A job as it is now."""
    return jobs.get(actor, job_id)


def days_later(days: int = 1, minutes: int = 10) -> Any:
    """The clock, some minutes after that midnight."""
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return clock.frozen(midnight + timedelta(days=days, minutes=minutes))


@contextmanager
def from_noon() -> Iterator[None]:
    """The clock, going on from today's noon."""
    began = datetime.now(UTC)
    noon = began.replace(hour=12, minute=0, second=0, microsecond=0)
    clock.install(lambda: noon + (datetime.now(UTC) - began))
    try:
        yield
    finally:
        clock.install(None)


def account(shop: Shop, name: str, currency: str = "GBP") -> int:
    """What the postings to an account come to."""
    statement = select(func.coalesce(func.sum(Posting.amount), 0)).where(
        Posting.tenant_id == shop.actor.tenant_id, Posting.account == name, Posting.currency == currency
    )
    with reading() as db:
        return int(db.scalar(statement) or 0)


def rows(model: Any) -> list[Any]:
    """All rows of a table."""
    with reading() as db:
        return list(db.scalars(select(model).order_by(model.id)))


def run_sql(statement: Any) -> None:
    """Change something behind the code's back."""
    with transaction() as db:
        db.execute(statement)


class Gateway(SandboxConnector):
    """A gateway whose statement a test writes; every answer may be spoilt."""

    reference = "B1"
    lines: tuple[settling.SettlementLine, ...] = ()
    net: int | None = None
    complete_until: datetime | None = None
    answers = True

    def settlement_batches(self, context: ConnectorContext, since: Any) -> Any:
        if not self.answers:
            return Unknown("timed out")
        now = clock.now()
        batch = settling.SettlementBatch(self.reference, "GBP", now, now, self.net)
        return settling.SettlementBatches((batch,), self.complete_until)

    def settlement_lines(self, context: ConnectorContext, batch: str, cursor: str | None) -> Any:
        return settling.SettlementPage(self.lines)


def line(type_: str, gross: int, fee: int = 0, **changes: Any) -> settling.SettlementLine:
    """A line of such a statement, in pounds."""
    now = clock.now()
    whole = settling.SettlementLine(
        f"{type_}{gross}", settling.LineType(type_), f"ref{gross}", gross, fee, gross - fee, "GBP", now, now
    )
    return replace(whole, **changes)
