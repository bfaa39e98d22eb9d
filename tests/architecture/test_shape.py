"""The house's own rules: size of modules and functions, one place for statuses, a policy on every route."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for tree in ("app", "sdk") for path in (ROOT / tree).rglob("*.py"))

#: Routes that are no part of the JSON contract: pages, the dashboard, and the machine's own.
PAGES = (
    "/pay/",
    "/l/",
    "/receipts/",
    "/return/",
    "/sandbox/",
    "/dashboard",
    "/docs",
    "/exports/",
    "/openapi.json",
    "/healthz",
    "/static/",
    "/vendor/",
)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_functions_stay_small_and_say_what_they_own(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 400
    if text.strip():
        assert ast.get_docstring(tree), "a module says what it owns in its first line"
    for function in functions(tree):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= 50, f"{function.name} has {length} lines"


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if not {"models", "sdk"} & set(p.parts)],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_a_status_is_set_by_its_lifecycle_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            assert not (isinstance(target, ast.Attribute) and target.attr == "status"), f"line {node.lineno}"


def test_every_route_is_declared_or_a_page(app: Flask) -> None:
    declared = {
        policy.surface.prefix + policy.path
        for surface in app.extensions["till_surfaces"]
        for policy in surface.policies
    }
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<", "{").replace(">", "}")
        contract = path.replace("/v1/{tenant_id}/payments", "/v1/payments")
        known = contract in declared or path == "/" or path.startswith(PAGES)
        assert known, f"{path} is neither in the contract nor a page"


def test_every_dashboard_screen_wants_a_signed_in_person(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/dashboard") and not rule.endpoint.startswith("sign_in."):
            view = app.view_functions[rule.endpoint]
            assert getattr(view, "dashboard_policy", None) == "signed-in", rule.rule


def test_only_the_api_and_the_way_back_from_a_bank_take_posts_without_a_form_token(app: Flask) -> None:
    csrf = app.extensions["csrf"]
    api = {name for name in app.blueprints if name.startswith("api_")}
    assert csrf._exempt_views == set()
    assert {blueprint.name for blueprint in csrf._exempt_blueprints} == api | {"returns"}
