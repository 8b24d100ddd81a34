"""What the command line shows."""

from __future__ import annotations

import json

from perdure._cli.output import address, banner, json_line, paint, problems_json, request_line
from perdure._config.problem import Problem


def test_the_banner_shows_bindings_variables_and_folders():
    """Names of variables only: values may be secrets."""
    text = banner(
        "1.0",
        "shop",
        "app.py",
        [("ROOM", "objects of", "Room"), ("CHAT_HALL", "objects of", "Hall"), ("KV", "KV namespace", "f00")],
        worker=True,
        variables=["B", "A"],
        data=".perdure",
        assets="public",
        environment="staging",
    )
    assert text == (
        "Perdure 1.0  shop  app.py\n\n"
        "  env.ROOM       objects of Room\n"
        "  env.CHAT_HALL  objects of Hall\n"
        "  env.KV         KV namespace f00\n"
        "  requests     Default.fetch\n"
        "  variables    A, B\n"
        "  environment  staging\n"
        "  assets       public\n"
        "  data         .perdure\n"
    )


def test_a_request_is_one_line():
    """Method, path, status, time."""
    assert request_line("GET", "/x", 200, 3.21, colour=False) == "GET /x 200 3.2 ms"
    assert request_line("POST", "/y", 500, 1234.5, colour=False) == "POST /y 500 1234 ms"


def test_statuses_have_colours_and_plain_text_has_none():
    """Red is for failures of the server."""
    assert "\x1b[31m500" in request_line("GET", "/", 500, 1, colour=True)
    assert "\x1b[32m200" in request_line("GET", "/", 200, 1, colour=True)
    assert paint("x", "red", colour=False) == "x"


def test_an_address_of_version_6_stands_in_brackets():
    """So that it can be clicked."""
    assert address("::1", 80) == "http://[::1]:80"
    assert address("127.0.0.1", 80) == "http://127.0.0.1:80"


def test_a_json_line_leaves_out_what_has_no_value():
    """Zero and False are values."""
    assert json.loads(json_line({"a": None, "b": "", "c": 0, "d": False, "e": "ä\n"})) == {
        "c": 0,
        "d": False,
        "e": "ä\n",
    }
    assert "\n" not in json_line({"e": "ä\n"})


def test_the_answer_of_check_says_whether_a_start_would_succeed():
    """Warnings do not stop it."""
    assert json.loads(problems_json([Problem("c", "m", "warning")], name="x"))["ok"] is True
    assert json.loads(problems_json([Problem("c", "m")]))["ok"] is False
