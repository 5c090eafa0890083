"""Malicious files and command lines: how many are refused, and whether any causes a traceback, a hang or high memory.

    python -m benchmarks.hostile --count 200

Inputs are made from valid ones by random and systematic changes, the same ones for the same seed. They are tried one
after the other in a separate process with a time limit: an input that exceeds it counts as a hang.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import selectors
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

TITLE = "Hostile input"
ROOT = Path(__file__).parents[1]
LIMIT = 20.0
"""Seconds after which an input counts as a hang."""

INTERESTING = (*range(5), 7, 8, 16, *(2**n - 1 for n in (7, 8, 16, 31, 32, 64)), *(2**n for n in (7, 8, 15, 60, 63)))
WORDS = """
"" [] {} null true -1 NaN 1e999 \\u0000 \\ud800 .. ../../x /etc/passwd "dtype" "shape" "data_offsets" F64 networks
architecture objective 4096 65536 os.system [bold] = \'\'\' 1979-05-27 inf
"""
RAW = ("\u202e", "\x1b[2J", "\x1b]0;x\x07", "\n", "\x00", "9" * 400, "[" * 400)
TOKENS = tuple(word.encode() for word in (*WORDS.split(), *RAW))


def mutated(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """The bytes with a few changes: flipped, cut, doubled, overwritten by numbers and words that matter, spliced."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        place = random.randrange(len(changed) + 1)
        match random.randrange(8):
            case 0 if changed:
                changed[place % len(changed)] ^= 1 << random.randrange(8)
            case 1:
                del changed[place : place + random.choice((1, 2, 8, 64))]
            case 2:
                changed[place:place] = changed[place : place + random.choice((1, 8, 64, 512))]
            case 3:
                size = random.choice(("<B", "<H", "<L", "<Q", ">H", ">L"))
                number = struct.pack(size, random.choice(INTERESTING) % 256 ** struct.calcsize(size))
                changed[place : place + len(number)] = number
            case 4:
                changed[place:place] = random.choice(TOKENS)
            case 5:
                token = random.choice(TOKENS)
                changed[place : place + len(token)] = token
            case 6 if others:
                other = random.choice(others)
                start = random.randrange(len(other) + 1)
                changed[place:] = other[start:]
            case _:
                changed[place : place + 1] = random.randbytes(1)
    return bytes(changed)


