"""A peer that says what it must not: its session ends, and nothing else does."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sessions import Api, Heard, Pair

from perdure._base import limits
from perdure._rpc.exports import Exports
from perdure.errors import PerdureError


def say(heard, *messages):
    for message in messages:
        heard.receive(message if isinstance(message, (str, bytes)) else json.dumps(message))


def aborted(heard):
    """The text of the abort that was the last word, when nothing is left in the tables."""
    kind, (tag, _, text, *_) = json.loads(heard.said[-1])
    assert (kind, tag) == ("abort", "error")
    assert heard.session.counts == (0, 0)
    assert str(heard.end) == text
    return text


CALL = ["push", ["pipeline", 0, ["add"], [1, 2]]]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("", "JSON"),
        ("{}", "type dict"),
        ("[", "JSON"),
        ('["push",NaN]', "NaN is no JSON"),
        (b'["push",1]', "binary message"),
        ([], "bad RPC message: []"),
        (["what", 1], 'bad RPC message: ["what", 1]'),
        ([["push", 1]], "bad RPC message"),
        (["push"], "bad RPC message"),
        (["push", 1, 2], "bad RPC message"),
        (["push", ["what"]], "unknown special value"),
        (["push", ["import", 5]], "no such entry on exports table: 5"),
        (["push", ["pipeline", 5]], "no such entry on exports table: 5"),
        (["push", ["pipeline", -1, ["x"], []]], "no such entry"),
        (["push", ["pipeline", "0"]], "unknown special value"),
        (["push", ["pipeline", 0, "add", []]], "unknown special value"),
        (["push", ["pipeline", 0, ["add"], {}]], "unknown special value"),
        (["push", ["export", 1]], "negative id"),
        (["push", ["promise", 0]], "id that is in use: 0"),
        (["push", ["readable", 0]], "not a pipe"),
        (["push", ["remap", 9, [], [], [1]]], "no such entry"),
        (["pull", 7], "no such entry on exports table: 7"),
        (["pull", "0"], "bad RPC message"),
        (["pull", 1.5], "bad RPC message"),
        (["release", 7, 1], "no such entry"),
        (["release", 0, 2], "refcount would go negative: 1 < 2"),
        (["release", 0, -1], "refcount would go negative"),
        (["release", 0, 10**30], "refcount would go negative"),
        (["release", 10**30, 1], "no such entry"),
        (["resolve", 1], "bad RPC message"),
        (["reject", "x", 1], "bad RPC message"),
        (["stream", ["pipeline", 3, ["write"], []]], "no such entry"),
        (["pipe", 1], "bad RPC message"),
        (["push", ["bigint", "1" * 20_000]], "16384 digits"),
        ('["push",' + "[" * 3000 + "]" * 3000 + "]", "depth of 256"),
        ('["push",' + "[" * 300_000 + "]" * 300_000 + "]", "depth of 256"),
        ('["push",' + '{"a":' * 600 + "1" + "}" * 600 + "]", "depth of 256"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_wrong_message_ends_the_session_with_its_reason(message, text):
    heard = Heard(Api())
    say(heard, message)
    assert text in aborted(heard)
    say(heard, CALL, message)  # nobody listens any more
    assert len(heard.said) == 1


async def test_a_mistake_of_ours_ends_the_session_and_nothing_else(monkeypatch, caplog):
    """It is logged; the peer sees nothing of it."""
    heard = Heard(Api())

    def fails(*_):
        raise KeyError("secret")

    monkeypatch.setattr(Exports, "take_id", fails)
    say(heard, CALL)
    assert aborted(heard) == "internal error"
    assert "secret" in caplog.text


async def test_a_hook_for_errors_that_fails_hides_them(caplog):
    """What it was to replace is not sent."""

    def hook(error):
        raise RuntimeError("in the hook")

    heard = Heard(Api(), on_send_error=hook)
    say(heard, ["push", ["pipeline", 0, ["raises"], ["range"]]], ["pull", 1])
    assert '"internal error"' in await heard.answer()
    assert "in the hook" in caplog.text


async def test_numbers_in_a_path_lead_nowhere_from_a_target():
    heard = Heard(Api())
    say(heard, ["push", ["pipeline", 0, [5], []]], ["pull", 1])
    assert "does not implement the method" in await heard.answer()


async def test_an_id_is_never_used_twice():
    heard = Heard(Api())
    say(heard, CALL, ["release", 1, 1], ["pull", 1])
    assert "no such entry on exports table: 1" in aborted(heard)


async def test_letting_go_twice_ends_the_session():
    heard = Heard(Api())
    say(heard, CALL, ["release", 1, 1], ["release", 1, 1])
    assert "no such entry on exports table: 1" in aborted(heard)


async def test_asking_twice_is_answered_once():
    heard = Heard(Api())
    say(heard, CALL, ["pull", 1], ["pull", 1])
    await asyncio.sleep(0.01)
    say(heard, ["pull", 1])
    await asyncio.sleep(0.01)
    assert heard.said == ['["resolve",1,3]']


async def test_a_value_is_answered_once_however_soon_it_is_asked_for():
    heard = Heard(Api())
    say(heard, ["push", 5], ["pull", 1])
    await asyncio.sleep(0.01)
    assert heard.said == ['["resolve",1,5]']
    assert heard.session.is_idle


async def test_an_answer_that_is_wanted_no_more_is_not_given_and_not_waited_for():
    heard = Heard(Api())
    say(heard, CALL, ["pull", 1], ["release", 1, 1], ["push", ["pipeline", 0, ["forever"], []]], ["pull", 2])
    assert not heard.session.is_idle
    say(heard, ["release", 2, 1])
    await asyncio.sleep(0.01)
    assert heard.said == []
    assert heard.session.is_idle


async def test_the_end_of_a_pipe_is_used_once():
    heard = Heard(Api())
    read = ["push", ["pipeline", 0, ["sum"], [["readable", 1]]]]
    say(heard, ["pipe"], read, read)
    assert "already consumed" in aborted(heard)


async def test_an_answer_to_a_question_that_nobody_asked_is_dropped():
    """It may have been given up meanwhile; what the answer brings is let go."""
    heard = Heard(Api())
    say(heard, ["resolve", 9, {"a": ["export", -1]}], ["reject", 9, ["error", "Error", "m"]])
    assert heard.said == ['["release",-1,1]']
    assert heard.session.counts == (1, 1)


async def test_the_answer_to_the_main_object_is_dropped():
    heard = Heard(Api())
    say(heard, ["resolve", 0, 5])
    assert heard.session.counts == (1, 1)


async def test_a_reason_may_be_any_value():
    """JavaScript throws what it likes."""
    heard = Heard(Api())
    say(heard, ["abort", [[1, "no error at all"]]])
    assert isinstance(heard.end, PerdureError)
    assert heard.said == []


async def test_a_peer_has_a_bounded_number_of_stubs():
    heard = Heard(Api())
    stubs = [["export", -n] for n in range(1, limits.CAPNWEB_STUBS_MAX + 2)]
    say(heard, ["push", [stubs]])
    assert "More than 10,000 stubs" in aborted(heard)
    gc.collect()
    assert heard.session.counts == (0, 0)


async def test_100000_exports_in_as_many_messages_end_the_session():
    class Keeps(Api):
        def keep_all(self, stub):
            kept.append(stub.dup())

    kept = []
    heard = Heard(Keeps())
    for n in range(1, 100_001):
        say(heard, f'["push",["pipeline",0,["keep_all"],[["export",{-n}]]]]')
        if n % 1000 == 0:
            await asyncio.sleep(0)
        if heard.end is not None:
            break
    assert "More than 10,000 stubs" in aborted(heard)


async def test_a_peer_has_a_bounded_number_of_results_that_it_does_not_let_go(monkeypatch):
    monkeypatch.setattr(limits, "CAPNWEB_RESULTS_MAX", 100)
    heard = Heard(Api())
    say(heard, *[["push", n] for n in range(102)])
    assert "More than 100 calls and results" in aborted(heard)


async def test_calls_that_never_return_are_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(limits, "CAPNWEB_CALLS_BYTES_MAX", 10_000)

    class Stuck(Api):
        async def forever(self, text):
            await asyncio.Event().wait()

    heard = Heard(Stuck())
    say(heard, *[["push", ["pipeline", 0, ["forever"], ["x" * 1000]]] for _ in range(12)])
    assert "More than 10,000 bytes of calls" in aborted(heard)


async def test_a_stream_that_nobody_reads_is_bounded_in_bytes(monkeypatch):
    """A peer that respects no window."""
    monkeypatch.setattr(limits, "CAPNWEB_CALLS_BYTES_MAX", 10_000)
    heard = Heard(Api())
    say(heard, ["pipe"], *[["stream", ["pipeline", 1, ["write"], ["x" * 1000]]] for _ in range(12)])
    assert "More than 10,000 bytes" in aborted(heard)


async def test_stubs_of_ours_are_bounded_too():
    """The call that would hand out one too many fails; the session goes on."""

    class Generous(Api):
        def many(self):
            return [Api() for _ in range(limits.CAPNWEB_STUBS_MAX + 1)]

    async with Pair(Generous()) as pair:
        with pytest.raises(PerdureError, match="More than 10,000 stubs of ours"):
            await pair.api.many()
        assert await pair.api.add(1) == 2


async def test_a_callback_that_never_returns_keeps_only_its_own_call():
    async with Pair(Api()) as pair:
        waiting = asyncio.ensure_future(pair.api.call(asyncio.Event().wait))
        assert await pair.api.add(1) == 2
        assert not waiting.done()
        pair.client.close()
        with pytest.raises(PerdureError):
            await waiting
        assert pair.server.counts != (0, 0)
        pair.server.close()
        assert pair.server.counts == (0, 0)
        pair.client, pair.server = Heard(Api()).session, Heard(Api()).session


WORDS = st.sampled_from(
    "push pull resolve reject release stream pipe abort import pipeline export promise readable writable remap blob "
    "error bigint date bytes add echo call keep room messages write close".split()
)
ATOMS = WORDS | st.integers(-3, 5) | st.none() | st.just([]) | st.just({}) | st.text(max_size=3)
PARTS = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=5), max_leaves=12)
GOOD = st.sampled_from(
    [
        CALL,
        ["push", ["pipeline", 0, ["room"], ["a"]]],
        ["push", ["pipeline", 1, ["messages"], []]],
        ["push", ["pipeline", 0, ["echo"], [["pipeline", 1]]]],
        ["push", ["pipeline", 0, ["call"], [["export", -1], 1]]],
        ["push", ["pipeline", 0, ["keep"], [["export", -2]]]],
        ["push", ["pipeline", 0, ["echo"], [["promise", -3]]]],
        ["push", ["pipeline", 0, ["sum"], [["readable", 1]]]],
        ["push", ["pipeline", 0, ["pour"], [["writable", -4], 2]]],
        ["push", ["pipeline", 0, ["echo"], [["blob", "t", ["readable", 1]]]]],
        ["push", ["import", 0]],
        ["push", [[["export", -5], ["export", -5]]]],
        ["stream", ["pipeline", 1, ["write"], [1]]],
        ["pipe"],
        *(["pull", id] for id in (0, 1, 2, 3)),
        *(["release", id, 1] for id in (0, 1, 2, 3)),
        *(["resolve", id, value] for id in (1, 2, -3) for value in (5, ["export", -6], [[["pipeline", 0]]])),
        ["reject", 1, ["error", "Error", "m"]],
        ["resolve", -3, ["promise", -7]],
        ["abort", 1],
    ]
)


@pytest.mark.fuzz
@settings(max_examples=2 * settings.default.max_examples)
@given(st.lists(GOOD | st.lists(PARTS, max_size=5), max_size=25), st.data())
def test_no_sequence_of_messages_does_harm(messages, data):
    """Right, wrong and mutated ones: the session goes on or ends with an abort, and its end leaves nothing."""

    async def main():
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        heard = Heard(Api())
        for message in messages:
            line = json.dumps(message)
            if data.draw(st.integers(0, 9)) == 0:
                at = data.draw(st.integers(0, len(line)))
                line = line[:at] + data.draw(st.text('[]{}",01-x', max_size=3)) + line[at + 1 :]
            heard.receive(line)
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        if heard.end is None:
            heard.session.close()
        assert heard.session.counts == (0, 0)
        for _ in range(25):
            await asyncio.sleep(0)
        assert not failures, failures
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())
