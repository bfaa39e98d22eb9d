"""OpenAPI 3.1 out of the declared policies, at /openapi.json."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from pydantic import TypeAdapter

from app import settings
from app.web import error_bodies
from app.web.errors import status_of
from app.web.opens import To, opens
from app.web.surface import PUBLIC, Idempotency, Policy, Surface

#: What an endpoint may refuse with, before a surface folds some of them into 400.
_REFUSALS = (400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 503)


def install(app: Flask, surfaces: Sequence[Surface]) -> None:
    """Serve the document; it is made once."""
    made: list[str] = []
    app.extensions["till_surfaces"] = surfaces

    @app.get("/openapi.json")
    @opens(To.EVERYBODY)
    def openapi() -> Response:
        if not made:
            made.append(json.dumps(document(surfaces), sort_keys=True))
        return Response(made[0], mimetype="application/json")


def document(surfaces: Sequence[Surface]) -> dict[str, Any]:
    """The whole document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for surface in surfaces:
        schemas[f"{surface.name}_error"] = error_bodies.SCHEMAS[surface.render_error]
        for policy in surface.policies:
            if policy.sandbox_only and settings.current().production:
                continue
            path = paths.setdefault(surface.prefix + policy.path, {})
            path[policy.method.lower()] = _operation(surface, policy, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Till",
            "version": "1",
            "description": "A checkout to host oneself: five surfaces over one model of payments.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A secret key; where the endpoint says so a publishable key or the "
                    "`client_token` of a session or the `client_secret` of a payment",
                },
                "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(surface: Surface, policy: Policy, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": policy.contract_id,
        "summary": policy.summary,
        "tags": [surface.name],
        "parameters": _parameters(policy, schemas),
        "responses": _responses(surface, policy, schemas),
        "security": []
        if policy.auth == PUBLIC
        else [{"bearer" if surface.key_header == "Authorization" else "api_key": []}],
    }
    content = {media: {"schema": _file(media)} for media in policy.accepts}
    if policy.body is not None:
        name = f"{surface.name}_{policy.contract_id.replace('-', '_')}_body"
        schema = _schema(surface, name, policy.body, schemas, "validation")
        content["application/json"] = {"schema": schema}
    if content:
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _file(media: str) -> dict[str, Any]:
    """A body that is a file, or a form with one in its field `file`."""
    binary = {"type": "string", "format": "binary"}
    if media != "multipart/form-data":
        return binary
    return {"type": "object", "properties": {"file": binary}, "required": ["file"]}


def _parameters(policy: Policy, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", policy.path)
    ]
    if policy.query is not None:
        shape = _resolved(policy.surface, policy.query, schemas, "validation")
        found += [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in shape["properties"].items()
        ]
    if policy.idempotency != Idempotency.NONE:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": policy.key_required,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
            }
        )
    return found


def _responses(surface: Surface, policy: Policy, schemas: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": f"#/components/schemas/{surface.name}_error"}}}
    success: dict[str, Any] = {"description": "Done"}
    if policy.downloads:
        success["content"] = {"*/*": {"schema": _file("*/*")}}
    elif policy.returns is not None:
        name = f"{surface.name}_{policy.contract_id.replace('-', '_')}_answer"
        schema = _schema(surface, name, policy.returns, schemas, "serialization")
        success["content"] = {"application/json": {"schema": schema}}
    statuses = sorted({status_of(surface, status) for status in _REFUSALS})
    empty = {"204": {"description": "Nothing to tell"}} if policy.may_be_empty else {}
    onward = {"302": {"description": "To the page that comes next"}} if policy.may_lead_on else {}
    return {
        str(policy.status): success,
        **empty,
        **onward,
        **{str(status): {"description": HTTPStatus(status).phrase, "content": error} for status in statuses},
    }


def _schema(surface: Surface, name: str, kind: Any, schemas: dict[str, Any], mode: Any) -> dict[str, str]:
    """Put a model's schema among the components under `name`, its parts beside it."""
    schemas[name] = _resolved(surface, kind, schemas, mode)
    return {"$ref": f"#/components/schemas/{name}"}


def _resolved(surface: Surface, kind: Any, schemas: dict[str, Any], mode: Any) -> dict[str, Any]:
    """A model's schema; its parts stand among the components, under the surface's and their own name.

    Raises:
        ValueError: two parts of one surface have the same name and another form.
    """
    prefix = f"{surface.name}_{mode[0]}_"
    schema = TypeAdapter(kind).json_schema(mode=mode, ref_template=f"#/components/schemas/{prefix}{{model}}")
    for part, value in schema.pop("$defs", {}).items():
        if schemas.setdefault(prefix + part, value) != value:
            raise ValueError(f"two models of the {surface.name} surface are called {part}")
    return schema
