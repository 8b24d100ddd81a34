"""`workers.fetch`, the function: requests to the outside world. (edge)"""

from __future__ import annotations

from typing import Any

from perdure._cloudflare.pyodide.http import pyfetch
from perdure._cloudflare.workers.response import Response


async def fetch(resource: Any, **other_options: Any) -> Response:
    """
    Send a request and return the response.

    Args:
        resource: a URL or a request.
        other_options: `method`, `headers`, `body`, `redirect`, `cf`, `signal`, `fetcher`.
    """
    fetched = await pyfetch(getattr(resource, "js_object", resource), **other_options)
    return Response(fetched.js_response)
