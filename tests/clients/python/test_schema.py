"""Requests made from the OpenAPI document, the same on every run: a bounded part of the campaign in tests/suites/schema."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys

import pytest
from server import ROOT

PROGRAM = ROOT / "tests" / "suites" / "schema" / "schema.py"


@contextlib.contextmanager
def in_a_group(command, **options):
    """A process that takes along at the end whatever it has started and left behind."""
    with subprocess.Popen(command, start_new_session=True, **options) as child:
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def test_no_answer_is_a_5xx_and_every_good_one_has_its_shape():
    command = [sys.executable, str(PROGRAM), "--examples", "2", "--seed", "1"]
    with in_a_group(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        out, err = child.communicate(timeout=600)
    assert child.returncode == 0, out[-10_000:] + err[-2_000:]
    [(selected, tested)] = re.findall(r"Selected: (\d+)/\d+\s+Tested: (\d+)", out)
    assert int(tested) == int(selected) > 200


# It waits for ever, with one that it started and that does the same. Both hold its output open.
ENDLESS = """
import subprocess, sys
inner = "print('there', flush=True); import signal; signal.pause()"
subprocess.run([sys.executable, "-c", inner])
"""


def test_a_run_that_takes_too_long_leaves_nothing_behind():
    with pytest.raises(subprocess.TimeoutExpired):
        with in_a_group([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as child:
            output = os.dup(child.stdout.fileno())
            assert child.stdout.readline() == "there\n"
            child.communicate(timeout=0)
    with os.fdopen(output) as rest:
        # Its end comes when nobody holds it open any more.
        assert rest.read() == ""


def test_schemathesis_stands_before_what_python_looks_for_already(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("schema", PROGRAM)
    schema = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec.loader.exec_module(schema)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert schema.environment() is None
    apart = tmp_path / "schemathesis"
    apart.mkdir()
    for before, after in [(None, [apart]), ("", [apart]), ("a", [apart, "a"]), (f"a{os.pathsep}b", [apart, "a", "b"])]:
        if before is None:
            monkeypatch.delenv("PYTHONPATH", raising=False)
        else:
            monkeypatch.setenv("PYTHONPATH", before)
        assert schema.environment()["PYTHONPATH"] == os.pathsep.join(map(str, after))
