"""Requests and responses on their way between a project's code and perdure's own. (cooperative)"""

from __future__ import annotations

from typing import Any

import perdure
from perdure._cloudflare.convert import register_incoming, register_outgoing
from perdure._cloudflare.values import js_name
from perdure._cloudflare.web.blob import view_blob
from perdure._cloudflare.web.cf import cf_properties
from perdure._cloudflare.web.form_data import view_form
from perdure._cloudflare.web.headers import view_headers
from perdure._cloudflare.web.readable_streams import ReadableStream, view_stream
from perdure._cloudflare.web.request import Request as JsRequest
from perdure._cloudflare.web.request import view_request
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.web.response import view_response
from perdure._cloudflare.workers.blob import Blob
from perdure._cloudflare.workers.blob import view_blob as blob_from_js
from perdure._cloudflare.workers.formdata import FormData
from perdure._cloudflare.workers.request import Request
from perdure._cloudflare.workers.response import FetchResponse, Response
from perdure._rpc.stream import RpcStream


def request_from_native(native: perdure.Request) -> Request:
    """Return what a project's `fetch` gets for *native*: its header CF-Connecting-IP is the server's word, as on Cloudflare."""
    if native.client is not None:
        native.headers.set("cf-connecting-ip", native.client.host)
    view = view_request(native)
    view._cf = cf_properties()
    return Request(view)


def request_to_native(resource: Any, init: Any = None, **named: Any) -> perdure.Request:
    """
    Return the request that `fetch(resource, init)` sends.

    Args:
        resource: a URL, or a request in any shape, which gives its body away.
        init: the options of `js.Request`; keyword arguments come first.
    """
    if isinstance(resource, perdure.Request) and init is None and not named:
        return resource
    return JsRequest(resource, init, **named)._native


def request_behind(value: Any) -> perdure.Request:
    """
    Return the request that *value*, a request in any shape, shows; its body is still there.

    Raises:
        TypeError: it is no request.
    """
    native = getattr(getattr(value, "js_object", value), "_native", value)
    if not isinstance(native, perdure.Request):
        raise TypeError(f"A request is needed here, as fetch() was given it; got {js_name(value)}.")
    return native


def response_from_native(native: perdure.Response) -> Response:
    """Return *native* as the Python SDK shows it."""
    return Response(view_response(native))


def response_to_native(value: Any) -> perdure.Response:
    """
    Return what a project's `fetch` has returned as perdure's own.

    Raises:
        TypeError: it is no response.
    """
    if isinstance(value, (Response, FetchResponse)):
        value = value.js_response
    if isinstance(value, JsResponse):
        return value._native
    if isinstance(value, perdure.Response):
        return value
    if value is None:
        hint = "Does a branch of it end without return?"
    elif isinstance(value, (dict, list)):
        hint = "Return Response.json(data)."
    else:
        hint = "Return Response(body), from workers import Response."
    raise TypeError(f"fetch() must return a Response; it returned {js_name(value)}. {hint}")


def _register() -> None:
    """Let requests and responses, forms, blobs, headers and streams be arguments and results of calls."""
    register_outgoing(Request, lambda value: value.js_object._native)
    register_outgoing(FetchResponse, response_to_native)
    register_outgoing(FormData, lambda value: value.js_object._native)
    register_outgoing(Blob, lambda value: value.js_object._native)
    register_incoming(perdure.Request, request_from_native)
    register_incoming(perdure.Response, response_from_native)
    register_incoming(perdure.FormData, lambda native: FormData(view_form(native)))
    register_incoming(perdure.Blob, lambda native: blob_from_js(view_blob(native)))
    register_outgoing(ReadableStream, lambda value: value._as_body())
    register_incoming(perdure.Headers, view_headers)
    register_incoming(RpcStream, view_stream)


_register()
