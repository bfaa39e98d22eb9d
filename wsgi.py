"""The WSGI app: what the web server and the `flask` command load."""

from app.factory import create_app
from app.kit import memory

app = create_app()
memory.settle()
