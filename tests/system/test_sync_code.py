"""docs/how-to/sync-code.md: its programs run, in a script and under Flask, Django and Celery."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import perdure

PAGE = Path(__file__).parents[2] / "docs/how-to/sync-code.md"
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))

HITS = """
import json, threading
from concurrent.futures import ThreadPoolExecutor
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from socketserver import ThreadingMixIn

class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass

def hit(_):
    url = f"http://127.0.0.1:{server.server_port}/hits/home"
    with urlopen(Request(url, method="POST"), timeout=20) as answer:
        return json.load(answer)["hits"]

with make_server("127.0.0.1", 0, app, Server, Quiet) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with ThreadPoolExecutor(8) as threads:
        print(sorted(threads.map(hit, range(40))) == list(range(1, 41)))
    server.shutdown()
"""


@pytest.fixture
def folder(tmp_path):
    for name, code in FILES.items():
        (tmp_path / name).write_text(code)
    return tmp_path


def play(folder, program):
    """Return what a Python program prints in the folder of the page's files."""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(perdure.__file__).parents[1]), str(folder)]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_the_page_has_a_file_for_each_kind_of_program():
    """Nothing here passes because the page lost its code."""
    assert set(FILES) == {"counter.py", "script.py", "typed.py", "flask_app.py", "views.py", "tasks.py"}


def test_a_script_calls_objects(folder):
    """And finds them again."""
    assert play(folder, FILES["script.py"]) == "1 11\n"
    assert play(folder, FILES["script.py"]) == "12 22\n"


def test_the_typed_form_runs(folder):
    """What type checkers accept is what happens."""
    assert play(folder, FILES["typed.py"]) == "2 [1, 1]\n"


def test_flask_views_call_objects_from_many_threads(folder):
    """Through a threaded server."""
    assert play(folder, "from flask_app import app\n" + HITS) == "True\n"


DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None)
import views
urlpatterns = [path("hits/<str:name>", views.hit)]
app = get_wsgi_application()
"""


def test_django_views_call_objects_from_many_threads(folder):
    """Through a threaded server; no middleware stands in the way of a POST here."""
    assert play(folder, DJANGO + HITS) == "True\n"


CELERY = """
from celery.contrib.testing.worker import start_worker
from tasks import app, hit

with start_worker(app, pool={pool!r}, concurrency=4, perform_ping_check=False, loglevel="ERROR"):
    results = [hit.delay("home") for _ in range(20)]
    print(sorted(result.get(timeout=20) for result in results) == list(range(1, 21)))
"""


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_celery_tasks_call_objects(folder, pool):
    """From a worker that takes them off a queue."""
    assert play(folder, CELERY.format(pool=pool)).splitlines()[-1] == "True"


CELERY_FORKED = """
from counter import runtime
runtime.start()
import os
if os.fork() == 0:
    from tasks import app, hit
    app.conf.task_always_eager = True
    print(hit.delay("home").traceback.splitlines()[-1])
else:
    os.wait()
"""


def test_a_task_in_a_forked_worker_says_what_to_do(folder):
    """When the runtime was started before the fork."""
    told = play(folder, CELERY_FORKED)
    assert "PerdureError: This process was forked" in told
    assert "worker_process_init" in told
