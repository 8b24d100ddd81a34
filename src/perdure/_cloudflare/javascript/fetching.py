"""`fetch`: the promise of a response. (edge)"""

from __future__ import annotations

from typing import Any

from perdure._cloudflare.javascript.promises import JsPromise, promise_of
from perdure._cloudflare.web.fetch import fetch as _fetch


def fetch(resource: Any, init: Any = None, **named: Any) -> JsPromise:
    """
    Send a request, and return the promise of its response.

    Args:
        resource: a URL, or a request.
        init: the options of `Request`, as an object or as keyword arguments.
    """
    return promise_of(_fetch(resource, init, **named))
