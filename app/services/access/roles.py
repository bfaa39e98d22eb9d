"""Roles: the built-in ones and a merchant's own, and who has which (PY-073, PY-074, OP-09).

Nobody hands out what they do not hold: neither a role with more permissions than their own, nor a role to
themselves that way. A merchant always keeps somebody who may do everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from app.domain.permissions import PERMISSIONS, ROLES, TEAM_MANAGE
from app.kit.ids import new_id
from app.models.access.role import Role
from app.models.access.user import User
from app.models.events.journal import record
from app.services.access import sign_ins, tenants

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
MAX_ROLES = 100

_DESCRIPTIONS = {
    "payments_admin": "May do everything",
    "admin": "May do everything",
    "reconciler": "Settlements, payouts, reconciliations, exports and reports",
    "read_only": "May read everything but keys, audit and connectors",
}


@dataclass(frozen=True, slots=True)
class RoleInfo:
    """A role, built in or a merchant's own, and how many people have it."""

    name: str
    permissions: tuple[str, ...]
    description: str
    built_in: bool
    users: int


def list_all(actor: Actor) -> list[RoleInfo]:
    """The built-in roles and the merchant's own, by name, with the number of people who have them."""
    active = (User.tenant_id == actor.tenant_id, User.disabled_at.is_(None))
    counts = select(User.role, func.count()).where(*active).group_by(User.role)
    own = select(Role).where(Role.tenant_id == actor.tenant_id).order_by(Role.name)
    with reading() as db:
        people: dict[str, int] = {row[0]: row[1] for row in db.execute(counts)}
        rows = list(db.scalars(own))
    built_in = [
        RoleInfo(name, tuple(sorted(words)), _DESCRIPTIONS[name], True, people.get(name, 0))
        for name, words in ROLES.items()
    ]
    return built_in + [_info(row, people.get(row.name, 0)) for row in rows]


def get(actor: Actor, name: str) -> RoleInfo:
    """One role.

    Raises:
        NotFound: neither built in nor the merchant's.
    """
    found = get_or_none(actor, name)
    if found is None:
        raise NotFound("Role not found", code="role_not_found")
    return found


def get_or_none(actor: Actor, name: str) -> RoleInfo | None:
    """One role, or None where it is gone."""
    return next((role for role in list_all(actor) if role.name == name), None)


def may_manage(actor: Actor, user: User) -> bool:
    """Whether somebody may do no more than whoever asks."""
    with reading() as db:
        return all(actor.can(word) for word in permissions_of(db, user))


def put(
    actor: Actor, name: str, permissions: list[str] | None, description: str, user_id: str | None
) -> RoleInfo:
    """Make a role where permissions are given, and give it to a person where one is named, or neither.

    Raises:
        InvalidRequest: nothing of both is asked for; else see `create` and `assign`.
    """
    if permissions is None and user_id is None:
        raise InvalidRequest(
            "Send permissions to make a role, or user_id to give it",
            code="missing_field",
            field="permissions",
        )
    with transaction(actor):
        if permissions is not None:
            create(actor, name, permissions, description)
        if user_id is not None:
            assign(actor, name, user_id)
    return get(actor, name)


def create(actor: Actor, name: str, permissions: list[str], description: str = "") -> None:
    """Make a role of the merchant's own.

    Raises:
        InvalidRequest: a name that a role cannot have, or a permission that does not exist.
        PermissionDenied: `live_mode_required`; or a permission that the caller does not hold.
        Conflict: `role_exists`, or there are too many.
    """
    tenants.refuse_test_keys(actor)
    if not _NAME.fullmatch(name):
        raise InvalidRequest("A name has 2 to 40 of a-z, 0-9 and _, a letter first", field="name")
    wanted = _wanted(actor, permissions)
    role = Role(
        id=new_id("role"),
        tenant_id=actor.tenant_id,
        name=name,
        description=description,
        permissions=wanted,
        created_by=actor.id,
    )
    try:
        with transaction(actor) as db:
            count = select(func.count()).where(Role.tenant_id == actor.tenant_id)
            if name in ROLES or (db.scalar(count) or 0) >= MAX_ROLES:
                raise Conflict("There is such a role, or there are too many", code="role_exists")
            db.add(role)
            db.flush()
            after = {"id": role.id, "name": name, "permissions": wanted}
            _note(db, actor, "role.created", role.id, None, after)
    except IntegrityError as error:
        raise Conflict("There is a role of this name", code="role_exists", field="name") from error


def change(actor: Actor, name: str, permissions: list[str], description: str) -> None:
    """Change what a role of the merchant's own may do; it holds for whoever has it, from now on.

    Raises:
        InvalidRequest: a permission that does not exist.
        NotFound: the merchant has no such role of its own.
        PermissionDenied: `live_mode_required`; or the role may do, or would, what the caller does not hold.
        Conflict: `role_built_in`; or `last_admin`, nobody else may do everything.
    """
    tenants.refuse_test_keys(actor)
    wanted = _wanted(actor, permissions)
    with transaction(actor) as db:
        people, row = everybody(db, actor), _own_row(db, actor, name)
        refuse_beyond(actor, row.permissions)
        before = {"permissions": list(row.permissions), "description": row.description}
        row.permissions, row.description = wanted, description
        db.flush()
        expect_admin(db, people)
        after = {"id": row.id, "name": name, "permissions": wanted, "description": description}
        _note(db, actor, "role.changed", row.id, before, after)


