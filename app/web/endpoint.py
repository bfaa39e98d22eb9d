"""What happens around every endpoint: the declared policy, applied in the order of OP-10.

Everything that can be known at declaration is computed once; a request only runs through it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from flask import Response, g, request
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.domain.actor import BROWSERS, Actor, ActorKind
from app.domain.errors import (
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    TenantMismatch,
    Unauthenticated,
    UnsupportedMediaType,
)
from app.domain.rules import documents
from app.domain.rules.cards import holds_card_number
from app.kit import strict_json
from app.services.operations import idempotency
from app.services.operations.idempotency import Reply
from app.web import authentication, card_screen, mfa, opens, rate_limits

if TYPE_CHECKING:
    from app.web.surface import Policy

#: Larger bodies are refused (reliability.md 40).
MAX_BODY = 256 * 1024
#: The same where files come in: the largest document, and room for what a form adds.
MAX_FILE_BODY = documents.MAX_BYTES + 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with headers, or with another status than the declared one.

    `kept` is what a repetition of the call gets instead, where the value holds a secret that is shown once.
    """

    value: Any
    headers: dict[str, str] | None = None
    status: int | None = None
    kept: Any = None


@dataclass(frozen=True, slots=True)
class Download:
    """A file as the answer: saved by whoever asks for it, never shown by a browser."""

    content: bytes
    content_type: str
    filename: str


def view(policy: Policy, function: Callable[..., Any]) -> Callable[..., Response]:
    """The Flask view of an endpoint."""
    wanted = frozenset(inspect.signature(function).parameters)
    serialize = _serializer(policy)
    has_body = policy.method in ("POST", "PATCH", "PUT", "DELETE")

    def serve(**path: str) -> Response:
        actor = _admit(policy, path)
        arguments: dict[str, Any] = dict(path)
        key = request.headers.get("Idempotency-Key")
        card_screen.refuse_in_query(request.args)
        if key is not None:
            card_screen.refuse_in_key(key, path)
        raw, body = _read(policy)
        if policy.body is not None:
            arguments["body"] = body
        if policy.query is not None:
            arguments["query"] = _validate(policy.query, request.args.to_dict(), strict=False)
        if actor is not None and actor.session_id is not None:
            _keep_to_session(actor.session_id, path)
        if "actor" in wanted:
            arguments["actor"] = actor
        if "idempotency_key" in wanted:
            arguments["idempotency_key"] = key

        if policy.downloads:
            return _attachment(function(**arguments))

        def work() -> Reply:
            return _reply(policy, serialize, function(**arguments))

        key = _key(policy, key, body) if has_body else None
        if key is None or str(policy.idempotency) == "none" or actor is None:
            return _respond(work())
        return _respond(_idempotent(policy, actor, key, path, raw, work))

    return opens.put(serve, policy)


def _admit(policy: Policy, path: dict[str, str]) -> Actor | None:
    """Authentication, tenant, rate limit, permission and second factor, in this order."""
    path_tenant = path.pop("tenant_id", None)
    if not policy.auth:
        rate_limits.strict(policy, None)
        return None
    known = authentication.authenticate(policy.surface.key_header, to_look=policy.tells_payers)
    g.actor = actor = known.asking(g.request_id, authentication.client_address())
    taken = actor.kind in policy.auth
    if not taken and actor.kind not in BROWSERS:
        raise Unauthenticated
    _check_tenant(actor, path_tenant)
    rate_limits.general(actor, policy.method)
    rate_limits.strict(policy, actor)
    if not taken:
        raise PermissionDenied("This credential may not do this")
    bound = actor.kind == ActorKind.PUBLISHABLE_KEY
    if policy.permission is not None and not bound and not actor.can(policy.permission):
        raise PermissionDenied(f"Missing {policy.permission} permission")
    mfa.require(policy.mfa, actor)
    return actor


def _keep_to_session(session_id: str, path: dict[str, str]) -> None:
    """A browser's credential finds its own session alone (OP-07)."""
    if path.get("checkout_id", session_id) != session_id:
        raise NotFound("Checkout session not found", code="checkout_not_found")


def _check_tenant(actor: Actor, path_tenant: str | None) -> None:
    named = [request.headers.get("X-Tenant-ID"), request.headers.get("X-Tenant"), path_tenant]
    mine = (actor.tenant.id, actor.tenant.slug, actor.tenant.public_id)
    if any(name is not None and name not in mine for name in named):
        raise TenantMismatch


