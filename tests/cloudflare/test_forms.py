"""Forms, blobs and files, in the shapes of the Python SDK and of JavaScript."""

from __future__ import annotations

import pytest

import perdure
import perdure._cloudflare.exchange
from perdure._cloudflare.convert import python_from_rpc, python_to_rpc
from perdure._cloudflare.values import ArrayBuffer, JsBytes, Uint8Array, to_js
from perdure._cloudflare.web.blob import Blob as JsBlob
from perdure._cloudflare.web.blob import File as JsFile
from perdure._cloudflare.web.form_data import FormData as JsFormData
from perdure._cloudflare.workers.blob import Blob, BlobEnding, File
from perdure._cloudflare.workers.formdata import FormData


def js_form():
    form = JsFormData.new()
    form.append("n", 123)
    form.append("key", "lorem")
    form.append("key", "ipsum")
    return form


@pytest.mark.members("workers.FormData", "workers.FormData: get get_all js_object")
def test_a_form_shows_one_of_javascripts():
    form = FormData(js_form())
    assert (form["n"], form["key"], form.get_all("key")) == ("123", "lorem", ["lorem", "ipsum"])
    assert ("key" in form, "none" in form, form["none"], form.get("none", "x")) == (True, False, None, None)
    assert FormData(form).js_object is form.js_object


@pytest.mark.members("workers.FormData: append items keys values")
def test_a_form_iterates_over_every_value():
    form = FormData({"a": "1"})
    form.append("a", "2")
    form.append("b", "3")
    assert list(form.items()) == [("a", "1"), ("a", "2"), ("b", "3")]
    assert (list(form.keys()), list(form), list(form.values()), len(form)) == (
        ["a", "a", "b"],
        ["a", "a", "b"],
        ["1", "2", "3"],
        3,
    )


def test_a_form_is_changed_like_a_dict():
    form = FormData({"a": "1", "b": "2"})
    form.append("a", "2")
    form["a"] = "3"
    del form["b"]
    assert list(form.items()) == [("a", "3")]
    with pytest.raises(TypeError, match="Expected single item in arguments to FormData.__setitem__"):
        form["a"] = ["1"]
    with pytest.raises(TypeError, match="Expected form_data to be a dict or an instance of FormData"):
        FormData([("a", "1")])


async def test_a_blob_in_a_form_comes_out_as_pythons_own():
    """In a form it is a file, named "blob" or as it was said."""
    form = FormData({"a": Blob(["1"], content_type="text/csv")})
    form["b"] = JsBlob.new(to_js(["2"]))
    form.append("c", File("3", "old.txt"), "new.txt")
    form.append("d", JsFile.new(["4"], "d.txt", to_js({"type": "text/plain"})))
    assert [(type(value), value.name, value.content_type, await value.text()) for value in form.values()] == [
        (File, "blob", "text/csv", "1"),
        (File, "blob", "", "2"),
        (File, "new.txt", "", "3"),
        (File, "d.txt", "text/plain", "4"),
    ]


@pytest.mark.members(
    "js.FormData",
    "js.FormData.new",
    "js.FormData: get getAll append set has delete entries keys values forEach",
)
def test_javascripts_form_has_its_members():
    form = js_form()
    form.set("key", "dolor")
    assert (form.get("key"), form.get("none"), form.getAll("key"), form.has("n")) == (
        "dolor",
        None,
        ["dolor"],
        True,
    )
    assert [tuple(pair) for pair in form] == [("n", "123"), ("key", "dolor")]
    assert [tuple(pair) for pair in form.entries()] == [("n", "123"), ("key", "dolor")]
    assert (list(form.keys()), list(form.values())) == (["n", "key"], ["123", "dolor"])
    seen = []
    form.forEach(lambda value, name: seen.append((name, value)))
    form.delete("n")
    assert (seen, form.has("n"), form.constructor.name) == (
        [("n", "123"), ("key", "dolor")],
        False,
        "FormData",
    )


# --- blobs ---------------------------------------------------------------------------------------------------


