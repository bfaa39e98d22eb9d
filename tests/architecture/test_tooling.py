"""What is written twice for a good reason says the same: settings and their example, locks and their sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
#: Settings that only tests turn.
FOR_TESTS = {"TILL_FAILPOINT", "TILL_EPHEMERAL"}


def variables() -> set[str]:
    aliases = {"database_url": "DATABASE_URL", "host": "HOST", "port": "PORT"}
    aliases |= {name: name.upper() for name in Settings.model_fields if name.startswith("stripe_")}
    return {aliases.get(name, f"TILL_{name.upper()}") for name in Settings.model_fields} - FOR_TESTS


def test_the_example_environment_names_every_setting_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", text, re.MULTILINE)) == variables()


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-node"])
def test_a_lock_pins_with_hashes_all_that_its_source_names(name: str) -> None:
    wanted = re.findall(r"^([a-z0-9-]+)", (ROOT / f"{name}.in").read_text(), re.MULTILINE)
    wanted = [package for package in wanted if not package.startswith("-")]
    lock = (ROOT / f"{name}.lock").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==\S+.*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert wanted
    assert set(wanted) <= set(pinned)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE))


def test_both_locks_agree_on_versions() -> None:
    def versions(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / f"{name}.lock").read_text(), re.MULTILINE))

    assert versions("requirements") <= versions("requirements-dev")
