"""Forms: `FormData`, files, and both ways in which they are sent."""

import asyncio
import contextlib
from email.message import EmailMessage
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure import DurableObject, rpc, testing
from perdure._base.limits import FORM_ENTRIES_MAX
from perdure._web.form_data import encode_form, parse_form
from perdure.web import Blob, File, FormData, Request, Response

TYPE = "multipart/form-data; boundary=x"


def part(name, content, more=""):
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}\r\n'.encode()


def test_a_form_is_a_mapping_in_order_with_repeats():
    """`[]` and `get` give the first value, `get_all` each."""
    form = FormData([("a", "1"), ("b", "2"), ("a", "3")])
    assert (form["a"], form.get("a"), form.get("c"), form.get_all("a")) == ("1", "1", None, ["1", "3"])
    assert (list(form), len(form), "b" in form, "c" in form) == (["a", "b"], 3, True, False)
    assert list(form.items()) == [("a", "1"), ("b", "2"), ("a", "3")]
    assert list(form.values()) == ["1", "2", "3"]
    with pytest.raises(KeyError, match="c"):
        form["c"]


def test_setting_replaces_and_appending_adds():
    """`set` keeps the place of the first."""
    form = FormData({"a": "1", "b": "2"})
    form.append("a", "3")
    form["a"] = "4"
    form["c"] = "5"
    assert list(form.items()) == [("a", "4"), ("b", "2"), ("c", "5")]
    del form["b"]
    form.delete("none")
    assert form == FormData({"a": "4", "c": "5"})
    with pytest.raises(KeyError):
        del form["b"]


def test_a_blob_in_a_form_becomes_a_file():
    """It is named "blob", unless a name is given; a file keeps its own."""
    form = FormData({"a": Blob(b"1", "text/csv"), "b": File(b"2", name="b.txt", last_modified_ms=5)})
    form.append("c", File(b"3", name="old.txt", last_modified_ms=7), "new.txt")
    assert form["a"] == File(b"1", "text/csv", name="blob")
    assert form["b"] == File(b"2", name="b.txt", last_modified_ms=5)
    assert form["c"] == File(b"3", name="new.txt", last_modified_ms=7)


def test_other_values_are_refused():
    """The text says what a form takes."""
    with pytest.raises(TypeError, match="A form's values are str, Blob or File; that of 'n' is int"):
        FormData({"n": 1})
    with pytest.raises(TypeError, match="A filename is for a Blob or File; the value of 'n' is str"):
        FormData().append("n", "text", "name.txt")
    with pytest.raises(TypeError, match="A name in a form is a str; got int"):
        FormData({1: "text"})


@pytest.mark.parametrize("kind", ["text/plain\r\nX-Other: 1", "text/plain\nX-Other: 1", "a\0", "é/x", ""])
def test_a_type_that_is_none_is_not_sent(kind):
    """It may come from a client, and would begin another header."""
    body, content_type = encode_form(FormData({"f": File(b"data", kind, name="n")}))
    assert parse_form(body, content_type)["f"] == File(b"data", "application/octet-stream", name="n")
    assert b"X-Other" not in body


def test_blobs_compare_by_content_and_type():
    """A file is none of them."""
    assert Blob(b"1", "a/b") == Blob(b"1", "a/b") != Blob(b"1", "a/c")
    assert Blob(b"1") != File(b"1", name="blob")
    assert len({Blob(b"1"), Blob(b"1")}) == 1
    assert rpc.Blob is Blob


# --- on the wire -------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]))
files = st.builds(File, st.binary(), st.sampled_from(["", "image/png"]), name=texts)


@given(st.lists(st.tuples(texts, texts | files)))
def test_a_form_arrives_as_it_was_sent(entries):
    """Line ends in text and names are sent as CRLF, as the standard says; a file without a type is told to be bytes."""
    data, content_type = encode_form(FormData(entries))

    def crlf(text):
        return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")

    expected = [
        (
            crlf(name),
            crlf(v)
            if isinstance(v, str)
            else File(v.data, v.type or "application/octet-stream", name=v.name),
        )
        for name, v in entries
    ]
    # %22, %0D and %0A stand for themselves and for what they were made of: nothing tells them apart.
    assert _plain(parse_form(data, content_type).items()) == _plain(expected)


def _plain(entries):
    def unquoted(text):
        for quoted, character in {"%22": '"', "%0D": "\r", "%0A": "\n"}.items():
            text = text.replace(quoted, character)
        return text

    return [
        (unquoted(name), v if isinstance(v, str) else File(v.data, v.type, name=unquoted(v.name)))
        for name, v in entries
    ]


def test_what_is_sent_is_what_others_read():
    """Python's parser of e-mail reads a form of ours."""
    from email import message_from_bytes

    data, content_type = encode_form(
        FormData({"text": "a\nb", "file": File(b"\x00\xff", "image/png", name='q"uote.bin')})
    )
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + data, policy=HTTP)
    assert isinstance(message, EmailMessage)
    text, file = message.iter_parts()
    assert text.get_payload(decode=True) == b"a\r\nb"
    assert file.get_payload(decode=True) == b"\x00\xff"
    assert file["content-disposition"] == 'form-data; name="file"; filename="q%22uote.bin"'


