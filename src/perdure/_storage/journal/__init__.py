"""The process's one append-only log: group commit, recovery, reclaiming."""