@pytest.mark.members(
    "workers.Blob",
    "workers.Blob.text",
    "workers.Blob.bytes",
    "workers.Blob.size",
    "workers.Blob.content_type",
)
@pytest.mark.parametrize(
    "part",
    [
        "text",
        b"text",
        memoryview(b"text"),
        bytearray(b"text"),
        JsBytes(b"text"),
        Uint8Array(b"text"),
        ArrayBuffer(b"text"),
    ],
)
async def test_a_blob_is_made_of_text_and_bytes(part):
    for blob in (Blob(part), Blob([part]), Blob(["te", b"xt"])):
        assert (await blob.text(), await blob.bytes(), blob.size, blob.content_type) == (
            "text",
            b"text",
            4,
            "",
        )


@pytest.mark.members("workers.Blob.js_object")
def test_a_single_blob_passes_its_type_on():
    typed = Blob(["1"], content_type="application/json")
    assert Blob(typed).content_type == "application/json"
    assert Blob(typed.js_object).content_type == "application/json"
    assert Blob(typed, content_type="other/type").content_type == "other/type"
    assert Blob([typed]).content_type == ""


@pytest.mark.members("workers.Blob.slice")
async def test_a_part_of_a_blob_is_a_blob():
    part = Blob("test").slice(1, -1)
    assert (type(part), await part.text(), part.content_type) == (Blob, "es", "")
    assert await Blob("test").slice(2).text() == "st"
    assert Blob("test").slice(1, 2, "text/x").content_type == "text/x"


@pytest.mark.members("workers.BlobEnding")
async def test_line_ends_in_text_may_become_the_platforms():
    assert await Blob(["a\r\nb\rc", b"\r\n"], endings=BlobEnding.NATIVE).bytes() == b"a\nb\nc\r\n"
    assert await Blob(["a\r\nb"], endings="transparent").text() == "a\r\nb"


@pytest.mark.members(
    "workers.File", "workers.File.name", "workers.File.last_modified", "workers.File: text size content_type"
)
async def test_a_file_has_a_name_and_a_time():
    file = File("my file", filename="a.txt", content_type="text/plain", last_modified=5)
    assert (file.name, file.content_type, file.last_modified, file.size) == ("a.txt", "text/plain", 5, 7)
    copy = File(file, "b.txt")
    assert (copy.name, copy.content_type, copy.last_modified, await copy.text()) == (
        "b.txt",
        "text/plain",
        5,
        "my file",
    )
    assert (File([file], "c.txt").content_type, await Blob(file).text()) == ("", "my file")


@pytest.mark.parametrize("part", [1, object(), [1], {"a": 1}.values()])
def test_what_is_no_part_is_a_type_error(part):
    with pytest.raises(TypeError, match="Don't know how to handle"):
        Blob(part)


@pytest.mark.members(
    "js.Blob", "js.File", "js.Blob: size type text arrayBuffer stream", "js.File: name lastModified type"
)
async def test_javascripts_blob_has_its_members():
    blob = JsBlob.new(["ä", b"\1"], {"type": "Text/X"})
    assert (blob.size, blob.type, await blob.text(), (await blob.arrayBuffer()).to_bytes()) == (
        3,
        "text/x",
        "ä\1",
        b"\xc3\xa4\1",
    )
    assert (await blob.stream().getReader().read()).value.to_bytes() == b"\xc3\xa4\1"
    file = JsFile.new([blob], "f", type="text/y", lastModified=7)
    assert (file.name, file.lastModified, file.type, file.constructor.name) == ("f", 7, "text/y", "File")
    with pytest.raises(TypeError, match="A Blob is made of a list of its parts; got str"):
        JsBlob.new("text")


# --- over RPC ------------------------------------------------------------------------------------------------


async def test_forms_and_files_may_be_arguments_and_results():
    form = python_from_rpc(python_to_rpc({"form": FormData({"a": File("1", "f")})}))["form"]
    assert isinstance(form, FormData)
    assert (form["a"].name, await form["a"].text()) == ("f", "1")
    blob = python_from_rpc(python_to_rpc(Blob("2", content_type="text/x")))
    assert (type(blob), await blob.text(), blob.content_type) == (Blob, "2", "text/x")
    assert isinstance(python_to_rpc(blob.js_object), perdure.Blob)
