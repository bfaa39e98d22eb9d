"""What the API reference shows of a surface: its endpoints, and each object once, whoever answers with it.

Made from the declared policies, as /openapi.json is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from markupsafe import Markup
from pydantic import TypeAdapter

from app.web.surface import Policy, Surface

#: How surfaces are called; others by their own name.
TITLES = {"auth": "Signing in"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object, a body or a query; `type` links to the object that stands in it."""

    name: str
    type: Markup
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What has fields."""

    name: str
    description: str
    fields: tuple[Field, ...]
    #: Whether a caller sends it: what is answered has all its fields.
    asked: bool

    @property
    def anchor(self) -> str:
        """Where it stands on the page."""
        return _anchor(self.name)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint with what it takes and what it answers."""

    policy: Policy
    query: Shape | None
    body: Shape | None
    answer: Markup | None

    @property
    def anchor(self) -> str:
        """Where it stands on the page."""
        return f"{self.policy.contract_id}-{self.policy.method}"

    @property
    def title(self) -> str:
        """What it does."""
        return self.policy.summary.strip(".")


@dataclass(frozen=True, slots=True)
class Reference:
    """A surface as its page shows it."""

    name: str
    title: str
    key_header: str
    endpoints: tuple[Endpoint, ...]
    objects: tuple[Shape, ...]


@lru_cache(maxsize=16)
def of(surface: Surface, sandboxed: bool) -> Reference:
    """The reference of a surface; with what is there in sandboxes alone, or without."""
    reader = _Reader()
    policies = (policy for policy in surface.policies if sandboxed or not policy.sandbox_only)
    endpoints = tuple(reader.endpoint(policy) for policy in sorted(policies, key=lambda p: p.contract_id))
    title = TITLES.get(surface.name, surface.name.capitalize())
    objects = tuple(reader.objects[name] for name in sorted(reader.objects))
    return Reference(surface.name, title, surface.key_header, endpoints, objects)


class _Reader:
    """Reads models, and keeps the objects that it comes across."""

    def __init__(self) -> None:
        self.objects: dict[str, Shape] = {}

    def endpoint(self, policy: Policy) -> Endpoint:
        """What an endpoint takes and answers."""
        query, body = (
            self._inline(kind) if kind is not None else None for kind in (policy.query, policy.body)
        )
        answer = self._answer(policy.returns) if policy.returns is not None else None
        return Endpoint(policy, query, body, answer)

    def _inline(self, kind: Any) -> Shape:
        schema, names = self._read(kind, "validation")
        return self._shape(schema.get("title", ""), schema, names, asked=True)

    def _answer(self, kind: Any) -> Markup:
        schema, names = self._read(kind, "serialization")
        if "properties" not in schema:
            return _type(schema, names)
        shape = self._shape(schema["title"], schema, names, asked=False)
        return _link(self._keep(shape))

    def _read(
        self, kind: Any, mode: Literal["validation", "serialization"]
    ) -> tuple[dict[str, Any], dict[str, Markup]]:
        """A model's schema, and how its parts are shown by name; parts with fields are kept."""
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template="{model}")
        parts: dict[str, Any] = schema.pop("$defs", {})
        names = {part: _link(part) for part, value in parts.items() if "properties" in value}
        names |= {part: _type(value, {}) for part, value in parts.items() if part not in names}
        for part in [part for part in parts if "properties" in parts[part]]:
            self._keep(self._shape(part, parts[part], names, asked=mode == "validation"))
        return schema, names

    def _shape(self, name: str, schema: dict[str, Any], names: Mapping[str, Markup], *, asked: bool) -> Shape:
        required = frozenset(schema.get("required", ()))
        fields = (
            Field(field, _type(value, names), field in required, value.get("description", ""))
            for field, value in schema.get("properties", {}).items()
        )
        return Shape(name, schema.get("description", ""), tuple(fields), asked)

    def _keep(self, shape: Shape) -> str:
        """Of an object that is sent and answered it counts what has to be sent.

        Raises:
            ValueError: two objects of a surface would stand under one name.
        """
        known = self.objects.setdefault(shape.name, shape)
        if [(field.name, field.type) for field in known.fields] != [
            (field.name, field.type) for field in shape.fields
        ]:
            raise ValueError(f"two objects are called {shape.name}")
        if shape.asked:
            self.objects[shape.name] = shape
        return shape.name


def _type(schema: Mapping[str, Any], names: Mapping[str, Markup]) -> Markup:
    """A type in a few words."""
    if "$ref" in schema:
        return names[schema["$ref"]]
    if "anyOf" in schema:
        return Markup(" | ").join(dict.fromkeys(_type(one, names) for one in schema["anyOf"]))
    if "enum" in schema:
        return Markup(" | ").join(str(value) for value in schema["enum"])
    if "const" in schema:
        return Markup("{}").format(schema["const"])
    if schema.get("type") == "array":
        return Markup("[{}]").format(_type(schema.get("items", {}), names))
    return Markup("{}").format(schema.get("format") or schema.get("type") or "any")


def _link(name: str) -> Markup:
    return Markup('<a href="#{}">{}</a>').format(_anchor(name), name)


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-")
