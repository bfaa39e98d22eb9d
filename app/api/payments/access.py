"""PY-070 to PY-075: keys, roles, and what an assessor may see."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.permissions import KEYS_MANAGE, TEAM_MANAGE
from app.kit import clock
from app.models.access.api_key import ApiKey
from app.services.access import attestations, key_owners, keys, roles
from app.services.access.roles import RoleInfo
from app.web.endpoint import Answer
from app.web.schemas import Body, Instant, Listing, NumberedQuery, View, pages_of
from app.web.surface import PEOPLE

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST = 10 * 365 * 86_400


def _lifetime(text: str) -> str:
    if not 60 <= _seconds(text) <= _LONGEST:
        raise ValueError("must be from a minute to ten years")
    return text


def _overlap(text: str) -> str:
    if not re.fullmatch(r"([0-9]{1,9})([smhdw])", text) or _seconds(text) > keys.MAX_OVERLAP_SECONDS:
        raise ValueError("must be from nothing to a week")
    return text


def _seconds(text: str) -> int:
    """`30d`, `12h` → seconds."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    return int(found[1]) * _UNITS[found[2]] if found else 0


class KeyCreate(Body):
    """A key of the caller's mode. `expires_in` is a number with s, m, h, d or w; without it, never."""

    name: str = Field(min_length=1, max_length=100)
    type: Literal["secret", "publishable"] = "secret"
    scopes: list[str] = Field(default_factory=list, max_length=100)
    expires_in: Annotated[str, AfterValidator(_lifetime)] | None = Field(None, max_length=10)


class KeyRoll(Body):
    """How long the old key works on, and how long the new one lives: without it, as long as the old one."""

    overlap: Annotated[str, AfterValidator(_overlap)] = Field("24h", max_length=10)
    expires_in: Annotated[str, AfterValidator(_lifetime)] | None = Field(None, max_length=10)


class KeyView(View):
    """A key. `key` is its plaintext: it is in the answer that makes it, and never again.

    `effective_scopes` is what it may do now: less than its scopes where `created_by` may do less today.
    """

    id: str
    name: str
    type: Literal["secret", "publishable"]
    environment: str
    prefix: str
    last4: str
    scopes: list[str]
    effective_scopes: list[str]
    status: Literal["active", "revoked", "expired"]
    created_by: str | None
    made_with: str | None
    replaced_by: str | None
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None
    revoked_at: Instant | None
    key: str | None = None

    @classmethod
    def of(cls, row: ApiKey, plaintext: str | None = None, rights: Collection[str] | None = None) -> KeyView:
        """The view of a row; without rights it has all its scopes."""
        over = row.expires_at is not None and row.expires_at <= clock.now()
        return cls(
            id=row.id,
            name=row.name,
            type="secret" if row.kind == "sk" else "publishable",
            environment=row.mode,
            prefix=row.prefix,
            last4=row.last4,
            scopes=row.scopes,
            effective_scopes=sorted(row.scopes if rights is None else rights),
            status="revoked" if row.revoked_at else "expired" if over else "active",
            created_by=row.created_by,
            made_with=row.made_with,
            replaced_by=row.replaced_by,
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
            key=plaintext,
        )


@surface.get("/keys", "PY-070", query=NumberedQuery, returns=pages_of(KeyView), permission=KEYS_MANAGE)
def list_keys(actor: Actor, query: NumberedQuery) -> Listing[KeyView]:
    """List keys; their plaintext is not shown again."""
    page = keys.list_page(actor, **query.place())
    rights = key_owners.rights_of(actor, page.data)
    return Listing[KeyView].of(page, lambda row: KeyView.of(row, rights=rights.get(row.id)))


@surface.post("/keys", "PY-071", body=KeyCreate, returns=KeyView, status=201, permission=KEYS_MANAGE)
def create_key(actor: Actor, body: KeyCreate) -> Answer:
    """Make a scoped key; its plaintext is in this answer alone."""
    secret = body.type == "secret"
    if secret and not body.scopes:
        raise InvalidRequest("Name the scopes of a secret key", code="missing_field", field="scopes")
    row, plaintext = keys.create(
        actor,
        body.name,
        kind="sk" if secret else "pk",
        scopes=body.scopes or None,
        expires_in_seconds=_seconds(body.expires_in) if body.expires_in else None,
    )
    return Answer(KeyView.of(row, plaintext), kept=KeyView.of(row))


