"""One server for all tests; each test leaves it empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .servers import ADMIN, EVENTS, SOURCES, Api, Server, api_server, collection


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with api_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def admin(server: Server) -> Api:
    return Api(server, ADMIN)


@pytest.fixture
def api(admin: Api) -> Iterator[Api]:
    """What an administrator may do: everything."""
    yield admin
    for path in (SOURCES, "/apis/batch/v1/cronjobs", EVENTS):
        listed = admin("GET", path)
        for item in listed["items"]:
            place = collection({"apiVersion": listed["apiVersion"], "kind": listed["kind"][:-4], **item})
            admin("DELETE", f"{place}/{item['metadata']['name']}")
