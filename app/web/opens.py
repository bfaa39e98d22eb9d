"""Who may open a route: every route of the app carries its declaration, and the tests walk by it.

Endpoints of the API carry their `Policy` (web/surface.py); pages and screens declare a `Door`. A route
without either fails the build (tests/architecture).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from app.web.surface import Policy

F = TypeVar("F", bound=Callable[..., Any])


class To(StrEnum):
    """To whom a page opens."""

    #: Nothing in it belongs to anybody.
    EVERYBODY = "everybody"
    #: Whoever was given the address: what it names cannot be guessed.
    ADDRESS = "address"
    #: People who are signed in to the dashboard.
    PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class Door:
    """A page's policy: to whom it opens, the permission it wants, and what has to be confirmed lately."""

    to: To
    permission: str | None = None
    step_up: str | None = None


def opens(to: To) -> Callable[[F], F]:
    """Declare a page that wants no sign-in."""

    def declare(view: F) -> F:
        return put(view, Door(to))

    return declare


def put(view: F, declared: Door | Policy) -> F:
    """Let a view carry its declaration."""
    view.policy = declared  # type: ignore[attr-defined]
    return view


def declared(view: Callable[..., Any]) -> Door | Policy | None:
    """What a view's route declares; None where nothing does."""
    return getattr(view, "policy", None)
