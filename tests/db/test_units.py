"""Units of work: what is to be done once one was undone."""

from __future__ import annotations

import pytest

from app.db import in_transaction, transaction, when_undone


def test_what_waits_for_an_undoing_is_done_then_and_only_then(database: str) -> None:
    seen: list[tuple[str, bool]] = []

    def note(name: str) -> None:
        when_undone(lambda: seen.append((name, in_transaction())))

    def break_off() -> None:
        with transaction():
            with transaction():
                note("undone")
            assert len(seen) == 1
            raise ValueError

    note("at once")
    with transaction():
        note("committed")
    with pytest.raises(ValueError):
        break_off()
    assert seen == [("at once", False), ("undone", False)]
