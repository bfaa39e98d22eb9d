"""The client says what the API says: paths, parameters and answers are compared with the OpenAPI document.

Also: it leans on the standard library alone, takes no card data, and installs from its wheel.
"""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from app.api import SURFACES
from app.web.openapi import document
from payment_sdk import PaymentClient, PaymentError, __version__, models
from payment_sdk._models import Model, json_names
from payment_sdk._operations import ALL, Operation
from payment_sdk.resources.base import Resource
from payment_sdk.transport import Answer, Request

SDK = Path(__file__).parents[2] / "sdk" / "python"
API = document(SURFACES)
SCHEMAS: dict[str, Any] = API["components"]["schemas"]
SERVED = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in API["paths"].items()
    for method, operation in operations.items()
}
#: A list is read on by its cursor; `page` counts everything each time.
NUMBER_OF_PAGE = {"page"}
#: Card and bank data, which a merchant's server has no business with; and aliases of parameters that are there.
LEFT_OUT = {
    "PY-001": {"payment_method"},
    "PY-033": {"date_range", "merchant_account"},
}
#: What a call sends besides what it is given, and the answers that are shared by two operations.
RETURNS_OF_TWO = {"SE-001": {"is_spi", "is_pos"}}


class Recorder:
    """A transport that keeps what is sent, and answers nothing that could be read."""

    def __init__(self) -> None:
        self.sent: list[Request] = []

    def send(self, request: Request) -> Answer:
        self.sent.append(request)
        return Answer(418, {}, b"{}")

    def close(self) -> None:
        pass


def methods() -> Iterator[tuple[Resource, str]]:
    """Every method of every resource of a client."""
    client = PaymentClient(
        "sk_test_x", access_token="eyJ", transport=Recorder(), rate_limits=None, max_retries=0
    )
    seen: list[Resource] = [value for value in vars(client).values() if isinstance(value, Resource)]
    for resource in seen:
        seen += [value for value in vars(resource).values() if isinstance(value, Resource)]
        for name, function in inspect.getmembers(type(resource), inspect.isfunction):
            if not name.startswith("_") and not _is_static(resource, name):
                assert function.__doc__, name
                yield resource, name


def _is_static(resource: Resource, name: str) -> bool:
    return isinstance(inspect.getattr_static(type(resource), name), staticmethod)


METHODS = {f"{type(resource).__name__}.{name}": (resource, name) for resource, name in methods()}


def called(resource: Resource, name: str) -> tuple[Operation, Request]:
    """The operation and the request of a method that is given every argument that it takes."""
    method = getattr(resource, name)
    recorder: Recorder = resource._caller.transport  # type: ignore[assignment]
    used: list[Operation] = []
    original = type(resource._caller).call

    def note(self: Any, operation: Operation, *args: Any, **kwargs: Any) -> Any:
        used.append(operation)
        return original(self, operation, *args, **kwargs)

    arguments = {
        parameter: _sample(parameter, hint)
        for parameter, hint in get_type_hints(method).items()
        if parameter != "return"
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(resource._caller), "call", note)
        before = len(recorder.sent)
        with pytest.raises(PaymentError):
            method(**arguments)
        assert len(recorder.sent) == before + 1, "one call"
    return used[0], recorder.sent[-1]


def _sample(name: str, hint: Any) -> Any:
    """Something of the type; ids are as ids are."""
    text = str(hint)
    kinds = [part for part in (get_args(hint) or (hint,)) if part is not type(None)]
    for kind in kinds:
        if is_typeddict(kind):
            sample = {key: _sample(key, inner) for key, inner in get_type_hints(kind).items()}
            return [sample] if get_origin(hint) in (list, Sequence) else sample
    if "Literal" in text and "Sequence" not in text:
        return next((one for kind in kinds for one in get_args(kind) if isinstance(one, str)), kinds[0])
    if "datetime" in text:
        return datetime(2026, 1, 1, tzinfo=UTC)
    if "Decimal" in text:
        return 5
    for kind, value in ((bool, True), (int, 5), (str, "word")):
        if kind in kinds:
            return value
    return [] if "Sequence" in text else {}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_sends_what_the_api_takes_and_can_send_all_of_it(name: str) -> None:
    operation, request = called(*METHODS[name])
    assert operation is ALL[operation.id] and operation.id in SERVED, "no such endpoint"
    method, path, declared = SERVED[operation.id]
    assert (operation.method, operation.path.format_map(_Any())) == (method, _plain(path))
    left_out = LEFT_OUT.get(operation.id, set())
    content = declared.get("requestBody", {}).get("content", {}).get("application/json")
    body = json.loads(request.body) if request.body else {}
    wanted = set(_properties(content["schema"])) - left_out if content else set()
    if operation.id == "OP-05":  # one endpoint, two ways in
        assert set(body) < wanted
    else:
        assert set(body) == wanted
        _covers(body, content["schema"] if content else {}, left_out)
    query = {one["name"] for one in declared["parameters"] if one["in"] == "query"} - left_out
    if "cursor" in query:
        query -= NUMBER_OF_PAGE
    sent = {part.split("=")[0] for part in request.url.partition("?")[2].split("&") if part}
    assert sent == query - ({"fresh"} if operation.id == "CK-014" else set())
    takes_key = any(one["name"] == "Idempotency-Key" for one in declared["parameters"])
    assert operation.keyed == (takes_key or operation.reads)
    assert ("Idempotency-Key" in request.headers) == takes_key
    secured = [next(iter(one)) for one in declared["security"]]
    credential = {"x-api-key": "api_key", "Authorization": "bearer"}
    assert secured == [credential[header] for header in credential if header in request.headers]


