"""Pickles are read and never run: every known way to run code is refused by the name of what it would call."""

import functools
import io
import math
import operator
import os
import pickle
import re
import struct
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import ada

from gancli.errors import GancliError, UsageError
from gancli.importing import isolated, names, pickles, worker
from gancli.importing.pickles import Refused

PROTOCOLS = range(6)


def read(content: bytes) -> worker.Found:
    return worker.of_pickle(io.BytesIO(content), len(content))


class Calls:
    """Pickled, it is a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


TOUCH = "import pathlib; pathlib.Path('canary').touch()"
REAL = {
    "posix.system": Calls(os.system, "touch canary"),
    "builtins.eval": Calls(eval, "__import__('os').system('touch canary')"),
    "builtins.exec": Calls(exec, TOUCH),
    "subprocess.Popen": Calls(subprocess.Popen, ["touch", "canary"]),
    "builtins.getattr": Calls(getattr, Calls(__import__, "os"), "system"),
    "operator.methodcaller": Calls(operator.methodcaller("system", "touch canary")),
    "torch.serialization.load": Calls(torch.load, "canary"),
    "functools.partial": Calls(functools.partial, os.system, "touch canary"),
}
"""Exploits by a real pickle.dump, under what they name first."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", REAL)
def test_calls_are_refused_by_name(name: str, protocol: int, home: Path) -> None:
    earlier = {"builtins": "__builtin__", "subprocess": "commands"}  # as Python 2 called them
    module, _, own = name.rpartition(".")
    first = f"{earlier.get(module, module)}.{own}" if protocol < 3 else name
    with pytest.raises(Refused, match=re.escape(f"it names {first}, which")):
        read(pickle.dumps({"state": [1, REAL[name]]}, protocol))
    assert not (home / "canary").exists()


@pytest.mark.parametrize("name", ["posix.system", "builtins.eval", "builtins.exec"])
def test_the_exploits_would_work_elsewhere(name: str, home: Path) -> None:
    pickle.loads(pickle.dumps(REAL[name]))
    assert (home / "canary").exists()


def nested(content: bytes) -> bytes:
    """A pickle whose storage is another file."""
    return pickle.dumps({"weight": Calls(torch.storage._load_from_bytes, content)})


def tensor(size: Any, stride: Any, offset: Any = 0, values: int = 4) -> bytes:
    """A pickle of a tensor of any shape on a storage of a few values."""
    arguments = (torch.zeros(values)._typed_storage(), offset, size, stride, False, OrderedDict())
    return pickle.dumps({"weight": Calls(torch._utils._rebuild_tensor_v2, *arguments)})


def chain(depth: int) -> Any:
    """A list that holds itself twice, and so on: as many lists in the end as 2 ** depth."""
    made: list[Any] = []
    for _ in range(depth):
        made = [made, made]
    return made


def lists(width: int, depth: int) -> Any:
    made: list[Any] = []
    for _ in range(depth):
        made = [made] * width
    return made


def endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