@surface.delete("/keys/{key_id}", "PY-072", status=204, permission=KEYS_MANAGE)
def revoke_key(actor: Actor, key_id: str) -> None:
    """Revoke a key: it is refused from the next request on."""
    keys.revoke(actor, key_id)


class RolledKey(KeyView):
    """The new key, and the one whose place it takes."""

    previous: KeyView


@surface.post(
    "/keys/{key_id}/roll", "OP-06-roll", body=KeyRoll, returns=RolledKey, status=201, permission=KEYS_MANAGE
)
def roll_key(actor: Actor, key_id: str, body: KeyRoll) -> Answer:
    """Make a key in place of another, which works on for a while; the plaintext is in this answer alone."""
    row, plaintext, old = keys.roll(
        actor,
        key_id,
        overlap_seconds=_seconds(body.overlap),
        expires_in_seconds=_seconds(body.expires_in) if body.expires_in else None,
    )
    shown = RolledKey(**dict(KeyView.of(row)), previous=KeyView.of(old))
    return Answer(shown.model_copy(update={"key": plaintext}), kept=shown)


@surface.post(
    "/keys/{key_id}/take-over", "OP-06-take-over", returns=KeyView, auth=PEOPLE, permission=KEYS_MANAGE
)
def take_over_key(actor: Actor, key_id: str) -> KeyView:
    """Answer for a key from now on: it may do what you may do, whoever made it."""
    return KeyView.of(key_owners.take_over(actor, key_id))


class RoleCreate(Body):
    """With `permissions` a role is made, with `user_id` a person gets it; both may be done at once."""

    name: str = Field(min_length=1, max_length=40)
    permissions: list[str] | None = Field(None, max_length=200)
    description: str = Field("", max_length=200)
    user_id: str | None = Field(None, min_length=1, max_length=64)


class RoleView(View):
    """A role and how many people have it."""

    name: str
    description: str
    permissions: list[str]
    built_in: bool
    users: int

    @classmethod
    def of(cls, row: RoleInfo) -> RoleView:
        """The view of a role."""
        return cls.model_validate(row)


@surface.get("/roles", "PY-073", returns=Listing[RoleView], permission=TEAM_MANAGE)
def list_roles(actor: Actor) -> Listing[RoleView]:
    """List the built-in roles and the merchant's own."""
    rows = [RoleView.of(row) for row in roles.list_all(actor)]
    return Listing[RoleView](data=rows, has_more=False, next_cursor=None)


@surface.post("/roles", "PY-074", body=RoleCreate, returns=RoleView, status=201, permission=TEAM_MANAGE)
def create_role(actor: Actor, body: RoleCreate) -> RoleView:
    """Make a role, give a person one, or both; not with a key of test mode."""
    return RoleView.of(roles.put(actor, body.name, body.permissions, body.description, body.user_id))


class AttestationView(View):
    """The installation's part in PCI DSS, as facts; no attestation of compliance in the standard's sense."""

    standard: str
    questionnaire: str
    merchant: str
    generated_at: Instant
    card_data: dict[str, Any]
    encryption: dict[str, Any]
    transport: dict[str, Any]
    scripts: dict[str, Any]
    gateways: dict[str, Any]
    access: dict[str, Any]
    audit: dict[str, Any]
    responsibilities: list[str]


@surface.get("/pci/attestation", "PY-075", returns=AttestationView, permission="reports:read")
def attest(actor: Actor) -> AttestationView:
    """See the facts for a PCI self-assessment, with the audit's state."""
    return AttestationView(
        standard=attestations.STANDARD,
        questionnaire=attestations.QUESTIONNAIRE,
        merchant=actor.tenant.name,
        responsibilities=list(attestations.RESPONSIBILITIES),
        **asdict(attestations.attest(actor)),
    )
