"""What other providers than gateways send us, signed: verified on the raw body, each notice once (OP-18).

Whom a notice is for is told by what it names; nothing else of it is looked at before its signature is good
under that merchant's own secret.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import reading, retrying
from app.domain.errors import InvalidRequest, Unauthenticated
from app.kit import clock, signing, strict_json
from app.kit.ids import new_id
from app.models.events.provider_event import ProviderEvent
from app.services.operations import inbound_secrets

_ID = re.compile(r"[0-9A-Za-z_.:-]{1,128}")


def read(raw: bytes) -> dict[str, Any]:
    """The notice, not to be trusted yet.

    Raises:
        Unauthenticated: it is no JSON object, so nobody signed it.
    """
    try:
        said = strict_json.loads(raw)
    except strict_json.StrictJsonError as error:
        raise refusal() from error
    if not isinstance(said, dict):
        raise refusal()
    return said


def text(said: Mapping[str, Any], *names: str) -> str | None:
    """The first of these fields that is an id in form."""
    values = (said.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and _ID.fullmatch(value)), None)


def verify(raw: bytes, headers: Mapping[str, str], tenant_id: str, kind: str) -> None:
    """Raises Unauthenticated where the body is not signed with a secret of the merchant's of that kind."""
    secrets = inbound_secrets.find_all(tenant_id, kind)
    given = {name.lower(): value for name, value in headers.items()}.get("x-webhook-signature", "")
    if not signing.verify_timestamped(given, raw, secrets, clock.now()):
        raise refusal()


def refusal() -> Unauthenticated:
    """The one answer to a bad signature and to what nobody knows."""
    return Unauthenticated("The signature is not valid", code="invalid_signature")


def event_id(raw: bytes, said: Mapping[str, Any]) -> str:
    """What makes a notice itself: its `id`; of one without an id the same bytes are the same notice.

    Raises:
        InvalidRequest: its id is of no form that we keep.
    """
    if said.get("id") is None:
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"
    named = text(said, "id")
    if named is None:
        raise InvalidRequest("id has 1 to 128 letters, digits and _.:-", field="id", code="invalid_field")
    return named


def one_of(said: Mapping[str, Any], field: str, words: tuple[str, ...]) -> str:
    """The value of a field that has to be one of these words.

    Raises:
        InvalidRequest: it is not.
    """
    value = said.get(field)
    if value not in words:
        raise InvalidRequest(
            f"{field} is one of {', '.join(words)}",
            code="missing_field" if value is None else "invalid_field",
            field=field,
        )
    return str(value)


def once(take: Callable[[], bool], *, tenant_id: str, provider: str, event_id: str) -> bool:
    """Take a notice in a transaction of its own; False for one that we had, also where two came at once."""
    try:
        return retrying(take)
    except IntegrityError:
        with reading() as db:
            if not _is_kept(db, tenant_id, provider, event_id):
                raise
        return False


def is_new(
    db: Session,
    *,
    tenant_id: str,
    mode: str,
    provider: str,
    event_id: str,
    type_: str,
    payload: dict[str, Any],
) -> bool:
    """Keep a notice in the caller's transaction; False for one that we had.

    Of two that come at once the database refuses one (IntegrityError); see `once`.
    """
    if _is_kept(db, tenant_id, provider, event_id):
        return False
    now = clock.now()
    db.add(
        ProviderEvent(
            id=new_id("pev"),
            tenant_id=tenant_id,
            mode=mode,
            provider=provider,
            event_id=event_id,
            type=type_,
            payload=payload,
            received_at=now,
            processed_at=now,
        )
    )
    return True


def _is_kept(db: Session, tenant_id: str, provider: str, event_id: str) -> bool:
    mine = select(ProviderEvent.id).where(
        ProviderEvent.tenant_id == tenant_id,
        ProviderEvent.provider == provider,
        ProviderEvent.event_id == event_id,
    )
    return db.scalar(mine) is not None
