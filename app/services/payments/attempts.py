"""Attempts: opening one before the gateway hears of it, finding it again, and what hangs on it (`Flow`).

What became of an attempt is written by services/payments/recording.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from app.db import Lookup, reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, Unprocessable
from app.domain.lifecycles import attempts as lifecycle
from app.domain.lifecycles import intents
from app.domain.rules import card_options as rules
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.kit.records import fields_of
from app.models.insertion import made
from app.models.payments.attempt import Attempt
from app.models.payments.connector import ConnectorAccount
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.reading import Reader, attached_copy
from app.services.payments import claims, routing
from app.services.payments.routing import Pick
from app.services.risk.opinions import Opinion
from app.services.risk.screening import screen

#: A call to a gateway ends well before this; until then the sweep leaves an attempt to its caller.
GRACE_SECONDS = 30
#: What fits in an attempt's row.
MAX_NONCE = 80

#: What holds for each attempt of one confirm, whichever connector it is made at.
_TERMS = (
    "tenant_id",
    "mode",
    "intent_id",
    "checkout_id",
    "number",
    "return_url",
    "country",
    "payment_method_id",
    "amount",
    "currency",
    "decision_id",
    "force_three_ds",
    "off_session",
    "block_code",
    "counted_in",
)

_S, _T, _I = lifecycle.Status, lifecycle.Trigger, intents.Trigger


#: Nobody knows yet what becomes of it.
_OPEN = frozenset({_S.CREATED, _S.SUBMITTED, _S.ACTION_REQUIRED, _S.UNKNOWN})


#: An attempt with its intent and its method.
Seen = tuple[Attempt, PaymentIntent, PaymentMethod]


@dataclass(frozen=True, slots=True)
class Flow:
    """What hangs on a payment: how to lock it, how it follows, and how a captured payment is settled.

    `lock` is None where nothing stands above the intent. `at_once`: nothing has to be held between the
    authorisation and the money, so both may be asked for in one call, and `follow` settles what is captured.
    """

    lock: Callable[[Session, Attempt], None] | None
    follow: Callable[[Session, PaymentIntent, Attempt, str], None]
    settle: Callable[[Attempt, str], None]
    at_once: bool = False


def open_attempt(
    db: Session,
    intent: PaymentIntent,
    method: PaymentMethod,
    *,
    nonce: str,
    cause: str,
    opinion: Opinion | None = None,
    off_session: bool = False,
    return_url: str | None = None,
    force_three_ds: bool = False,
    country: str | None = None,
) -> Attempt:
    """Write an attempt as submitted and move its intent to processing, in the caller's transaction.

    It is screened here, whoever opens it; `opinion` is what a remote fraud provider said before. `country` is
    where the shopper is, for routing (ISO 3166); where that is not known it is where the card was issued.

    Raises:
        Conflict: the intent has a live attempt.
        IllegalTransition: the intent cannot be confirmed now.
        Unprocessable, RateLimited: no method or connector for it, or over a limit (services/risk/limits.py).
    """
    if intent.attempts and live(db, intent.id) is not None:
        raise Conflict("A payment is already under way", code="payment_in_progress")
    claims.claim(db, intent, method, country)
    country = country or method.country
    if not (candidates := routing.picks(db, intent, method, country)):
        raise Unprocessable("No connector can take this payment method now", code="no_connector")
    screening = screen(db, intent, method, opinion, off_session=off_session)
    if not off_session and (force_three_ds or rules.wants_three_ds(intent.payment_method_options)):
        screening = replace(screening, force_three_ds=True)
    _begin(intent, method, cause)
    attempt = made(
        Attempt,
        tenant_id=intent.tenant_id,
        mode=intent.mode,
        intent_id=intent.id,
        checkout_id=intent.checkout_id,
        number=intent.attempts,
        nonce=nonce,
        return_url=return_url,
        country=country,
        payment_method_id=method.id,
        amount=intent.amount,
        currency=intent.currency,
        off_session=off_session,
        **fields_of(screening),
    )
    return _submit(db, attempt, candidates[0], cause)


def open_successor(db: Session, attempt: Attempt, pick: Pick, cause: str) -> Attempt:
    """Write the attempt that takes a dead one's place at another connector, on the same terms."""
    terms = {name: getattr(attempt, name) for name in _TERMS}
    return _submit(db, made(Attempt, nonce=f"failover_{attempt.id}", **terms), pick, cause)


def _submit(db: Session, attempt: Attempt, pick: Pick, cause: str) -> Attempt:
    attempt.id, attempt.return_nonce = new_id("ch"), random_token()
    attempt.connector, attempt.connector_id = pick.type, pick.connector_id
    attempt.next_query_at = clock.now() + timedelta(seconds=GRACE_SECONDS)
    attempt.begin_through(db, _T.SUBMITTED, cause=cause)
    return attempt


def _begin(intent: PaymentIntent, method: PaymentMethod, cause: str) -> None:
    intent.advance(
        _I.CONFIRMED,
        cause=cause,
        attempts=intent.attempts + 1,
        payment_method_id=method.id,
        next_action=None,
        last_error=None,
    )


def nonce_of(idempotency_key: str | None) -> str:
    """A call's nonce, which makes it repeatable: its idempotency key, shortened where that is long."""
    if idempotency_key is None:
        return random_token()
    if len(idempotency_key) <= MAX_NONCE:
        return idempotency_key
    return hashlib.sha256(idempotency_key.encode()).hexdigest()


