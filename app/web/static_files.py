"""Static files: own ones with a version in the URL, and an allow-list out of node_modules."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, abort, send_from_directory, url_for

from app.web.opens import To, opens

#: Name in the URL → file of an installed package; nothing else of node_modules is served.
THIRD_PARTY = {"htmx.js": "htmx.org/dist/htmx.min.js"}

YEAR = 31_536_000

#: What pages of other origins load; its address has no version, so browsers ask for it often.
FOR_OTHERS, OFTEN = "embed.js", 600


def install(app: Flask) -> None:
    """Register `/vendor/<name>` and the template function `asset(name)`."""
    root = Path(app.root_path)

    @lru_cache(maxsize=128)
    def digest(filename: str) -> str:
        path = root / "static" / filename
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.exists() else "0"

    def asset(filename: str) -> str:
        return url_for("static", filename=filename, v=digest(filename))

    @app.get("/vendor/<name>")
    @opens(To.EVERYBODY)
    def vendor(name: str) -> Response:
        if name not in THIRD_PARTY:
            abort(404)
        folder, file = os.path.split(THIRD_PARTY[name])
        return send_from_directory(root / "node_modules" / folder, file, max_age=YEAR)

    own = app.view_functions["static"]

    @opens(To.EVERYBODY)
    def static(filename: str) -> Response:
        response: Response = app.make_response(own(filename=filename))  # type: ignore[arg-type]
        if filename == FOR_OTHERS:
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            response.cache_control.max_age = OFTEN
        return response

    app.view_functions["static"] = static
    app.jinja_env.globals["asset"] = asset
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = YEAR
