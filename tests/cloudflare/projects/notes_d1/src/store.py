"""All that knows SQL."""


class Notes:
    def __init__(self, db):
        self.db = db

    async def all(self, pinned_only):
        sql = "SELECT slug, body, pinned FROM notes"
        if pinned_only:
            result = await self.db.prepare(sql + " WHERE pinned = ? ORDER BY id").bind(True).all()
        else:
            result = await self.db.prepare(sql + " ORDER BY id").all()
        return [
            {"slug": row.slug, "body": row["body"], "pinned": bool(row.pinned)} for row in result.results
        ]

    async def add(self, note):
        thumbnail = note.get("thumbnail")
        result = (
            await self.db.prepare(
                "INSERT INTO notes (slug, body, pinned, score, thumbnail) VALUES (?, ?, ?, ?, ?)"
            )
            .bind(
                note["slug"],
                note.get("body"),
                note.get("pinned", False),
                note.get("score"),
                None if thumbnail is None else bytes.fromhex(thumbnail),
            )
            .run()
        )
        return {
            "id": result.meta.last_row_id,
            "changes": result["meta"]["changes"],
            "ok": result.success,
            "written": result.meta.rows_written > 0,
        }

    async def add_all(self, notes):
        insert = self.db.prepare("INSERT INTO notes (slug, body) VALUES (?1, ?1 || '!')")
        results = await self.db.batch([insert.bind(note["slug"]) for note in notes])
        return {"ids": [result.meta.last_row_id for result in results]}

    async def get(self, slug):
        row = await self.db.prepare("SELECT * FROM notes WHERE slug = ?").bind(slug).first()
        if not row:
            return None
        note = dict(row)
        if note["thumbnail"] is not None:
            note["thumbnail"] = bytes(note["thumbnail"]).hex()
        return note

    async def update(self, slug, changes):
        columns = [name for name in ("body", "pinned", "score") if name in changes]
        sets = ", ".join(f"{name} = ?" for name in columns)
        values = [changes[name] for name in columns]
        result = await self.db.prepare(f"UPDATE notes SET {sets} WHERE slug = ?").bind(*values, slug).run()
        return result.meta.changes

    async def delete(self, slug):
        result = await self.db.prepare("DELETE FROM notes WHERE slug = ?").bind(slug).run()
        return result.meta.changes