#: Made once: the driver looks before each of its steps.
_LOADED = Reader(Attempt, PaymentIntent, PaymentMethod, ConnectorAccount)
_LOAD = Lookup(
    select(*_LOADED.columns)
    .select_from(Attempt)
    .join(PaymentIntent, PaymentIntent.id == Attempt.intent_id)
    .join(PaymentMethod, PaymentMethod.id == Attempt.payment_method_id)
    .outerjoin(ConnectorAccount, ConnectorAccount.id == Attempt.connector_id)
    .where(Attempt.id == bindparam("id"))
)


def load(attempt_id: str) -> Seen:
    """An attempt, with its connector's account, its intent and method, as they are now: to look at."""
    attempt, intent, method, account = _LOADED.take(_LOAD.one({"id": attempt_id}))
    set_committed_value(attempt, "account", account)
    return attempt, intent, method


def as_opened(attempt: Attempt, intent: PaymentIntent, method: PaymentMethod) -> Seen | None:
    """What `load` would find of an attempt that was just committed; None where its account has to be read."""
    if attempt.connector_id is not None:
        return None
    set_committed_value(attempt, "account", None)
    return attempt, intent, method


def of_intent(actor: Actor, intent_id: str) -> list[Attempt]:
    """The attempts of an intent of this merchant, of a split one those of its parts, oldest first."""
    below = select(PaymentIntent.id).where(PaymentIntent.parent_intent_id == intent_id)
    statement = (
        select(Attempt)
        .where(
            or_(Attempt.intent_id == intent_id, Attempt.intent_id.in_(below)),
            Attempt.tenant_id == actor.tenant_id,
            Attempt.mode == actor.mode,
        )
        .order_by(Attempt.id)
    )
    with reading() as db:
        return list(db.scalars(statement))


def newest(actor: Actor, intent_id: str) -> Attempt | None:
    """The last attempt of an intent of this merchant."""
    found = of_intent(actor, intent_id)
    return found[-1] if found else None


def use_up(attempt_id: str) -> None:
    """Note that a caller has learnt the outcome by the way back, which is good for one; none, none used.

    Raises:
        Conflict: it was used before.
    """
    attempt, _, _ = load(attempt_id)
    if attempt.status in _OPEN:
        return
    statement = (
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.returned_at.is_(None))
        .values(returned_at=clock.now(), updated_at=Attempt.updated_at)
        .execution_options(synchronize_session=False)
    )
    with transaction() as db:
        if not db.execute(statement).rowcount:  # type: ignore[attr-defined]
            raise Conflict("This was completed before; read the payment", code="already_completed")


def live(db: Session, intent_id: str, *, lock: bool = False) -> Attempt | None:
    """The attempt of an intent that is not dead, in the caller's transaction."""
    statement = select(Attempt).where(Attempt.intent_id == intent_id, Attempt.status.not_in(lifecycle.DEAD))
    return db.scalars(statement.with_for_update() if lock else statement).one_or_none()


def waits_for_shopper(attempt: Attempt) -> bool:
    """Whether the gateway has it and waits for the shopper: 3-D Secure, a bank's page, a transfer."""
    known = attempt.gateway_reference is not None
    return attempt.status == _S.ACTION_REQUIRED or (known and attempt.status in (_S.SUBMITTED, _S.UNKNOWN))


def by_return_nonce(nonce: str) -> Attempt | None:
    """The attempt whose way back from 3DS or a bank carries this nonce."""
    with reading() as db:
        return db.scalars(select(Attempt).where(Attempt.return_nonce == nonce)).one_or_none()


def submit_operation(attempt: Attempt, trigger: lifecycle.Trigger, cause: str) -> bool:
    """Write that a capture or void is about to be asked for; False when somebody else was quicker."""
    with transaction() as db:
        locked = lock_unchanged(db, attempt, lock=None)
        if locked is None:
            return False
        submit(locked[1], trigger, cause)
    return True


def submit(attempt: Attempt, trigger: lifecycle.Trigger, cause: str) -> None:
    """Note that a capture or void is about to be asked for, in the caller's transaction."""
    attempt.advance(
        trigger,
        cause=cause,
        queries=0,
        next_query_at=clock.now() + timedelta(seconds=GRACE_SECONDS),
    )


#: Made once: what a gateway said is recorded under this lock.
_PAIR = Reader(PaymentIntent, Attempt)
_LOCK = Lookup(
    select(*_PAIR.columns)
    .select_from(PaymentIntent)
    .join(Attempt, Attempt.intent_id == PaymentIntent.id)
    .where(Attempt.id == bindparam("id"))
    .with_for_update()
)


def unlocked(db: Session, attempt: Attempt, intent: PaymentIntent) -> tuple[PaymentIntent, Attempt]:
    """Copies of an attempt and its intent as they were seen, to be changed in the caller's transaction.

    Nothing is read and nothing locked: if either is in another version by then, the transaction raises
    `VersionConflict`. What was seen stays as it was seen.
    """
    return attached_copy(db, intent), attached_copy(db, attempt)


def lock_unchanged(
    db: Session, seen: Attempt, lock: Callable[[Session, Attempt], None] | None
) -> tuple[PaymentIntent, Attempt] | None:
    """Intent and attempt under lock, in the house's lock order, if the attempt still is as it was seen.

    The intent is locked first, also in one statement: rows are locked in the order of FROM.
    """
    if lock is not None:
        lock(db, seen)
    intent, fresh = _PAIR.attach(db, _LOCK.one({"id": seen.id}))
    return (intent, fresh) if (fresh.status, fresh.version) == (seen.status, seen.version) else None
