-- Migration number: 0002 	 2026-01-06T10:00:00.000Z
CREATE TRIGGER note_added AFTER INSERT ON notes
BEGIN
  INSERT INTO log (note) VALUES (new.slug);
END;
