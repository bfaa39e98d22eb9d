"""API keys: authenticate, create (shown once), roll, hand over, revoke (OP-06, MR-006, MR-007).

A secret key belongs to the merchant, and a person answers for it: it may never do more than that person may
do now. A key that was made with another key ends with that one (docs/adr/0026).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.orm import Session

from app.db import Lookup, reading, transaction
from app.domain.actor import Actor, ActorKind, Mode, TenantProfile
from app.domain.errors import Conflict, InvalidRequest, NotFound, PermissionDenied, Unauthenticated
from app.domain.permissions import ROLES, SCOPES, cut
from app.kit import clock, crypto
from app.kit.clock import to_rfc3339
from app.kit.ids import new_id, new_uuid
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.access.api_key import ApiKey
from app.models.access.tenant import Tenant
from app.models.access.user import User
from app.models.events.journal import record
from app.services.access import roles
from app.services.access.tenants import refuse_suspended, too_old
from app.services.operations import paging
from app.services.operations.secrets_at_rest import hash_token

#: How often the time of last use is written; more would make every read a write.
LAST_USE_SECONDS = 60
#: A key that was rolled works on for at most so long.
MAX_OVERLAP_SECONDS = 7 * 86_400

#: The one look-up of every API call: narrow columns over unique indexes, no objects.
_KEYS = (
    select(
        ApiKey.id,
        ApiKey.public_id,
        ApiKey.kind,
        ApiKey.mode,
        ApiKey.name,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
        ApiKey.created_by,
        Tenant.id.label("tenant_id"),
        Tenant.public_id.label("tenant_public_id"),
        Tenant.slug,
        Tenant.name.label("tenant_name"),
        Tenant.default_currency,
        Tenant.settings,
        Tenant.test_settings,
        Tenant.tokens_valid_after,
        Tenant.suspended_at,
        User.role.label("maker_role"),
        User.disabled_at.label("maker_disabled_at"),
    )
    .join(Tenant, Tenant.id == ApiKey.tenant_id)
    .outerjoin(User, (User.id == ApiKey.created_by) & (User.tenant_id == ApiKey.tenant_id))
)
_BY_HASH = Lookup(_KEYS.where(ApiKey.key_hash == bindparam("key_hash")))
_BY_ID = Lookup(_KEYS.where(ApiKey.id == bindparam("key_id")))


def authenticate(presented: str) -> Actor:
    """The actor behind a key; a revoked one is refused on the next request.

    Raises:
        Unauthenticated: unknown, mistyped, revoked or expired.
        PermissionDenied: its merchant is suspended.
    """
    if not crypto.looks_like_api_key(presented):
        raise Unauthenticated("Invalid API key")
    return _actor(_BY_HASH.one({"key_hash": hash_token(presented)}))


def by_id(key_id: str, *, issued: int) -> Actor:
    """The actor of the key that a token of that time (unix milliseconds) stands for; see `authenticate`."""
    row = _BY_ID.one({"key_id": key_id})
    if row is not None and too_old(issued, row.tokens_valid_after):
        raise Unauthenticated("Invalid or expired token")
    return _actor(row)


def _actor(row: Any) -> Actor:
    now = clock.now()
    if row is None or row.revoked_at is not None or (row.expires_at and row.expires_at <= now):
        raise Unauthenticated("Invalid API key")
    if row.last_used_at is None or now - row.last_used_at > timedelta(seconds=LAST_USE_SECONDS):
        _note_use(row.id)
    profile = TenantProfile(
        row.tenant_id,
        row.slug,
        row.tenant_name,
        row.default_currency,
        row.settings,
        row.tenant_public_id,
        row.test_settings or {},
        row.suspended_at is not None,
    ).in_mode(row.mode)
    refuse_suspended(profile)
    kind = ActorKind.API_KEY if row.kind == "sk" else ActorKind.PUBLISHABLE_KEY
    return Actor(
        kind,
        row.id,
        profile,
        Mode(row.mode),
        _rights(row),
        row.name,
        created_by=row.created_by or row.public_id,
    )


def _rights(row: Any) -> frozenset[str]:
    """What a key may do: its scopes, and of those no more than whoever answers for it may do now.

    Raises:
        Unauthenticated: nobody answers for it any more.
    """
    scopes = frozenset(row.scopes)
    if row.created_by is None or row.kind == "pk":  # an operator's; or it has no rights to cut
        return scopes
    if row.maker_role is None or row.maker_disabled_at is not None:
        raise Unauthenticated("Invalid API key")
    return cut(scopes, ROLES.get(row.maker_role) or roles.own(row.tenant_id, row.maker_role))


def create(
    actor: Actor,
    name: str,
    *,
    kind: str = "sk",
    mode: str | None = None,
    scopes: list[str] | None = None,
    expires_in_seconds: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; the second value is the only copy of its plaintext.

    Raises:
        InvalidRequest: no name, or a scope that does not exist, or scopes for a publishable key.
        PermissionDenied: a scope that the maker does not hold.
    """
    if not name.strip():
        raise InvalidRequest("Enter a name", field="name")
    refuse_impersonated(actor)
    granted = granted_to(actor, kind, scopes or [])
    ends = clock.now() + timedelta(seconds=expires_in_seconds) if expires_in_seconds else None
    with transaction(actor) as db:
        key, plaintext, maker = _new(db, actor, name.strip(), kind, Mode(mode or actor.mode), granted, ends)
        key.made_with = maker.id if maker is not None else None
        _add(db, key, actor)
    return key, plaintext


