from lib import err_info, serve

from perdure import DurableObject


class A(DurableObject):
    async def through(self, value):
        await self.ctx.storage.put("v", value)
        return await self.ctx.storage.get("v")

    async def cycle(self):
        node = {"name": "root", "kids": []}
        node["self"] = node
        node["kids"].append({"parent": node})
        loop = {}
        loop["me"] = loop
        back = await self.through({"node": node, "map": loop})
        return {
            "self": back["node"]["self"] is back["node"],
            "parent": back["node"]["kids"][0]["parent"] is back["node"],
            "map": back["map"]["me"] is back["map"],
            "fresh": back["node"] is not node,
        }

    async def shared(self):
        one = {"n": 1}
        back = await self.through({"a": one, "b": one, "c": {"n": 1}})
        back["a"]["n"] = 2
        return {"b": back["b"]["n"], "c": back["c"]["n"], "same": back["a"] is back["b"]}

    async def order(self):
        return list(await self.through({"z": 1, "a": 2, "m": 3}))

    async def errors(self):
        outer = Exception("outer")
        outer.__cause__ = Exception("inner")
        back = await self.through([Exception("plain"), TypeError("typed"), ValueError("ranged"), outer])
        return [
            err_info(error)
            | {"isError": isinstance(error, Exception), "cause": error.__cause__ and str(error.__cause__)}
            for error in back
        ]

    async def deep(self, levels):
        value = "bottom"
        for _ in range(levels):
            value = [value]
        back = await self.through(value)
        depth = 0
        while isinstance(back, list):
            [back] = back
            depth += 1
        return {"depth": depth, "back": back}

    async def wide(self, n):
        back = await self.through({f"k{i}": i for i in range(n)})
        return [len(back), back[f"k{n - 1}"]]


Default = serve()
