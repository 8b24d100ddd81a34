"""The engine: composes the mechanisms into live objects."""
