"""The error page for browsers. (pure)

One file without scripts: styles inline, colours by the reader's scheme, library frames folded away. Every
piece of text that comes from outside goes through `html.escape`.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

from perdure._http.trace import Failure, Frame

_STYLE: Final = """
:root { color-scheme: light dark; --back: #fbfaf8; --card: #fff; --text: #23211f; --soft: #6f6a64;
  --line: #e5e0d9; --accent: #b3261e; --tint: #fdecea; --mark: #f8c9c4; --note: #fff6dd; }
@media (prefers-color-scheme: dark) { :root { --back: #171615; --card: #1f1e1c; --text: #ece8e2;
  --soft: #a09a92; --line: #35322e; --accent: #ff8a80; --tint: #3a2321; --mark: #6e302b; --note: #2f2a1b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
code, pre, .where { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.status { color: var(--soft); font-size: .875rem; }
.status b { color: var(--accent); }
h1 { font-size: 1.5rem; line-height: 1.3; margin: .5rem 0 .25rem; overflow-wrap: anywhere; }
h1 span { color: var(--accent); }
h1 + p { margin: 0 0 1rem; font-size: 1.0625rem; white-space: pre-wrap; overflow-wrap: anywhere; }
h2 { font-size: 1.0625rem; margin: 2.5rem 0 .25rem; overflow-wrap: anywhere; }
h2 small { color: var(--soft); font-weight: 400; }
h2 + p { margin: 0 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre { margin: 0; overflow-x: auto; font-size: .8125rem; line-height: 1.6; }
.note { background: var(--note); border: 1px solid var(--line); border-radius: 8px;
  padding: .75rem 1rem; margin: .75rem 0; white-space: pre-wrap; }
.frame { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: .75rem 0;
  overflow: hidden; }
.frame > .where { padding: .5rem 1rem; font-size: .8125rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
.frame > .where i { color: var(--soft); font-style: normal; }
.frame pre span { display: block; padding: 0 1rem; min-width: max-content; }
.frame pre span.at { background: var(--tint); }
.frame pre span b { display: inline-block; width: 3.5em; color: var(--soft); font-weight: 400;
  user-select: none; }
mark { background: var(--mark); color: inherit; border-radius: 3px; }
details { margin: .75rem 0; color: var(--soft); font-size: .875rem; }
details .where { font-size: .8125rem; padding: .125rem 1rem; overflow-wrap: anywhere; }
summary { cursor: pointer; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .875rem; }
"""


def error_page(failures: list[Failure], status: int, method: str, url: str, reference: str) -> str:
    """Return the page about *failures*, the exception that reached the client first."""
    first, *rest = failures
    title = f"{_short(first.kind)}: {first.message}"[:200]
    sections = "".join(
        f"<section><h2><small>{escape(failure.relation)}</small> {escape(_short(failure.kind))}</h2>"
        f"<p>{escape(failure.message)}</p>{_details(failure)}</section>"
        for failure in rest
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<div class="status"><b>{status}</b> {escape(method)} <code>{escape(url)}</code></div>'
        f"<h1><span>{escape(_short(first.kind))}</span></h1><p>{escape(first.message)}</p>"
        f"{_details(first)}{sections}"
        f"<footer>Reference <code>{escape(reference)}</code>. This page is shown in "
        "development only.</footer>"
        "</main></body></html>\n"
    )


def _details(failure: Failure) -> str:
    notes = "".join(f'<pre class="note">{escape(note)}</pre>' for note in failure.notes)
    return notes + _stack(failure)


def _stack(failure: Failure) -> str:
    """Return the frames, the innermost first; neighbours that are not the application's fold together."""
    parts: list[str] = []
    folded: list[Frame] = []

    def unfold() -> None:
        if folded:
            count = f"{len(folded)} frame{'s' if len(folded) > 1 else ''} in libraries"
            parts.append(f"<details><summary>{count}</summary>{''.join(map(_where, folded))}</details>")
            folded.clear()

    for frame in reversed(failure.frames):
        if frame.ours:
            unfold()
            parts.append(f'<div class="frame">{_where(frame)}{_source(frame)}</div>')
        else:
            folded.append(frame)
    unfold()
    if failure.left_out:
        parts.append(
            f"<details open><summary>{failure.left_out} more frames are not shown</summary></details>"
        )
    return "".join(parts)


def _where(frame: Frame) -> str:
    return f'<div class="where">{escape(frame.file)}:{frame.line} <i>in {escape(frame.function)}</i></div>'


def _source(frame: Frame) -> str:
    if not frame.source:
        return ""
    lines = []
    for number, text in frame.source:
        shown = escape(text)
        if number == frame.line and 0 <= frame.start < frame.end:
            before, marked, after = text[: frame.start], text[frame.start : frame.end], text[frame.end :]
            shown = f"{escape(before)}<mark>{escape(marked)}</mark>{escape(after)}"
        at = ' class="at"' if number == frame.line else ""
        lines.append(f"<span{at}><b>{number}</b>{shown}</span>")
    return f"<pre>{''.join(lines)}</pre>"


def _short(kind: str) -> str:
    """Leave the module off where it says nothing new: Perdure's own and the application's file."""
    return re.sub(r"^(perdure\.\w+|__main__)\.", "", kind)
