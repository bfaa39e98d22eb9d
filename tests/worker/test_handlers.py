"""Every job that a service enqueues has somebody who does it."""

from __future__ import annotations

import ast
from pathlib import Path

from app.worker.handlers import HANDLERS

SERVICES = Path(__file__).parents[2] / "app" / "services"


def _names() -> set[str]:
    """The literal names that services enqueue, and those that `inbound` chooses between."""
    found = set()
    for path in SERVICES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "enqueue"
            if called and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                found.add(node.args[1].value)
            if (
                path.name == "inbound.py"
                and isinstance(node, ast.Return)
                and isinstance(node.value, ast.Tuple)
            ):
                first = node.value.elts[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
    return found


def test_every_enqueued_name_has_a_handler() -> None:
    assert _names() >= {"refunds.send", "payments.look_again"}
    assert _names() <= set(HANDLERS)
