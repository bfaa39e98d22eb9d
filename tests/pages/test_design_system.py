"""The design system keeps its promises: a strict CSP, every status named, a light hosted page, one macro per file."""

from __future__ import annotations

import gzip
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

import app.domain.lifecycles as lifecycles
from app.domain.lifecycles.base import Lifecycle

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STYLES = sorted((ROOT / "static/css").glob("*.css"))
SCRIPTS = sorted((ROOT / "static/js").glob("*.js"))
#: Filters and extensions that the web floor and Flask-Babel add.
ADDED_FILTERS = ("money", "datetime", "date", "iso", "percentage", "country_name", "refusal")


def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(ROOT / "templates"), autoescape=True, extensions=["jinja2.ext.i18n"]
    )
    env.filters.update(dict.fromkeys(ADDED_FILTERS, str))
    env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    return env


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_template_compiles_and_every_template_it_names_exists(path: Path) -> None:
    env = environment()
    source = path.read_text()
    env.from_string(source)
    tree = env.parse(source)
    for node in tree.find_all((nodes.Extends, nodes.Include, nodes.FromImport, nodes.Import)):
        wanted = node.template  # type: ignore[attr-defined]
        if isinstance(wanted, nodes.Const):
            env.get_template(wanted.value)


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_template_needs_nothing_that_the_csp_forbids(path: Path) -> None:
    source = re.sub(r"{#.*?#}", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"<[^>]*\sstyle\s*=", source), "an inline style"
    assert not re.search(r"<style\b", source), "a style element"
    assert not re.search(r"<[a-z][^>]*\son[a-z]+\s*=", source), "an inline handler"
    assert "hx-on" not in source
    assert "javascript:" not in source
    assert all("src=" in tag for tag in re.findall(r"<script\b[^>]*>", source)), "an inline script"
    assert not re.search(r'(?:src|href)="(?:https?:)?//', source), "a third party"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_script_evaluates_no_text(path: Path) -> None:
    assert not re.search(r"\beval\(|new Function|innerHTML|document\.write", path.read_text())


@pytest.mark.parametrize("path", STYLES, ids=name_of)
def test_style_is_ready_for_right_to_left(path: Path) -> None:
    physical = re.findall(
        r"^\s*((?:margin|padding|border)-(?:left|right|top|bottom)|left|right|(?:float|text-align): (?:left|right))\b",
        path.read_text(),
        flags=re.MULTILINE,
    )
    assert physical == []


def _statuses() -> list[tuple[str, str]]:
    found = []
    for module in pkgutil.iter_modules(lifecycles.__path__):
        lifecycle = getattr(
            importlib.import_module(f"{lifecycles.__name__}.{module.name}"), "LIFECYCLE", None
        )
        if isinstance(lifecycle, Lifecycle):
            statuses = {str(edge.target) for edge in lifecycle.edges}
            found += [(module.name, status) for status in sorted(statuses)]
    return found


def test_every_status_of_every_lifecycle_has_a_tone_and_words() -> None:
    module = environment().get_template("components/status_tag.html").module
    known = module.statuses  # type: ignore[attr-defined]
    statuses = _statuses()
    assert len(statuses) > 50
    assert [pair for pair in statuses if pair[1] not in known] == []
    assert {tone for tone, _ in known.values()} <= {
        "neutral",
        "info",
        "success",
        "warning",
        "danger",
    }


def test_the_assets_of_the_hosted_page_fit_under_thirty_kilobytes_compressed() -> None:
    names = ["css/tokens.css", "css/base.css", "css/components.css", "css/checkout.css"]
    names += ["js/checkout.js", "img/till.svg"]
    size = sum(len(gzip.compress((ROOT / "static" / name).read_bytes(), 6)) for name in names)
    assert size < 30_000


@pytest.mark.parametrize("path", sorted((ROOT / "templates/components").glob("*.html")), ids=name_of)
def test_component_documents_its_macros(path: Path) -> None:
    source = path.read_text()
    macros = [
        node.name
        for node in environment().parse(source).find_all(nodes.Macro)
        if node.name not in ("N_", "error_text", "control", "chart_table")
    ]
    comment = source[: source.index("#}")]
    assert macros
    assert [name for name in macros if name not in comment] == []
