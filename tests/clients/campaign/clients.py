"""Programs of published clients, each in the environment that has its packages."""

import json
import os
import pathlib
import subprocess

from server import KEY, ROOT

HERE = pathlib.Path(__file__).resolve().parent
# Where `campaign` has put what it installed.
INSTALLED = pathlib.Path(os.environ.get("OBSRV_CAMPAIGN") or ROOT / "target" / "campaign")
SECONDS = 600


class Clients:
    def __init__(self, obsrv, model, folder):
        self.obsrv, self.model = obsrv, model
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir()
        self.work.mkdir()

    def environment(self, **more):
        """Nothing of ours but the path; whatever is not on this machine is not reached."""
        nowhere = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY")}
        here = {name: "127.0.0.1,localhost" for name in ("NO_PROXY", "no_proxy")}
        urls = {"OBSRV_URL": self.obsrv.url, "OBSRV_KEY": KEY, "MODEL_URL": self.model.url}
        path = f"{INSTALLED / 'agents' / 'node_modules' / '.bin'}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.home), "TERM": "dumb"} | nowhere | here | urls | more

    def run(self, *command, **more):
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment(**more),
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def program(self, venv, name, *arguments, **more):
        """What a Python program says at its end."""
        out = self.run(INSTALLED / venv / "bin" / "python", HERE / "programs" / name, *arguments, **more)
        return json.loads(out.strip().splitlines()[-1])

    def trace(self, trace_id):
        with self.obsrv.client() as client:
            answer = client.get(f"/v1/traces/{trace_id}")
            assert answer.status_code == 200, answer.text
            return answer.json()

    def rows(self, table):
        with self.obsrv.client() as client:
            answer = client.get(f"/v1/projects/1/{table}", params={"limit": 1000, "sort": "start"})
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

    def traces(self):
        """Every trace, whole."""
        with self.obsrv.client() as client:
            listed = client.get("/v1/traces", params={"limit": 100}).json()["items"]
        return [self.trace(item["trace_id"]) for item in listed]
