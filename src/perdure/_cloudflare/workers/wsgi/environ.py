"""What a WSGI application is told about a request. (pure)"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote, urlsplit

from perdure.web import Request


def to_environ(request: Request, env: Any, stream: Any) -> dict[str, Any]:
    """
    Return the environ of *request* (PEP 3333).

    Args:
        request: its headers and address; the body is not touched.
        env: the bindings, which the application finds under `workers.env`.
        stream: the body as a file.
    """
    url = urlsplit(request.url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": str(request.method),
        "SCRIPT_NAME": "",
        # Bytes in the form of Latin-1 text, which is how WSGI carries them.
        "PATH_INFO": unquote(url.path or "/", "latin-1"),
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname or "localhost",
        "SERVER_PORT": str(url.port or (443 if url.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": stream,
        "wsgi.input_terminated": True,  # the end of the body is the end of the file
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "workers.env": env,
    }
    if request.client is not None:
        environ["REMOTE_ADDR"] = request.client.host
    for name in request.headers:
        key = name.upper().replace("-", "_")
        values = request.headers.get_all(name)
        joined = ("; " if name == "cookie" else ",").join(values)
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = joined
    size = None if request.body is None else request.body.size
    if size:
        environ.setdefault("CONTENT_LENGTH", str(size))
    return environ
