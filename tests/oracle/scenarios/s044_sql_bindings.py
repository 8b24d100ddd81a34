import math

from lib import attempt_sync, serve

from perdure import DurableObject

VALUES = {
    "null": None,
    "int": 42,
    "negative": -5,
    "float": 1.25,
    "wholeFloat": 2.0,
    "big": 2**53,
    "text": "it's",
    "empty": "",
    "unicode": "h\u00e9 \U0001f600",
    "nul": "a\0b",
    "bytes": bytes([1, 2, 255]),
    "emptyBytes": b"",
    "buffer": bytearray([7, 8]),
    "view": memoryview(bytes(range(8)))[2:4],
    "nan": math.nan,
    "infinity": math.inf,
    "minusZero": -0.0,
}


class A(DurableObject):
    async def bind(self, kind):
        query = "SELECT ?1 AS v, typeof(?1) AS t, length(?1) AS l, quote(?1) AS q"
        return attempt_sync(lambda: self.ctx.storage.sql.exec(query, VALUES[kind]).one())


Default = serve()
