"""The catalogue: its parts under one entry of the menu; those with one shape are made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import Errors, complaint, next_url
from app.domain.errors import DomainError
from app.domain.rules.providers import url_of

_PREFIX = "/dashboard/<any(test, live):mode>/catalogue"
READ, WRITE = "catalogue:read", "catalogue:write"

blueprint = Blueprint("catalogue", __name__, url_prefix=_PREFIX)


@blueprint.get("")
@screen(READ)
def index(mode: str) -> AnyResponse:
    """The first of them."""
    return redirect(f"/dashboard/{mode}/catalogue/products", 303)


def elsewhere(provider: str) -> bool:
    """Whether a system of the merchant's own is asked in place of this part."""
    return url_of(actor().tenant.settings, provider) is not None


class Part:
    """A part that is a list of rows, and one form by which a row is made and changed.

    `service` lists and gets rows. `create` and `update` read the form; the first returns the row's id and
    what is told then. `held` is what the form shows of a row. A row that can be switched off has `set_active`
    in its service. One with a page of its own (`show`, of a subclass) has its form below that.
    """

    def __init__(
        self,
        name: str,
        path: str,
        key: str,
        *,
        service: Any,
        create: Callable[[], tuple[str, str]],
        update: Callable[[Any], object],
        held: Callable[[Any], dict[str, str]],
        provider: str | None = None,
        shown_to: str = WRITE,
    ) -> None:
        self.blueprint = Blueprint(name, __name__, url_prefix=f"{_PREFIX}/{path}")
        self._templates, self._path, self._key = f"dashboard/{name}", path, key
        self._service, self._provider = service, provider
        self._make, self._change, self._held = create, update, held
        self._show = getattr(self, "show", None)
        one = f"/<{key}>"
        self.route("", "GET", READ, self.index)
        self.route("/new", "GET", WRITE, self.new)
        self.route("", "POST", WRITE, self.create)
        if self._show is not None:
            self.route(one, "GET", READ, self._show)
        self.route(f"{one}/edit" if self._show else one, "GET", shown_to, self.edit)
        self.route(one, "POST", WRITE, self.update)
        if hasattr(service, "set_active"):
            self.route(f"{one}/active", "POST", WRITE, self.switch)

    def route(self, rule: str, method: str, permission: str, view: Callable[..., AnyResponse]) -> None:
        """Mount one more view."""
        endpoint = view.__name__
        self.blueprint.add_url_rule(rule, endpoint, screen(permission)(view), methods=[method])

    def index(self, mode: str) -> Response:
        """Rows, newest first."""
        page = self._service.list_page(actor(), cursor=request.args.get("cursor"))
        return render(
            f"{self._templates}/index.html",
            rows=page.data,
            state=getattr(self._service, "state", None),
            next_url=next_url(page),
            elsewhere=elsewhere(self._provider) if self._provider else False,
        )

    def new(self, mode: str) -> Response:
        """The form of a new one."""
        return self._form({})

    def create(self, mode: str) -> AnyResponse:
        """Make one."""
        try:
            row_id, told = self._make()
        except DomainError as refused:
            return self._form(request.form, complaint(refused), 422)
        return self.back(mode, told, row_id)

    def edit(self, mode: str, **named: str) -> Response:
        """The form of one that is there, or what it is for those who may not change it."""
        row = self.row(named)
        return self._form(self._held(row), row=row)

    def update(self, mode: str, **named: str) -> AnyResponse:
        """Change one."""
        row = self.row(named)
        try:
            self._change(row)
        except DomainError as refused:
            return self._form(request.form, complaint(refused), 422, row=row)
        return self.back(mode, "Saved", named[self._key])

    def switch(self, mode: str, **named: str) -> AnyResponse:
        """Switch one on or off."""
        self._service.set_active(actor(), named[self._key], request.form.get("active") == "1")
        return redirect(f"/dashboard/{mode}/catalogue/{self._path}/{named[self._key]}", 303)

    def row(self, named: Mapping[str, str]) -> Any:
        """The row that a path names; raises NotFound."""
        return self._service.get(actor(), named[self._key])

    def back(self, mode: str, told: str, row_id: str | None = None) -> AnyResponse:
        """To the row's page where it has one, else to the list, with what was done."""
        flash(told, "success")
        one = f"/{row_id}" if row_id and self._show else ""
        return redirect(f"/dashboard/{mode}/catalogue/{self._path}{one}", 303)

    def _form(
        self, values: Mapping[str, str], errors: Errors | None = None, status: int = 200, *, row: Any = None
    ) -> Response:
        return render(
            f"{self._templates}/form.html",
            status,
            values=values,
            errors=errors or [],
            row=row,
            state=getattr(self._service, "state", None),
            form=FlaskForm(),
        )
