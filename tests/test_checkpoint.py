"""Files: the same bytes for the same content, never half written, never trusted."""

import json
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gancli import checkpoint
from gancli.errors import GancliError, UsageError


def test_the_same_content_gives_the_same_bytes(tmp_path) -> None:
    tensors = {"b": torch.arange(6.0).view(2, 3).t(), "a": torch.ones(2, dtype=torch.float16)}
    header = {"z": 1, "a": {"text": "ä", "list": [1, 2.5, None, True]}}
    for name in ("x", "y"):
        checkpoint.write(tmp_path / name, tensors, header)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    read, back = checkpoint.read(tmp_path / "x")
    assert back == header == checkpoint.read_header(tmp_path / "x")
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert checkpoint.count_parameters(tmp_path / "x") == 8


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch) -> None:
    path = tmp_path / "x"
    checkpoint.write(path, {"a": torch.ones(2)}, {})
    before = path.read_bytes()

    def fail(tensors, target, metadata) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(path, {"a": torch.zeros(2)}, {})
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*")) == [path]
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".part")]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**40), 2**40)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("abc", max_size=3) | st.integers(0, 9), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_plain_trees_survive(tree) -> None:
    tensors, plain = checkpoint.flatten(tree)
    assert not tensors
    assert checkpoint.unflatten(json.loads(json.dumps(plain)), {}) == tree


def test_trees_with_tensors_survive() -> None:
    tree = {"state": {0: {"step": torch.tensor(3.0), "m": torch.ones(2)}}, "groups": [{"lr": 0.1, "betas": [0.5, 0.9]}]}
    tensors, plain = checkpoint.flatten(tree)
    assert set(tensors) == {"state.0.step", "state.0.m"}
    back = checkpoint.unflatten(json.loads(json.dumps(plain)), tensors)
    assert back["groups"] == tree["groups"]
    assert torch.equal(back["state"][0]["m"], torch.ones(2))


def _file(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


OURS = {"__metadata__": {"gancli": "{}"}}
HOSTILE = {
    "empty": (b"", "is not a whole safetensors file"),
    "seven bytes": (b"1234567", "is not a whole safetensors file"),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os", "is not a whole safetensors file"),
    "a header of 2^60 bytes": (_file(b"{}", length=2**60), "its header claims 1,152,921,504,606,846,976 bytes"),
    "a header that is not JSON": (_file(b"{{{{"), "is not a whole safetensors file"),
    "a header that is a list": (_file([1, 2]), "is not a whole safetensors file"),
    "nested lists": (_file(b"[" * 100_000), "is not a whole safetensors file"),
    "not ours": (_file({"__metadata__": {"format": "pt"}}), "was not written by gancli"),
    "no metadata": (
        _file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        "was not written by gancli",
    ),
    "our key holds a list": (_file({"__metadata__": {"gancli": "[1]"}}), "its header is not a table"),
    "a tensor outside the file": (
        _file({**OURS, "a": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}, b"1234"),
        "is not a whole safetensors file",
    ),
    "overlapping tensors": (
        _file(
            {
                **OURS,
                "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            },
            b"1234",
        ),
        "is not a whole safetensors file",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line(name: str, tmp_path) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "evil.safetensors"
    path.write_bytes(content)
    with pytest.raises(GancliError) as refused:
        checkpoint.read(path)
    assert refused.value.message.startswith(str(path))
    assert message in refused.value.message
    assert "\n" not in refused.value.message
    assert refused.value.hint == checkpoint.NAME


def test_a_file_of_another_kind_is_called_so(tmp_path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and more")
    with pytest.raises(UsageError) as refused:
        checkpoint.read(path)
    assert refused.value.message == f"{path} is not a model's .safetensors file"
    assert refused.value.hint == checkpoint.NAME
