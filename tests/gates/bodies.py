"""The smallest body that an endpoint takes, out of its declared model; ids in it are those of real things."""

from __future__ import annotations

from typing import Any

from app.web.surface import Policy

_ADDRESS = {"line1": "1 High Street", "city": "London", "postal_code": "SW1A 1AA", "country": "GB"}
#: Where a model's schema alone does not say what makes sense: by contract id, or by the name of a field.
BODIES: dict[str, dict[str, Any]] = {
    "CK-001": {
        "cart_snapshot": {
            "currency": "GBP",
            "lines": [{"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1500}],
        }
    },
    "CK-007": _ADDRESS,
    "CK-008": _ADDRESS,
    "CK-029": {"allocations": [{"payment_method_id": "@payment_method_id", "amount": 100}]},
    "CK-031": {"type": "paypal"},
    "MR-001": {"amount": 1000, "currency": "GBP", "reference": "order_1"},
    "OP-05": {"grant_type": "client_credentials", "client_secret": "sk_test_wrong"},
    "OP-37": {"type": "paypal"},
    "OP-38": {"config": {"api_key": "walk"}},
    "OP-69-create": {"subtotal": 10},
    "OR-001": {"subtotal": 10},
    "OR-002": {"order_id": "#order_id"},
    "PY-001": {"token": "@token"},
    "PY-002": {"payment_method_id": "@payment_method_id", "customer_id": "cus_walk"},
    "PY-030": {"notes": "See the parcel's number"},
    "PY-062": {"intent_id": "@at_bank", "token": "@bank_token"},
    "PY-065": {"decision_id": "@decision_id", "action": "deny", "reason": "walk"},
    "PY-071": {"scopes": ["checkout:read"], "name": "Walk"},
    "PY-068": {"type": "payment.succeeded", "intent_id": "@intent_id"},
    "PY-074": {"name": "walkers", "permissions": ["checkout:read"]},
    "SE-001": {"amount": 10, "currency_code": "GBP", "title": "Mug", "customer_email": "a@b.example"},
}
#: Fields that name a thing of the merchant's.
_NAMES = frozenset(
    {
        "assignee_id",
        "charge_id",
        "connector_id",
        "decision_id",
        "id",
        "intent_id",
        "keyId",
        "order_id",
        "paymentId",
        "payment_intent_id",
        "payment_method_id",
        "webhook_id",
    }
)
FIELDS: dict[str, Any] = {
    "country": "GB",
    "currency": "GBP",
    "amount": 100,
    "url": "https://shop.example/hook",
    "events": ["payment.succeeded"],
    "event": "payment.succeeded",
    "eventType": "payment.succeeded",
    "content_type": "application/pdf",
    "reason_code": "fraudulent",
    "grace_seconds": 0,
}


def smallest(policy: Policy, ids: dict[str, str]) -> dict[str, Any] | None:
    """The body, or None where the endpoint takes none."""
    if policy.body is None:
        return None
    if policy.contract_id in BODIES:
        return _filled(BODIES[policy.contract_id], ids)  # type: ignore[no-any-return]
    schema = policy.body.model_json_schema()
    return _object(schema, schema.get("$defs", {}), ids)


def asked(policy: Policy, ids: dict[str, str]) -> dict[str, Any]:
    """The smallest query that an endpoint takes, and every filter of it that names a thing."""
    if policy.query is None:
        return {}
    schema = policy.query.model_json_schema()
    shapes, parts = schema.get("properties", {}), schema.get("$defs", {})
    wanted = set(schema.get("required", [])) | (set(shapes) & set(ids) & _NAMES)
    return {name: _value(name, shapes[name], parts, ids) for name in sorted(wanted)}


def asks_for(policy: Policy) -> bool:
    """Whether the query has to name a thing; a filter of a list need not."""
    schema = policy.query.model_json_schema() if policy.query is not None else {}
    return bool(_NAMES & set(schema.get("required", [])))


def optional_ids(policy: Policy, ids: dict[str, str]) -> list[dict[str, str]]:
    """For each field that may name a thing and need not: what adds it to the smallest body."""
    if policy.body is None:
        return []
    schema = policy.body.model_json_schema()
    free = set(schema.get("properties", {})) - set(schema.get("required", []))
    return [{name: ids[name]} for name in sorted(free) if name in _NAMES and name in ids]


def named(body: Any) -> bool:
    """Whether a body names a thing that is stored."""
    if isinstance(body, list):
        return any(named(item) for item in body)
    if not isinstance(body, dict):
        return False
    return any(name in _NAMES or named(value) for name, value in body.items())


def _filled(value: Any, ids: dict[str, str]) -> Any:
    """An example with ids in the place of their names, which `@` marks (`#`, where it is a number)."""
    if isinstance(value, dict):
        return {name: _filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, ids) for item in value]
    if isinstance(value, str) and value.startswith("#"):
        return int(ids[value[1:]])
    return ids[value[1:]] if isinstance(value, str) and value.startswith("@") else value


def _object(schema: dict[str, Any], parts: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    shapes = schema.get("properties", {})
    return {name: _value(name, shapes[name], parts, ids) for name in schema.get("required", [])}


def _value(name: str, schema: dict[str, Any], parts: dict[str, Any], ids: dict[str, str]) -> Any:
    if name in ids:
        return ids[name]
    if name in FIELDS:
        return FIELDS[name]
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _value(name, schema[choice][0], parts, ids)
    if "enum" in schema or "const" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        return _object(schema, parts, ids)
    if kind == "array":
        return [_value(name, schema["items"], parts, ids)] if schema.get("minItems") else []
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    simple = {"integer": schema.get("minimum", 1), "number": 1, "boolean": False}
    return simple.get(kind, "x" * max(1, schema.get("minLength", 1)))