ENCODED = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86Ra"
"""Bytes of the text that is in the memo, to a list."""
EVIL = pickle.dumps(REAL["posix.system"])
ASSEMBLED: dict[str, tuple[bytes, str]] = {
    "names from the memo": (b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94h\x00h\x01\x93.", r"names posix\.system"),
    "names that are no text": (b"\x80\x04K\x01K\x02\x93.", "what is no text"),
    "a dotted name": (b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93.", r"OrderedDict\.fromkeys"),
    "a class of Python's own in a dotted name": (b"cbuiltins\nobject.__subclasses__\n.", "__subclasses__"),
    "a state for a dict": (b"\x80\x02}}b.", "state to a dict"),
    "a state for a name": (b"\x80\x02ccollections\nOrderedDict\n}b.", r"state to collections\.OrderedDict"),
    "a state that is called": (
        b"\x80\x02ccollections\nOrderedDict\n)R(X\x0c\x00\x00\x00__setstate__cposix\nsystem\nub.",
        r"names posix\.system",
    ),
    "INST": (b"(S'touch canary'\niposix\nsystem\n.", r"INST of posix\.system"),
    "OBJ": (b"(cposix\nsystem\nS'touch canary'\no.", r"names posix\.system"),
    "OBJ of a name that is read": (b"(ccollections\nOrderedDict\no.", "OBJ"),
    "NEWOBJ of a function": (b"\x80\x02cposix\nsystem\n\x81.", r"names posix\.system"),
    "NEWOBJ_EX": (b"\x80\x04ccollections\nOrderedDict\n)}\x92.", "NEWOBJ_EX"),
    "EXT1": (b"\x80\x02\x82\x01.", "EXT1"),
    "EXT2": (b"\x80\x02\x83\x01\x01.", "EXT2"),
    "EXT4": (b"\x80\x02\x84\x01\x01\x01\x01.", "EXT4"),
    "PERSID": (b"Pcanary\n.", "PERSID"),
    "BINPERSID": (b"\x80\x02K\x01Q.", "BINPERSID"),
    "a buffer from outside": (b"\x80\x05\x97.", "NEXT_BUFFER"),
    "DUP": (b"\x80\x02K\x012\x86.", "DUP"),
    "POP": (b"\x80\x02K\x01K\x010.", "POP"),
    "a call of a number": (b"\x80\x02K\x01)R.", "calls a int"),
    "a call of a class that is only named": (b"\x80\x02ctorch\nFloatStorage\n)R.", r"calls torch\.FloatStorage"),
    "a lone end": (b".", "no whole pickle"),
    "nothing but a mark": (b"(.", "no whole pickle"),
    "values left over": (b"\x80\x02K\x01K\x02.", "left on the stack"),
    "no end": (pickle.dumps({"a": [1, 2, 3]})[:-4], "no whole pickle"),
    "a text that is cut off": (b"\x80\x04\x8c\x80abc", "no whole pickle"),
    "a text of 2^60 bytes": (b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"x.", "no whole pickle"),
    "a frame of 2^60 bytes": (b"\x80\x04\x95" + struct.pack("<Q", 2**60) + EVIL[2:], r"names posix\.system"),
    "no opcode": (b"\x80\x04\xff.", "no whole pickle"),
    "a later protocol": (b"\x80\x09N.", "protocol 9"),
    "a number of a million bits": (b"\x80\x02\x8b" + struct.pack("<i", 125_000) + b"\x7f" * 125_000 + b".", "bits"),
    "a number of thousands of digits": (b"I" + b"9" * 5000 + b"\n.", "no whole pickle"),
    "a memo that was never filled": (b"\x80\x02h\x05.", "no whole pickle"),
    "a key that is a tuple": (pickle.dumps({(1, 2): 3}), "a key that is a tuple"),
    "a list without end": (pickle.dumps(endless()), "without end"),
    "lists of lists of lists": (pickle.dumps(chain(40)), "without end"),
    "wide lists of wide lists": (pickle.dumps(lists(2000, 8)), "without end"),
    "a file in a storage": (nested(EVIL), r"names posix\.system"),
    "a file in a storage in a storage": (nested(nested(EVIL)), r"names posix\.system"),
    "storages within each other": (nested(nested(nested(nested(EVIL)))), "deep"),
    "a storage that is a dict": (nested(pickle.dumps({})), "where a Storage belongs"),
    "a tensor of 2^40 values": (tensor((2**40,), (0,)), "in a storage of 4"),
    "a tensor of 2^64 values": (tensor((2**32, 2**32), (0, 0)), "in a storage of 4"),
    "a tensor outside of its storage": (tensor((2,), (4,)), "in a storage of 4"),
    "a tensor that begins outside": (tensor((1,), (1,), offset=4), "in a storage of 4"),
    "a tensor that goes backwards": (tensor((2,), (-1,), offset=1), "shape is none"),
    "a negative tensor": (tensor((-2, -2), (1, 1)), "shape is none"),
    "a tensor of many sides": (tensor((1,) * 64, (1,) * 64), "shape is none"),
    "a tensor with sides that are texts": (tensor(("4",), (1,)), "shape is none"),
    "a tensor of half a shape": (tensor((2, 2), (1,)), "no whole pickle"),
    "an array of objects": (pickle.dumps({"a": np.array([Calls(os.system, "touch canary")])}), r"type 'O8'|posix"),
    "a megabyte that is copied again and again": (
        b"\x80\x02]X" + struct.pack("<i", 2**20) + b"x" * 2**20 + b"q\x01a" + ENCODED * 80 + b".",
        "many times its size",
    ),
}
"""Files by hand: their bytes, and what the refusal says."""


@pytest.mark.parametrize("name", ASSEMBLED)
def test_assembled_files_are_refused(name: str, home: Path) -> None:
    content, words = ASSEMBLED[name]
    with pytest.raises(Refused, match=words):
        read(content)
    assert not (home / "canary").exists()


def test_opcodes_and_memo_end() -> None:
    content = pickle.dumps(list(range(100, 200)) + [str(number) for number in range(100)])
    for options, words in (({"opcodes": 90}, "opcodes"), ({"memorised": 90}, "memorises")):
        budget = pickles.Budget(1000, **options)
        with pytest.raises(Refused, match=words):
            names.Reader(budget).read(io.BytesIO(content))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_weights_are_read_as_they_were_written(protocol: int) -> None:
    torch.manual_seed(0)
    base = torch.randn(6, 4)
    state = OrderedDict(
        {
            "a.weight": base,
            "a.view": base.T[1:3, ::2],
            "b.half": torch.randn(3).half(),
            "b.bf16": torch.randn(3).bfloat16(),
            "b.count": torch.tensor(7),
            "b.mask": torch.tensor([True, False]),
            "c.none": torch.empty(0, 3),
            "d.parameter": torch.nn.Parameter(torch.randn(2, 2)),
            "e.array": np.arange(6, dtype="f8").reshape(2, 3).T,
            "e.scalar": np.float64(0.5),
        }
    )
    state["f.channels_last"] = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    found = read(pickle.dumps({"state": state, "epoch": 3, "names": {"x", "y"}}, protocol)).tensors
    assert list(found) == [f"state.{name}" for name in state if name != "e.scalar"]
    for name, value in state.items():
        if name != "e.scalar":
            expected = torch.as_tensor(np.array(value) if "array" in name else value.detach())
            expected = expected.float() if expected.dtype == torch.bfloat16 else expected
            made = torch.tensor(found[f"state.{name}"])
            assert made.dtype == expected.dtype, name
            assert torch.equal(made, expected), name


def test_a_module_keeps_its_versions_out() -> None:
    module = torch.nn.BatchNorm1d(3)
    found = read(pickle.dumps(module.state_dict())).tensors
    assert list(found) == list(module.state_dict())
    found = read(ada.legacy({"model": module.state_dict(), "epoch": 5})).tensors
    assert list(found) == [f"model.{name}" for name in module.state_dict()]


def test_files_before_zips_are_refused_where_they_lie() -> None:
    whole = ada.legacy({"a": torch.arange(4.0)})
    assert list(read(whole).tensors) == ["a"]
    for content, words in (
        (whole[:-4], "ends within a storage"),
        (
            whole.replace(struct.pack("<q", 4) + struct.pack("<f", 0), struct.pack("<q", 9) + struct.pack("<f", 0)),
            "announced",
        ),
        (ada.legacy({"a": torch.zeros(2, dtype=torch.complex64)}), "ComplexFloatStorage"),
        (ada.legacy(torch.nn.ReLU()), r"torch\.nn\.modules\.activation\.ReLU"),
        (ada.legacy([Calls(os.system, "touch canary")]), r"posix\.system"),
    ):
        with pytest.raises(Refused, match=words):
            read(content)


def test_two_tensors_of_one_name_are_refused() -> None:
    one = torch.zeros(1)
    with pytest.raises(Refused, match="two parts of one name"):
        read(pickle.dumps({"a": {"b": one}, "a.b": one}))
    with pytest.raises(Refused, match="long one"):
        read(pickle.dumps({"a" * 300: one}))


def test_persistent_objects_are_their_plain_state(home: Path) -> None:
    for protocol in (3, 4, 5):
        found = read(ada.snapshot(ada.Generator(), protocol))
        assert found.classes["G_ema"] == "Generator"
        assert found.classes["G_ema.synthesis.b8.conv0.affine"] == "FullyConnectedLayer"
        assert found.values["G_ema.synthesis.b8"]["architecture"] == "skip"
        assert math.isclose(found.values["G_ema.mapping.fc0"]["weight_gain"], 0.01 / 5**0.5)
        assert found.tensors["G_ema.synthesis.b4.const"].shape == (8, 4, 4)
        assert not any("module_src" in values for values in found.values.values())
    assert not (home / "canary").exists()


def test_zips_of_pytorch_are_read_for_weights_alone(home: Path) -> None:
    torch.save({"net": {"a": torch.arange(4).bfloat16(), "b": torch.ones(2, 3).T}, "epoch": 3}, "good.pth")
    found = worker.of_zip(home / "good.pth", 1000)
    assert list(found.tensors) == ["net.a", "net.b"]
    assert found.tensors["net.a"].tolist() == [0, 1, 2, 3]
    for value, words in (
        (Calls(os.system, "touch canary"), "posix.system"),
        (torch.nn.ReLU(), "torch.nn.modules.activation.ReLU"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "of a kind that is not read"),
        ({"a": torch.zeros(1).expand(10**12)}, "more values than its storage"),
        ({"a": torch.eye(3).to_sparse()}, "whole file of weights"),
    ):
        torch.save(value, "bad.pth")
        with pytest.raises(Refused, match=words):
            worker.of_zip(home / "bad.pth", 1000)
    Path("bad.pth").write_bytes(Path("good.pth").read_bytes()[:300])
    with pytest.raises(Refused, match="whole file of weights"):
        worker.of_zip(home / "bad.pth", 1000)
    assert not (home / "canary").exists()


def test_safetensors_come_in_the_order_of_their_numbers(home: Path) -> None:
    from safetensors.torch import save_file

    save_file({f"main.{number}.weight": torch.full((2,), number).bfloat16() for number in (10, 9, 2)}, "x.safetensors")
    found = worker.read(home / "x.safetensors")
    assert list(found.tensors) == ["main.2.weight", "main.9.weight", "main.10.weight"]
    Path("x.safetensors").write_bytes(Path("x.safetensors").read_bytes()[:-1])
    with pytest.raises(Refused, match="no whole safetensors file"):
        worker.read(home / "x.safetensors")


def test_a_process_of_its_own_reads_with_bounded_memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "x.pkl"
    path.write_bytes(pickle.dumps({"a": torch.arange(4.0), "b": [np.ones(2, "f4")]}))
    read = isolated.read(path)
    assert read.tensors["a"].tolist() == [0, 1, 2, 3]
    assert read.tensors["b.0"].tolist() == [1, 1]
    assert read.parts == {}
    path.write_bytes(EVIL)
    with pytest.raises(GancliError, match=r"'.*x\.pkl' is not read: it names posix\.system"):
        isolated.read(path)
    path.write_bytes(pickle.dumps({"a": torch.zeros(10**7)}))
    monkeypatch.setattr(isolated, "MEMORY", 0)
    monkeypatch.setattr(isolated, "TIMES", 1)
    with pytest.raises(GancliError, match="too much memory"):
        isolated.read(path)
    assert not (home / "canary").exists()


def test_what_is_no_file_is_refused_before_a_process_is_started(home: Path) -> None:
    for name, words in (("absent.pkl", "no such file"), (".", "is a folder"), (os.devnull, "a pipe or a device")):
        with pytest.raises(UsageError, match=words):
            isolated.read(Path(name))
