"""`pyodide`: what code written for Cloudflare's Python imports of it. (pure)"""

from __future__ import annotations

from typing import Final

__version__: Final = "0.28.2"
"""That of Cloudflare's Python 3.13; programs look which members there are."""
