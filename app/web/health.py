"""/healthz: whether this process can serve, which is whether its database answers."""

from __future__ import annotations

from flask import Flask, Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app import db
from app.web.opens import To, opens


def install(app: Flask) -> None:
    """Register the probe."""

    @app.get("/healthz")
    @opens(To.EVERYBODY)
    def healthz() -> Response:
        try:
            with db.reading() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return Response('{"status":"down"}', status=503, mimetype="application/json")
        return Response('{"status":"ok"}', mimetype="application/json")
