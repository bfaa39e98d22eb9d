"""Where documents are put, /v1/uploads: the signature in the address is the credential (OP-36)."""

from app.api.uploads import documents
from app.api.uploads.surface import surface

__all__ = ["documents", "surface"]
