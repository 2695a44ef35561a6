"""Real traces, loaded through the HTTP path, against counts of the files that do not know the converters."""

import os
import pathlib

import pytest

import convert
import counts
from server import ROOT, Obsrv, pages, trace_of

SOURCE = pathlib.Path(os.environ.get("OBSRV_CORPORA") or ROOT / "samples")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A server that `obsrv import` filled with every sample."""
    folder = tmp_path_factory.mktemp("samples")
    server = Obsrv(folder / "data").start()
    try:
        made = convert.convert(SOURCE, folder / "requests")
        server.run("import", "--url", server.url, *map(str, made))
        yield server
    finally:
        server.end()


def check(server):
    with server.client() as client:
        summaries = pages(client, limit=1000)
        ids = [s["trace_id"] for s in summaries]
        assert len(ids) == len(set(ids))
        details = (trace_of(client, trace_id) for trace_id in ids)
        found = counts.of_served(details)
    expected = counts.of_files(SOURCE)
    for corpus, count in expected.items():
        assert found.get(corpus) == count, corpus
    assert found.keys() == expected.keys()
    return summaries


def test_counts_and_contents_match_the_files(loaded):
    summaries = check(loaded)
    loaded.restart()
    assert check(loaded) == summaries


def test_filters_match_the_files(loaded):
    expected = counts.of_files(SOURCE)
    with loaded.client() as client:
        for corpus, count in expected.items():
            if corpus == "otlp-example":
                continue
            listed = pages(client, limit=1000, meta_key="corpus", meta_value=corpus)
            assert len(listed) == count.runs, corpus
        solved = counts.tau_rewards(SOURCE)
        by_reward = pages(client, limit=1000, meta_key="corpus", meta_value="tau", status="success")
        assert len(by_reward) == solved
        query = pages(client, limit=1000, q="metadata.corpus:tau and status:error")
        assert len(query) == expected["tau"].runs - solved


def test_importing_again_changes_nothing(loaded, tmp_path):
    with loaded.client() as client:
        before = pages(client, limit=1000)
    made = convert.convert(SOURCE, tmp_path / "again")
    loaded.run("import", "--url", loaded.url, *map(str, made))
    with loaded.client() as client:
        after = pages(client, limit=1000)
    assert [s["trace_id"] for s in after] == [s["trace_id"] for s in before]
    for was, now in zip(before, after):
        assert now == was