def tensor_file(entries: Any, body: bytes = b"", length: int | None = None, document: str = "{}") -> bytes:
    """A safetensors file with an arbitrary header.

    Args:
        entries: by tensor name, or the header's bytes.
        body: what follows the header.
        length: that the file claims its header has; the true one unless given.
        document: the JSON under our key.
    """
    text = entries
    if not isinstance(entries, bytes):
        text = json.dumps({"__metadata__": {"gancli": document}, **entries}).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(shape: Any, begin: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    """One tensor's entry in a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def headers() -> dict[str, bytes]:
    """Files with headers that lie, by what is wrong with them."""
    one, two = entry([1], 0, 4), entry([1], 4, 8)
    body = b"12345678"
    twice = b'{"__metadata__": {"gancli": "{}"}, "a": %b, "a": %b}' % (
        json.dumps(one).encode(),
        json.dumps(two).encode(),
    )
    nan = b'{"__metadata__": {"gancli": "{}"}, "a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}'
    return {
        "of 2^60 bytes": tensor_file(b"{}", length=2**60),
        "longer than the file": tensor_file(b"{}" + b" " * 6, length=5000),
        "of no bytes": tensor_file(b""),
        "tensors that overlap": tensor_file({"a": entry([2], 0, 8), "b": two}, body),
        "a tensor twice in one place": tensor_file({"a": one, "b": one}, body[:4]),
        "a tensor outside": tensor_file({"a": entry([1000], 0, 4000)}, body),
        "a tensor that ends before it begins": tensor_file({"a": entry([1], 4, 0), "b": one}, body),
        "a gap between tensors": tensor_file({"a": one, "b": entry([1], 8, 12)}, body + b"1234"),
        "bytes of no tensor": tensor_file({"a": one}, body),
        "a name twice": tensor_file(twice, body),
        "an entry that is a list": tensor_file({"a": [1]}, body),
        "offsets that are text": tensor_file({"a": entry([1], "0", "4")}, body[:4]),
        "an offset that is true": tensor_file({"a": entry([0], 0, False)}),
        "an unknown type": tensor_file({"a": entry([1], 0, 4, "PICKLE")}, body[:4]),
        "a type that is a list": tensor_file({"a": entry([1], 0, 4, ["F32"])}, body[:4]),
        "a negative side": tensor_file({"a": entry([-1], 0, 4)}, body[:4]),
        "two negative sides": tensor_file({"a": entry([-1, -1], 0, 4)}, body[:4]),
        "a side that is NaN": tensor_file(nan, body[:4]),
        "a side of 1.0": tensor_file({"a": entry([1.0], 0, 4)}, body[:4]),
        "a side of 2^64": tensor_file({"a": entry([2**64], 0, 4)}, body[:4]),
        "sides whose product wraps to the right one": tensor_file({"a": entry([2**32, 2**32, 1], 0, 0)}),
        "a shape unlike its bytes": tensor_file({"a": entry([3], 0, 8)}, body),
        "ten thousand sides": tensor_file({"a": entry([1] * 10_000, 0, 4)}, body[:4]),
        "ten million tensors": tensor_file(b'{"":[],' * 1_100_000),
        "more tensors than anybody has": tensor_file({str(n): entry([0], 0, 0) for n in range(20_001)}),
        "megabytes of metadata": tensor_file(b'{"__metadata__": {"gancli": "' + b"x" * (9 << 20) + b'"}}'),
        "brackets without end": tensor_file(b"[" * 100_000),
        "tables without end": tensor_file(b'{"a":' * 100_000),
        "a document of brackets": tensor_file({}, document="[" * 100_000),
        "half a character": tensor_file(b'{"\xff": 1}'),
        "a document that says NaN": tensor_file({}, document='{"a": NaN}'),
        "a document that is a list": tensor_file({}, document="[1]"),
        "metadata that is text": tensor_file(b'{"__metadata__": "gancli"}'),
        "no metadata": tensor_file(b"{}"),
        "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os",
    }


def _archive(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def claims(count: int) -> bytes:
    """The end of a zip's directory that claims so many entries (above 65,535 by the record of large zips)."""
    large = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, 46 * count, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    return large + locator + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)


def archives(picture: bytes) -> dict[str, bytes]:
    """Zips by what is wrong with them; most hold a picture that can be read as well.

    Args:
        picture: a PNG.
    """
    zeros = bytes(40 << 20)
    bomb = _archive({"zeros.png": zeros})
    encrypted = bytearray(_archive({"a.png": picture, "b.png": picture}))
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        encrypted[encrypted.rfind(magic) + offset] |= 1
    return {
        "a bomb": _archive({"a.png": picture, "zeros.png": zeros}),
        "a bomb in a bomb": _archive({"a.png": picture, "inner.zip": bomb, "more.png": bomb}),
        "a name that leaves": _archive({"../a.png": picture}),
        "a name from the root": _archive({"/a.png": picture}),
        "a name of two lines": _archive({"a\nerror: x.png": picture}),
        "a name that a terminal obeys": _archive({"\x1b[2Ja.png": b"no picture", "b.png": picture}),
        "a name that turns around": _archive({"a\u202egnp.exe.png": b"no picture", "b.png": picture}),
        "an encrypted entry": bytes(encrypted),
        "ten million entries, as it claims": claims(10_000_000),
        "no directory": _archive({"a.png": picture})[:-30],
        "nothing": b"",
    }


# ---- Kinds: what is tried with a number, and how.

Try = Callable[[Path, int, Random], None]


def _try_header(folder: Path, number: int, random: Random) -> None:
    from gancli import checkpoint

    made = headers()
    names = list(made)
    whole = tensor_file({"a": entry([2], 0, 8), "b": entry([1], 8, 10, "F16")}, bytes(10), document='{"kind": "model"}')
    path = folder / "x.safetensors"
    path.write_bytes(made[names[number]] if number < len(names) else mutated(random, whole, [made["no metadata"]]))
    checkpoint.read(path)


