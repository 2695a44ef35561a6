"""The part of the table of conformance that is the campaign's is what its tests have seen. Runs last."""

import pytest

import conformance


def test_the_table_is_what_the_tests_have_seen(request, read_back):
    marked = {item.nodeid for item in request.session.items if item.get_closest_marker("reads_back")}
    if {item.path.name for item in request.session.items} != {path.name for path in request.path.parent.glob("test_*.py")}:
        pytest.skip("not every file of tests is in this run")
    assert marked == set(read_back), "a test that declares fields has not passed"
    found = {declared for fields in read_back.values() for declared in fields}
    assert list(conformance.declared_problems("campaign", found)) == []
