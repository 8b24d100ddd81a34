"""`workers.workflows`: what the steps of a workflow raise. (pure)"""

from __future__ import annotations


class NonRetryableError(Exception):
    """Ends a workflow at once: the step that raises it is not tried again."""
