"""Lighthouse on the hosted page and on a payment link's page: performance, accessibility, best practices.

Run by the bench: `python -m bench.lighthouse SECRET PORT`. The first run installs Lighthouse beside this file
(bench/package-lock.json); nothing else of Till needs it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CATEGORIES = ("performance", "accessibility", "best-practices")
#: A slow phone on a slow network, as Lighthouse has it by default; and a desktop.
DEVICES: dict[str, list[str]] = {"phone": [], "desktop": ["--preset=desktop"]}
#: Of so many runs the median counts: a loaded machine makes single ones worse than the page is.
RUNS = 3


def install() -> Path:
    """Lighthouse's program, installed where it is not."""
    program = HERE / "node_modules" / "lighthouse" / "cli" / "index.js"
    if not program.exists():
        print("Installing Lighthouse into bench/node_modules", flush=True)
        npm = shutil.which("npm") or str(HERE.parent / ".venv/bin/npm")
        command = [npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error"]
        subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    return program


def pages(secret: str, port: str) -> dict[str, str]:
    """What is looked at, by name: addresses that are made for it."""
    base = f"http://127.0.0.1:{port}"

    def call(path: str, body: object) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        asked = urllib.request.Request(base + path, json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    line = {"sku": "MUG-01", "name": "Stoneware mug", "quantity": 2, "unit_price": 1500}
    made = call("/v1/checkout/sessions", {"cart_snapshot": {"currency": "GBP", "lines": [line]}})
    hosted = call(f"/v1/checkout/sessions/{made['checkout_id']}/hosted-url", {})["hosted_id"]
    slug = f"bench-{made['checkout_id'][-8:]}"
    call("/api/v1/links", {"slug": slug, "currency": "GBP", "amount": 1500, "reference": "bench"})
    return {"hosted page": f"{base}/pay/{hosted}", "payment link": f"{base}/l/{slug}"}


def look(program: Path, url: str, flags: list[str], folder: Path) -> dict[str, float]:
    """Points of one run, of 100; what takes points away is printed."""
    report = folder / "report.json"
    node = shutil.which("node") or str(HERE.parent / ".venv/bin/node")
    command = [node, str(program), url, "--quiet", "--output=json", f"--output-path={report}", *flags]
    command += [f"--only-categories={','.join(CATEGORIES)}", "--chrome-flags=--headless=new --no-sandbox"]
    chromium = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    variables = {**os.environ, **({"CHROME_PATH": chromium} if chromium else {})}
    subprocess.run(command, check=True, env=variables, stdout=subprocess.DEVNULL)
    told = json.loads(report.read_text())
    for name in CATEGORIES:
        for part in told["categories"][name]["auditRefs"]:
            audit = told["audits"][part["id"]]
            if part["weight"] and audit["score"] is not None and audit["score"] < 0.9:
                print(f"  {name}: {audit['title']} {audit.get('displayValue', '')}", flush=True)
    return {name: round(told["categories"][name]["score"] * 100) for name in CATEGORIES}


def main() -> None:
    """Print a line for each page and device."""
    program = install()
    print("| Lighthouse                 | performance | accessibility | best practices |")
    print("| -------------------------- | ----------- | ------------- | -------------- |")
    with tempfile.TemporaryDirectory() as folder:
        for page, url in pages(sys.argv[1], sys.argv[2]).items():
            for device, flags in DEVICES.items():
                runs = [look(program, url, flags, Path(folder)) for _ in range(RUNS)]
                middle = {name: sorted(run[name] for run in runs)[RUNS // 2] for name in CATEGORIES}
                name = f"{page}, {device}"
                print(
                    f"| {name:<26} | {middle['performance']:>11} | {middle['accessibility']:>13} | "
                    f"{middle['best-practices']:>14} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
