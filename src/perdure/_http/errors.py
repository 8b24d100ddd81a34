"""The answer to a request that failed, in the form its client reads: text, JSON or HTML. (edge)"""

from __future__ import annotations

import secrets
from typing import Any, Literal, TypeAlias

from perdure._http.trace import Failure, describe, kind_of, message_of, stack_text
from perdure._web.response import reason
from perdure.web import Request, Response

Form: TypeAlias = Literal["text", "json", "html"]

_GUARDED = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


def new_reference() -> str:
    """Return an id for a failed request."""
    return secrets.token_hex(6)


def form_for(accept: str | None) -> Form:
    """Return which form the `Accept` header asks for by name; `*/*` is content with text."""
    best: Form = "text"
    best_weight = 0.0
    for item in (accept or "").split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        form: Form
        if media in ("text/html", "application/xhtml+xml"):
            form = "html"
        elif media == "application/json" or (media.startswith("application/") and media.endswith("+json")):
            form = "json"
        elif media == "text/plain":
            form = "text"
        else:
            continue
        weight = _weight(parameters)
        if weight > best_weight:
            best, best_weight = form, weight
    return best


def error_response(
    error: BaseException, request: Request, *, status: int, debug: bool, reference: str
) -> Response:
    """Return the response for a handler that raised *error*; what broke is told only with *debug*."""
    form = form_for(request.headers.get("accept"))
    if not debug:
        return _plain(form, status, reference)
    failures = describe(error)
    headers = dict(_GUARDED)
    match form:
        case "html":
            from perdure._http.page import error_page

            headers["content-type"] = "text/html; charset=utf-8"
            page = error_page(failures, status, request.method, request.url, reference)
            return Response(_sendable(page), status=status, headers=headers)
        case "json":
            return Response.json(
                _document(failures, status, request, reference), status=status, headers=headers
            )
        case "text":
            headers["content-type"] = "text/plain; charset=utf-8"
            text = _text(error, failures, status, request, reference)
            return Response(_sendable(text), status=status, headers=headers)


def status_response(status: int, text: str) -> Response:
    """Return a plain-text response which says what was wrong with the request."""
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
    return Response(_sendable(f"{text}\n"), status=status, headers=headers)


def _plain(form: Form, status: int, reference: str) -> Response:
    """Return what a client learns that must not see inside."""
    title = reason(status)
    headers = dict(_GUARDED)
    match form:
        case "json":
            return Response.json({"error": title, "reference": reference}, status=status, headers=headers)
        case "html":
            headers["content-type"] = "text/html; charset=utf-8"
            import html

            shown = html.escape(title)
            page = (
                f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{shown}</title>'
                "<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;"
                "max-width:34rem;margin:15vh auto;padding:0 1rem}</style>"
                f"<h1>{shown}</h1><p>Something went wrong on the server.</p>"
                f"<p>Reference: <code>{html.escape(reference)}</code></p></html>\n"
            )
            return Response(page, status=status, headers=headers)
        case "text":
            headers["content-type"] = "text/plain; charset=utf-8"
            return Response(f"{title}\nreference: {reference}\n", status=status, headers=headers)


def _text(
    error: BaseException, failures: list[Failure], status: int, request: Request, reference: str
) -> str:
    """Return the short story on top, then the stack as Python tells it."""
    lines = [f"{status} {reason(status)}: {request.method} {request.url}", ""]
    lines.append(f"{kind_of(error)}: {message_of(error)}")
    place = next((frame for frame in reversed(failures[0].frames) if frame.ours), None)
    if place is not None:
        lines.append(f"  --> {place.file}:{place.line} in {place.function}")
        if place.code:
            lines.append(f"      {place.code}")
    lines += ["", stack_text(error), "", f"reference: {reference}", ""]
    return "\n".join(lines)


def _document(failures: list[Failure], status: int, request: Request, reference: str) -> dict[str, Any]:
    first, *rest = [
        {
            "type": failure.kind,
            "message": failure.message,
            "notes": list(failure.notes),
            "frames": [
                {
                    "file": frame.file,
                    "line": frame.line,
                    "function": frame.function,
                    "code": frame.code,
                    "application": frame.ours,
                }
                for frame in failure.frames
            ],
            **({"relation": failure.relation} if failure.relation else {}),
        }
        for failure in failures
    ]
    document: dict[str, Any] = {
        "error": reason(status),
        "status": status,
        "reference": reference,
        "request": {"method": request.method, "url": request.url},
        "exception": first,
        "chain": rest,
    }
    return {key: _without_surrogates(value) for key, value in document.items()}


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _sendable(text: str) -> bytes:
    """Encode text which may hold anything an exception can say, lone surrogates included."""
    return text.encode("utf-8", "backslashreplace")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _sendable(value).decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
    return value
