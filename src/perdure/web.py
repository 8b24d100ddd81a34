"""Requests, responses, headers and their bodies. (cooperative)

Modelled on the fetch standard, with Python's spelling: `request.method`, `request.headers`,
`await request.json()`, `Response("text", status=404)`, `Response.json(data)`. Bodies are streams in both
directions; reading one a second time is a TypeError.
"""

from __future__ import annotations

from perdure._web.body import Body, BodyError, BodyInit
from perdure._web.form_data import Blob, File, FormData
from perdure._web.headers import Headers, HeadersInit
from perdure._web.redirect import follow
from perdure._web.request import Address, Request, copy_request
from perdure._web.response import Response, copy_response

__all__ = [
    "Address",
    "Blob",
    "Body",
    "BodyError",
    "BodyInit",
    "File",
    "FormData",
    "Headers",
    "HeadersInit",
    "Request",
    "Response",
    "copy_request",
    "copy_response",
    "follow",
]
