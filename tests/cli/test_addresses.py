"""What a file says of where its data lie is not believed."""

import pytest

from gancli import checkpoint
from gancli.zoo import catalogue


@pytest.mark.parametrize(
    "where", ["https://inside.example/{0..9}.tar", "{https://a.example/a,https://b.example/b}.tar"]
)
def test_an_address_that_only_a_file_names_is_not_asked(run_cli, home, where: str) -> None:
    tensors, header = checkpoint.read(catalogue.find("quick/digits"))
    header["recipe"]["data"]["name"] = where
    checkpoint.write(home / "theirs.safetensors", tensors, header)
    result = run_cli("evaluate", "theirs.safetensors", "-n", 400)
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(
        "which is not fetched at its word\n\nhint: name the data with --data, if you trust that address\n"
    )
