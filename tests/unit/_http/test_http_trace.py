"""Exceptions as data."""

import linecache

from perdure._base.limits import ERROR_FRAMES_MAX
from perdure._http.trace import CHAIN_MAX, CONTEXT_LINES, describe, kind_of, message_of, stack_text


def caught(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def plain():
    value = {"a": 1}
    return value["b"]


def recurse(depth):
    return recurse(depth - 1) if depth else 1 / 0


def test_the_failing_line_has_its_surroundings_and_columns():
    """What a page shows and marks."""
    (failure,) = describe(caught(plain))
    frame = failure.frames[-1]
    assert (frame.function, frame.ours, frame.code) == ("plain", True, 'return value["b"]')
    text = dict(frame.source)[frame.line]
    assert text[frame.start : frame.end] == 'value["b"]'
    assert len(frame.source) == 2 * CONTEXT_LINES + 1
    assert (failure.kind, failure.message, failure.relation, failure.left_out) == ("KeyError", "'b'", "", 0)


def test_columns_count_characters():
    """The interpreter counts bytes."""
    code = compile('"é" + 1', "umlaut.py", "eval")
    linecache.cache["umlaut.py"] = (7, None, ['"é" + 1\n'], "umlaut.py")
    (failure,) = describe(caught(eval, code))
    frame = failure.frames[-1]
    assert (frame.start, frame.end) == (0, 7)


def test_code_without_source_has_none():
    """No invention."""
    (failure,) = describe(caught(eval, compile("1/0", "<made up>", "eval")))
    assert failure.frames[-1].source == ()
    assert failure.frames[-1].code == ""


def test_deep_stacks_keep_their_ends():
    """The middle of a recursion tells nothing."""
    (failure,) = describe(caught(recurse, 300))
    assert len(failure.frames) == ERROR_FRAMES_MAX
    assert failure.left_out == 302 - ERROR_FRAMES_MAX
    assert failure.frames[-1].code.endswith("1 / 0")


def test_causes_contexts_and_groups_are_followed():
    """Each tells how it belongs."""

    def chain():
        try:
            try:
                plain()
            except KeyError:
                raise TypeError("while")
        except TypeError as error:
            raise ExceptionGroup("group", [OSError("member")]) from error

    failures = describe(caught(chain))
    assert [(failure.relation, failure.kind) for failure in failures] == [
        ("", "ExceptionGroup"),
        ("one of the group", "OSError"),
        ("caused by", "TypeError"),
        ("while this was being handled", "KeyError"),
    ]


def test_a_suppressed_context_is_not_shown():
    """`raise … from None` means it."""

    def suppressed():
        try:
            plain()
        except KeyError:
            raise TypeError from None

    assert len(describe(caught(suppressed))) == 1


def test_a_circular_chain_ends():
    """Exceptions can be their own cause."""
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert [failure.message for failure in describe(first)] == ["1", "2"]


def test_a_large_group_is_bounded():
    """A page has an end."""
    assert len(describe(ExceptionGroup("g", [ValueError(str(n)) for n in range(100)]))) == CHAIN_MAX


def test_notes_are_kept_and_odd_ones_survive():
    """Anybody may set `__notes__`."""
    error = ValueError()
    error.add_note("both sides of a call")
    assert describe(error)[0].notes == ("both sides of a call",)
    error.__notes__ = 5
    assert describe(error)[0].notes == ()


def test_library_frames_are_not_the_applications():
    """Frames of the standard library and of Perdure are folded."""
    import json

    (failure, *_) = describe(caught(json.loads, "{"))
    assert [frame.ours for frame in failure.frames] == [True, *[False] * (len(failure.frames) - 1)]


def test_names_are_those_of_a_traceback():
    """With the module, unless that says nothing."""
    import json

    assert kind_of(ValueError()) == "ValueError"
    assert kind_of(json.JSONDecodeError("m", "d", 0)) == "json.decoder.JSONDecodeError"


def test_an_error_that_cannot_be_printed_is_still_told():
    """User code is everywhere."""

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    assert message_of(Silent()) == "<its __str__ failed>"


def test_the_stack_as_text_leaves_perdure_out():
    """But always tells where the error was raised."""
    from perdure.web import Request

    text = stack_text(caught(Request, "/relative"))
    assert "in caught" in text
    assert "request.py" not in text
    assert "url.py" in text
    assert text.endswith("TypeError: Invalid URL: /relative")
