"""`python -m perdure` is the command `perdure`. (edge)"""

from __future__ import annotations

from perdure._cli.main import main

if __name__ == "__main__":
    main()
