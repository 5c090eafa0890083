"""The view "images" as a client of the page meets it."""

from collections.abc import Iterator

import pytest
import toys
from starlette.testclient import TestClient

from gancli.page import images, server
from gancli.page.access import Access
from gancli.page.worker import Worker

HERE = "http://127.0.0.1:8642"


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with layers, as a file."""
    return str(toys.style_file(tmp_path_factory.mktemp("styled") / "styles.safetensors"))


@pytest.fixture(scope="module")
def client(styled: str) -> Iterator[TestClient]:
    """A client that has opened the page."""
    access = Access("127.0.0.1", 8642)
    view = images.view(["dcgan/digits", styled], "cpu", Worker())
    with TestClient(server.create([view], access), base_url=HERE, headers={"origin": HERE}) as client:
        client.get("/", params={"token": access.token})
        yield client