def test_a_form_of_a_browser_is_read():
    """Preamble, epilogue, spaces after a boundary, quoted boundary, any case of headers."""
    data = (
        b"ignored\r\n--x \t\r\ncontent-disposition:form-data; name=plain\r\n\r\n1\r\n"
        + part("t", "two\r\nlines--x")
        + part("f", "data", '; filename="C:\\a.txt"\r\nContent-Type: Text/Plain')
        + part("g", "", "; filename*=UTF-8''%e2%82%ac.txt")
        + b"--x--\r\nignored"
    )
    form = parse_form(data, 'Multipart/Form-Data; charset=utf-8; boundary="x"')
    assert list(form.items()) == [
        ("plain", "1"),
        ("t", "two\r\nlines--x"),
        ("f", File(b"data", "text/plain", name="C:\\a.txt")),
        ("g", File(b"", "text/plain", name="€.txt")),
    ]


def test_a_form_without_entries_is_empty():
    """Both ways."""
    assert len(parse_form(*encode_form(FormData()))) == 0
    assert len(parse_form(b"", "application/x-www-form-urlencoded")) == 0


def test_a_urlencoded_form_is_read():
    """Names and values decoded."""
    form = parse_form(b"a=1&b=%C3%A4+x&a=&c", "application/x-www-form-urlencoded;charset=UTF-8")
    assert list(form.items()) == [("a", "1"), ("b", "ä x"), ("a", ""), ("c", "")]


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (
            "text/plain",
            "is multipart/form-data or application/x-www-form-urlencoded; this body's is text/plain",
        ),
        ("", "this body's is missing"),
        ("multipart/form-data", "has no boundary"),
    ],
)
def test_another_content_type_is_a_type_error(content_type, text):
    """It says which would do."""
    with pytest.raises(TypeError, match=text):
        parse_form(b"", content_type)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no boundary where one must be"),
        (b"--x\r\n", "ends within a part"),
        (b"--x", "no boundary where one must be"),
        (b"--x junk\r\n\r\n--x--", "not alone on its line"),
        (part("a", "1"), "ends within a part"),
        (part("a", "1")[:-4], "ends within a part"),
        (
            b"--x\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--x--",
            "no Content-Disposition with a name",
        ),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--", "no Content-Disposition with a name"),
    ],
)
def test_a_broken_form_is_a_value_error(data, text):
    """Nothing of it is taken for whole."""
    with pytest.raises(ValueError, match=text):
        parse_form(data, TYPE)


def test_the_number_of_entries_is_bounded():
    """What a small body can make large stays small."""
    data = part("a", "") * (FORM_ENTRIES_MAX + 1) + b"--x--"
    with pytest.raises(ValueError, match="A form may have 10,000 entries"):
        parse_form(data, TYPE)
    with pytest.raises(ValueError, match="[Mm]ax"):
        parse_form(b"a&" * (FORM_ENTRIES_MAX + 1), "application/x-www-form-urlencoded")


@pytest.mark.fuzz
@given(
    st.lists(
        st.sampled_from(
            [b"--x", b"--", b"\r\n", b":", b";", b'name="', b"content-disposition", b"form-data", b" "]
        )
    )
)
def test_whatever_the_body_is_the_answer_is_a_form_or_a_value_error(pieces):
    """No other exception leaves the parser."""
    with contextlib.suppress(ValueError):
        parse_form(b"".join(pieces), TYPE)


# --- in requests and responses -------------------------------------------------------------------------------


def test_a_form_is_a_body_with_its_content_type():
    """`Request(url, body=form)`, and `await request.form_data()` at the other end."""
    request = Request("http://x/", method="POST", body=FormData({"a": "1", "f": File(b"2", name="f.bin")}))
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert asyncio.run(request.form_data()) == FormData(
        {"a": "1", "f": File(b"2", "application/octet-stream", name="f.bin")}
    )
    assert request.body_used
    assert asyncio.run(Response(FormData({"a": "1"})).form_data()) == FormData({"a": "1"})


def test_a_body_that_is_no_form_says_so():
    """The content type decides."""
    with pytest.raises(TypeError, match="this body's is text/plain"):
        asyncio.run(Request("http://x/", method="POST", body="a=1").form_data())


class Keeper(DurableObject):
    async def keep(self, form):
        await self.ctx.storage.put("file", form["f"])
        return form

    async def kept(self):
        return await self.ctx.storage.get("file")


async def test_forms_are_arguments_and_results_and_files_are_stored():
    """A form that arrives is another one; its files are values."""
    form = FormData({"a": "1", "f": File(b"2", "x/y", name="f.bin", last_modified_ms=3)})
    async with testing.runtime(Keeper) as app:
        keeper = app.env.KEEPER.get_by_name("a")
        back = await keeper.keep(form)
        assert back == form
        assert back is not form
        assert await keeper.kept() == form["f"]
