import math
from array import array
from datetime import UTC, datetime

from lib import EPOCH, enc, serve

from perdure import DurableObject


def samples():
    """Every kind of value; a key of a dict and a member of a set must be hashable, so tuples stand there."""
    return {
        "null": None,
        "true": True,
        "false": False,
        "zero": 0,
        "int": 42,
        "negative": -7,
        "float": 1.5,
        "big": 2**53,
        "tiny": 5e-324,
        "empty": "",
        "text": "h\u00e9llo \U0001f600",
        "nul": "a\0b",
        "loneSurrogate": "\ud800x",
        "array": [1, "two", [3, [4]], None, None],
        "emptyArray": [],
        "object": {"a": {"b": {"c": 1}}},
        "emptyObject": {},
        "undefinedInside": {"u": None, "n": None},
        "date": datetime(2023, 11, 14, 22, 13, 20, 123000, UTC),
        "map": {"k": 1, 2: "two", ("o", 1): None},
        "set": {1, "a", None},
        "nested": {"s": {("d", EPOCH)}},
        "bytes": bytes([0, 1, 254, 255]),
        "emptyBytes": b"",
        "buffer": bytearray([9, 8]),
    }


class A(DurableObject):
    async def putAll(self):
        for key, value in samples().items():
            await self.ctx.storage.put(key, value)

    async def getAll(self):
        return {key: enc(value) for key, value in (await self.ctx.storage.list()).items()}

    async def cycle(self, values):
        back = []
        for value in values:
            await self.ctx.storage.put("v", value)
            back.append(enc(await self.ctx.storage.get("v")))
        return back

    async def bigInts(self):
        return await self.cycle([0, 1, -1, 2**63, -(2**64), 10**40])

    async def numbers(self):
        whole = [2**31, -(2**31), 2**53 + 2]
        return await self.cycle([math.nan, math.inf, -math.inf, -0.0, *whole, 0.1])

    async def views(self):
        buffer = bytes([1, 2, 3, 4, 5, 6, 7, 8])
        return await self.cycle(
            [
                memoryview(buffer)[2:5].tobytes(),
                array("h", buffer).tobytes(),
                array("d", [1.5]).tobytes(),
                bytearray(buffer[4:]),
                array("q", [-1]).tobytes(),
                b"\xff",
            ]
        )


Default = serve()