def roll(
    actor: Actor, key_id: str, *, overlap_seconds: int = 86_400, expires_in_seconds: int | None = None
) -> tuple[ApiKey, str, ApiKey]:
    """Make a key that takes another's place; the old one works on for the overlap, zero ends it now.

    The new key has the old one's name, scopes and, unless told otherwise, length of life. Whoever rolls a
    key holds its secret and so has to hold its scopes. Keys that were made with it go to the new one. Rolled
    with a key, the new one is made with that one, and ends with it.

    Returns:
        The new key, the only copy of its plaintext, and the old key.

    Raises:
        InvalidRequest: an overlap beyond a week.
        NotFound: there is none in this mode, or it is another merchant's.
        PermissionDenied: a scope that the caller does not hold.
        Conflict: `key_not_active`, or `key_rolled` already.
    """
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest("The old key may work on for at most a week", field="overlap")
    refuse_impersonated(actor)
    with transaction(actor) as db:
        old = locked(db, actor, key_id)
        now = clock.now()
        if old.replaced_by is not None:
            raise Conflict("This key was rolled already", code="key_rolled")
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
            raise Conflict("This key works no more: make another", code="key_not_active")
        granted = granted_to(actor, old.kind, old.scopes)
        ends = None
        if expires_in_seconds is not None:
            ends = now + timedelta(seconds=expires_in_seconds)
        elif old.expires_at is not None:
            ends = now + (old.expires_at - old.created_at)
        key, plaintext, maker = _new(db, actor, old.name, old.kind, Mode(old.mode), granted, ends)
        db.execute(update(ApiKey).where(ApiKey.made_with == old.id).values(made_with=key.id))
        key.made_with = maker.id if maker is not None else old.made_with
        _add(db, key, actor)
        old.replaced_by = key.id
        until = now + timedelta(seconds=overlap_seconds)
        old.expires_at = min(old.expires_at or until, until)
        _note(
            db,
            old,
            "api_key.rolled",
            actor,
            {"replaced_by": key.id, "works_until": to_rfc3339(old.expires_at)},
        )
    return key, plaintext, old


def _making_key(db: Session, actor: Actor) -> ApiKey | None:
    """The key by which the caller came, locked: one that is revoked meanwhile makes no other.

    Raises:
        Unauthenticated: it is revoked.
    """
    if actor.kind not in (ActorKind.API_KEY, ActorKind.MACHINE_TOKEN):
        return None
    row = db.scalars(select(ApiKey).where(ApiKey.id == actor.id).with_for_update()).one()
    if row.revoked_at is not None:
        raise Unauthenticated("Invalid API key")
    return row


def _new(
    db: Session, actor: Actor, name: str, kind: str, mode: Mode, scopes: list[str], ends: datetime | None
) -> tuple[ApiKey, str, ApiKey | None]:
    """A key, its plaintext, and the key by which the caller came, which it does not outlive."""
    maker = _making_key(db, actor)
    if maker is not None and maker.expires_at is not None:
        ends = min(ends or maker.expires_at, maker.expires_at)
    person = actor.id if actor.kind == ActorKind.USER else None
    plaintext = crypto.new_api_key(kind, mode)
    key = ApiKey(
        id=new_id("key"),
        public_id=new_uuid(),
        tenant_id=actor.tenant_id,
        mode=str(mode),
        kind=kind,
        name=name,
        prefix=f"{kind}_{mode}",
        last4=plaintext[-4:],
        key_hash=hash_token(plaintext),
        scopes=scopes,
        created_by=maker.created_by if maker is not None else person,
        expires_at=ends,
    )
    return key, plaintext, maker


def _add(db: Session, key: ApiKey, actor: Actor) -> None:
    db.add(key)
    db.flush()
    _note(db, key, "api_key.created", actor)


