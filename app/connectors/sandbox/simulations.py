"""What happens at the simulated bank on demand: a decision, a refund that turns, a dispute (PY-068).

Each changes the sandbox's own book and tells of it by a signed webhook, as the bank's own pages do.
"""

from __future__ import annotations

from sqlalchemy import select, update

from app.connectors.base import ConnectorContext
from app.connectors.sandbox import book, challenges, disputes, notices
from app.db import reading, transaction


def decide(context: ConnectorContext, key: str, *, approve: bool) -> bool:
    """Let the bank decide on the payment that waits under `key`; False where none does."""
    statement = select(book.payments.c.challenge_id).where(
        book.payments.c.tenant_id == context.tenant_id,
        book.payments.c.mode == context.mode,
        book.payments.c.key == key,
    )
    with reading() as db:
        challenge_id = db.scalar(statement)
    waiting = challenges.get(challenge_id) if challenge_id else None
    if waiting is None or not waiting.open:
        return False
    challenges.decide(waiting.id, approve=approve)
    return True


def dispute(context: ConnectorContext, key: str) -> bool:
    """Let the cardholder dispute the captured payment of `key` as fraud; False for none or twice."""
    payments = book.payments
    mine = select(payments).where(
        payments.c.tenant_id == context.tenant_id, payments.c.mode == context.mode, payments.c.key == key
    )
    with transaction() as db:
        payment = db.execute(mine.with_for_update()).mappings().one_or_none()
        if payment is None or not payment["captured"]:
            return False
        known = select(book.disputes.c.reference).where(
            book.disputes.c.payment_reference == payment["reference"]
        )
        if db.execute(known.limit(1)).first() is not None:
            return False
        disputes.open_for(db, {**payment, "detail": "fraudulent"})
        return True


def turn_refund(context: ConnectorContext, key: str, *, succeed: bool) -> bool:
    """Let a pending refund come through, or fail; also one that had come through comes back.

    False where there is no refund of that key, or it stands so already.
    """
    operations, payments = book.operations, book.payments
    of_key = (operations.c.tenant_id == context.tenant_id) & (operations.c.key == key)
    with transaction() as db:
        reference = db.scalar(select(operations.c.reference).where(of_key, operations.c.kind == "refund"))
        locked = select(payments).where(
            payments.c.reference == reference,
            payments.c.tenant_id == context.tenant_id,
            payments.c.mode == context.mode,
        )
        payment = db.execute(locked.with_for_update()).mappings().one_or_none()
        if payment is None:
            return False
        row = db.execute(select(operations).where(of_key)).mappings().one()
        if row["status"] not in (("pending",) if succeed else ("pending", "succeeded")):
            return False
        status = "succeeded" if succeed else "failed"
        code = None if succeed else "returned_by_bank"
        db.execute(
            update(operations)
            .where(operations.c.id == row["id"])
            .values(status=status, code=code, turns_at=None)
        )
        if not succeed:
            db.execute(
                update(payments)
                .where(payments.c.reference == reference)
                .values(refunded=payments.c.refunded - row["amount"])
            )
        notices.queue(db, dict(payment), f"refund.{status}", refund_key=key)
        return True
