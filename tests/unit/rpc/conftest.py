"""Tests of sessions look whether anything is left, and collect garbage for that, some of them a hundred times."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def cheap_collections():
    """Let the collector pass over all that is there already: half a million objects of pytest, Hypothesis and their like."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