def _covers(sent: dict[str, Any], schema: dict[str, Any], left_out: set[str]) -> None:
    """What is sent in parts has all of their fields, too."""
    properties = _properties(schema)
    assert set(sent) == set(properties) - left_out
    for name, value in sent.items():
        if isinstance(value, dict) and value:
            _covers(value, properties[name], set())
        if isinstance(value, list) and value and isinstance(value[0], dict):
            _covers(value[0], _items(properties[name]), set())


@pytest.mark.parametrize("name", METHODS)
def test_an_answer_is_read_whole(name: str) -> None:
    resource, method = METHODS[name]
    operation, _ = called(resource, method)
    _, _, declared = SERVED[operation.id]
    success = next(
        answer for code, answer in declared["responses"].items() if code in ("200", "201", "202", "204")
    )
    returns = get_type_hints(getattr(type(resource), method))["return"]
    if "content" not in success:
        assert returns is type(None)
        return
    if operation.id == "OP-05-revoke":  # it says the same whether there was something to end or not
        return
    schema = success["content"]["application/json"]["schema"]
    model = _model(returns)
    properties = _properties(schema)
    if "data" in properties and "has_more" in properties:
        properties = _properties(_items(properties["data"]))
    if operation.id == "CK-011":
        properties = _properties(_items(properties["shipping_options"]))
    if operation.id == "SE-002":
        properties = _properties(_items(SCHEMAS["sessions_SE_002_answer"]))
    _same(model, properties, RETURNS_OF_TWO.get(operation.id, set()))


def _same(model: type[Model], properties: dict[str, Any], more: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """A model reads all that an answer has and wants nothing that it has not; so do the models inside."""
    assert json_names(model) == set(properties) | more, model.__name__
    types = get_type_hints(model)
    hints = {one.metadata.get("key", one.name): types[one.name] for one in fields(model)}
    for key, schema in properties.items():
        inner = _model(hints[key])
        if inner is not None and inner is not models.Totals:  # a plain object in the document
            _same(inner, _properties(_items(schema) if get_origin(hints[key]) is list else schema))
        options = schema.get("anyOf", [schema])
        if any(option.get("type") == "null" for option in options):
            assert type(None) in get_args(hints[key]), f"{model.__name__}.{key} may be null"


def _model(hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Model):
        return hint
    if hint is not None and getattr(hint, "__name__", "") == "OffsetPage":
        return models.HostedSessionRow
    found = [_model(part) for part in get_args(hint)]
    return next((one for one in found if one is not None), None)


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields of an object; where it may have two forms, of both."""
    if "$ref" in schema:
        return _properties(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    found: dict[str, Any] = dict(schema.get("properties", {}))
    for option in schema.get("anyOf", []):
        found |= _properties(option)
    return found


def _items(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an array's items."""
    options = [schema, *schema.get("anyOf", [])]
    found: dict[str, Any] = next(option["items"] for option in options if "items" in option)
    return found


class _Any(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "{}"


def _plain(path: str) -> str:
    return path.format_map(_Any())


def test_every_operation_has_a_method_and_the_stated_limit() -> None:
    used = {called(resource, name)[0].id for resource, name in METHODS.values()}
    assert used == set(ALL)
    stated = {policy.contract_id: policy.limit for surface in SURFACES for policy in surface.policies}
    for operation in ALL.values():
        limit = stated[operation.id]
        assert operation.per_minute == (limit.count if limit else None), operation.id


def test_no_parameter_takes_card_data() -> None:
    words = ("number", "cvc", "cvv", "pan", "exp_month", "exp_year", "iban", "account_number", "card")
    for name, (resource, method) in METHODS.items():
        assert not set(inspect.signature(getattr(resource, method)).parameters) & set(words), name


def test_it_leans_on_the_standard_library_alone() -> None:
    for path in (SDK / "payment_sdk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                root = name.partition(".")[0]
                assert root == "payment_sdk" or root in sys.stdlib_module_names, f"{path.name}: {name}"


def test_it_installs_from_its_wheel_typed_and_alone(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    quiet = {"PATH": "", "HOME": str(tmp_path), "PIP_ROOT_USER_ACTION": "ignore", "PIP_NO_INDEX": "1"}
    subprocess.run(
        [*pip, "wheel", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(SDK)], check=True, env=quiet
    )
    [wheel] = tmp_path.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-compile", "--target", str(tmp_path / "site"), str(wheel)],
        check=True,
        env=quiet,
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import payment_sdk, importlib.metadata as about\n"
        "print(payment_sdk.__file__, payment_sdk.__version__, about.version('till-payment-sdk'))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    where, version, distribution = ran.stdout.split()
    assert Path(where).is_relative_to(tmp_path) and version == distribution == __version__
    assert (tmp_path / "site" / "payment_sdk" / "py.typed").exists()
    with zipfile.ZipFile(wheel) as packed:
        roots = {name.partition("/")[0] for name in packed.namelist()}
    assert roots == {"payment_sdk", f"till_payment_sdk-{version}.dist-info"}
