"""Every use case that may ask a merchant's own system can be run again once it was asked (docs/adr/0021).

Read off the source: who asks, who calls whom, and that each way in from outside the room passes `@consulting`
or `consult`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOM = "app.services.checkout"

#: Asking the registry for one of these, and not only whether it is remote, is asking it something.
ASKED = {"carts", "pricing", "promotions", "taxes", "shipping", "inventory", "orders", "billing", "kyc"}
#: What the keepers of a reservation may have to ask.
KEEPERS = {"hold_goods", "hold_codes"}

Function = tuple[str, str]


def references(tree: ast.AST, known: dict[str, str]) -> Iterator[Function]:
    """(module, function) of every function that is named, called or not; `known` are imported names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = known.get(node.value.id)
            if module is not None:
                yield module, node.attr
        elif isinstance(node, ast.Name) and "." in known.get(node.id, ""):
            module, _, name = known[node.id].rpartition(".")
            yield module.removeprefix(f"{ROOM}."), name


def imported(tree: ast.AST) -> dict[str, str]:
    """Name → module of the room, or `room.module.function`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                name = alias.asname or alias.name
                if node.module == ROOM:
                    found[name] = alias.name
                elif node.module.startswith(f"{ROOM}."):
                    found[name] = f"{node.module}.{alias.name}"
    return found


def asks(function: ast.AST) -> bool:
    """Whether the function itself asks a provider something."""
    only_looked_at = {
        id(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "remote"
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr in KEEPERS:
            return True
        called = node.func if isinstance(node, ast.Call) else None
        if (
            isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and (called.value.id, called.attr in ASKED) == ("registry", True)
            and id(node) not in only_looked_at
        ):
            return True
    return False


def consults(function: ast.AST) -> bool:
    """Whether the function can be run again."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return bool(names & {"consulting", "consult"})


def named(tree: ast.Module) -> dict[str, ast.AST]:
    """The functions of a module, and the constants that may hold some (`Flow(…, finish)`)."""
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        for target in node.targets if isinstance(node, ast.Assign) else []:
            found |= {each.id: node for each in ast.walk(target) if isinstance(each, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


def room() -> tuple[dict[Function, ast.AST], dict[Function, set[Function]]]:
    """The functions of the room, and whom each of them names."""
    functions: dict[Function, ast.AST] = {}
    calls: dict[Function, set[Function]] = {}
    for path in (ROOT / ROOM.replace(".", "/")).glob("*.py"):
        tree = ast.parse(path.read_text())
        mine = named(tree)
        known = imported(tree) | {name: f"{ROOM}.{path.stem}.{name}" for name in mine}
        for name, node in mine.items():
            functions[path.stem, name] = node
            calls[path.stem, name] = set(references(node, known)) - {(path.stem, name)}
    return functions, calls


def entered() -> set[Function]:
    """The functions that somebody outside the room names."""
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        if path.parent != ROOT / ROOM.replace(".", "/"):
            tree = ast.parse(path.read_text())
            found |= set(references(tree, imported(tree)))
    return found


def unguarded(functions: dict[Function, ast.AST], calls: dict[Function, set[Function]]) -> set[Function]:
    """The functions in which a question may come up that nobody on the way has taken."""
    asking = {name for name, node in functions.items() if asks(node) and not consults(node)}
    grew = True
    while grew:
        more = {
            name
            for name, named in calls.items()
            if named & asking and name not in asking and not consults(functions[name])
        }
        asking |= more
        grew = bool(more)
    return asking


def test_every_way_into_a_question_can_be_gone_again() -> None:
    functions, calls = room()
    asking = unguarded(functions, calls)
    assert ("totals", "calculate") in asking, "the source is read as it is written"
    assert ("calculations", "current") not in asking
    assert entered() & asking == set(), "put @consulting on it (services/operations/consulting.py)"
