"""Files: the same bytes for the same content, never half written, never trusted."""

import json
import os
import tracemalloc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import hostile
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


SIZE = "its size is not what its header says"
INVALID = "Error while deserializing header: "
NOT_WHOLE = {
    "of 2^60 bytes": "its header claims 1,152,921,504,606,846,976 bytes",
    "tensors that overlap": f"{INVALID}invalid offset for tensor `b`",
    "a tensor twice in one place": f"{INVALID}invalid offset for tensor",
    "a tensor outside": SIZE,
    "a tensor that ends before it begins": SIZE,
    "a gap between tensors": f"{INVALID}invalid offset for tensor `b`",
    "bytes of no tensor": SIZE,
    "a name twice": f"{INVALID}invalid offset for tensor `a`",
    "an offset that is true": INVALID,
    "an unknown type": "its tensor 'a' has a type or a shape that no network has",
    "a type that is a list": "its tensor 'a' has a type or a shape that no network has",
    "a negative side": INVALID,
    "two negative sides": INVALID,
    "a side that is NaN": "its header has NaN, which is no number",
    "a side of 1.0": INVALID,
    "a side of 2^64": INVALID,
    "sides whose product wraps to the right one": INVALID,
    "a shape unlike its bytes": f"{INVALID}invalid shape, data type, or offset for tensor",
    "ten thousand sides": "its tensor 'a' has a type or a shape that no network has",
    "ten million tensors": "its header holds more than 1,000,000 lists and tables",
    "more tensors than anybody has": "it holds 20,001 tensors, and at most 20,000 are read",
    "megabytes of metadata": "its header claims 9,437,216 bytes",
    "a document that says NaN": "its header has NaN, which is no number",
    "a document that is a list": "its header is not a table",
}
"""What is said of a header that lies, by its name in the benchmark."""
OTHERS = dict.fromkeys(("no metadata", "longer than the file"), "was not written by gancli")
HEADERS = hostile.headers()


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_files_are_refused_in_one_line_and_little_memory(name: str, tmp_path) -> None:
    path = tmp_path / "evil.safetensors"
    path.write_bytes(HEADERS[name])
    tracemalloc.start()
    try:
        with pytest.raises(GancliError) as refused:
            checkpoint.read(path)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = OTHERS.get(name) or f"is not a whole safetensors file: {NOT_WHOLE.get(name, '')}"
    assert refused.value.message.startswith(f"{path} {message}")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 400
    assert refused.value.hint == checkpoint.NAME
    assert taken < 150e6


def test_what_is_said_is_said_of_a_file() -> None:
    assert NOT_WHOLE.keys() <= HEADERS.keys()


def test_the_largest_lies_take_no_memory_beyond_their_files(tmp_path) -> None:
    """A file with a hole of 64 GB: it is refused by its header, and the hole is never read."""
    path = tmp_path / "evil.safetensors"
    side = 2**34
    path.write_bytes(hostile.tensor_file({"a": hostile.entry([side - 1], 0, 4 * side)}))
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size + 4 * side)
    tracemalloc.start()
    try:
        with pytest.raises(GancliError, match="invalid shape, data type, or offset for tensor"):
            checkpoint.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "C64"])
def test_every_type_that_is_written_is_read(kind: str, tmp_path) -> None:
    types = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint", "C": "complex"}
    name = "bool" if kind == "BOOL" else types[kind.rstrip("0123456789")] + kind.lstrip("BFIUC")
    tensor = torch.ones(3, 2, dtype=getattr(torch, name))
    checkpoint.write(tmp_path / "x", {"a": tensor, "empty": tensor[:0]}, {})
    assert torch.equal(checkpoint.read(tmp_path / "x")[0]["a"], tensor)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "state.safetensors")
    with pytest.raises(UsageError, match="is a pipe or a device, not a file"):
        checkpoint.read_header(tmp_path / "state.safetensors")


def test_a_file_of_another_kind_is_called_so(tmp_path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and more")
    with pytest.raises(UsageError) as refused:
        checkpoint.read(path)
    assert refused.value.message == f"{path} is not a model's .safetensors file"
    assert refused.value.hint == checkpoint.NAME
