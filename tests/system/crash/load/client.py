"""One client of the load: sends until the server is gone, then prints what it sent and what was answered.

Usage: client.py PORT CLIENT SEED. Each line of the output is a JSON list: what, answered or not, arguments.
"""

import asyncio
import json
import random
import sys

CONNECTIONS = 6
NAMES = 12


async def ask(reader, writer, path):
    writer.write(f"GET /{path} HTTP/1.1\r\nHost: load\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    size = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
    body = await reader.readexactly(size)
    return json.loads(body) if lines[0].split()[1] == "200" else None


async def one_connection(port, client, chance, numbers, said):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        number = next(numbers)
        name = f"account{chance.randrange(NAMES)}"
        kind = chance.choices(
            ["hit", "pair", "pair_in_transaction", "send", "born", "show", "clear"], [50, 12, 6, 12, 6, 4, 4]
        )[0]
        if kind == "clear":
            name = f"cleared{chance.randrange(3)}"
        told = [kind, False, name, number, None]
        path = {
            "hit": f"hit/{name}/{client}/{number}",
            "send": f"send/{name}/account{chance.randrange(NAMES)}/{client}0000000{number}",
            "born": "born/new",
            "show": f"show/{name}",
        }.get(kind, f"{kind}/{name}/{client}0000000{number}")
        said.append(told)
        answer = await ask(reader, writer, path)
        told[1] = True
        if kind in ("born", "hit"):
            told[4] = answer
        elif kind == "show":
            told[4] = [answer.get("hits", 0), answer.get("left"), answer.get("right")]


async def main(port, client, seed):
    chance = random.Random(seed)
    numbers = iter(range(1, 10**9))
    said = []
    print("begun", flush=True)
    await asyncio.gather(
        *(one_connection(port, client, chance, numbers, said) for _ in range(CONNECTIONS)),
        return_exceptions=True,
    )
    print(json.dumps(said), flush=True)


asyncio.run(main(*map(int, sys.argv[1:])))
