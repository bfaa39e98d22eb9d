"""Where documents are put, /v1/uploads: the signature in the address is the credential (OP-36)."""

from app.web import error_bodies
from app.web.surface import Surface

surface = Surface("uploads", "/v1/uploads", render_error=error_bodies.lower)
