"""The project `kv_list`: an object that keeps a list as keys and values."""

from __future__ import annotations

import time

import pytest


@pytest.mark.members(
    "DurableObjectNamespace.idFromName",
    "DurableObjectNamespace.get",
    "DurableObjectStorage.put",
    "DurableObjectStorage.get",
)
def test_an_item_is_added_and_returned(project):
    """A method gets its keyword arguments as one more dict, and returns a dict."""
    answer = project.post("/added", json={"title": "milk", "tags": ["food"]})
    assert answer.status_code == 201
    assert answer.json() == {"key": "item:0001", "title": "milk", "tags": ["food"]}


@pytest.mark.members("DurableObjectStorage.list", "DurableObjectStub.id", "DurableObjectStub.name")
def test_items_are_listed_in_order(project):
    """`list` takes its options as a dict, and gives a dict in order."""
    for title in ("one", "two", "three"):
        project.post("/listed", json={"title": title})
    answer = project.get("/listed").json()
    assert list(answer["items"].values()) == ["three", "two", "one"]
    assert answer["list"] == "listed"
    assert len(answer["id"]) == 64
    assert abs(answer["at"] / 1000 - time.time()) < 60


@pytest.mark.members("DurableObjectStorage.list")
def test_items_are_found_by_attributes(project):
    """`list` takes its options as keywords; what was stored has attributes."""
    for title in ("apple", "pear"):
        project.post("/found", json={"title": title})
    assert project.get("/found?prefix=app").json() == ["apple"]


@pytest.mark.members("DurableObjectStorage.delete", "DurableObjectState.blockConcurrencyWhile")
def test_an_item_is_removed(project):
    """`delete` says whether the key was there; what `__init__` began is done before the first call."""
    key = project.post("/removed", json={"title": "milk"}).json()["key"]
    assert project.request("DELETE", f"/removed?key={key}").json() == {"removed": True}
    assert project.request("DELETE", f"/removed?key={key}").json() == {"removed": False}
