"""The error page for browsers."""

from html.parser import HTMLParser

from perdure._http.page import error_page
from perdure._http.trace import Failure, Frame, describe

EVIL = "\"><script>alert('1')</script>&"


class Outline(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.text = ""
        self.open = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def failure(**changes):
    frames = changes.pop("frames", ())
    return Failure(
        **{"relation": "", "kind": "ValueError", "message": "m", "notes": (), "left_out": 0} | changes,
        frames=frames,
    )


def frame(ours=True, **changes):
    source = ((1, "def f():"), (2, "    return 1 / 0"), (3, ""))
    return Frame(
        **{
            "file": "app.py",
            "line": 2,
            "function": "f",
            "ours": ours,
            "source": source,
            "start": 11,
            "end": 16,
        }
        | changes
    )


def test_everything_from_outside_is_escaped():
    """No text becomes markup, wherever it stands."""
    evil_frame = frame(file=EVIL, function=EVIL, source=((1, EVIL), (2, EVIL)), start=2, end=6)
    folded = frame(ours=False, file=EVIL, function=EVIL)
    failures = [
        failure(kind=EVIL, message=EVIL, notes=(EVIL,), frames=(evil_frame, folded)),
        failure(relation=EVIL, kind=EVIL, message=EVIL),
    ]
    page = Outline(error_page(failures, 500, EVIL, EVIL, EVIL))
    assert "script" not in page.tags
    assert page.text.count(EVIL) >= 9
    assert page.open == []


def test_the_failing_expression_is_marked():
    """In its line, among numbered neighbours."""
    page = error_page([failure(frames=(frame(),))], 500, "GET", "http://h/", "r")
    assert '<span class="at"><b>2</b>    return <mark>1 / 0</mark></span>' in page


def test_neighbouring_library_frames_fold_together():
    """The application's frames stand out."""
    frames = (frame(), frame(ours=False), frame(ours=False), frame(), frame(ours=False))
    page = Outline(error_page([failure(frames=frames, left_out=7)], 500, "GET", "http://h/", "r"))
    assert page.tags.count("details") == 3
    assert "2 frames in libraries" in page.text
    assert "1 frame in libraries" in page.text
    assert "7 more frames are not shown" in page.text


def test_notes_and_causes_have_their_place():
    """Both sides of a call travel as notes."""
    page = Outline(
        error_page(
            [
                failure(notes=("raised in Room(1)",)),
                failure(relation="caused by", kind="perdure.errors.SqlError"),
            ],
            500,
            "GET",
            "http://h/",
            "r",
        )
    )
    assert "raised in Room(1)" in page.text
    assert "caused by SqlError" in page.text


def test_it_works_for_a_real_error():
    """From exception to page."""
    try:
        raise ValueError("real")
    except ValueError as error:
        page = Outline(error_page(describe(error), 500, "GET", "http://h/", "ref"))
    assert 'raise ValueError("real")' in page.text
    assert "ref" in page.text


def test_it_needs_nothing_from_elsewhere():
    """No script, no request."""
    page = error_page([failure(frames=(frame(),))], 500, "GET", "http://h/", "r")
    for word in ("src=", "href=", "@import", "url(", "<script"):
        assert word not in page
