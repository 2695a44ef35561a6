"""The obsrv binary under test, as a process of its own."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import httpx

KEY = "tk_test_bootstrap_0123456789"
READY_SECONDS = float(os.environ.get("OBSRV_READY_SECONDS", 20))  # more on a machine that is busy with other things
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def binary():
    path = os.environ.get("OBSRV_BIN") or ROOT / "target" / "debug" / "obsrv"
    return str(pathlib.Path(path).resolve())


class Log(threading.Thread):
    """Keeps what a server says, and takes note of the line in which it is ready and tells where."""

    def __init__(self, stream, path):
        super().__init__(daemon=True)
        self.stream, self.path = stream, path
        self.ready, self.is_told = None, threading.Event()
        self.start()

    def run(self):
        with self.stream, contextlib.suppress(OSError), self.path.open("ab") as log:
            for line in self.stream:
                with contextlib.suppress(OSError):  # the disk may be gone: the server must not wait for whoever reads
                    log.write(line)
                    log.flush()
                if self.ready is None and b'"ready"' in line:
                    said = json.loads(line)
                    if said.get("message") == "ready":
                        self.ready = said
                        self.is_told.set()
        self.is_told.set()


class Obsrv:
    """One data directory; the process may be killed and started again over it, at the ports that it found free at first."""

    scheme = "http"

    def __init__(self, data, *flags):
        self.data = pathlib.Path(data)
        self.flags = flags
        self.port = self.grpc_port = 0
        self.url = None
        self.key = KEY
        self.child = self.said = None
        self.log = self.data.with_suffix(".log")

    def start(self):
        assert self.child is None
        command = [binary(), "serve", "--data", str(self.data), "--http", f"127.0.0.1:{self.port}"]
        command += ["--grpc", f"127.0.0.1:{self.grpc_port}"]
        environment = os.environ | ({"OBSRV_BOOTSTRAP_KEY": self.key} if self.key else {})
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [*command, *self.flags], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.PIPE, env=environment
            )
        self.said = Log(self.child.stderr, self.log)
        assert self.said.is_told.wait(READY_SECONDS), f"obsrv is not ready:\n{self.logged()}"
        assert self.said.ready, f"obsrv ended:\n{self.logged()}"
        self.port = int(self.said.ready["address"].rpartition(":")[2])
        self.grpc_port = int((self.said.ready.get("grpc") or ":0").rpartition(":")[2])
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        return self

    def await_ready(self):
        """After it was not: what `/ready` says changes without a word."""
        give_up = time.monotonic() + READY_SECONDS
        while True:
            assert self.child.poll() is None, f"obsrv ended:\n{self.logged()}"
            assert time.monotonic() < give_up, f"obsrv is not ready:\n{self.logged()}"
            try:
                with urllib.request.urlopen(self.url + "/ready", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.005)

    def logged(self):
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self):
        """As a crash of the process: no handler runs."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.child = None
        self.said.join(timeout=5)

    def stop(self):
        """As an operator: everything is finished first."""
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout=30)
        self.child = None
        self.said.join(timeout=5)
        assert code == 0, f"exit code {code}:\n{self.logged()}"

    def restart(self):
        self.kill()
        self.start()

    def end(self):
        if self.child:
            self.kill()

    def files(self):
        """Each file of the data directory that could be opened: a running server removes some while they are listed."""
        for path in sorted(self.data.rglob("*")):
            if path.is_file():
                with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                    yield path, file

    def peak_memory(self):
        """Bytes of the resident set at its highest."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def cpu_seconds(self):
        """What the process has used of the processor so far."""
        ticks = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def client(self, key=KEY, **options):
        return httpx.Client(base_url=self.url, headers={"x-api-key": key}, timeout=30, **options)

    def run(self, *arguments, check=True):
        """A command of the same binary against this server."""
        environment = os.environ | {"OBSRV_API_KEY": KEY}
        done = subprocess.run(
            [binary(), *arguments], capture_output=True, text=True, env=environment, timeout=1800
        )
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def post_json(client, path, body, **headers):
    return client.post(path, content=json.dumps(body), headers={"content-type": "application/json", **headers})


def trace_of(client, trace_id):
    """The whole trace as served, or None."""
    answer = client.get(f"/v1/traces/{trace_id}")
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(client, limit=100, **params):
    """Every summary of a list, page by page."""
    items, cursor = [], None
    while True:
        query = {"limit": limit, **params} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/v1/traces", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return items
        assert page["items"], "a page with a cursor holds something"