def remove(actor: Actor, name: str) -> None:
    """Take away a role of the merchant's own that nobody has.

    Raises:
        NotFound: the merchant has no such role of its own.
        PermissionDenied: `live_mode_required`.
        Conflict: `role_built_in`; or `role_in_use`, also by somebody who is let in no more.
    """
    tenants.refuse_test_keys(actor)
    with transaction(actor) as db:
        people, row = everybody(db, actor), _own_row(db, actor, name)
        if any(person.role == name for person in people):
            raise Conflict("Somebody has this role: give them another first", code="role_in_use")
        _note(db, actor, "role.removed", row.id, {"name": name, "permissions": list(row.permissions)}, {})
        db.delete(row)


def assign(actor: Actor, name: str, user_id: str) -> None:
    """Give a person a role in place of the one they have; they have to sign in again.

    Raises:
        NotFound: no such role, or no such person of this merchant.
        PermissionDenied: `live_mode_required`; or the role, or the one that it replaces, may do more than the
            caller.
        Conflict: `last_admin`, nobody else may do everything.
    """
    tenants.refuse_test_keys(actor)
    with transaction(actor) as db:
        people, user = locked_people(db, actor, user_id)
        granted = _permissions(db, actor.tenant_id, name)
        if granted is None:
            raise NotFound("Role not found", code="role_not_found", field="name")
        before = user.role
        if before == name:
            return
        refuse_beyond(actor, [*granted, *(_permissions(db, actor.tenant_id, before) or ())])
        user.role = name
        expect_admin(db, people)
        sign_ins.end_all(db, user.id, "role_changed")
        _note(db, actor, "user.role_changed", user.id, {"role": before}, {"id": user.id, "role": name})


def refuse_others(actor: Actor) -> None:
    """People are let in and out by those who manage the team; what they may do holds in live mode, too.

    Raises:
        PermissionDenied: the caller does not manage the team, or `live_mode_required`.
    """
    if not actor.can(TEAM_MANAGE):
        raise PermissionDenied(f"Missing {TEAM_MANAGE} permission")
    tenants.refuse_test_keys(actor)


def refuse_beyond(actor: Actor, words: Iterable[str]) -> None:
    """Refuse whoever lacks one of these permissions.

    Raises:
        PermissionDenied: `beyond_own_permissions`.
    """
    beyond = sorted(word for word in words if not actor.can(word))
    if beyond:
        raise PermissionDenied(f"You do not hold {beyond[0]} yourself", code="beyond_own_permissions")


def refuse_beyond_role(db: Session, actor: Actor, name: str) -> None:
    """Refuse whoever holds less than a role does.

    Raises:
        NotFound: no such role.
        PermissionDenied: it may do more than the caller.
    """
    granted = _permissions(db, actor.tenant_id, name)
    if granted is None:
        raise NotFound("Role not found", code="role_not_found", field="role")
    refuse_beyond(actor, granted)


def own(tenant_id: str, name: str) -> frozenset[str]:
    """What a role of the merchant's own may do; nothing where there is none."""
    with reading() as db:
        return _permissions(db, tenant_id, name) or frozenset()


def permissions_of(db: Session, user: User) -> frozenset[str]:
    """What a person may do by their role; an unknown role may do nothing."""
    return _permissions(db, user.tenant_id, user.role) or frozenset()


def _permissions(db: Session, tenant_id: str, name: str) -> frozenset[str] | None:
    if name in ROLES:
        return ROLES[name]
    found = db.scalar(select(Role.permissions).where(Role.tenant_id == tenant_id, Role.name == name))
    return frozenset(found) if found is not None else None


def everybody(db: Session, actor: Actor) -> list[User]:
    """Everybody of the merchant, locked, in one order."""
    statement = select(User).where(User.tenant_id == actor.tenant_id).order_by(User.number)
    return list(db.scalars(statement.with_for_update()))


def locked_people(db: Session, actor: Actor, user_id: str) -> tuple[list[User], User]:
    """Everybody of the merchant, and the one who is meant.

    All at once, in one order: two who take each other's rights must not both succeed.

    Raises:
        NotFound: nobody of this merchant.
    """
    people = everybody(db, actor)
    user = next((person for person in people if person.id == user_id), None)
    if user is None:
        raise NotFound("User not found", code="user_not_found", field="user_id")
    return people, user


def expect_admin(db: Session, people: list[User]) -> None:
    """Refuse a change after which nobody could do everything.

    Raises:
        Conflict: `last_admin`.
    """
    if not any(person.disabled_at is None and "*" in permissions_of(db, person) for person in people):
        raise Conflict("Somebody has to be able to do everything", code="last_admin", field="user_id")


def _wanted(actor: Actor, permissions: list[str]) -> list[str]:
    """Permissions as a role keeps them, where they exist and the caller holds them."""
    wanted = sorted(set(permissions))
    unknown = [word for word in wanted if word not in PERMISSIONS]
    if unknown or not wanted:
        problem = f"No such permission: {unknown[0]}" if unknown else "Name at least one permission"
        raise InvalidRequest(problem, code="invalid_permission", field="permissions")
    refuse_beyond(actor, wanted)
    return wanted


def _own_row(db: Session, actor: Actor, name: str) -> Role:
    if name in ROLES:
        raise Conflict("This role is built in and stays as it is", code="role_built_in")
    statement = select(Role).where(Role.tenant_id == actor.tenant_id, Role.name == name)
    row = db.scalars(statement.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("Role not found", code="role_not_found")
    return row


def _info(row: Role, users: int) -> RoleInfo:
    return RoleInfo(row.name, tuple(row.permissions), row.description, False, users)


def _note(
    db: Session,
    actor: Actor,
    type_: str,
    entity_id: str,
    before: dict[str, Any] | None,
    after: dict[str, Any],
) -> None:
    record(
        db,
        type_,
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        entity=type_.split(".", maxsplit=1)[0],
        entity_id=entity_id,
        cause=str(actor.kind),
        before=before,
        after=after,
    )
