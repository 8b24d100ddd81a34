"""A failed request in the terminal: the exception, the application's own frames, and its causes. (edge)"""

from __future__ import annotations

import pathlib

from perdure._cli.output import paint
from perdure._config.load import shown
from perdure._http.trace import describe

FRAMES_MAX = 8


def failure_text(error: BaseException, reference: str, *, colour: bool) -> str:
    """Return what broke; frames of libraries stand there only when the application has none in it."""
    lines = []
    for failure in describe(error):
        relation = f"{failure.relation}: " if failure.relation else ""
        lines.append(f"  {relation}{paint(f'{failure.kind}: {failure.message}', 'red', colour=colour)}")
        lines += ["    " + f"note: {note}".replace("\n", "\n    ") for note in failure.notes]
        frames = [frame for frame in failure.frames if frame.ours] or list(failure.frames[-2:])
        for frame in frames[-FRAMES_MAX:]:
            place = f"{shown(pathlib.Path(frame.file))}:{frame.line} in {frame.function}"
            lines.append(f"    {place}{paint(f'  {frame.code}', 'dim', colour=colour)}")
        # Where an exception crossed a call, a note tells of the other side.
        lines += [f"    {line}" for note in failure.notes for line in note.splitlines()]
    if reference:
        lines.append(paint(f"    reference {reference}", "dim", colour=colour))
    return "\n".join(lines)
