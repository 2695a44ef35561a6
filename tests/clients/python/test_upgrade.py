"""Data directories that earlier versions left, flushed and not, open and answer as they did: F32 of FAULTS.md."""

import json
import lzma
import sys

import pytest

from server import ROOT, Obsrv, post_json
from test_otlp_json import request, span

sys.path.insert(0, str(ROOT / "tests" / "suites" / "upgrade"))

import fixtures

MADE = sorted(place.name for place in fixtures.FORMATS.iterdir())


def within(part, whole):
    """Whether everything that was told is told: a later version may tell more."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and within(part[key], whole[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) == len(whole) and all(map(within, part, whole))
    return part == whole


def test_there_is_a_fixture_of_a_format():
    assert MADE


@pytest.mark.parametrize("directory", fixtures.DIRECTORIES)
@pytest.mark.parametrize("made", MADE)
def test_a_directory_of_an_earlier_version_opens_and_answers_as_it_did(tmp_path, made, directory):
    place = fixtures.FORMATS / made
    then = json.loads(lzma.decompress((place / "answers.json.xz").read_bytes()))[directory]
    server = Obsrv(tmp_path / "data", "--memory", "64MiB")
    fixtures.unpack(place / f"{directory}.tar.xz", server.data)
    server.run("verify", str(server.data))
    try:
        for _ in range(2):  # over what was found, and over what a flush made of it
            server.start()
            now = fixtures.answers(server)
            for path, answer in then.items():
                assert within(answer, now[path]), f"{path}\n{answer}\n{now[path]}"
            with server.client() as client:
                assert post_json(client, "/v1/traces", request(span(1, traceId=f"{0x900:032x}"))).status_code == 200
                assert client.delete(f"/v1/traces/{0x900:032x}").status_code < 300
            server.stop()
        server.run("verify", str(server.data))
    finally:
        server.end()
