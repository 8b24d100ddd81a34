"""`pyodide`: what code written for Cloudflare's Python imports of it. (pure)"""

from __future__ import annotations
