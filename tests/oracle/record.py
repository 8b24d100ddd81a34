"""Plays the scenarios on the real workerd; writes down its answers, or checks those recorded. (edge)

    npm install workerd && export WORKERD=$PWD/node_modules/.bin/workerd
    python tests/oracle/record.py               # check all
    python tests/oracle/record.py 04 071        # those whose names begin so
    python tests/oracle/record.py --record 202  # play the steps, write the answers

A question about workerd is answered so: put `workerd/NNN-name.js` and `recorded/NNN-name.json`, with steps
that have no answers yet, in their folders, and record.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from player import Player

HERE = pathlib.Path(__file__).resolve().parent
COMPATIBILITY_DATE = "2026-11-01"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def capnp(value):
    """A Cap'n Proto text literal of a Python value (only what the config needs)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=True)
    if isinstance(value, list):
        return "[" + ", ".join(capnp(v) for v in value) + "]"
    return "(" + ", ".join(f"{k} = {capnp(v)}" for k, v in value.items()) + ")"


class Raw(str):
    pass


def config_text(scenario, port):
    """classes: {exported class: {"unique_key", "sql", "evictable", "binding"}}."""
    name = scenario["id"]
    bindings, namespaces = [], []
    for cls, options in scenario["classes"].items():
        namespace = {
            "className": cls,
            "uniqueKey": options.get("unique_key", f"oracle-{name}-{cls}"),
            "enableSql": options.get("sql", True),
        }
        if options.get("evictable") is False:
            namespace["preventEviction"] = True
        if options.get("facet_only"):
            bindings.append({"name": cls, "durableObjectClass": {"name": "main", "entrypoint": cls}})
            continue
        namespaces.append(namespace)
        bindings.append({"name": options.get("binding", cls), "durableObjectNamespace": cls})
    worker = {
        "compatibilityDate": scenario.get("compatibility_date", COMPATIBILITY_DATE),
        "compatibilityFlags": scenario.get("compatibility_flags", [])
        + (["unsafe_module"] if '"evict"' in json.dumps(scenario["steps"]) else []),
        "modules": [
            {"name": "worker", "esModule": Raw('embed "scenario.js"')},
            {"name": "lib", "esModule": Raw('embed "lib.js"')},
        ],
        "bindings": bindings,
        "durableObjectNamespaces": namespaces,
        "durableObjectStorage": {"localDisk": "storage"},
    }
    config = {
        "services": [
            {"name": "main", "worker": worker},
            {"name": "storage", "disk": {"path": "storage", "writable": True}},
            {"name": "internet", "network": {"allow": [], "deny": ["0.0.0.0/0", "::/0"]}},
        ],
        "sockets": [{"name": "http", "address": f"127.0.0.1:{port}", "http": {}, "service": "main"}],
    }
    return (
        'using Workerd = import "/workerd/workerd.capnp";\n'
        "const config :Workerd.Config = " + capnp(config) + ";\n"
    )


class Workerd:
    def __init__(self, binary, scenario, js, log):
        self.binary, self.log = binary, log
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="oracle-"))
        self.port = free_port()
        (self.dir / "storage").mkdir()
        shutil.copy(HERE / "workerd" / "lib.js", self.dir / "lib.js")
        shutil.copy(js, self.dir / "scenario.js")
        (self.dir / "config.capnp").write_text(config_text(scenario, self.port))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "serve", "--experimental", "config.capnp"],
            cwd=self.dir,
            stdout=self.log,
            stderr=self.log,
        )
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError("workerd did not start")
                if time.monotonic() > end:
                    raise RuntimeError("workerd does not listen")
                time.sleep(0.02)

    def stop(self, grace=2):
        """SIGTERM first; open WebSockets can keep workerd waiting, so SIGKILL after the grace."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def restart(self, down_ms):
        self.stop()
        time.sleep(down_ms / 1000)
        self.start()

    def clean(self):
        self.stop(grace=0.3)
        shutil.rmtree(self.dir, ignore_errors=True)


def run(binary, scenario, js, log):
    server = Workerd(binary, scenario, js, log)
    try:
        server.start()
        player = Player("127.0.0.1", server.port, restart=server.restart)

        def evict(cls, name):
            answer = player.do_http({"method": "POST", "path": f"/__evict/{cls}/{name}", "json": []})
            outcome = answer.get("json", answer)
            return "evicted" if "ok" in outcome else outcome

        player._evict = evict
        return player.play(scenario)
    finally:
        server.clean()


def dump(scenario):
    """The scenario file: one line a step and one a recorded answer, so that diffs read well."""
    head = {k: v for k, v in scenario.items() if k != "steps"}
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "steps": [\n'
    lines = []
    for step in scenario["steps"]:
        asked = {k: v for k, v in step.items() if k != "answer"}
        line = "  " + json.dumps(asked, ensure_ascii=False)
        if "answer" in step:
            line = line[:-1] + ',\n   "answer": '
            line += json.dumps(step["answer"], ensure_ascii=False) + "}"
        lines.append(line)
    text += ",\n".join(lines) + "\n ]\n}\n"
    return re.sub("[\ud800-\udfff]", lambda m: f"\\u{ord(m[0]):04x}", text)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("names", nargs="*", metavar="NAME")
    args.add_argument("--record", action="store_true", help="rewrite the recorded answers")
    args.add_argument("--logs", metavar="DIR", help="keep what workerd prints, a file each")
    args = args.parse_args()
    binary = os.environ.get("WORKERD")
    if not binary:
        sys.exit("set WORKERD to the path of the workerd binary")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True)
    files = sorted((HERE / "recorded").glob("[0-9]*.json"))
    if args.names:
        files = [f for f in files if any(f.stem.startswith(n) for n in args.names)]
    bad = 0
    for file in files:
        scenario = json.loads(file.read_text())
        asked = {
            **scenario,
            "steps": [{k: v for k, v in s.items() if k != "answer"} for s in scenario["steps"]],
        }
        log = subprocess.DEVNULL
        if args.logs:
            log = open(pathlib.Path(args.logs) / (file.stem + ".log"), "w")
        began = time.monotonic()
        try:
            answers = run(binary, asked, HERE / "workerd" / f"{file.stem}.js", log)
        except Exception as e:
            print(f"FAIL  {file.stem}: {type(e).__name__}: {e}")
            bad += 1
            continue
        finally:
            if args.logs:
                log.close()
        took = time.monotonic() - began
        if args.record:
            for step, answer in zip(scenario["steps"], answers, strict=True):
                step.pop("answer", None)
                if answer is not None:
                    step["answer"] = answer
            scenario["recorded_on"] = version.stdout.strip()
            file.write_text(dump(scenario))
            print(f"wrote {file.stem} ({len(answers)} steps, {took:.1f} s)")
            continue
        steps = zip(scenario["steps"], answers, strict=True)
        wrong = [
            (i, step, step.get("answer"), now)
            for i, (step, now) in enumerate(steps)
            if step.get("answer") != now
        ]
        print(f"{'ok   ' if not wrong else 'DIFF '} {file.stem} ({took:.1f} s)")
        for i, step, was, now in wrong:
            asked = {k: v for k, v in step.items() if k != "answer"}
            print(f"      step {i} {json.dumps(asked)}")
            print(f"        recorded {json.dumps(was)}\n        now      {json.dumps(now)}")
        bad += bool(wrong)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
