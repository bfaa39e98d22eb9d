"""The OpenAPI document: valid, always the same, complete, and true of what the endpoints answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app.api import SURFACES
from app.web.openapi import document
from app.web.surface import Idempotency
from tests.shops import Shop

DOCUMENT = document(SURFACES)
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return set()


def test_it_is_valid_openapi_31() -> None:
    errors = [str(error) for error in jsonschema_rs.validator_for(OPENAPI_31).iter_errors(DOCUMENT)]
    assert errors == []


def test_every_schema_is_valid_and_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name, schema in schemas.items():
        jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
        assert name == re.sub(r"[^A-Za-z0-9_.\-]", "", name)
    assert references(DOCUMENT) <= {f"#/components/schemas/{name}" for name in schemas}


def test_it_has_every_declared_endpoint_once() -> None:
    declared = [policy.route for surface in SURFACES for policy in surface.policies]
    assert sorted(OPERATIONS) == sorted(declared)
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"] for operation in OPERATIONS.values())


def test_it_says_what_a_caller_has_to_send() -> None:
    for surface in SURFACES:
        for policy in surface.policies:
            operation = OPERATIONS[policy.route]
            scheme = "bearer" if surface.key_header == "Authorization" else "api_key"
            assert operation["security"] == ([{scheme: []}] if policy.auth else [])
            keys = [p for p in operation["parameters"] if p["name"] == "Idempotency-Key"]
            assert bool(keys) == (policy.idempotency != Idempotency.NONE)
            assert [p["required"] for p in keys] == [policy.key_required for _ in keys]
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", policy.path))


def test_it_is_the_same_in_every_process() -> None:
    command = "import json; from app.api import SURFACES; from app.web.openapi import document; "
    command += "print(json.dumps(document(SURFACES), sort_keys=True))"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", command],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == json.dumps(DOCUMENT, sort_keys=True)


def test_it_is_served(client: FlaskClient) -> None:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json == json.loads(json.dumps(DOCUMENT))


def test_the_reference_shows_the_same_on_a_page_for_each_surface(client: FlaskClient) -> None:
    """Each object once, whoever answers it; nothing that a page links to is missing from it."""
    overview = client.get("/docs").text
    assert len(overview) < 60_000
    for surface in SURFACES:
        page = client.get(f"/docs/{surface.name}").text
        assert len(page) < 200_000
        anchors = re.findall(r' id="([^"]+)"', page)
        assert len(anchors) == len(set(anchors))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)
        for policy in surface.policies:
            anchor = f"{policy.contract_id}-{policy.method}"
            assert f'href="/docs/{surface.name}#{anchor}"' in overview, "found from the overview"
            assert f'id="{anchor}"' in overview, "an address of the time when all was one page"
            shown = page.split(f'id="{anchor}"')[1].split("</article>")[0]
            for asked in (policy.body, policy.query):
                fields = asked.model_json_schema()["properties"] if asked else {}
                assert set(fields) <= set(re.findall(r"<dt>(\w+)", shown)), policy.route
            answer = re.search(r'Answers \d+: <code>\[?<a href="#([^"]+)"', shown)
            if answer is not None and hasattr(policy.returns, "model_json_schema"):
                told = page.split(f'id="{answer[1]}"')[1].split("</section>")[0]
                fields = policy.returns.model_json_schema(mode="serialization")["properties"]
                assert set(fields) == set(re.findall(r"<dt>([^< ]+)", told)), policy.route
            else:
                assert not hasattr(policy.returns, "model_fields"), policy.route
    assert client.get("/docs/nothing").status_code == 404


@pytest.mark.parametrize("surface", [surface.name for surface in SURFACES])
def test_errors_have_the_form_that_it_states(app: Flask, shop: Shop, surface: str) -> None:
    client = app.test_client()
    schema = DOCUMENT["components"]["schemas"][f"{surface}_error"]
    checked = 0
    for route, operation in OPERATIONS.items():
        if operation["tags"] != [surface]:
            continue
        method, path = route.split(" ")
        url = re.sub(r"{\w+}", "none", path)
        for headers in ({}, {**shop.bearer, "x-api-key": shop.secret}):
            answer = client.open(url, method=method, headers=headers, json=None if method == "GET" else {})
            if answer.status_code >= 400:
                assert str(answer.status_code) in operation["responses"], route
                jsonschema_rs.validate(schema, answer.json)
                checked += 1
    assert checked > 0
