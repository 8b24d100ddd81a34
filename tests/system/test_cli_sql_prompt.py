"""`perdure sql` on a terminal: a prompt."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from cli_process import Perdure, eventually
from operators import Site, environment


def test_the_prompt_runs_statements_and_goes_on_after_a_mistake(tmp_path):
    """Over several lines, until the end."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        assert server.url
        site.ok("call", "Counter", "home", "fill")
        main, other = pty.openpty()
        shell = subprocess.Popen(
            [sys.executable, "-P", "-m", "perdure", "sql", "Counter", "home"],
            cwd=tmp_path,
            env={**environment(), "TERM": "dumb"},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        os.close(other)
        seen = ""

        def wait_for(text):
            nonlocal seen

            def has_come():
                nonlocal seen
                seen += os.read(main, 65536).decode()
                return text in seen

            text in seen or eventually(has_come, text)
            seen = seen.partition(text)[2]

        def say(text):
            os.write(main, text.encode() + b"\n")

        wait_for("Counter(home)> ")
        say("SELECT id")
        wait_for("...> ")
        say("FROM item;")
        wait_for("2 rows")
        say("DELETE FROM item;")
        wait_for("error[sql/read-only]")
        say(".tables")
        wait_for("item")
        say(".what")
        wait_for("there is no .what")
        say(".exit")
        assert shell.wait(30) == 0
        os.close(main)
