"""Recovery of segments that anything has happened to: a state that was, or a refusal."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.inside import Unsynced
from support.log import Heard, frame, key, open_journal

from perdure._base.limits import PAGE_BYTES
from perdure._storage.journal.record import Fields
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout
from perdure.errors import DataFolderError
from perdure.testing.harness import memory_folder

STORES = 3
State = tuple[tuple[int, ...], ...]
"""Of each store the first byte of each page."""


@cache
def a_log() -> tuple[dict[str, bytes], list[State]]:
    """Write a log of some segments; return its files, and the state of all stores after each commit."""

    async def write(root: str) -> list[State]:
        disk, layout = Unsynced(), Layout(root)
        disk.make_folder(layout.objects)
        journal = open_journal(disk, layout)
        await journal.start()
        stores = [Heard(number) for number in range(STORES)]
        pages: list[dict[int, int]] = [{} for _ in stores]
        states = [seen(pages)]
        for content in range(1, 26):
            number = content % STORES
            size = 12 if content == 8 else 1 + content % 4  # one takes several pieces
            changed = {page: content for page in range(1, size + 1) if page == size or (page + content) % 3}
            if not pages[number]:
                changed = dict.fromkeys(range(1, size + 1), content)
            kept = {page: old for page, old in pages[number].items() if page <= size}
            missing = {page: content for page in range(1, size) if page not in kept and page not in changed}
            pages[number] = {**kept, **missing, **changed}
            written = {**missing, **changed}
            store = stores[number]
            store.number += 1
            last = max(written)
            frames = [frame(page, written[page], size if page == last else 0) for page in sorted(written)]
            journal.append(store, store.number, frames, fields=Fields(name=f"s{number}"))
            if content % 5:  # the others share a batch
                await journal.flush()
            states.append(seen(pages))
        await journal.flush()
        return states

    with tempfile.TemporaryDirectory(dir=memory_folder()) as root:
        states = asyncio.run(write(root))
        folder = Layout(root).journal
        files = {}
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                files[name] = file.read()
    assert len(files) >= 3
    return files, states


def a_folder(root: str, files: dict[str, bytes]) -> Layout:
    """Lay the segments into a data folder without stores."""
    layout = Layout(root)
    os.makedirs(layout.journal)
    os.makedirs(layout.objects)
    for name, content in files.items():
        with open(os.path.join(layout.journal, name), "wb") as file:
            file.write(content)
    return layout


def seen(pages: list[dict[int, int]]) -> State:
    return tuple(tuple(store[page] for page in sorted(store)) for store in pages)


def found(layout: Layout) -> State:
    state = []
    for number in range(STORES):
        data = b""
        path = layout.store(key(number))
        if os.path.exists(path):
            with open(path, "rb") as file:
                data = file.read()
        pages = [data[at : at + PAGE_BYTES] for at in range(0, len(data), PAGE_BYTES)]
        assert all(page == page[:1] * PAGE_BYTES for page in pages), "half a page"
        state.append(tuple(page[0] for page in pages))
    return tuple(state)


def damaged(data: st.DataObject, files: dict[str, bytes]) -> dict[str, bytes]:
    """Do something to a file, or with it."""
    names = sorted(files)
    name = data.draw(st.sampled_from(names))
    content = files[name]
    at = data.draw(st.integers(0, max(0, len(content) - 1)))
    size = data.draw(st.sampled_from([1, 8, 64, 512, 4096, 40_000]))
    match data.draw(st.sampled_from(["flip", "zero", "random", "cut", "remove", "copy", "move", "old"])):
        case "flip" if content:
            changed = (
                content[:at] + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) + content[at + 1 :]
            )
        case "zero":
            changed = content[:at] + bytes(min(size, len(content) - at)) + content[at + size :]
        case "random":
            rubbish = data.draw(st.binary(min_size=1, max_size=40))
            changed = content[:at] + rubbish + content[at + len(rubbish) :]
        case "cut":
            changed = content[:at]
        case "remove":
            return {other: files[other] for other in names if other != name}
        case "copy":  # of another segment, or of another place of this one
            source = files[data.draw(st.sampled_from(names))]
            start = data.draw(st.integers(0, max(0, len(source) // 512 - 1))) * 512
            begin = at // 512 * 512
            part = source[start : start + size]
            changed = (content[:begin] + part + content[begin + len(part) :])[: max(len(content), begin)]
        case "move":
            return {**{other: files[other] for other in names if other != name}, "00000009.seg": content}
        case _:
            changed = content + bytes(data.draw(st.sampled_from([1, 511, 512, 5000])))
    return {**files, name: changed}


@pytest.mark.fuzz
@given(st.data())
def test_whatever_happened_to_segments_every_store_is_as_it_was_after_one_commit_or_the_start_is_refused(
    data,
):
    """A tail that is not whole is dropped, from one commit on for all stores; nothing else is raised, and a refusal touches nothing."""
    files, states = a_log()
    for _ in range(data.draw(st.integers(1, 3))):
        files = damaged(data, files) or files
    root = tempfile.mkdtemp(dir=memory_folder())
    try:
        layout = a_folder(root, files)
        try:
            recover(Unsynced(), layout)
        except DataFolderError:
            assert os.listdir(layout.objects) == []
            assert sorted(os.listdir(layout.journal)) == sorted(files)
        else:
            assert found(layout) in states
            assert os.listdir(layout.journal) == []
    finally:
        shutil.rmtree(root)


def test_without_damage_every_commit_is_there(tmp_path):
    """Else the test above would say nothing."""
    files, states = a_log()
    layout = a_folder(str(tmp_path), files)
    recover(Unsynced(), layout)
    assert found(layout) == states[-1]
