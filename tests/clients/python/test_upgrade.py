"""Data directories that earlier versions left, flushed and not, open and answer as they did: F32 of FAULTS.md."""

import json
import lzma
import re
import struct
import sys
import tarfile

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


def versions_of(path):
    """What files of a fixture say of themselves: (kind, version), and of files of the log whether one names the next."""
    found = set()
    with tarfile.open(path) as packed:
        for member in packed:
            if not member.isfile():
                continue
            kind, data = member.name.split("/")[0].split("-")[0], packed.extractfile(member).read()
            if kind == "segment":
                found.add((kind, struct.unpack("<I", data[-12:-8])[0]))
            elif kind == "manifest":
                found.add((kind, data[64 + 40]))  # the first byte of its first record
            elif kind == "wal":
                found.add((kind, struct.unpack("<H", data[8:10])[0]))
                at = 64
                while data[at : at + 4] == b"OFRM":
                    size = struct.unpack("<I", data[at + 4 : at + 8])[0]
                    found |= {("link", 1)} if (data[at + 32], size) == (0, 8) else set()
                    at += (40 + size + 7) // 8 * 8
            elif kind == "blobs":
                found.add((kind, 1))
    return found


def constant(file, name):
    return int(re.search(rf"const {name}: \w+ = (\d+);", (ROOT / file).read_text())[1])


def test_every_earlier_version_has_a_fixture():
    found = [versions_of(fixtures.FORMATS / made / "crashed.tar.xz") for made in MADE]
    segment, manifest = "engine/src/segment/mod.rs", "engine/src/manifest/format.rs"
    wanted = {("segment", n) for n in range(constant(segment, "FORMAT_VERSION_MIN"), constant(segment, "FORMAT_VERSION"))}
    wanted |= {("manifest", n) for n in range(constant(manifest, "VERSION_MIN"), constant(manifest, "VERSION"))}
    wanted |= {("wal", constant("wal/src/log/format.rs", "VERSION")), ("link", 1), ("blobs", 1)}
    assert wanted <= set().union(*found), wanted - set().union(*found)
    assert any(("link", 1) not in versions for versions in found), "a log of before links"


@pytest.mark.parametrize("directory", fixtures.DIRECTORIES)
@pytest.mark.parametrize("made", MADE)
def test_a_directory_of_an_earlier_version_opens_and_answers_as_it_did(tmp_path, made, directory):
    place = fixtures.FORMATS / made
    then = json.loads(lzma.decompress((place / "answers.json.xz").read_bytes()))[directory]
    server = Obsrv(tmp_path / "data", "--memory", "128MiB")
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


# What the mapping of a released binary made otherwise, in the attributes of OpenInference, Langfuse and MLflow.
MAPPED = [
    {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "llm.provider": "openai",
        "langfuse.trace.metadata.plan": '{"tier":"gold"}',
    },
    {"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model":"o3"}'},
    {"mlflow.spanType": "TOOL", "mlflow.trace.user": "ann", "mlflow.trace.session": "s1"},
    {"plain": "x"},
]


def send_mapped(client):
    for n, texts in enumerate(MAPPED):
        attributes = [{"key": key, "value": {"stringValue": text}} for key, text in texts.items()]
        assert post_json(client, "/v1/traces", request(span(n + 1, attributes=attributes))).status_code == 200


def test_rows_of_an_older_binary_are_mapped_again(tmp_path):
    """`mappings/2.tar.xz` is what the last binary with mapping 2 made of them (`send_mapped`, a clean stop)."""
    server = Obsrv(tmp_path / "data", "--memory", "128MiB")
    fixtures.unpack(ROOT / "tests" / "fixtures" / "mappings" / "2.tar.xz", server.data)

    def remap(*more):
        said = server.run("remap", "--data", str(server.data), *more).stdout
        return dict(part.split("=") for part in said.split())

    def counts(client):
        asked = ["provider:openai", "metadata.plan.tier:gold", "model:o3", "kind:tool user_id:ann group:s1"]
        lists = [client.get("/v1/projects/1/spans", params={"q": q}).json()["data"] for q in asked]
        return [len(rows) for rows in lists]

    def rows(client, project, keys):
        lines = client.get(f"/v1/projects/{project}/export?over=spans&raw=true").text.splitlines()
        rows = [json.loads(line)["raw"] for line in lines]
        # Rows of before do not say which key they came with.
        assert [bool(row.pop("key_id", None)) for row in rows] == [keys] * len(rows)
        return sorted(json.dumps(row, sort_keys=True) for row in rows)

    try:
        server.start()
        with server.client() as client:
            sent = client.get("/v1/projects/1/export?over=spans&format=otlp").text
            assert counts(client) == [0, 0, 0, 0]
            assert remap("--dry-run")["changed"] == "3" and counts(client) == [0, 0, 0, 0]
            assert (remap()["changed"], remap()["changed"]) == ("3", "0")
            assert counts(client) == [1, 1, 1, 1]
            assert client.get("/v1/projects/1/export?over=spans&format=otlp").text == sent
        # Over a kill, and as if they had come today.
        server.kill()
        server.start()
        key = server.run("key", "create", "--project", "anew", "--data", str(server.data)).stdout.strip()
        with server.client() as client, server.client(key) as anew:
            assert counts(client) == [1, 1, 1, 1] and remap("--project", "1")["changed"] == "0"
            send_mapped(anew)
            assert rows(client, 1, keys=False) == rows(anew, 2, keys=True)
        server.stop()
        server.run("verify", str(server.data))
    finally:
        server.end()