NUMBERS = (None, True, -1, 0, 1, 4096, 65536, 2**31, 2**63, 10**300, 1.5, -0.0, 1e308)
TEXTS = ("", "x", "os.system", "../x", "\x1b[2J", "\u202e", "9" * 5000)
TREES = ([], [[]], [1, 2, 3], {}, {"x": 1}, ["generator"], {"name": "x"})
"""What may stand in JSON where something else belongs."""


def _changed(random: Random, tree: Any) -> Any:
    """A copy with one value replaced, or one key added, somewhere."""
    copy = json.loads(json.dumps(tree))
    place = copy
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = random.choice(keys) if keys else None
        if key is not None and isinstance(place[key], dict | list) and place[key] and random.random() < 0.8:
            place = place[key]
            continue
        if isinstance(place, dict):
            place[random.choice((key or "x", key or "x", "x", "\x1b[2J"))] = random.choice((*NUMBERS, *TEXTS, *TREES))
        elif keys:
            place[key] = random.choice((*NUMBERS, *TEXTS, *TREES))
        return copy


def _try_model(folder: Path, number: int, random: Random) -> None:
    import gancli
    from gancli import checkpoint
    from gancli.zoo import catalogue

    tensors, header = checkpoint.read(catalogue.find("dcgan/digits"))
    for _ in range(random.choice((1, 1, 2))):
        header = _changed(random, header)
    checkpoint.write(folder / "model.safetensors", tensors, header)
    model = gancli.load(folder / "model.safetensors", device="cpu")
    assert all(text.isprintable() for text in model.classes)
    model.sample(seeds=[1])


def _try_recipe(folder: Path, number: int, random: Random) -> None:
    from gancli import recipe
    from gancli.zoo import catalogue

    seeds = [path.read_bytes() for path in sorted(catalogue.zoo_folder().glob("*/recipe.toml"))]
    path = folder / "recipe.toml"
    path.write_bytes(mutated(random, random.choice(seeds), seeds))
    recipe.parse(recipe.for_data(recipe.read(path), "digits"))


def _try_archive(folder: Path, number: int, random: Random) -> None:
    from gancli.data import load

    made = archives(_picture())
    names = list(made)
    path = folder / "x.zip"
    whole = _archive({"train/a/1.png": _picture(), "train/b/2.png": _picture(), "test/a/3.png": _picture()})
    path.write_bytes(made[names[number]] if number < len(names) else mutated(random, whole, list(made.values())))
    load(str(path), size=(8, 8), channels=1)


