"""Invitations: a person of the team gets in by a link that works once and is handed over by whoever asked.

The link lets its holder choose a password; a second factor that is in force stays so. Nobody makes one for
somebody who may do more than they do themselves: it would be a way into that account. So it holds for as long
as whoever made it could make it still.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import (
    Conflict,
    DomainError,
    InvalidRequest,
    InvalidState,
    NotFound,
    Unprocessable,
)
from app.domain.permissions import TEAM_MANAGE, allows
from app.domain.rules import page_choices
from app.kit import clock, crypto
from app.kit.ids import new_id, random_token
from app.models.access.invitation import Invitation
from app.models.access.user import User
from app.models.events.journal import record
from app.services.access import roles, users
from app.services.operations.secrets_at_rest import hash_token

LASTS = timedelta(days=7)
MAX_PEOPLE, MAX_NAME = 500, 100


def invite(actor: Actor, email: str, name: str, role: str) -> tuple[User, str]:
    """Add a person to the team; the second value is the only copy of the token of their link.

    Raises:
        PermissionDenied: see `roles.refuse_others`; or the role may do more than the caller.
        InvalidRequest: no address, or no name.
        NotFound: no such role.
        Conflict: `email_taken`.
        Unprocessable: `team_full`.
    """
    roles.refuse_others(actor)
    address, called = email.strip().lower(), name.strip()
    if not address or len(address) > 254 or page_choices.email(address) is not None:
        raise InvalidRequest("Enter an e-mail address like name@shop.example", field="email")
    if not 0 < len(called) <= MAX_NAME or not called.isprintable():
        raise InvalidRequest("Enter a name", field="name")
    user = User(
        id=new_id("usr"),
        tenant_id=actor.tenant_id,
        email=address,
        name=called,
        role=role,
        password_hash=crypto.password_hash(random_token(32)),  # nobody knows it
    )
    try:
        with transaction(actor) as db:
            people = roles.everybody(db, actor)
            if len(people) >= MAX_PEOPLE:
                raise Unprocessable(f"A team has at most {MAX_PEOPLE} people", code="team_full")
            roles.refuse_beyond_role(db, actor, role)
            db.add(user)
            db.flush()
            token = _replace(db, actor, user)
            _note(db, actor, user, "user.invited")
    except IntegrityError as error:
        raise Conflict("Somebody has this address already", code="email_taken", field="email") from error
    return user, token


def renew(actor: Actor, user_id: str) -> tuple[User, str]:
    """Make another link for somebody of the team; the one before ends, their password works until it is used.

    Raises:
        PermissionDenied: see `roles.refuse_others`; or the person may do more than the caller.
        NotFound: nobody of this merchant.
        InvalidState: they are disabled.
    """
    roles.refuse_others(actor)
    with transaction(actor) as db:
        _, user = roles.locked_people(db, actor, user_id)
        roles.refuse_beyond_role(db, actor, user.role)
        if user.disabled_at is not None:
            raise InvalidState("They are let in no more: enable them first")
        token = _replace(db, actor, user)
        _note(db, actor, user, "user.link_made")
        return user, token


def find(token: str) -> User:
    """Whose link this is.

    Raises:
        NotFound: it was used, replaced, is too old, or its maker may make it no more; or there never was one.
    """
    maker = aliased(User)
    statement = (
        select(User, maker)
        .join(Invitation, Invitation.user_id == User.id)
        .outerjoin(maker, maker.id == Invitation.created_by)
        .where(
            Invitation.token_hash == hash_token(token),
            Invitation.expires_at > clock.now(),
            User.disabled_at.is_(None),
        )
    )
    with reading() as db:
        row = db.execute(statement).one_or_none()
        if row is None or (row[1] is not None and not _may_make(db, row[1], row[0])):
            raise _over()
    return row[0]


def open_for(user_ids: list[str]) -> set[str]:
    """Which of these people have a link that still works."""
    statement = select(Invitation.user_id).where(
        Invitation.user_id.in_(user_ids), Invitation.expires_at > clock.now()
    )
    with reading() as db:
        return set(db.scalars(statement))


def accept(token: str, password: str) -> User:
    """Choose a password by a link, which ends with that; so does what they were signed in with.

    Raises:
        NotFound: see `find`; of two who use it at once, the second finds it gone.
        InvalidRequest: the password is too short, too long, too common, or made of their own names.
    """
    user = find(token)
    hashed = users.hash_new(user.id, password)
    with transaction() as db:
        mine = delete(Invitation).where(Invitation.token_hash == hash_token(token))
        if not db.execute(mine).rowcount:  # type: ignore[attr-defined]
            raise _over()
        users.put_hash(db, user.id, hashed)
    return user


def clean() -> int:
    """Drop links that are too old. Returns how many."""
    with transaction() as db:
        over = delete(Invitation).where(Invitation.expires_at < clock.now())
        return int(db.execute(over).rowcount)  # type: ignore[attr-defined]


def _may_make(db: Session, maker: User, user: User) -> bool:
    held = roles.permissions_of(db, maker)
    wanted = (TEAM_MANAGE, *roles.permissions_of(db, user))
    return maker.disabled_at is None and all(allows(held, word) for word in wanted)


def _over() -> DomainError:
    return NotFound("This link does not work, or works no more. Ask for another one.", code="invitation_over")


def _replace(db: Session, actor: Actor, user: User) -> str:
    token, now = random_token(32), clock.now()
    db.execute(delete(Invitation).where(Invitation.user_id == user.id))
    db.add(
        Invitation(
            user_id=user.id,
            token_hash=hash_token(token),
            created_by=actor.id,
            created_at=now,
            expires_at=now + LASTS,
        )
    )
    return token


def _note(db: Session, actor: Actor, user: User, type_: str) -> None:
    record(
        db,
        type_,
        tenant_id=user.tenant_id,
        mode="live",
        entity="user",
        entity_id=user.id,
        cause=str(actor.kind),
        after={"id": user.id, "email": user.email, "role": user.role},
    )
