"""How many rows a statement read and wrote, from what SQLite tells of its run. See `walk`."""
