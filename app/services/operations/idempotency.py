"""Idempotency keys: the same key and body get the same answer, whatever happened in between (OP-13).

`local` work touches our database alone: claim, work and stored answer are one transaction, so a crash
leaves nothing. `leased` work calls gateways: the claim is committed first with a lease; if its holder
dies, the lease lapses and the work resumes at its own recovery point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.db import Command, reading, retrying, transaction
from app.domain.actor import Actor
from app.domain.errors import IdempotencyInProgress, InvalidRequest, Unprocessable, VersionConflict
from app.kit import clock
from app.kit.canonical import fingerprint
from app.models.operations.idempotency import IdempotencyRecord
from app.services.operations import secrets_at_rest
from app.services.operations.consulting import consult
from app.services.operations.secrets_at_rest import hash_token

_TABLE: Any = IdempotencyRecord.__table__

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_CLAIM = Command(lambda name: _INSERT[name](_TABLE).on_conflict_do_nothing())
_ANSWER = update(_TABLE).values(
    status=bindparam("status"), body=bindparam("body"), headers=bindparam("headers"), lease_until=None
)
#: The row while it is still ours: a holder that outlived its lease changes nothing of its successor's.
_KEEP = Command(
    lambda _: _ANSWER.where(_TABLE.c.scope_hash == bindparam("scope"), _TABLE.c.lease_until.is_(None))
)
_KEEP_LEASED = Command(
    lambda _: _ANSWER.where(
        _TABLE.c.scope_hash == bindparam("scope"), _TABLE.c.lease_until == bindparam("lease")
    )
)

LEASE_SECONDS = 90
MAX_KEY = 255
#: So many fields of a body are told apart; no body of ours has more.
MAX_FIELDS = 60
#: Of these not even a hash is kept.
_NEVER = frozenset({"card", "number", "cvc", "payment_method", "destination", "password", "secret"})


@dataclass(frozen=True, slots=True)
class Reply:
    """A stored answer; `shown` is sent in its place the first time, where it holds a secret shown once."""

    status: int
    body: str
    headers: dict[str, str] | None = None
    replayed: bool = False
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class KeyScope:
    """A key in its scope (tenant, mode, caller, method, path), and what was asked under it."""

    scope_hash: str
    tenant_id: str
    key: str
    route: str
    fingerprint: str
    request_id: str
    mode: str
    caller: str
    shape: dict[str, str]


def scope(actor: Actor, method: str, path: str, key: str, body: Any, *, route: str | None = None) -> KeyScope:
    """The scope of a key; `route` is what is kept of the path, which may hold what must not be read.

    Raises:
        InvalidRequest: empty, too long, or not printable ASCII.
    """
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest(
            "An Idempotency-Key has 1 to 255 printable characters",
            code="invalid_idempotency_key",
            field="Idempotency-Key",
        )
    parts = "\n".join((actor.tenant_id, str(actor.mode), actor.id, method, path, key))
    digest = hashlib.sha256(parts.encode()).hexdigest()
    shown = (route or f"{method} {path}")[:160]
    asked = hash_token(fingerprint([method, path, body]))  # keyed: a body may hold what must not be guessed
    return KeyScope(
        digest,
        actor.tenant_id,
        key,
        shown,
        asked,
        actor.request_id,
        str(actor.mode),
        actor.id[:64],
        _shape(body),
    )


def _shape(body: Any) -> dict[str, str]:
    """The names of a body's fields, each with a keyed hash of its value, too short to tell anything else."""
    fields = body if isinstance(body, dict) else {"body": body}
    return {
        str(name)[:64]: "" if name in _NEVER else hash_token(fingerprint(value))[:12]
        for name, value in list(fields.items())[:MAX_FIELDS]
    }


def local(actor: Actor, key: KeyScope, work: Callable[[], Reply]) -> Reply:
    """Do database work once under a key; see the module. It may ask (consulting)."""

    def once() -> Reply:
        claimed = _claim_of(key, None)
        with transaction(actor) as db:
            claim = _CLAIM.first(db, claimed)
            try:
                reply = work()
            except Exception:
                claim.send()  # if another has the key, its answer holds and not this error
                raise
            kept = _answer(key, reply)
            if not claim.complete({**claimed, **kept}):
                _KEEP.later(db, {**kept, "scope": key.scope_hash})
            return reply

    try:
        return consult(lambda: retrying(once))
    except VersionConflict:
        kept = _kept(key)
        if kept is None:
            raise  # the work's own
        return _told(kept, key)


