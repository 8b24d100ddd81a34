from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql

    async def setup(self):
        self.sql.exec("""
            CREATE TABLE doc (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
            CREATE VIRTUAL TABLE doc_fts
                USING fts5(title, body, content = 'doc', content_rowid = 'id', tokenize = porter);
            CREATE TRIGGER doc_ai AFTER INSERT ON doc BEGIN
                INSERT INTO doc_fts (rowid, title, body) VALUES (new.id, new.title, new.body);
            END;
            CREATE TRIGGER doc_ad AFTER DELETE ON doc BEGIN
                INSERT INTO doc_fts (doc_fts, rowid, title, body)
                    VALUES ('delete', old.id, old.title, old.body);
            END;
            INSERT INTO doc VALUES
                (1, 'Running', 'the runner runs in the park'),
                (2, 'Parks', 'a park is a green park'),
                (3, 'Cats', 'cats sleep');
        """)

    def find(self, query, more=""):
        text = f"SELECT rowid AS id FROM doc_fts WHERE doc_fts MATCH ? {more}"
        return attempt_sync(lambda: [row.id for row in self.sql.exec(text, query)])

    async def match(self):
        return [self.find(q) for q in ["run", "park", "cat", "title:parks", "park NOT green", '"bad']]

    async def prefix(self):
        return self.find("gre*")

    async def phrase(self):
        return [self.find('"green park"'), self.find("NEAR(runner park, 5)")]

    async def rank(self):
        scores = self.sql.exec("SELECT bm25(doc_fts) < 0 AS neg FROM doc_fts WHERE doc_fts MATCH 'park'")
        return [self.find("park", "ORDER BY rank"), scores.to_list()]

    async def highlight(self):
        return self.sql.exec("""
            SELECT highlight(doc_fts, 1, '[', ']') AS h, snippet(doc_fts, 1, '<', '>', '..', 3) AS s
            FROM doc_fts WHERE doc_fts MATCH 'park' ORDER BY rowid
        """).to_list()

    async def viaTrigger(self):
        self.sql.exec("DELETE FROM doc WHERE id = 2")
        return self.find("park")

    async def vocab(self):
        self.sql.exec("CREATE VIRTUAL TABLE v USING fts5vocab('doc_fts', 'row')")
        return self.sql.exec("SELECT term, doc, cnt FROM v ORDER BY term LIMIT 4").to_list()

    async def commands(self):
        return [
            attempt_sync(lambda: self.sql.exec(f"INSERT INTO doc_fts (doc_fts) VALUES ('{name}')").to_list())
            for name in ["optimize", "rebuild", "integrity-check"]
        ]

    async def caseOfModule(self):
        return attempt_sync(
            lambda: self.sql.exec("CREATE VIRTUAL TABLE f2 USING FTS5(x); DROP TABLE f2").to_list()
        )

    async def rtree(self):
        self.sql.exec("""
            CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1);
            INSERT INTO boxes VALUES (1, 0, 1, 0, 1), (2, 5, 6, 5, 6)
        """)
        return self.sql.exec("SELECT id FROM boxes WHERE x1 >= 4").to_list()


Default = serve()
