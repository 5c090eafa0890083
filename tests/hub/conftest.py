"""A Hub on loopback for every test of this folder; the real one is never asked."""

import os
from collections.abc import Iterator

import pytest
from hub_server import Hub


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Started before huggingface_hub is imported, which reads its settings once."""
    with Hub() as hub:
        os.environ |= {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path_factory.mktemp("huggingface")),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_of_no_one",
        }
        from gancli.hub import client

        client.library()
        from huggingface_hub import constants as settings

        assert hub.url == settings.ENDPOINT
        assert settings.HF_HUB_DISABLE_XET
        yield hub


@pytest.fixture
def hub(served: Hub) -> Iterator[Hub]:
    """Empty; afterwards, nothing was asked that it does not know."""
    for state in (served.repos, served.objects, served.asked, served.unknown, served.corrupt, served.listed):
        state.clear()
    yield served
    assert served.unknown == []