def leased(key: KeyScope, work: Callable[[], Reply]) -> Reply:
    """Do work that calls gateways once under a key; see the module.

    Raises:
        IdempotencyInProgress: another request holds the key.
    """
    lease = clock.now() + timedelta(seconds=LEASE_SECONDS)
    # Nothing of this call has happened that is not on the disk after its claim; and an answer that is lost
    # with the machine is found again by whoever takes the key over.
    if not (_CLAIM.alone(_claim_of(key, lease), relaxed=True) or _take_over(key, lease)):
        kept = _kept(key)
        if kept is None:  # its holder has just given up: the caller may try again
            raise IdempotencyInProgress
        return _told(kept, key)
    try:
        reply = work()
    except Exception:
        with transaction() as db:
            db.execute(_row(delete(IdempotencyRecord), key).where(IdempotencyRecord.lease_until == lease))
        raise
    _KEEP_LEASED.alone({**_answer(key, reply), "scope": key.scope_hash, "lease": lease}, relaxed=True)
    return reply


def _claim_of(key: KeyScope, lease: datetime | None) -> dict[str, Any]:
    return {
        "scope_hash": key.scope_hash,
        "tenant_id": key.tenant_id,
        "key": key.key,
        "route": key.route,
        "fingerprint": key.fingerprint,
        "request_id": key.request_id,
        "mode": key.mode,
        "caller": key.caller,
        "shape": key.shape,
        "lease_until": lease,
        "status": None,
        "body": None,
        "headers": None,
        "created_at": clock.now(),
    }


def _take_over(key: KeyScope, lease: datetime) -> bool:
    """The holder of the key is gone when its lease has lapsed without an answer."""
    statement = _row(update(IdempotencyRecord), key).where(
        IdempotencyRecord.status.is_(None),
        IdempotencyRecord.lease_until < clock.now(),
        IdempotencyRecord.fingerprint == key.fingerprint,
    )
    with transaction() as db:
        return bool(db.execute(statement.values(lease_until=lease)).rowcount)  # type: ignore[attr-defined]


def _answer(key: KeyScope, reply: Reply) -> dict[str, Any]:
    return {
        "status": reply.status,
        "body": secrets_at_rest.encrypt(reply.body, *_place(key)),  # some show a secret once
        "headers": reply.headers,
    }


def _place(key: KeyScope) -> tuple[str, str, str]:
    return key.tenant_id, key.scope_hash, "reply"


def _kept(key: KeyScope) -> IdempotencyRecord | None:
    statement = select(IdempotencyRecord).where(IdempotencyRecord.scope_hash == key.scope_hash)
    with reading() as db:
        return db.scalars(statement).one_or_none()


def _told(kept: IdempotencyRecord, key: KeyScope) -> Reply:
    """What the first call under the key was told."""
    if kept.fingerprint != key.fingerprint:
        _note_clash(kept, key)
        raise Unprocessable(
            "This Idempotency-Key was used with another request", code="idempotency_key_reused"
        )
    if kept.status is None:
        left = (kept.lease_until - clock.now()).total_seconds() if kept.lease_until else 1
        raise IdempotencyInProgress(retry_after=max(1, min(round(left), 5)))
    body = kept.body or ""
    if body.startswith("v1:"):  # answers of older releases stand in plain text for their last day
        body = secrets_at_rest.decrypt(body, *_place(key))
    return Reply(kept.status, body, kept.headers, replayed=True)


def _note_clash(kept: IdempotencyRecord, key: KeyScope) -> None:
    """Keep which fields differed, for whoever looks why they were refused (the dashboard shows it)."""
    first = kept.shape or {}
    differed = sorted(
        name for name in first.keys() | key.shape.keys() if first.get(name) != key.shape.get(name)
    )
    clash = {"fields": differed, "request_id": key.request_id, "at": clock.to_rfc3339(clock.now())}
    statement = _row(update(IdempotencyRecord), key).values(
        clashes=func.coalesce(IdempotencyRecord.clashes, 0) + 1, clash=clash
    )
    with transaction() as db:
        db.execute(statement)


def _row(statement: Any, key: KeyScope) -> Any:
    return statement.where(IdempotencyRecord.scope_hash == key.scope_hash)
