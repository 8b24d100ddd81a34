from lib import attempt_sync, kind, kinds, serve, step

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql

    def rows(self):
        return self.sql.exec("SELECT n, s FROM t ORDER BY n")

    async def setup(self):
        self.sql.exec("""
            CREATE TABLE t (n INTEGER, s TEXT);
            INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')
        """)

    async def iterate(self):
        return list(self.rows())

    async def next(self):
        cursor = self.rows()
        return [step(cursor) for _ in range(5)]

    async def toArray(self):
        cursor = self.rows()
        return [cursor.to_list(), cursor.to_list(), step(cursor)]

    async def partial(self):
        cursor = self.rows()
        next(cursor)
        return [cursor.to_list(), list(cursor)]

    async def one(self):
        cursor = self.sql.exec("SELECT 7 AS seven")
        return [cursor.one(), cursor.to_list(), attempt_sync(cursor.one)]

    async def raw(self):
        cursor = self.rows()
        raw = cursor.raw()
        return [list(raw), list(raw), cursor.to_list(), cursor.column_names]

    async def rawPartial(self):
        cursor = self.rows()
        raw = cursor.raw()
        return [step(raw), step(cursor), step(raw), step(raw), step(cursor)]

    async def both(self):
        cursor = self.rows()
        first = []
        for row in cursor.raw():
            first.append(row)
            break
        return [first, list(cursor)]

    async def columnNames(self):
        cursor = self.rows()
        before = cursor.column_names
        cursor.to_list()
        odd = self.sql.exec('SELECT 1 + 1, n AS "x y", count(*) FROM t').column_names
        return [before, cursor.column_names, odd]

    async def eager(self):
        """The rows need not be read for the statement to have run."""
        self.sql.exec("INSERT INTO t VALUES (4, 'four')")
        self.sql.exec("INSERT INTO t VALUES (5, 'five') RETURNING n").to_list()
        return self.sql.exec("SELECT count(*) AS n FROM t").one()

    async def noResult(self):
        cursor = self.sql.exec("UPDATE t SET s = s WHERE n = 1")
        return [cursor.column_names, cursor.to_list(), step(cursor), attempt_sync(cursor.one)]

    async def surface(self):
        cursor = self.rows()
        names = "to_list one raw column_names rows_read rows_written length map"
        return [["next", kind(cursor, "__next__")], *kinds(cursor, names.split())]

    async def spreadTwice(self):
        cursor = self.rows()
        return [len(list(cursor)), len(list(cursor))]

    async def rawSurface(self):
        raw = self.rows().raw()
        return [["next", kind(raw, "__next__")], *kinds(raw, ["to_list", "one", "column_names"])]


Default = serve()
