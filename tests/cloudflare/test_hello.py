"""The project `hello`: a worker and a variable."""

from __future__ import annotations


def test_a_worker_answers(project):
    """`Default.fetch` answers, with `env` of the configuration."""
    answer = project.get("/")
    assert answer.text == "Hello from a Python Worker!"
    assert answer.headers["content-type"] == "text/plain;charset=UTF-8"