def granted_to(actor: Actor, kind: str, scopes: list[str]) -> list[str]:
    """The scopes of a new key: those asked for; without any, everything for a secret key."""
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        raise InvalidRequest(f"No such scope: {unknown[0]}", field="scopes")
    if kind == "pk" and scopes:
        raise InvalidRequest("A publishable key has no scopes", field="scopes")
    granted = scopes or (["*"] if kind == "sk" else [])
    roles.refuse_beyond(actor, granted)
    return granted


def list_all(actor: Actor, *, mode: str | None = None) -> list[ApiKey]:
    """The merchant's keys, newest first, revoked ones too."""
    with reading() as db:
        return list(db.scalars(_mine(actor, mode).order_by(ApiKey.id.desc())))


def get(actor: Actor, key_id: str) -> ApiKey:
    """One key.

    Raises:
        NotFound: there is none in this mode, or it is another merchant's.
    """
    with reading() as db:
        key = db.scalars(_mine(actor).where(ApiKey.id == key_id)).one_or_none()
    if key is None:
        raise NotFound("API key not found")
    return key


def list_page(
    actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, page: int | None = None
) -> Page[ApiKey]:
    """A page of them.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    return paging.newest_first(statement, ApiKey.id, limit=limit, cursor=cursor, page=page)


def revoke(actor: Actor, key_id: str) -> ApiKey:
    """Revoke a key, and those that were made with it; doing it again changes nothing.

    A key that takes another's place may end that one, which is the last step of rolling, and lives on.

    Raises:
        NotFound: there is none in this mode, or it is another merchant's.
    """
    by_key = actor.kind in (ActorKind.API_KEY, ActorKind.MACHINE_TOKEN)
    with transaction(actor) as db:
        key = locked(db, actor, key_id)
        revoke_row(db, key, alone=by_key and key.replaced_by == actor.id)
        return key


def revoke_row(db: Session, key: ApiKey, *, alone: bool = False) -> None:
    """Revoke a key and, unless `alone`, those that were made with it, in the caller's transaction."""
    for row in [key, *(() if alone else _ending_with(db, key, lock=True))]:
        if row.revoked_at is None:
            row.revoked_at = clock.now()
            with_: dict[str, object] = {"with": key.id} if row is not key else {}
            _note(db, row, "api_key.revoked", db.info.get("actor"), with_)


def made_with(actor: Actor, key_id: str) -> int:
    """How many keys in use were made with this one, and would be revoked with it, by themselves or theirs."""
    key = get(actor, key_id)
    with reading() as db:
        return sum(row.revoked_at is None for row in _ending_with(db, key))


def _ending_with(db: Session, key: ApiKey, *, lock: bool = False) -> list[ApiKey]:
    """The keys that were made with this one or with theirs, and what has taken such a one's place."""
    found: dict[str, ApiKey] = {key.id: key}
    due = [key]
    while due:
        successors = [row.replaced_by for row in due if row is not key and row.replaced_by is not None]
        made = select(ApiKey).where(
            ApiKey.tenant_id == key.tenant_id,
            ApiKey.made_with.in_([row.id for row in due]) | ApiKey.id.in_(successors),
        )
        due = [row for row in db.scalars(made.with_for_update() if lock else made) if row.id not in found]
        found |= {row.id: row for row in due}
    return list(found.values())[1:]


def locked(db: Session, actor: Actor, key_id: str) -> ApiKey:
    statement = _mine(actor).where((ApiKey.id == key_id) | (ApiKey.public_id == key_id))
    key = db.scalars(statement.with_for_update()).one_or_none()
    if key is None:
        raise NotFound("API key not found")
    return key


def refuse_impersonated(actor: Actor) -> None:
    """What an operator does in somebody's name ends with their ten minutes.

    Raises:
        PermissionDenied: that is how the caller came.
    """
    if actor.on_behalf_of is not None:
        raise PermissionDenied("No keys are made in somebody else's name", code="impersonated")


def _mine(actor: Actor, mode: str | None = None) -> Select[ApiKey]:
    return select(ApiKey).where(ApiKey.tenant_id == actor.tenant_id, ApiKey.mode == (mode or str(actor.mode)))


def facts(key: ApiKey) -> dict[str, object]:
    return {"id": key.id, "name": key.name, "prefix": key.prefix, "last4": key.last4, "scopes": key.scopes}


def _note(
    db: Session, key: ApiKey, type_: str, actor: Actor | None, more: dict[str, object] | None = None
) -> None:
    record(
        db,
        type_,
        tenant_id=key.tenant_id,
        mode=key.mode,
        entity="api_key",
        entity_id=key.id,
        cause=str(actor.kind) if actor is not None else "system",
        after={**facts(key), **(more or {})},
    )


def _note_use(key_id: str) -> None:
    with transaction() as db:
        db.execute(
            update(ApiKey)
            .where(ApiKey.id == key_id)
            .values(last_used_at=clock.now(), updated_at=ApiKey.updated_at)
        )
