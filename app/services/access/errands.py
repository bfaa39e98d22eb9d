"""Who asked for a job, so that the journal names them and not the worker."""

from __future__ import annotations

from typing import Any

from app.domain.actor import Actor, ActorKind, Mode
from app.services.access import tenants


def kept(actor: Actor) -> dict[str, Any]:
    """The caller as a job's arguments keep it."""
    names = ("id", "tenant_id", "label", "request_id", "created_by", "on_behalf_of")
    return {"kind": str(actor.kind), "mode": str(actor.mode), **{n: getattr(actor, n) for n in names}}


def recalled(given: dict[str, Any]) -> Actor:
    """That caller again; their right to do it was checked when they asked."""
    return Actor(
        ActorKind(given["kind"]),
        given["id"],
        tenants.profile(given["tenant_id"], given["mode"]),
        Mode(given["mode"]),
        frozenset({"*"}),
        given["label"],
        request_id=given["request_id"],
        created_by=given["created_by"],
        on_behalf_of=given["on_behalf_of"],
    )
