"""Under which path a page is, where others lead, and what answers in the place of nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure._assets.pages import Found, Leads, find, find_instead
from perdure._assets.settings import HTML_HANDLINGS, NOT_FOUND_HANDLINGS

FILES = {"/index.html", "/file.html", "/folder/index.html", "/plain.txt"}
FORMS = ["/{}", "/{}.html", "/{}/", "/{}/index", "/{}/index.html"]

# The tables of Cloudflare's page on HTML handling: what each form of a path comes to; "" is the file itself.
TABLES = {
    "auto-trailing-slash": {
        "file": ["", "/file", "/file", "/file", "/file"],
        "folder": ["/folder/", "/folder/", "", "/folder/", "/folder/"],
    },
    "force-trailing-slash": {
        "file": ["/file/", "/file/", "", "/file/", "/file/"],
        "folder": ["/folder/", "/folder/", "", "/folder/", "/folder/"],
    },
    "drop-trailing-slash": {
        "file": ["", "/file", "/file", "/file", "/file"],
        "folder": ["", "/folder", "/folder", "/folder", "/folder"],
    },
    "none": {
        "file": [None, "", None, None, None],
        "folder": [None, None, None, None, ""],
    },
}
ROWS = [
    (handling, form.format(name), answer, {"file": "/file.html", "folder": "/folder/index.html"}[name])
    for handling, table in TABLES.items()
    for name, answers in table.items()
    for form, answer in zip(FORMS, answers, strict=True)
]


def there(*files):
    return lambda path: path in files


@pytest.mark.parametrize(("handling", "path", "answer", "file"), ROWS)
def test_each_form_of_a_path_is_the_page_or_leads_to_it(handling, path, answer, file):
    """One path has the page; the others lead there with status 307."""
    wanted = None if answer is None else Leads(answer) if answer else Found(file)
    assert find(path, FILES.__contains__, handling) == wanted


@pytest.mark.parametrize("handling", HTML_HANDLINGS)
def test_the_root_is_index_html(handling):
    """Except where paths are files and nothing else."""
    at_root = find("/", FILES.__contains__, handling)
    at_name = find("/index.html", FILES.__contains__, handling)
    if handling == "none":
        assert (at_root, at_name) == (None, Found("/index.html"))
    else:
        assert (at_root, at_name) == (Found("/index.html"), Leads("/"))
        assert find("/index", FILES.__contains__, handling) == Leads("/")


@pytest.mark.parametrize("handling", HTML_HANDLINGS)
def test_other_files_are_at_their_names(handling):
    """And nowhere else."""
    assert find("/plain.txt", FILES.__contains__, handling) == Found("/plain.txt")
    assert find("/plain", FILES.__contains__, handling) is None
    assert find("/plain.txt/", FILES.__contains__, handling) is None


@pytest.mark.parametrize(
    ("handling", "path", "answer"),
    [
        ("auto-trailing-slash", "/x", Found("/x.html")),
        ("auto-trailing-slash", "/x/", Found("/x/index.html")),
        ("auto-trailing-slash", "/x.html", Leads("/x")),
        ("auto-trailing-slash", "/x/index.html", Leads("/x/")),
        ("force-trailing-slash", "/x", Leads("/x/")),
        ("force-trailing-slash", "/x/", Found("/x/index.html")),
        ("drop-trailing-slash", "/x", Found("/x.html")),
        ("drop-trailing-slash", "/x/", Leads("/x")),
        ("drop-trailing-slash", "/x/index.html", Found("/x/index.html")),
    ],
)
def test_of_two_pages_with_one_path_the_likelier_has_it(handling, path, answer):
    """`/x.html` and `/x/index.html` beside each other."""
    both = there("/x.html", "/x/index.html")
    assert find(path, both, handling) == answer


def test_a_file_without_an_ending_has_its_path_before_a_page():
    """The page is then at its name."""
    both = there("/x", "/x.html")
    assert find("/x", both, "auto-trailing-slash") == Found("/x")
    assert find("/x.html", both, "auto-trailing-slash") == Found("/x.html")


NAMES = st.sampled_from(["a", "index", "a.html", "index.html", ".html", "index.html.html", "b"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@example({"/.html"}, "/.html", "", "force-trailing-slash")
@example({"/index.html", "/index.html.html"}, "/index.html", "", "auto-trailing-slash")
@example({"/index.html", "/index.html.html"}, "/index.html.html", "", "auto-trailing-slash")
@given(st.sets(PATHS, max_size=6), PATHS, st.sampled_from(["", "/"]), st.sampled_from(HTML_HANDLINGS))
def test_whatever_the_files_are_a_path_leads_to_a_page_that_is_there(files, path, end, handling):
    """In one step, to a path of the same site; and each file can be had under its own name or from there."""
    answer = find(path + end, files.__contains__, handling)
    if isinstance(answer, Leads):
        assert not answer.path.startswith("//")
        assert isinstance(find(answer.path, files.__contains__, handling), Found)
    elif answer is not None:
        assert answer.file in files
    if not end and path in files:
        assert answer is not None
        file = find(answer.path, files.__contains__, handling) if isinstance(answer, Leads) else answer
        assert file == Found(path)


# --- nothing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/a/b/c", Found("/a/404.html", 404)),
        ("/a/", Found("/a/404.html", 404)),
        ("/a", Found("/404.html", 404)),
        ("/", Found("/404.html", 404)),
    ],
)
def test_the_nearest_404_page_answers(path, answer):
    """Of the folders above the path."""
    assert find_instead(path, there("/404.html", "/a/404.html"), "404-page") == answer


def test_an_application_of_one_page_answers_with_it():
    """Status 200: what the path means is decided in the browser."""
    assert find_instead("/a/b", there("/index.html"), "single-page-application") == Found("/index.html")


@pytest.mark.parametrize("handling", NOT_FOUND_HANDLINGS)
def test_without_such_a_page_nothing_answers(handling):
    """Then it is the worker's, or a plain 404."""
    assert find_instead("/a/b", there("/a.html"), handling) is None
