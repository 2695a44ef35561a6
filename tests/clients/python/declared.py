"""Which fields of which dialect the tests that passed have read back. Also of use to `../campaign`."""

import pytest

# Of each test that passed and declares what it reads back: dialects and fields.
READ_BACK = pytest.StashKey[dict]()


def pytest_configure(config):
    config.stash[READ_BACK] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.passed:
        declared = {
            (marker.args[0], field) for marker in item.iter_markers("reads_back") for field in marker.args[1:]
        }
        if declared:
            item.config.stash[READ_BACK][item.nodeid] = declared
    return report


@pytest.fixture
def read_back(request):
    """What the tests so far have read back."""
    return request.config.stash[READ_BACK]
