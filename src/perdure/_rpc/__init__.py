"""Calls by reference: what a stub is, where its target's code runs, what crosses and how."""
