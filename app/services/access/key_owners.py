"""Who answers for which keys: taking over, handing over, and what a key may do by its owner's rights."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor, ActorKind
from app.domain.errors import Conflict, PermissionDenied
from app.domain.permissions import ROLES, cut
from app.kit import clock
from app.models.access.api_key import ApiKey
from app.models.access.role import Role
from app.models.access.user import User
from app.models.events.journal import record
from app.services.access import keys


def take_over(actor: Actor, key_id: str) -> ApiKey:
    """Answer for a key from now on, in place of whoever made it.

    Raises:
        NotFound: there is none in this mode, or it is another merchant's.
        PermissionDenied: the caller is no person, or does not hold its scopes.
        Conflict: `key_not_active`.
    """
    keys.refuse_impersonated(actor)
    if actor.kind != ActorKind.USER:
        raise PermissionDenied("A person answers for a key")
    with transaction(actor) as db:
        key = keys.locked(db, actor, key_id)
        if key.revoked_at is not None:
            raise Conflict("This key works no more: make another", code="key_not_active")
        keys.granted_to(actor, key.kind, key.scopes)
        hand_over(db, key, actor.id)
    return key


def hand_over(db: Session, key: ApiKey, user_id: str) -> None:
    """Let somebody else answer for a key, in the caller's transaction."""
    before, key.created_by = key.created_by, user_id
    record(
        db,
        "api_key.handed_over",
        tenant_id=key.tenant_id,
        mode=key.mode,
        entity="api_key",
        entity_id=key.id,
        cause="team",
        before={"created_by": before},
        after={**keys.facts(key), "created_by": user_id},
    )


def answered_for(db: Session, tenant_id: str, user_id: str) -> list[ApiKey]:
    """The secret keys in use, of both modes, for which a person answers; locked."""
    return list(db.scalars(_in_use(tenant_id, user_id).order_by(ApiKey.id).with_for_update()))


def of_person(actor: Actor, user_id: str) -> list[ApiKey]:
    """The secret keys in use, of both modes, for which somebody of the merchant answers."""
    with reading() as db:
        return list(db.scalars(_in_use(actor.tenant_id, user_id).order_by(ApiKey.id)))


def rights_of(actor: Actor, rows: list[ApiKey]) -> dict[str, frozenset[str]]:
    """What each of these keys may do now: less than its scopes where its maker may do less."""
    names = {row.created_by for row in rows if row.created_by is not None and row.kind == "sk"}
    if not names:
        return {}
    people = select(User, Role.permissions).outerjoin(
        Role, (Role.tenant_id == User.tenant_id) & (Role.name == User.role)
    )
    with reading() as db:
        found = db.execute(people.where(User.tenant_id == actor.tenant_id, User.id.in_(names))).all()
    held = {user.id: () if user.disabled_at else ROLES.get(user.role) or own or () for user, own in found}
    return {row.id: cut(row.scopes, held.get(row.created_by, ())) for row in rows if row.created_by in names}


def _in_use(tenant_id: str, user_id: str) -> Select[ApiKey]:
    return select(ApiKey).where(
        ApiKey.tenant_id == tenant_id,
        ApiKey.created_by == user_id,
        ApiKey.kind == "sk",
        ApiKey.revoked_at.is_(None),
        ApiKey.expires_at.is_(None) | (ApiKey.expires_at > clock.now()),
    )