def _picture(kind: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((24, 24)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _try_picture(folder: Path, number: int, random: Random) -> None:
    from gancli.data import load

    kinds = [
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("GIF", "P"),
        ("WEBP", "RGBA"),
    ]
    kinds += [("TIFF", "RGB"), ("BMP", "RGB"), ("ICO", "RGBA"), ("TGA", "RGB"), ("PPM", "L"), ("DDS", "RGBA")]
    seeds = [_picture(*kind) for kind in kinds]
    for each in range(4):
        data = mutated(random, random.choice(seeds), seeds)
        (folder / f"odd{each}.{random.choice(('png', 'jpg', 'tif', 'bin', 'gif'))}").write_bytes(data)
    (folder / "good.png").write_bytes(_picture())
    found = load(str(folder), size=(8, 8))
    assert len(found.images) >= 1, "an odd file has ended the reading of a good one"


def _try_metrics(folder: Path, number: int, random: Random) -> None:
    from gancli.runs.doctor import examine

    row: dict[str, Any] = {"images": 64, "seconds": 1.0, "images_per_second": 64.0, "loss/generator": 0.7}
    row |= {"probability/real": 0.5, "diversity": 0.9, "noise": 0.1, "health": {}}
    more = {"evaluation": {"results": {}}, "round": 2}
    lines = [json.dumps(row | {"round": number}) for number in range(1, 40)]
    lines += [json.dumps(_changed(random, row | more)) for _ in range(9)]
    text = "\n".join(random.sample(lines, len(lines))).encode()
    (folder / "metrics.jsonl").write_bytes(mutated(random, text, []) if number % 2 else text)
    rounds = random.choice((3, "true", "[]", "-1", "1e99"))
    (folder / "recipe.toml").write_text(f"model = 3\n[training]\nrounds = {rounds}\n")
    json.dumps(examine(folder).to_dict(), allow_nan=False)


COMMANDS = """
sample dcgan/digits --out x.png
interpolate dcgan/digits --seeds 1,2 --out x.png
data show digits --out x.png
train nowhere --dry-run
zoo show dcgan/digits
evaluate nowhere --data digits
"""
OPTIONS = ("--seeds", "-n", "--grid", "--set", "--out", "--device", "--size", "--seed", "--class", "--truncation", "")
ODD = ["-1", "nan", "2e9", "0-0", "1-99999999999", "a=b", "../x", "training.seed=99999999999999999999"]
ODD += ["data.size=[4096,4096]", "", "9" * 25, "a\nb", "\x1b[2J", "\udcff", "x" * 5000, "[" * 900, "\u202e"]


def _try_words(folder: Path, number: int, random: Random) -> None:
    words: list[str] = [*random.choice(COMMANDS.strip().splitlines()).split()]
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        words += [word for word in (random.choice(OPTIONS), random.choice(ODD)) if word or random.random() < 0.5]
    code, text = _run(words)
    if code not in (0, 1, 2) or "Traceback" in text or "unexpected error" in text or "\x1b" in text:
        raise AssertionError(f"{words} ends with {code}: {text[-300:]}")
    if code:
        raise Refused


def _run(words: Sequence[str]) -> tuple[int, str]:
    """The exit code and output of a command."""
    from gancli.cli import main
    from gancli.cli.terminal import console

    said = io.StringIO()
    console.stderr.cache_clear()
    console.stdout.cache_clear()
    with redirect_stderr(said), redirect_stdout(said):
        try:
            main(list(words))
        except SystemExit as leaving:
            return int(leaving.code or 0), said.getvalue()
    raise AssertionError(f"{words} does not end the program")


class Refused(Exception):
    """A command said no, in words."""


KINDS: dict[str, Try] = {
    "headers of weights": _try_header,
    "models": _try_model,
    "recipes": _try_recipe,
    "zips": _try_archive,
    "pictures": _try_picture,
    "metrics of runs": _try_metrics,
    "words of commands": _try_words,
}


def work(count: int, seed: int, first: int) -> None:
    """Try inputs from the first one on, and print a line before and after each; run by :func:`tried`.

    Args:
        count: inputs of each kind.
        seed: decides them.
        first: how many were tried before.
    """
    import torch

    from gancli.errors import GancliError

    torch.set_num_threads(1)
    numbered = [(kind, number) for kind in KINDS for number in range(count)]
    _warm()
    for kind, number in numbered[first:]:
        print(json.dumps({"kind": kind}), flush=True)
        before, start = _peak(), time.perf_counter()
        outcome, words = "accepted", ""
        with TemporaryDirectory(prefix="gancli-hostile-") as place:
            os.chdir(place)
            try:
                KINDS[kind](Path(place), number, Random(f"{seed} {kind} {number}"))
            except (GancliError, Refused):
                outcome = "refused"
            except Exception as error:
                outcome, words = "tracebacks", f"{kind} {number}: {type(error).__name__}: {error}"[:500]
            os.chdir(ROOT)
        told = {"seconds": time.perf_counter() - start, "mb": _peak() - before}
        print(json.dumps({"kind": kind, "outcome": outcome, "words": words, **told}), flush=True)


def _warm() -> None:
    """Use each kind once with nothing wrong, so that what is imported counts for none of them."""
    with TemporaryDirectory(prefix="gancli-hostile-") as place:
        os.chdir(place)
        for words in ("data show digits", "sample dcgan/digits", "interpolate dcgan/digits --seeds 1,2 --out x.png"):
            code, text = _run(words.split())
            if code:
                raise RuntimeError(text)
        os.chdir(ROOT)


def _peak() -> float:
    """MB that this process has held at most."""
    status = Path("/proc/self/status")
    if status.exists():  # where what the kernel counts for resources begins with what the parent held
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def tried(count: int, *, seed: int = 0, limit: float = LIMIT) -> dict[str, dict[str, Any]]:
    """Try inputs of every kind.

    Args:
        count: inputs of each kind; those made by rule come first.
        seed: decides the others.
        limit: seconds after which an input counts as a hang.

    Returns:
        By kind: ``tried``, ``refused``, ``accepted``, ``tracebacks``, ``hangs`` (counts), ``slowest`` (seconds),
        ``greediest`` (MB by which an input raised the most that the process ever held) and ``faults`` (what the
        tracebacks say).
    """
    zeros = dict.fromkeys(("tried", "refused", "accepted", "tracebacks", "hangs"), 0)
    found: dict[str, dict[str, Any]] = {
        kind: {**zeros, "slowest": 0.0, "greediest": 0.0, "faults": []} for kind in KINDS
    }
    done = 0
    with TemporaryDirectory(prefix="gancli-hostile-") as cache:
        while done < count * len(KINDS):
            done += _watch(found, count, seed, done, limit, cache)
    for told in found.values():
        told["slowest"], told["greediest"] = round(told["slowest"], 2), round(told["greediest"], 1)
    return found


def _watch(found: dict[str, dict[str, Any]], count: int, seed: int, first: int, limit: float, cache: str) -> int:
    """Let one process try inputs until it has tried all, or hangs, or dies; how many are done."""
    code = "import sys; from benchmarks import hostile; hostile.work(*map(int, sys.argv[1:]))"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "GANCLI_CACHE": cache, "NO_COLOR": "1"}
    command = [sys.executable, "-c", code, str(count), str(seed), str(first)]
    done, told = 0, {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        for told in _lines(process, limit):
            if "outcome" in told:
                done += 1
                _count(found[told["kind"]], told)
        hangs = process.poll() is None and first + done < count * len(KINDS)
        process.kill()
    if first + done == count * len(KINDS):
        return done
    if "outcome" in told or not told:
        raise RuntimeError("the process that tries inputs ended between two of them")
    kind = f"{told['kind']}: {'a hang' if hangs else 'the process died'}"
    outcome = {"outcome": "hangs" if hangs else "tracebacks", "seconds": limit if hangs else 0.0, "mb": 0.0}
    _count(found[told["kind"]], {**outcome, "words": kind})
    return done + 1


def _count(found: dict[str, Any], told: dict[str, Any]) -> None:
    """Add the outcome of one input."""
    found["tried"] += 1
    found[told["outcome"]] += 1
    found["slowest"], found["greediest"] = max(found["slowest"], told["seconds"]), max(found["greediest"], told["mb"])
    found["faults"] += [told["words"]] if told["words"] else []


def _lines(process: subprocess.Popen[bytes], limit: float) -> Iterator[dict[str, Any]]:
    """The lines that a process prints, until it ends or is silent for too long; to begin, it may take two minutes."""
    assert process.stdout is not None
    rest, patience = b"", limit + 120
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while waiting.select(patience):
            if not (piece := os.read(process.stdout.fileno(), 2**16)):
                process.wait()  # it has ended, or is about to
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, lines)
            patience = limit


COUNT = 500
"""Inputs of each kind that the page tells of."""


def measure(quick: bool) -> dict[str, Any]:
    """Inputs of every kind.

    Args:
        quick: three of each.
    """
    return tried(3 if quick else COUNT)


def markdown(found: dict[str, Any]) -> str:
    """What is tried, and a table of what came of it."""
    lines = [
        "Inputs made from valid ones by random and systematic changes: headers with false contents, models, recipes, "
        "zips, pictures in a folder next to a valid one, lines of metrics, words of the command line. Each must be "
        "accepted, or refused with a one-line error.",
        "",
        "| kind | tried | refused | accepted | tracebacks | hangs | slowest | most memory |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, told in found.items():
        counts = " | ".join(str(told[name]) for name in ("tried", "refused", "accepted", "tracebacks", "hangs"))
        lines.append(f"| {kind} | {counts} | {told['slowest']:.2f} s | {told['greediest']:.0f} MB |")
    return "\n".join(lines)


def main() -> None:
    """Try, and print JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--count", type=int, default=200, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(json.dumps(tried(asked.count, seed=asked.seed), indent=1))


if __name__ == "__main__":
    main()
