"""API keys: authenticate, create (shown once), revoke (OP-06, MR-006, MR-007)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select, update

from app.db import Lookup, reading, transaction
from app.domain.actor import Actor, ActorKind, Mode, TenantProfile
from app.domain.errors import InvalidRequest, NotFound, PermissionDenied, Unauthenticated
from app.domain.permissions import SCOPES
from app.kit import clock, crypto
from app.kit.ids import new_id, new_uuid
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.access.api_key import ApiKey
from app.models.access.tenant import Tenant
from app.models.events.journal import record
from app.services.operations.secrets_at_rest import hash_token

#: How often the time of last use is written; more would make every read a write.
LAST_USE_SECONDS = 60

#: The one look-up of every API call: narrow columns over a unique index, no objects.
_COLUMNS = select(
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
).join(Tenant, Tenant.id == ApiKey.tenant_id)
_BY_HASH = Lookup(_COLUMNS.where(ApiKey.key_hash == bindparam("key_hash")))
_BY_ID = Lookup(_COLUMNS.where(ApiKey.id == bindparam("key_id")))


def authenticate(presented: str) -> Actor:
    """The actor behind a key; a revoked one is refused on the next request.

    Raises:
        Unauthenticated: unknown, mistyped, revoked or expired.
    """
    if not crypto.looks_like_api_key(presented):
        raise Unauthenticated("Invalid API key")
    return _actor(_BY_HASH.one({"key_hash": hash_token(presented)}))


def by_id(key_id: str) -> Actor:
    """The actor of the key that a token stands for; see `authenticate`."""
    return _actor(_BY_ID.one({"key_id": key_id}))


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
    )
    kind = ActorKind.API_KEY if row.kind == "sk" else ActorKind.PUBLISHABLE_KEY
    return Actor(
        kind,
        row.id,
        profile,
        Mode(row.mode),
        frozenset(row.scopes),
        row.name,
        created_by=row.created_by or row.public_id,
    )


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
    granted = _granted(actor, kind, scopes or [])
    chosen = Mode(mode or actor.mode)
    plaintext = crypto.new_api_key(kind, chosen)
    key = ApiKey(
        id=new_id("key"),
        public_id=new_uuid(),
        tenant_id=actor.tenant_id,
        mode=str(chosen),
        kind=kind,
        name=name.strip(),
        prefix=f"{kind}_{chosen}",
        last4=plaintext[-4:],
        key_hash=hash_token(plaintext),
        scopes=granted,
        created_by=actor.id if actor.kind == ActorKind.USER else None,
        expires_at=(clock.now() + timedelta(seconds=expires_in_seconds) if expires_in_seconds else None),
    )
    with transaction(actor) as db:
        db.add(key)
        db.flush()
        record(
            db,
            "api_key.created",
            tenant_id=key.tenant_id,
            mode=key.mode,
            entity="api_key",
            entity_id=key.id,
            cause=str(actor.kind),
            after=_facts(key),
        )
    return key, plaintext


def _granted(actor: Actor, kind: str, scopes: list[str]) -> list[str]:
    """The scopes of a new key: those asked for; without any, everything for a secret key."""
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        raise InvalidRequest(f"No such scope: {unknown[0]}", field="scopes")
    if kind == "pk" and scopes:
        raise InvalidRequest("A publishable key has no scopes", field="scopes")
    granted = scopes or (["*"] if kind == "sk" else [])
    beyond = sorted(scope for scope in granted if not actor.can(scope))
    if beyond:
        raise PermissionDenied(f"You do not hold {beyond[0]} yourself", code="beyond_own_permissions")
    return granted


def list_all(actor: Actor, *, mode: str | None = None) -> list[ApiKey]:
    """The merchant's keys, newest first, revoked ones too."""
    with reading() as db:
        return list(db.scalars(_mine(actor, mode).order_by(ApiKey.id.desc())))


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[ApiKey]:
    """A page of them.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    if cursor:
        last = decode_cursor(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(ApiKey.id < last)
    with reading() as db:
        rows = list(db.scalars(statement.order_by(ApiKey.id.desc()).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def revoke(actor: Actor, key_id: str) -> ApiKey:
    """Revoke a key; doing it again changes nothing.

    Raises:
        NotFound: there is none in this mode, or it is another merchant's.
    """
    with transaction(actor) as db:
        statement = _mine(actor).where((ApiKey.id == key_id) | (ApiKey.public_id == key_id))
        key = db.scalars(statement.with_for_update()).one_or_none()
        if key is None:
            raise NotFound("API key not found")
        if key.revoked_at is None:
            key.revoked_at = clock.now()
            record(
                db,
                "api_key.revoked",
                tenant_id=key.tenant_id,
                mode=key.mode,
                entity="api_key",
                entity_id=key.id,
                cause=str(actor.kind),
                after=_facts(key),
            )
        return key


def _mine(actor: Actor, mode: str | None = None) -> Select[ApiKey]:
    return select(ApiKey).where(ApiKey.tenant_id == actor.tenant_id, ApiKey.mode == (mode or str(actor.mode)))


def _facts(key: ApiKey) -> dict[str, object]:
    return {"id": key.id, "name": key.name, "prefix": key.prefix, "last4": key.last4, "scopes": key.scopes}


def _note_use(key_id: str) -> None:
    with transaction() as db:
        db.execute(
            update(ApiKey)
            .where(ApiKey.id == key_id)
            .values(last_used_at=clock.now(), updated_at=ApiKey.updated_at)
        )
