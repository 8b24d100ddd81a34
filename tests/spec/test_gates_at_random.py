"""Random programs of sections, transactions and tasks: at any time only code of the innermost open section runs."""

from __future__ import annotations

import asyncio
import random

import pytest
from support.inside import Plain, begin, live_of, until
from support.loops import on_both_loops

from perdure import Runtime

PROGRAMS = 40
DEPTH_MAX = 4


class Program:
    """
    One random program, run by several events of one object.

    Attributes:
        open: sections whose code has begun and not ended, from the outermost to the innermost.
    """

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.open = []
        self.sections = 0
        self.violations = []

    def check(self, within):
        """Note a violation if a section is open that this code, which stands *within* others, is not of."""
        mine = [section for section in within if section in self.open]
        if self.open[-1:] != mine[-1:]:
            self.violations.append((within, list(self.open)))

    async def run(self, ctx, within, depth):
        """Do a few random things."""
        chance, tasks = self.chance, []
        for _ in range(chance.randint(1, 4)):
            self.check(within)
            what = chance.random() if depth < DEPTH_MAX else chance.random() / 3
            if what < 0.15:
                await asyncio.sleep(0)
            elif what < 0.25:
                await asyncio.sleep(chance.choice([0.0005, 0.001]))
            elif what < 0.3:
                ctx.storage.kv["k"] = what
            elif what < 0.33:
                await self.time_out()
            elif what < 0.6:
                await self.section(ctx, within, depth)
            elif what < 0.8:
                tasks.append(asyncio.create_task(self.run(ctx, within, depth + 1)))
            elif what < 0.9:
                await asyncio.gather(self.run(ctx, within, depth + 1), self.run(ctx, within, depth + 1))
            elif tasks:
                chance.choice(tasks).cancel()
            self.check(within)
        if chance.random() < 0.7:
            for task in tasks:
                await asyncio.wait([task])
                self.check(within)

    async def time_out(self):
        try:
            async with asyncio.timeout(0.0005):
                await asyncio.sleep(0.001)
        except TimeoutError:
            pass

    async def section(self, ctx, within, depth):
        self.sections += 1
        number = self.sections

        async def body():
            self.open.append(number)
            try:
                await self.run(ctx, [*within, number], depth + 1)
            finally:
                if self.open[-1] != number:
                    self.violations.append(("the end of", number, list(self.open)))
                self.open.remove(number)

        match self.chance.randrange(5):
            case 0:
                await ctx.block_concurrency_while(body)
            case 1:
                await ctx.storage.transaction(body)
            case 2:
                async with ctx.storage.transaction():
                    await body()
            case 3:
                ctx.block_concurrency_while(body)  # nobody waits for this one
            case 4:
                await asyncio.wait_for(ctx.block_concurrency_while(body), 30)


@pytest.mark.rows("GATE-02", "GATE-12", "GATE-16", "GATE-17")
@on_both_loops
async def test_only_code_of_the_innermost_open_section_runs():
    """Whatever is nested, cancelled, given up or left alone; and at the end nothing is left."""
    first = random.randrange(10**9)
    async with Runtime(objects=[Plain], slow_ms=0) as rt:
        for seed in range(first, first + PROGRAMS):
            program = Program(seed)
            stub = rt.env.PLAIN.get_by_name(str(seed))
            events = [
                begin(stub, lambda plain, program=program: program.run(plain.ctx, [], 0))
                for _ in range(program.chance.randint(1, 4))
            ]
            await asyncio.wait_for(asyncio.gather(*events), 60)
            live = live_of(stub)
            await until(lambda live=live: live.is_idle, timeout_s=60)
            assert not program.violations, f"seed {seed}"
            assert not live.gate._waiting, f"seed {seed}"
            assert live.used_store is None or not live.used_store.depth, f"seed {seed}"
