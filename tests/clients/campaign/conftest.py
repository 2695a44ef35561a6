import pytest

from clients import Clients
from model_server import ModelServer
from server import Obsrv

pytest_plugins = ["declared"]


@pytest.fixture
def model():
    """A model that follows its script, for one test."""
    server = ModelServer()
    yield server
    server.end()


@pytest.fixture
def obsrv(tmp_path):
    """A server of its own for one test."""
    server = Obsrv(tmp_path / "data").start()
    yield server
    server.end()


@pytest.fixture
def clients(obsrv, model, tmp_path):
    """Programs of clients, which know both servers."""
    return Clients(obsrv, model, tmp_path)
