"""What holds for every page that a shopper may see: a strict policy, HTML that validates, few bytes."""

from __future__ import annotations

from pathlib import Path

from tests import html
from tests.pages.gallery import Gallery

#: What the hosted page may weigh with all its files, compressed (ux.md).
MOST = 40_000


def test_every_page_is_valid_under_a_strict_policy(gallery: Gallery, tmp_path: Path) -> None:
    assert len(gallery.pages) > 60
    for page in gallery.pages.values():
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'"), page
        assert (
            "unsafe" not in policy and "*" not in policy and "data:" not in policy.split("script-src")[1][:40]
        )
        assert page.headers["Cache-Control"] == "no-store", page
    bodies = {name: page.body for name, page in gallery.pages.items()}
    wrong = html.faults(bodies, tmp_path / "pages")
    assert not wrong, "\n".join(wrong)


def test_the_hosted_page_is_light_with_all_that_it_asks_for(gallery: Gallery) -> None:
    weights = {
        page.name: page.weight + sum(gallery.files[path].weight for path in page.asks)
        for page in gallery.pages.values()
        if page.weight
    }
    assert len(weights) > 25
    assert weights["pay"] < 25_000, "what most shoppers get"
    assert {name: size for name, size in weights.items() if size >= MOST} == {}
    assert all(file.weight for file in gallery.files.values())
