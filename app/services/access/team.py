"""Who is of a merchant's team, who leaves it, and what becomes of their keys (docs/adr/0026)."""

from __future__ import annotations

from sqlalchemy import select

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, NotFound
from app.domain.permissions import cut
from app.kit import clock
from app.models.access.user import User
from app.models.events.journal import record
from app.services.access import key_owners, keys, roles, sign_ins


def list_all(actor: Actor) -> list[User]:
    """Everybody of the merchant's team, those who are let in no more at the end."""
    statement = select(User).where(User.tenant_id == actor.tenant_id)
    with reading() as db:
        return list(db.scalars(statement.order_by(User.disabled_at.is_not(None), User.name, User.number)))


def get(actor: Actor, user_id: str) -> User:
    """Somebody of the team.

    Raises:
        NotFound: nobody of this merchant.
    """
    statement = select(User).where(User.tenant_id == actor.tenant_id, User.id == user_id)
    with reading() as db:
        user = db.scalars(statement).one_or_none()
    if user is None:
        raise NotFound("User not found", code="user_not_found")
    return user


def sign_out(actor: Actor, user_id: str) -> None:
    """End what somebody of the team is signed in with; they may sign in again.

    Raises:
        PermissionDenied: see `roles.refuse_others`.
        NotFound: nobody of this merchant.
    """
    roles.refuse_others(actor)
    get(actor, user_id)
    sign_ins.end_others(actor, user_id, "")


def disable(actor: Actor, user_id: str, *, keys_to: str | None = None, revoke_keys: bool = False) -> None:
    """Let somebody in no more: what they are signed in with ends now, and their keys go to somebody else.

    Raises:
        PermissionDenied: see `roles.refuse_others`; or the person may do more than the caller, or a key would
            in the hands of whoever gets it.
        NotFound: nobody of this merchant.
        Conflict: `keys_remain`, live keys of theirs would stop working unasked; or `last_admin`.
    """
    roles.refuse_others(actor)
    with transaction(actor) as db:
        people, user = roles.locked_people(db, actor, user_id)
        roles.refuse_beyond(actor, roles.permissions_of(db, user))
        if user.disabled_at is not None:
            return
        heir = roles.locked_people(db, actor, keys_to)[1] if keys_to is not None else None
        user.disabled_at = clock.now()
        roles.expect_admin(db, people)
        for key in key_owners.answered_for(db, actor.tenant_id, user_id):
            if heir is not None and heir.disabled_at is None:
                roles.refuse_beyond(actor, cut(key.scopes, roles.permissions_of(db, heir)))
                key_owners.hand_over(db, key, heir.id)
            elif revoke_keys:
                keys.revoke_row(db, key)
            else:
                raise Conflict(
                    "They answer for keys that are in use: hand them over, or revoke them", code="keys_remain"
                )
        sign_ins.end_all(db, user_id, "disabled")
        record(
            db,
            "user.disabled",
            tenant_id=actor.tenant_id,
            mode="live",
            entity="user",
            entity_id=user_id,
            cause=str(actor.kind),
            after={"id": user_id, "keys_to": keys_to},
        )


def enable(actor: Actor, user_id: str) -> None:
    """Let somebody in again, with the role that they had.

    Raises:
        PermissionDenied: see `roles.refuse_others`; or the caller could not give that role.
        NotFound: nobody of this merchant.
    """
    roles.refuse_others(actor)
    with transaction(actor) as db:
        _, user = roles.locked_people(db, actor, user_id)
        roles.refuse_beyond(actor, roles.permissions_of(db, user))
        if user.disabled_at is None:
            return
        user.disabled_at = None
        record(
            db,
            "user.enabled",
            tenant_id=actor.tenant_id,
            mode="live",
            entity="user",
            entity_id=user_id,
            cause=str(actor.kind),
            after={"id": user_id},
        )
