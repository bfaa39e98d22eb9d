"""Lists by tabs: a word in the address says which of a few views is shown, the first one without a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from app.dashboard import typed
from app.dashboard.shell import actor, render
from app.kit.pagination import Page

#: Tab → its words, and what the list is asked for.
Tabs = Mapping[str, tuple[str, Any]]


def shown(tabs: Tabs) -> tuple[str, list[tuple[str, str, bool, None]]]:
    """Which tab the address chooses, and all of them as the component draws them."""
    show = typed.chosen(tabs, "show") or next(iter(tabs))
    return show, [
        (words, f"{request.path}?show={name}", name == show, None) for name, (words, _) in tabs.items()
    ]


def index(template: str, tabs: Tabs, ask: Callable[..., Page[Any]]) -> Response:
    """A queue: `ask(actor, what the tab says, cursor=…)` finds a page of it."""
    show, drawn = shown(tabs)
    page = ask(actor(), tabs[show][1], cursor=request.args.get("cursor"))
    return render(template, rows=page.data, tabs=drawn, show=show, next_url=typed.next_url(page, show=show))
