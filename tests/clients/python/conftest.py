import pytest

from server import Obsrv

pytest_plugins = ["declared"]


@pytest.fixture
def obsrv(tmp_path):
    """A server of its own for one test."""
    server = Obsrv(tmp_path / "data").start()
    yield server
    server.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server for the tests of one file that do not restart it."""
    server = Obsrv(tmp_path_factory.mktemp("shared") / "data").start()
    yield server
    server.end()
