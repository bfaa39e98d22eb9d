"""What must not be read by chance: a key that shows itself to nobody who prints it."""

from __future__ import annotations

#: How much of a key may be seen: its kind and its mode.
_VISIBLE = ("sk_live_", "sk_test_", "pk_live_", "pk_test_")


class Secret:
    """A credential; `reveal()` is the only way to its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The credential itself."""
        return self._text

    def __repr__(self) -> str:
        kind = next((start for start in _VISIBLE if self._text.startswith(start)), "")
        return f"'{kind}…'"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not pickled")
