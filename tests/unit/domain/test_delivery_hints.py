"""Hints for failed deliveries: each way in which our client fails has one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from app.domain.rules.delivery_hints import hint

HTTP = Path(__file__).parents[3] / "app" / "kit" / "http.py"
#: What the address says is checked when an endpoint is saved.
CHECKED_BEFORE = {
    "the URL holds characters that do not belong in one",
    "not a URL",
    "only http and https URLs with a host",
    "a URL with user info is refused",
}


def _reasons() -> set[str]:
    """The texts with which the client raises, and those that `_unconnected` returns."""
    found = set()
    for node in ast.walk(ast.parse(HTTP.read_text())):
        value: ast.expr | None = None
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            value = node.exc.args[0]
        elif isinstance(node, ast.Return):
            value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.add(value.value)
        elif isinstance(value, ast.JoinedStr):
            found.add("".join(part.value for part in value.values if isinstance(part, ast.Constant)))
    return found


def test_every_way_to_fail_has_a_hint() -> None:
    reasons = _reasons() - CHECKED_BEFORE
    assert len(reasons) >= 7
    assert {reason for reason in reasons if hint(None, reason) is None} == {"the time is over"}
    for ours in ("the endpoint is switched off", "it could not be sent: DecryptionError"):
        assert hint(None, ours) is not None


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (301, "redirects"),
        (400, "raw"),
        (404, "route"),
        (410, "switched off"),
        (429, "Retry-After"),
        (503, "log"),
    ],
)
def test_statuses_have_theirs(status: int, word: str) -> None:
    assert word in (hint(status, None) or "")


@pytest.mark.parametrize("status", [200, 204, 299, 418])
def test_of_others_nothing_is_said(status: int) -> None:
    assert hint(status, None) is None
    assert hint(None, None) is None
