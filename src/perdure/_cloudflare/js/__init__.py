"""`js`: the JavaScript world as Python code of Cloudflare projects sees it. (pure)"""

from __future__ import annotations
