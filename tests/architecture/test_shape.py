"""The house's own rules: size of modules and functions, one place for statuses, a policy on every route."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import settings
from app.dashboard.shell import screen
from app.factory import create_app
from app.web import opens
from app.web.opens import Door, To

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for tree in ("app", "sdk") for path in (ROOT / tree).rglob("*.py"))


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


def undeclared(app: Flask) -> list[str]:
    """Routes whose view carries no policy, or a screen of a merchant's that names no permission."""
    found = []
    for rule in app.url_map.iter_rules():
        policy = opens.declared(app.view_functions[rule.endpoint])
        is_screen = rule.rule.startswith("/dashboard/<any(test, live):mode>/")
        if policy is None or (is_screen and not (isinstance(policy, Door) and policy.permission)):
            found.append(rule.rule)
    return found


def test_every_route_declares_who_may_open_it(app: Flask) -> None:
    assert undeclared(app) == []


def test_a_planted_route_is_found(database: str) -> None:
    app = create_app(settings.current())
    app.add_url_rule("/planted", "planted", lambda: "open to all")
    bare = screen()(lambda mode: "open to everybody of the merchant")
    app.add_url_rule("/dashboard/<any(test, live):mode>/planted", "planted_screen", bare)
    assert sorted(undeclared(app)) == ["/dashboard/<any(test, live):mode>/planted", "/planted"]


def test_what_is_under_the_dashboard_wants_a_signed_in_person(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/dashboard") and not rule.endpoint.startswith("sign_in."):
            door = opens.declared(app.view_functions[rule.endpoint])
            assert isinstance(door, Door) and door.to == To.PEOPLE, rule.rule


def test_endpoints_want_a_credential_and_a_permission_or_are_known_not_to(app: Flask) -> None:
    policies = [policy for surface in app.extensions["till_surfaces"] for policy in surface.policies]
    unlocked = {policy.contract_id for policy in policies if not policy.auth and not policy.signed}
    assert unlocked == {"OP-05", "OP-05-revoke", "MR-004", "MR-005"}, "an endpoint that anybody may call"
    free = {policy.contract_id for policy in policies if policy.auth and policy.permission is None}
    assert free == {"OP-08-verify", "OP-08-enroll", "OP-35-checkout", "OP-35-payments"}


def test_only_the_api_reports_and_the_way_back_from_a_bank_take_posts_without_a_form_token(
    app: Flask,
) -> None:
    csrf = app.extensions["csrf"]
    api = {name for name in app.blueprints if name.startswith("api_")}
    assert csrf._exempt_views == set()
    assert {blueprint.name for blueprint in csrf._exempt_blueprints} == api | {"csp_reports", "returns"}
