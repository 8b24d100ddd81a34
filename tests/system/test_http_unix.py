"""Serving on a Unix socket, and its file."""

import os
import socket
import stat

import httpx
import pytest
from cli_process import APP, Perdure

from perdure._http.unix import bind_unix


def get(path, url):
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path), verify=False)) as client:
        return client.get(url)


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class TestFile:
    def test_it_has_its_mode_from_the_first_moment(self, tmp_path):
        """Whatever the umask is."""
        path = tmp_path / "s"
        with bind_unix(str(path), 0o600):
            assert (stat.S_ISSOCK(os.lstat(path).st_mode), mode_of(path)) == (True, 0o600)

    def test_closing_removes_it(self, tmp_path):
        """Twice does no harm."""
        path = tmp_path / "s"
        sock = bind_unix(str(path), 0o660)
        sock.close()
        sock.close()
        assert not path.exists()

    def test_one_that_nobody_listens_on_is_replaced(self, tmp_path):
        """Who was killed left it behind."""
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(str(path))
        assert path.exists()
        with bind_unix(str(path), 0o660) as sock:
            sock.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))

    def test_one_that_somebody_listens_on_stays(self, tmp_path):
        """And so does the listener, also with connections waiting."""
        path = tmp_path / "s"
        with bind_unix(str(path), 0o660) as sock:
            sock.listen(0)
            with pytest.raises(OSError, match="in use"):
                bind_unix(str(path), 0o660)
            assert path.exists()

    def test_a_file_that_is_no_socket_is_left_alone(self, tmp_path):
        """Its content may matter to somebody."""
        path = tmp_path / "s"
        path.write_text("precious")
        with pytest.raises(FileExistsError):
            bind_unix(str(path), 0o660)
        assert path.read_text() == "precious"

    def test_another_ones_file_is_not_removed(self, tmp_path):
        """Ours was replaced meanwhile."""
        path = tmp_path / "s"
        sock = bind_unix(str(path), 0o660)
        path.unlink()
        path.write_text("another's")
        sock.close()
        assert path.read_text() == "another's"


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("command", [["serve"], ["dev", "--no-reload"], ["dev"]])
def test_requests_come_through_the_file_and_it_goes_with_the_server(app, command):
    """Its mode is the one asked for."""
    path = app / "http.sock"
    with Perdure(*command, "--uds", path, "--uds-mode", "600", cwd=app) as server:
        server.wait_for(rf"Ready on unix:{path}")
        assert mode_of(path) == 0o600
        assert get(path, "http://example/hit").text == "1"
        server.process.terminate()
        assert server.process.wait(20) == 0
        assert not path.exists()


def test_a_reload_keeps_the_socket(app):
    """The supervisor owns it."""
    path = app / "http.sock"
    with Perdure("dev", "--uds", path, cwd=app) as server:
        server.wait_for("Ready on")
        inode = os.lstat(path).st_ino
        assert get(path, "http://example/version").text == "one"
        (app / "app.py").write_text(APP.replace('VERSION = "one"', 'VERSION = "two"'))
        server.wait_for("Reloaded in")
        assert get(path, "http://example/version").text == "two"
        assert os.lstat(path).st_ino == inode


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda path: path.write_text("x"), "cli/not-a-socket"),
        (lambda path: path.parent.rmdir(), "cli/no-socket"),
    ],
)
def test_a_path_that_cannot_be_had_is_told(app, prepare, code):
    """In the one form of errors."""
    folder = app / "run"
    folder.mkdir()
    prepare(folder / "http.sock")
    with Perdure("serve", "--uds", folder / "http.sock", cwd=app) as server:
        server.wait_for(rf"error\[{code}\]")
        assert server.process.wait(20) == 1


def test_a_path_in_use_is_told(app):
    """Both would take half of the requests otherwise."""
    path = app / "http.sock"
    with bind_unix(str(path), 0o660) as sock:
        sock.listen()
        with Perdure("serve", "--uds", path, cwd=app) as server:
            server.wait_for(r"error\[cli/socket-in-use\]")
            assert server.process.wait(20) == 1
        assert path.exists()


def test_a_path_too_long_is_told(app):
    """The system has room for about 100 bytes."""
    with Perdure("serve", "--uds", app / ("x" * 200), cwd=app) as server:
        server.wait_for(r"error\[cli/no-socket\]")
        assert server.process.wait(20) == 1


@pytest.mark.parametrize(
    "arguments",
    [["--uds-mode", "rw"], ["--health-path", "up"], ["--forwarded-allow-ips", "me"], ["--max-requests", "0"]],
)
def test_a_value_that_makes_no_sense_is_a_usage_error(app, arguments):
    """With what was expected."""
    with Perdure("serve", *arguments, cwd=app) as server:
        server.wait_for(r"error\[usage/argument\]")
        assert server.process.wait(20) == 2
