"""The table of conformance is what the tests of this run have seen. Runs last; `OBSRV_WRITE_CONFORMANCE=1` writes it."""

import os

import pytest

import conformance


def test_the_table_is_what_the_tests_have_seen(request, read_back):
    marked = {item.nodeid for item in request.session.items if item.get_closest_marker("reads_back")}
    files = {path.name for path in conformance.TABLE.parents[2].glob("tests/clients/python/test_*.py")}
    collected = {item.path.name for item in request.session.items}
    if collected != files:
        pytest.skip("not every file of tests is in this run")
    assert marked == set(read_back), "a test that declares fields has not passed"
    found = {declared for fields in read_back.values() for declared in fields}
    assert list(conformance.problems(found)) == []
    made = conformance.table(found)
    if os.environ.get("OBSRV_WRITE_CONFORMANCE"):
        conformance.TABLE.parent.mkdir(exist_ok=True)
        conformance.TABLE.write_text(made)
    assert conformance.TABLE.read_text() == made, "run all of tests/clients/python with OBSRV_WRITE_CONFORMANCE=1"

