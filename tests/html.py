"""HTML that is read as a validator reads it: every page at once, by one process of html-validate."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What differs from the recommended rules, each for its reason.
RULES = {
    "doctype-style": ["error", {"style": "lowercase"}],
    "meta-refresh": "off",  # without script a page looks again by itself; script does it without a reload
    "no-trailing-whitespace": "off",  # of templates' blocks; nobody sees it
    "attribute-boolean-style": "off",  # WTForms and `xmlattr` write required="required"
    "attribute-empty-style": "off",  # and download=""
    "aria-label-misuse": ["error", {"allowAnyNamable": True}],  # lists of a menu have names
    "form-dup-name": ["error", {"shared": ["radio", "button", "reset", "submit", "checkbox"]}],
    "no-redundant-role": "off",  # a table that is laid out anew on a phone is none to a reader without them
    "valid-id": ["error", {"relaxed": True}],  # a field's name, as HTML takes it
}


def faults(pages: Mapping[str, bytes], folder: Path) -> list[str]:
    """What is wrong with pages, by their names."""
    folder.mkdir()
    config = {"root": True, "extends": ["html-validate:recommended"], "rules": RULES}
    (folder / ".htmlvalidate.json").write_text(json.dumps(config))
    names = dict(enumerate(pages))
    for number, name in names.items():
        (folder / f"{number}.html").write_bytes(pages[name])
    node = shutil.which("node") or str(ROOT / ".venv/bin/node")
    command = [
        node,
        ROOT / "node_modules/html-validate/bin/html-validate.mjs",
        "--formatter",
        "json",
        "*.html",
    ]
    report = folder / "report.json"
    with report.open("wb") as told:  # a pipe would be cut off where it ends its process
        done = subprocess.run(command, cwd=folder, check=False, stdout=told, stderr=subprocess.PIPE)
    assert done.returncode in (0, 1), done.stderr.decode()
    return [
        f"{names[int(Path(file['filePath']).stem)]}: {said['ruleId']}: {said['message']} ({said.get('selector')})"
        for file in json.loads(report.read_text())
        for said in file["messages"]
    ]
