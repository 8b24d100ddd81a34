"""Storage mechanism: stores, the shared journal, recovery."""
