"""Requests made from the OpenAPI document, the same on every run: a bounded part of the campaign in tests/suites/schema."""

import re
import subprocess
import sys

from server import ROOT

PROGRAM = ROOT / "tests" / "suites" / "schema" / "schema.py"


def test_no_answer_is_a_5xx_and_every_good_one_has_its_shape():
    command = [sys.executable, str(PROGRAM), "--examples", "2", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
    [(selected, tested)] = re.findall(r"Selected: (\d+)/\d+\s+Tested: (\d+)", done.stdout)
    assert int(tested) == int(selected) > 200
