"""TypeScript of Microsoft's compiler, with the types of the `capnweb` package, reads what `perdure types --ts` writes."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from support import typed_app

PACKAGES = ["typescript@5", "capnweb@0"]
CONFIG = """{
  "compilerOptions": {
    "strict": true, "noEmit": true, "target": "esnext", "module": "esnext", "moduleResolution": "bundler",
    "lib": ["esnext", "dom"], "skipLibCheck": true
  },
  "files": ["client.ts"]
}"""
CLIENT = """
import { newWebSocketRpcSession, type RpcStub } from "capnweb";
import type { Auth, Pair, Point, Room, Seat, Subscription, Tree } from "./api";

using room: RpcStub<Room> = newWebSocketRpcSession<Room>("ws://x/");

const heard: number = await room.say("x");
await room.say("x", 5n);
const seats: Seat[] = await room.seats("a", "b");
const first: number = seats[0].number;
await room.sit({ row: "A" });
await room.sit({ row: "A", colour: "g" }, { "**": { at: new Date() } });
using listening = await room.listen((seat, n) => { const row: string = seat.row; const m: number = n; });
await listening.end();
await room.listen(async (seat) => {}).end();
const points: Record<string, Point> = await room.point({ xAxis: 1, seats: [{ row: "A" }] }, { size: 1 }, [1], "a");
const [number, text, bytes] = await room.mixed();
const length: number = bytes.length;
const stream: ReadableStream<Uint8Array> = await room.stream();
const pair: Pair = await room.ids(null, [1, 2n]);
const tree: Tree = await room.tree({ children: [{}] }, { name: "u" });
const size: number = await room.size;

// @ts-expect-error an argument of another type
await room.say(5);
// @ts-expect-error an argument is missing
await room.sit();
// @ts-expect-error a field of another type
await room.sit({ row: 1 });
// @ts-expect-error no such value
await room.sit({ row: "A", colour: "blue" });
// @ts-expect-error no such method
await room.nothing();
// @ts-expect-error a method that clients do not reach
await room._hidden();
// @ts-expect-error a handler of the runtime
await room.fetch("x");
// @ts-expect-error the result is of another type
const wrong: string = await room.say("x");
// @ts-expect-error the result must be awaited
const early: number = room.say("x");
// @ts-expect-error a callback of another type
await room.listen((seat: string) => {});
"""


@pytest.mark.foreign
def test_a_client_in_typescript_is_checked(tmp_path):
    """Right calls are accepted, also pipelined ones and callbacks; each wrong one is an error."""
    npm, npx = shutil.which("npm"), shutil.which("npx")
    assert npm is not None, "this test needs Node and npm"
    assert npx is not None, "npx comes with npm"
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=100)
    shutil.copyfile(typed_app.__file__, tmp_path / "app.py")
    # A module and not a .d.ts, which the compiler would not check itself.
    subprocess.run(
        [sys.executable, "-m", "perdure", "types", "--ts", "-o", "api.ts"], cwd=tmp_path, check=True
    )
    (tmp_path / "client.ts").write_text(CLIENT)
    (tmp_path / "tsconfig.json").write_text(CONFIG)
    done = subprocess.run([npx, "tsc", "-p", "."], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "")