def _read(policy: Policy) -> tuple[Any, BaseModel | None]:
    """What was sent, and what it is as a body; a file is not read as one."""
    if request.mimetype in policy.accepts:
        raw = _files()
        card_screen.refuse_in_form(request.form, request.files)
        return raw, None
    if policy.body is None:
        if not policy.accepts:
            request.max_content_length = MAX_BODY  # a signed notice is read by whoever knows its signer
        return None, None
    raw = _json(exact=policy.surface.exact_numbers)
    card_screen.refuse_in_body(raw, policy.card_fields)
    return raw, _validate(policy.body, raw)


def _json(*, exact: bool) -> Any:
    if request.content_length is not None and request.content_length > MAX_BODY:
        raise PayloadTooLarge
    raw = request.get_data(cache=True)
    if len(raw) > MAX_BODY:
        raise PayloadTooLarge
    if not raw.strip():
        return {}
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise UnsupportedMediaType
    try:
        return strict_json.loads(raw, exact=exact)
    except strict_json.StrictJsonError as error:
        pointer = "" if holds_card_number(error.pointer) else error.pointer
        raise InvalidRequest(
            error.reason,
            code="invalid_json",
            field=pointer or None,
            explain={"reason": "invalid_json", "pointer": pointer},
        ) from error


def _files() -> Any:
    """Let files come in, and what stands for them in an idempotency key's fingerprint."""
    request.max_content_length = MAX_FILE_BODY
    if request.mimetype != "multipart/form-data":
        return None  # the endpoint reads it, once it knows whose it is
    parts = []
    for name, file in sorted(request.files.items(multi=True), key=itemgetter(0)):
        parts.append([name, file.filename, file.mimetype, hashlib.sha256(file.stream.read()).hexdigest()])
        file.stream.seek(0)
    return [parts, request.form.to_dict(flat=False)]


def _validate(model: type[BaseModel], value: Any, *, strict: bool = True) -> BaseModel:
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object", code="invalid_json")
    try:
        return model.model_validate(value, strict=None if strict else False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        missing = first["type"] == "missing"
        text = f"{place} is required" if missing else f"{place}: {first['msg']}"
        raise InvalidRequest(
            text,
            code="missing_field" if missing else "invalid_field",
            field=place,
            explain={"reason": "invalid_field", "field": place, "problem": first["msg"]},
        ) from error


def _serializer(policy: Policy) -> Callable[[Any], str]:
    if policy.returns is None:
        return lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    adapter: TypeAdapter[Any] = TypeAdapter(policy.returns)
    return lambda value: adapter.dump_json(value).decode()


def _reply(policy: Policy, serialize: Callable[[Any], str], result: Any) -> Reply:
    headers, status, kept = None, policy.status, None
    if isinstance(result, Answer):
        headers, status, kept, result = result.headers, result.status or status, result.kept, result.value
    if result is None and status in (204, 302):
        return Reply(status, "", headers)
    body = serialize(result)
    if kept is not None:
        return Reply(status, serialize(kept), headers, shown=body)
    return Reply(status, body, headers)


def _idempotent(
    policy: Policy, actor: Actor, key: str, path: dict[str, str], raw: Any, work: Callable[[], Reply]
) -> Reply:
    """Do the work under the key; the same endpoint at its tenant's path is the same place (OP-44)."""
    place = policy.surface.prefix + policy.path.format_map(path)
    asked = [raw, request.args.to_dict(flat=False)] if request.args else raw
    scope = idempotency.scope(actor, policy.method, place, key, asked, route=policy.route)
    if str(policy.idempotency) == "local":
        return idempotency.local(actor, scope, work)
    return idempotency.leased(scope, work)


def _key(policy: Policy, key: str | None, body: Any) -> str | None:
    """The key of a request; where one is required `request_id` in the body stands in for it (OP-13).

    Raises:
        InvalidRequest: required, and not there.
    """
    if key is None and policy.key_required:
        key = getattr(body, "request_id", None)
        if key is None:
            raise InvalidRequest(
                "Send an Idempotency-Key", code="idempotency_key_required", field="Idempotency-Key"
            )
    return key


def _attachment(file: Download) -> Response:
    response = Response(file.content, mimetype=file.content_type)
    response.headers.set("Content-Disposition", "attachment", filename=file.filename)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox; frame-ancestors 'none'"
    return response


def _respond(reply: Reply) -> Response:
    body = reply.body if reply.shown is None else reply.shown
    response = Response(body, status=reply.status, mimetype="application/json")
    if reply.status == 204:
        response.headers.pop("Content-Type", None)
    for name, value in (reply.headers or {}).items():
        response.headers[name] = value
    if reply.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
