"""Plays the steps of a scenario against an address and tells the answers. (edge)

Standard library only, and nothing in it knows what answers: give it an address, and callbacks for the two
steps that need the host's help, `restart` and `evict`. README.md tells what each step is.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import socket
import struct
import threading
import time
import urllib.parse

RECV_TIMEOUT = 5.0
HTTP_TIMEOUT = 60.0


class WsError(Exception):
    pass


class WebSocket:
    """A bare RFC 6455 client: what it sends and receives is what the step says, no more."""

    def __init__(self, host, port, path, protocols=None, headers=None):
        self.sock = socket.create_connection((host, port), timeout=HTTP_TIMEOUT)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        if protocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        for name, value in (headers or {}).items():
            lines.append(f"{name}: {value}")
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer = b""
        head = self._until(b"\r\n\r\n")
        status_line, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split(" ")[1])
        self.headers = {}
        for field in fields:
            if ":" in field:
                name, value = field.split(":", 1)
                self.headers[name.strip().lower()] = value.strip()
        self.body = b""
        if self.status == 101:
            accept = base64.b64encode(
                hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            ).decode()
            if self.headers.get("sec-websocket-accept") != accept:
                raise WsError("wrong Sec-WebSocket-Accept")
        else:
            length = int(self.headers.get("content-length", "0"))
            self.body = self._exactly(length) if length else b""
            self.sock.close()

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def _exactly(self, n):
        while len(self.buffer) < n:
            self._fill()
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def _frame(self, opcode, payload, fin=True):
        mask = os.urandom(4)
        n = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode])
        if n < 126:
            head += bytes([0x80 | n])
        elif n < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", n)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", n)
        whole = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (n // 4 + 1))[:n], "big")
        self.sock.sendall(head + mask + whole.to_bytes(n, "big"))

    def send_text(self, text, fragments=1):
        data = text.encode()
        if fragments == 1:
            return self._frame(1, data)
        size = max(1, -(-len(data) // fragments))
        parts = [data[i : i + size] for i in range(0, len(data), size)]
        for i, part in enumerate(parts):
            self._frame(1 if i == 0 else 0, part, fin=i == len(parts) - 1)

    def send_binary(self, data):
        self._frame(2, data)

    def send_ping(self, data):
        self._frame(9, data)

    def send_close(self, code=None, reason=""):
        payload = b"" if code is None else struct.pack(">H", code) + reason.encode()
        self._frame(8, payload)

    def drop(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def end(self):
        self.sock.close()

    def recv(self, timeout):
        """One frame (or the end of the connection, or nothing in time) as a JSON-able fact."""
        self.sock.settimeout(timeout)
        whole, kind = b"", None
        saved = self.buffer
        try:
            while True:
                head = self._exactly(2)
                fin, opcode, n = head[0] & 0x80, head[0] & 0x0F, head[1] & 0x7F
                if n == 126:
                    n = struct.unpack(">H", self._exactly(2))[0]
                elif n == 127:
                    n = struct.unpack(">Q", self._exactly(8))[0]
                data = self._exactly(n)
                if opcode == 9:
                    self._frame(10, data)
                    continue
                if opcode == 10:
                    return {"pong": data.decode("latin-1")}
                if opcode == 8:
                    if not data:
                        return {"close": {"code": None, "reason": ""}}
                    return {
                        "close": {
                            "code": struct.unpack(">H", data[:2])[0],
                            "reason": data[2:].decode("utf-8", "replace"),
                        }
                    }
                kind = kind or opcode
                whole += data
                if fin:
                    break
        except (EOFError, ConnectionError):
            return {"eof": True}
        except TimeoutError:
            self.buffer = saved + self.buffer if not whole else self.buffer
            return {"nothing": True}
        if kind == 1:
            text = whole.decode("utf-8", "replace")
            try:
                value = json.loads(text)
            except ValueError:
                return {"text": text}
            return {"json": value} if isinstance(value, (dict, list)) else {"text": text}
        return {"binary": whole.hex() if len(whole) <= 256 else f"{len(whole)} bytes"}


class Normaliser:
    """Replaces what differs from run to run by placeholders, numbered by first appearance."""

    ID = re.compile(r"\b[0-9a-f]{64}\b")
    UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
    REFERENCE = re.compile(r"(reference = )[0-9a-z]+")
    PORT = re.compile(r"\b(127\.0\.0\.1|localhost):\d+")

    def __init__(self, exact_ids=False):
        self.exact_ids = exact_ids
        self.names = {}
        now = int(time.time() * 1000)
        self.window = (now - 600_000, now + 3_600_000)

    def _name(self, kind, value):
        names = self.names.setdefault(kind, {})
        return names.setdefault(value, f"<{kind}:{len(names) + 1}>")

    def text(self, s):
        if not self.exact_ids:
            s = self.ID.sub(lambda m: self._name("id", m[0]), s)
        s = self.UUID.sub(lambda m: self._name("uuid", m[0]), s)
        s = self.REFERENCE.sub(r"\1<reference>", s)
        return self.PORT.sub(r"<address>", s)

    def value(self, v):
        if isinstance(v, str):
            return self.text(v)
        if isinstance(v, list):
            return [self.value(x) for x in v]
        if isinstance(v, dict):
            return {self.text(k): self.value(x) for k, x in v.items()}
        if isinstance(v, (int, float)) and not isinstance(v, bool):
            if self.window[0] <= v <= self.window[1]:
                return "<ms>"
        return v


class Player:
    def __init__(self, host, port, restart=None, evict=None):
        self.host, self.port = host, port
        self._restart, self._evict = restart, evict
        self.sockets = {}

    def play(self, scenario):
        """The answers, one for each step, in order (None for a step that has none)."""
        norm = Normaliser(scenario.get("exact_ids", False))
        try:
            return [norm.value(self.step(step)) for step in scenario["steps"]]
        finally:
            for ws in self.sockets.values():
                try:
                    ws.end()
                except OSError:
                    pass
            self.sockets = {}

    def step(self, step):
        return getattr(self, "do_" + step["do"])(step)

    # -- HTTP -------------------------------------------------------------------------------

    def do_http(self, step):
        conn = http.client.HTTPConnection(
            self.host, self.port, timeout=step.get("timeout_ms", HTTP_TIMEOUT * 1000) / 1000
        )
        headers = dict(step.get("headers", {}))
        if "json" in step:
            body = json.dumps(step["json"]).encode()
            headers.setdefault("Content-Type", "application/json")
        elif "body" in step:
            body = step["body"].encode()
        else:
            body = None
        try:
            conn.request(step.get("method", "GET"), step["path"], body, headers)
            res = conn.getresponse()
            data = res.read()
        except TimeoutError:
            return {"nothing": True}
        except (ConnectionError, http.client.HTTPException) as e:
            return {"disconnected": type(e).__name__}
        finally:
            conn.close()
        out = {"status": res.status}
        for name in step.get("show_headers", []):
            out.setdefault("headers", {})[name] = res.getheader(name)
        text = data.decode("utf-8", "replace")
        try:
            out["json"] = json.loads(text)
        except ValueError:
            out["text"] = text
        return out

    def _post(self, path, step):
        """A call through the router: its outcome alone, unless the router itself failed."""
        answer = self.do_http(
            {"method": "POST", "path": path, "json": step.get("args", [])}
            | {k: v for k, v in step.items() if k == "timeout_ms"}
        )
        return answer["json"] if answer.get("status") == 200 and "json" in answer else answer

    def do_call(self, step):
        path = "/".join(urllib.parse.quote(step[k], "") for k in ("class", "object", "method"))
        return self._post("/call/" + path, step)

    def do_worker(self, step):
        return self._post("/worker/" + step["function"], step)

    def do_parallel(self, step):
        """Starts the inner steps `stagger_ms` apart, waits for all; answers in step order."""
        answers = [None] * len(step["steps"])

        def run(i, inner):
            answers[i] = self.step(inner)

        threads = []
        for i, inner in enumerate(step["steps"]):
            t = threading.Thread(target=run, args=(i, inner))
            t.start()
            threads.append(t)
            time.sleep(step.get("stagger_ms", 0) / 1000)
        for t in threads:
            t.join()
        return answers

    # -- time and the host ------------------------------------------------------------------

    def do_sleep(self, step):
        time.sleep(step["ms"] / 1000)

    def do_restart(self, step):
        """Stops the runtime in an orderly way, starts it again on the same storage."""
        self._restart(step.get("down_ms", 0))

    def do_evict(self, step):
        """Drops the object from memory as idleness would; storage and sockets stay."""
        return self._evict(step["class"], step["object"])

    # -- WebSocket --------------------------------------------------------------------------

    def do_ws_open(self, step):
        ws = WebSocket(self.host, self.port, step["path"], step.get("protocols"), step.get("headers"))
        out = {"status": ws.status}
        if ws.status == 101:
            self.sockets[step["ws"]] = ws
            if "sec-websocket-protocol" in ws.headers:
                out["protocol"] = ws.headers["sec-websocket-protocol"]
        else:
            text = ws.body.decode("utf-8", "replace")
            try:
                out["json"] = json.loads(text)
            except ValueError:
                out["text"] = text
        return out

    def do_ws_send(self, step):
        ws = self.sockets[step["ws"]]
        try:
            if "text" in step:
                ws.send_text(step["text"], step.get("fragments", 1))
            elif "binary" in step:
                ws.send_binary(bytes.fromhex(step["binary"]))
            elif "text_size" in step:
                ws.send_text("x" * step["text_size"])
            elif "ping" in step:
                ws.send_ping(step["ping"].encode())
        except (BrokenPipeError, ConnectionError):
            return {"disconnected": True}

    def do_ws_recv(self, step):
        """The next thing the socket gets; with `count`, that many of them."""
        ws = self.sockets[step["ws"]]
        timeout = step.get("timeout_ms", RECV_TIMEOUT * 1000) / 1000
        if "count" in step:
            out = []
            for _ in range(step["count"]):
                out.append(ws.recv(timeout))
                if "eof" in out[-1] or "nothing" in out[-1]:
                    break
            return out
        return ws.recv(timeout)

    def do_ws_close(self, step):
        self.sockets[step["ws"]].send_close(step.get("code"), step.get("reason", ""))

    def do_ws_drop(self, step):
        self.sockets[step["ws"]].drop()

    def do_ws_end(self, step):
        self.sockets[step["ws"]].end()
