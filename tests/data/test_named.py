"""Every named set: a small file made in its real format, served, downloaded, verified, parsed."""

import bz2
import gzip
import hashlib
import importlib.util
import io
import os
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest_data import picture

from gancli.data import DATASETS, load, paths
from gancli.data.builtin import download, loading
from gancli.errors import GancliError, UsageError

random = np.random.default_rng(0)


SHARED = os.environ.get("GANCLI_DATA")
REAL = Path(SHARED or "") / "MNIST" / "raw" / "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch):
    monkeypatch.delenv("GANCLI_DATA", raising=False)


class Server:
    """Answers with the bytes of ``files``; counts what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.promises = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                outer.asked.append(name)
                if name.startswith("moved/"):
                    self.send_response(302)
                    self.send_header("Location", outer.url + name.removeprefix("moved/"))
                    self.end_headers()
                    return
                if name not in outer.files:
                    self.send_error(404)
                    return
                data = outer.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data) + outer.promises))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def add(self, name: str, data: bytes) -> str:
        """Serve it; returns its md5."""
        self.files[name] = data
        return hashlib.md5(data).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(paths, "SCHEMES", ("http",))
    here = Server()
    here.thread.start()
    yield here
    here.http.shutdown()
    here.http.server_close()
    here.thread.join()


def put_on(monkeypatch, server: Server, name: str, sums: dict[str, str]) -> None:
    """Let the files of a set come from the local server."""
    monkeypatch.setitem(download.SOURCES, name, (server.url, sums))


def idx(array: np.ndarray) -> bytes:
    """The idx format: two zero bytes, type, dimensions, sides as big-endian 32-bit numbers, values."""
    code = {"uint8": 8, "int32": 12}[array.dtype.name]
    head = bytes([0, 0, code, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def pixels(*shape: int) -> np.ndarray:
    return random.integers(0, 256, shape, dtype=np.uint8)


def tgz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def cached(home: Path) -> Path:
    return home / "cache" / "data"


def check(name: str, split: str, images: np.ndarray, labels: list[int], **options: object) -> None:
    data = load(name, split=split, **options)
    assert (data.name, data.split, data.classes) == (name, split, DATASETS[name].classes)
    assert data.images.dtype == torch.uint8
    assert data.images.is_contiguous()
    assert data.images.shape[1:] == (DATASETS[name].channels, *DATASETS[name].size)
    assert torch.equal(data.images, torch.from_numpy(images).view(data.images.shape))
    assert data.labels.dtype == torch.int64
    assert data.labels.tolist() == labels
    assert all(load(name, split=split, **options).fingerprint == data.fingerprint for _ in range(2))


def serve_mnist_like(server: Server, monkeypatch, name: str = "mnist") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    made, sums = {}, {}
    for split, part, count in (("train", "train", 5), ("test", "t10k", 3)):
        images, labels = pixels(count, 28, 28), np.arange(count, dtype=np.uint8)
        made[split] = images, labels
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            file = f"{part}-{kind}-ubyte.gz"
            sums[file] = server.add(file, gzip.compress(idx(array)))
    put_on(monkeypatch, server, name, sums)
    return made


def test_checksums_are_those_of_torchvision():
    from torchvision import datasets

    for name, theirs in (
        ("mnist", datasets.MNIST),
        ("fashion-mnist", datasets.FashionMNIST),
        ("kmnist", datasets.KMNIST),
    ):
        assert download.SOURCES[name][1] == dict(theirs.resources)
    qmnist = [pair for split in ("train", "test") for pair in datasets.QMNIST.resources[split]]
    assert download.SOURCES["qmnist"][1] == {url.rpartition("/")[2]: md5 for url, md5 in qmnist}
    assert download.SOURCES["emnist"][1] == {"gzip.zip": datasets.EMNIST.md5}
    assert download.SOURCES["stl10"][1] == {datasets.STL10.filename: datasets.STL10.tgz_md5}
    for name, theirs in (("usps", datasets.USPS), ("svhn", datasets.SVHN)):
        parts = [theirs.split_list[split] for split in ("train", "test")]
        assert download.SOURCES[name][1] == {url.rpartition("/")[2]: md5 for url, _, md5, *_ in parts}
    drive = {name: (key, md5) for key, md5, name in datasets.CelebA.file_list}
    for name, md5 in download.SOURCES["celeba"][1].items():
        assert (download.DRIVE_KEYS[name], md5) == drive[name]
    assert download.SOURCES["flowers102"][1] == dict(datasets.Flowers102._file_dict.values())


def test_stacked_mnist_has_a_digit_in_each_colour(server, monkeypatch, home):
    made = serve_mnist_like(server, monkeypatch)
    for split, (images, labels) in made.items():
        data = load("stacked-mnist", split=split)
        assert data.images.shape == (len(images), 3, 28, 28)
        assert data.classes[427] == "427"
        for image, label in zip(data.images, data.labels.tolist(), strict=True):
            for colour, digit in zip(image, map(int, data.classes[label]), strict=True):
                assert torch.equal(colour, torch.from_numpy(images[labels.tolist().index(digit)]))
        assert load("stacked-mnist", split=split).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("name", "class_name"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_mnist_and_its_kin(server, monkeypatch, home, name, class_name):
    from torchvision import datasets

    made = serve_mnist_like(server, monkeypatch, name)
    for split, (images, labels) in made.items():
        check(name, split, images, labels.tolist())
    assert len(server.asked) == 4, "each file was fetched once"
    files = sorted(path.name for path in (cached(home) / class_name / "raw").iterdir())
    assert files == sorted(file.removesuffix(".gz") for file in server.files)
    # Others find it where they expect it.
    theirs = getattr(datasets, class_name)(cached(home), train=True, download=False)
    assert (theirs.data.numpy() == made["train"][0]).all()


def test_qmnist(server, monkeypatch):
    sums = {}
    for split in ("train", "test"):
        images, table = pixels(4, 28, 28), np.zeros((4, 8), dtype=np.int32)
        table[:, 0], table[:, 1:] = [7, 2, 1, 9], 1000
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx2-int", table)):
            file = f"qmnist-{split}-{kind}.gz"
            sums[file] = server.add(file, gzip.compress(idx(array)))
        put_on(monkeypatch, server, "qmnist", sums)
        check("qmnist", split, images, [7, 2, 1, 9])


def emnist_zip(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part, (images, labels) in parts.items():
            archive.writestr(f"gzip/emnist-{part}-images-idx3-ubyte.gz", gzip.compress(idx(images)))
            archive.writestr(f"gzip/emnist-{part}-labels-idx1-ubyte.gz", gzip.compress(idx(labels)))
        archive.writestr("gzip/../../../evil-train-images-idx3-ubyte.gz", b"evil")
    return buffer.getvalue()


def test_emnist_and_its_parts(server, monkeypatch, home):
    largest = {"byclass": 61, "bymerge": 46, "balanced": 46, "letters": 26, "digits": 9, "mnist": 9}
    parts = {}
    for part, label in largest.items():
        for split in ("train", "test"):
            parts[f"{part}-{split}"] = pixels(3, 28, 28), np.array([1, label, 2], dtype=np.uint8)
    put_on(monkeypatch, server, "emnist", {"gzip.zip": server.add("gzip.zip", emnist_zip(parts))})
    for name in [name for name in DATASETS if name.startswith("emnist")]:
        part = name.partition("/")[2] or "balanced"
        for split in ("train", "test"):
            images, labels = parts[f"{part}-{split}"]
            upright = np.ascontiguousarray(images.transpose(0, 2, 1))
            check(name, split, upright, (labels.astype(int) - (part == "letters")).tolist())
    assert server.asked == ["gzip.zip"], "one archive holds all parts"
    assert not list(home.rglob("evil*"))
    assert [DATASETS["emnist/letters"].classes[i] for i in (0, 25)] == ["a", "z"]


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_from_the_binary_archive(server, monkeypatch, home, name):
    classes = 10 if name == "cifar10" else 100
    members, made = {}, {}
    for split in ("train", "test"):
        images, labels = [], []
        for file in DATASETS[name].files[split]:
            pictures, fine = pixels(2, 3, 32, 32), [classes - 1, len(images)]
            heads = [bytes([label]) if classes == 10 else bytes([19, label]) for label in fine]
            members[file] = b"".join(head + one.tobytes() for head, one in zip(heads, pictures, strict=True))
            images.append(pictures)
            labels += fine
        made[split] = np.concatenate(images), labels
    members |= {"../evil.bin": b"evil", "cifar-10-batches-bin/readme.html": b"hello"}
    put_on(monkeypatch, server, name, {"c.tar.gz": server.add("c.tar.gz", tgz(members))})
    for split, (images, labels) in made.items():
        check(name, split, images, labels)
    assert server.asked == ["c.tar.gz"]
    assert not list(home.rglob("evil*"))
    assert not list(home.rglob("readme*"))


def test_usps(server, monkeypatch):
    sums = dict(download.SOURCES["usps"][1])
    for split, file in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        values = random.uniform(-1, 1, (3, 256)).round(4)
        values[0, :3] = [-1, 1, 0]
        lines = [
            f"{label} " + " ".join(f"{i + 1}:{value:g}" for i, value in enumerate(row)) + " "
            for label, row in zip([1, 10, 6], values, strict=True)
        ]
        data = bz2.compress("\n".join(lines).encode())
        sums[file] = server.add(file, data)
        put_on(monkeypatch, server, "usps", sums)
        expected = ((values.astype(np.float32) + 1) / 2 * 255).astype(np.uint8)
        check("usps", split, expected, [0, 9, 5])
        assert load("usps", split=split).images[0, 0, 0, :3].tolist() == [0, 255, 127]


def test_svhn(server, monkeypatch):
    savemat = pytest.importorskip("scipy.io").savemat
    sums = dict(download.SOURCES["svhn"][1])
    for split in ("train", "test"):
        images, buffer = pixels(4, 3, 32, 32), io.BytesIO()
        labels = np.array([[10], [1], [9], [10]], dtype=np.uint8)
        savemat(buffer, {"X": images.transpose(2, 3, 1, 0), "y": labels}, do_compression=True)
        file = f"{split}_32x32.mat"
        sums[file] = server.add(file, buffer.getvalue())
        put_on(monkeypatch, server, "svhn", sums)
        check("svhn", split, images, [0, 1, 9, 0])


def test_stl10(server, monkeypatch, home):
    members, made = {}, {}
    for split in ("train", "test"):
        images, labels = pixels(3, 3, 96, 96), np.array([1, 10, 4], dtype=np.uint8)
        made[split] = images
        members[f"stl10_binary/{split}_X.bin"] = images.transpose(0, 1, 3, 2).tobytes()
        members[f"stl10_binary/{split}_y.bin"] = labels.tobytes()
    members["stl10_binary/unlabeled_X.bin"] = b"x" * 9999
    put_on(monkeypatch, server, "stl10", {"stl10_binary.tar.gz": server.add("stl10_binary.tar.gz", tgz(members))})
    for split, images in made.items():
        check("stl10", split, images, [0, 9, 3])
    assert not list(home.rglob("unlabeled*")), "2.6 GB that nobody asked for stay packed"


def test_flowers102(server, monkeypatch, home):
    savemat = pytest.importorskip("scipy.io").savemat
    files = {f"jpg/image_{i:05d}.jpg": picture((i * 20, 0, 0), (40, 80), "JPEG") for i in range(1, 9)}
    archive = tgz(files | {"jpg/../../evil.jpg": b"evil"})
    tables = {}
    for name, table in (
        ("imagelabels.mat", {"labels": np.array([[1, 102, 3, 4, 5, 6, 7, 8]], dtype=np.uint8)}),
        (
            "setid.mat",
            {k: np.array([v], dtype=np.uint16) for k, v in (("trnid", [2, 1]), ("valid", [5]), ("tstid", [8, 3]))},
        ),
    ):
        buffer = io.BytesIO()
        savemat(buffer, table)
        tables[name] = buffer.getvalue()
    files = {"102flowers.tgz": archive, **tables}
    put_on(monkeypatch, server, "flowers102", {name: server.add(name, data) for name, data in files.items()})
    for split, numbers, labels in (("train", [2, 1, 5], [101, 0, 4]), ("test", [8, 3], [7, 2])):
        data = load("flowers102", split=split)
        assert (tuple(data.images.shape), data.labels.tolist()) == ((len(numbers), 3, 64, 64), labels)
        assert [round(int(image[0, 5, 5]) / 20) for image in data.images] == numbers
        assert data.classes[101] == "blackberry lily"
    assert load("flowers102", size=(16, 24), channels=1).images.shape == (3, 1, 16, 24)
    assert len(server.asked) == 3
    assert not list(home.rglob("evil*"))


def celeba_files() -> dict[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(1, 7):
            archive.writestr(f"img_align_celeba/{i:06d}.jpg", picture((i * 20, 0, 0), (218, 178), "JPEG"))
    parts = "".join(f"{i:06d}.jpg {part}\n" for i, part in enumerate([0, 2, 1, 0, 2, 0], 1))
    return {"img_align_celeba.zip": buffer.getvalue(), "list_eval_partition.txt": parts.encode()}


@pytest.mark.parametrize("unpacked", [False, True])
def test_celeba_as_it_lies_there(tmp_path, unpacked):
    folder = tmp_path / "data" / "celeba"
    folder.mkdir(parents=True)
    for name, data in celeba_files().items():
        if unpacked and name.endswith(".zip"):
            zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
        else:
            (folder / name).write_bytes(data)
    for split, numbers in (("train", [1, 4, 6]), ("test", [2, 5])):
        data = load("celeba", split=split, data_dir=tmp_path / "data")
        assert (data.name, tuple(data.images.shape), data.labels, data.classes) == (
            "celeba",
            (len(numbers), 3, 64, 64),
            None,
            (),
        )
        assert [round(int(image[0, 5, 5]) / 20) for image in data.images] == numbers


def test_celeba_is_downloaded_by_gdown(home, monkeypatch):
    files = celeba_files()
    keys = {download.DRIVE_KEYS[name]: data for name, data in files.items()}
    sums = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    monkeypatch.setitem(download.SOURCES, "celeba", ("drive:", sums))
    monkeypatch.setattr(loading, "check_installed", lambda *_: None)
    monkeypatch.setattr(download, "check_installed", lambda *_: None)
    monkeypatch.setattr(
        "torchvision.datasets.utils.download_file_from_google_drive",
        lambda key, root, name: (Path(root) / name).write_bytes(keys[key]),
    )
    assert len(load("celeba").images) == 3
    assert sorted(path.name for path in (cached(home) / "celeba").iterdir()) == sorted(files)


def test_celeba_that_drive_does_not_give(home, monkeypatch):
    def refuse(*_):
        raise RuntimeError("Too many users have viewed or downloaded this file recently")

    monkeypatch.setattr(download, "check_installed", lambda *_: None)
    monkeypatch.setattr("torchvision.datasets.utils.download_file_from_google_drive", refuse)
    with pytest.raises(GancliError) as error:
        load("celeba")
    assert error.value.message == (
        f"celeba is not in '{cached(home)}', and downloading it failed: Google Drive, img_align_celeba.zip: "
        "Too many users have viewed or downloaded this file recently"
    )
    assert error.value.hint.startswith("name a copy of celeba on the Hugging Face Hub by hf:USER/REPO, or put celeba/")


@pytest.mark.parametrize(("name", "module"), [("svhn", "scipy"), ("flowers102", "scipy"), ("celeba", "gdown")])
def test_what_is_missing_names_the_extra(monkeypatch, name, module):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as error:
        load(name)
    assert error.value.message == f"{name} needs {module}, which is not installed"
    assert error.value.hint == "pip install 'gancli[datasets]'"


def test_a_redirection_is_followed(server, monkeypatch):
    made = serve_mnist_like(server, monkeypatch)
    monkeypatch.setitem(download.SOURCES, "mnist", (server.url + "moved/", download.SOURCES["mnist"][1]))
    check("mnist", "train", made["train"][0], made["train"][1].tolist())


def test_data_dir_is_where_downloads_go(server, monkeypatch, home, tmp_path):
    made = serve_mnist_like(server, monkeypatch)
    folder = tmp_path / "mine"
    check("mnist", "test", made["test"][0], made["test"][1].tolist(), data_dir=folder)
    assert (folder / "MNIST" / "raw" / "t10k-images-idx3-ubyte").exists()
    assert not cached(home).exists()


def failure(name: str = "mnist", **options: object) -> GancliError:
    with pytest.raises(GancliError) as error:
        load(name, **options)
    assert error.value.exit_code == 1
    return error.value


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file()]


def test_a_damaged_download_does_not_stay(server, monkeypatch, home):
    serve_mnist_like(server, monkeypatch)
    file = "train-images-idx3-ubyte.gz"
    expected = hashlib.md5(server.files[file]).hexdigest()
    server.files[file] = b"<html>please log in</html>"
    found = hashlib.md5(server.files[file]).hexdigest()
    error = failure()
    assert error.message == (
        f"mnist is not in '{cached(home)}', and downloading it failed: {server.url}{file}: the file is damaged "
        f"(md5 {found} instead of {expected}) and was removed"
    )
    assert error.hint == (
        "connect to the network and try again, or put MNIST/raw/train-images-idx3-ubyte, "
        f"MNIST/raw/train-labels-idx1-ubyte into '{cached(home)}' (or name the folder that holds them with `data_dir`)"
    )
    assert leftovers(cached(home)) == []


def test_a_broken_connection(server, monkeypatch, home):
    serve_mnist_like(server, monkeypatch)
    server.promises = 10
    name = "train-images-idx3-ubyte.gz"
    size = len(server.files[name])
    fault = f"{server.url}{name}: the connection broke off after {size:,} of {size + 10:,} bytes"
    assert failure().message.endswith(fault)
    assert leftovers(cached(home)) == []


def test_no_network(server, monkeypatch, home, tmp_path):
    serve_mnist_like(server, monkeypatch)
    monkeypatch.setitem(download.SOURCES, "mnist", ("http://127.0.0.1:9/", download.SOURCES["mnist"][1]))
    monkeypatch.setenv("GANCLI_DATA", str(tmp_path / "shared"))
    name = "train-images-idx3-ubyte.gz"
    assert failure(data_dir=tmp_path / "mine").message == (
        f"mnist is not in '{tmp_path / 'mine'}', '{tmp_path / 'shared'}', '{cached(home)}', and downloading it failed: "
        f"http://127.0.0.1:9/{name}: Connection refused"
    )


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError) as error:
        load("cifar10", data_dir=tmp_path / "file")
    assert error.value.message == f"the data folder '{tmp_path / 'file'}' is a file"
    with pytest.raises(UsageError) as error:
        load("cifar10", data_dir=tmp_path / "file" / "below")
    assert error.value.message == f"cifar10 cannot be stored in '{tmp_path / 'file' / 'below'}': not a directory"


def test_progress_of_a_download(server, monkeypatch):
    serve_mnist_like(server, monkeypatch)
    told = []
    load("mnist", progress=lambda *what: told.append(what))
    size = len(server.files["train-images-idx3-ubyte.gz"])
    assert told[0] == ("downloading train-images-idx3-ubyte.gz", size, size)


def place(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


IMAGES, LABELS = DATASETS["mnist"].files["train"]


def test_places_are_searched_in_order(tmp_path, home, monkeypatch):
    def put(folder: Path, shade: int) -> Path:
        shades = np.full((2, 28, 28), shade, dtype=np.uint8)
        return place(folder, {IMAGES: idx(shades), LABELS: idx(np.zeros(2, dtype=np.uint8))})

    def shade(**options: object) -> int:
        return int(load("mnist", **options).images[0, 0, 0, 0])

    put(cached(home), 3)
    assert shade() == 3
    monkeypatch.setenv("GANCLI_DATA", str(put(tmp_path / "shared", 2)))
    assert shade() == 2
    assert shade(data_dir=put(tmp_path / "mine", 1)) == 1
    assert shade(data_dir=tmp_path / "nothing here") == 2
    assert not paths.present(DATASETS["mnist"]), "the test split is not there"


def test_packed_files_are_read_as_they_are(tmp_path):
    images = pixels(3, 28, 28)
    place(tmp_path, {f"{IMAGES}.gz": gzip.compress(idx(images)), LABELS: idx(np.array([1, 2, 3], dtype=np.uint8))})
    check("mnist", "train", images, [1, 2, 3], data_dir=tmp_path)


NOT_IDX = "it is not an idx file, or cut off"
GOOD = {IMAGES: idx(pixels(3, 28, 28)), LABELS: idx(np.array([0, 1, 2], dtype=np.uint8))}


@pytest.mark.parametrize(
    ("file", "data", "fault"),
    [
        (IMAGES, b"", NOT_IDX),
        (IMAGES, b"\x80\x02\x07\x03", NOT_IDX),
        (IMAGES, b"\0\0\x08\x03\0\0", NOT_IDX),
        (IMAGES, GOOD[IMAGES][:-1], NOT_IDX),
        (IMAGES, GOOD[IMAGES] + b"x", NOT_IDX),
        (IMAGES, b"\0\0\x08\x03" + b"\xff" * 12, NOT_IDX),
        (IMAGES, idx(np.zeros((3, 4), dtype=np.uint8)), "images should be three-dimensional bytes, not 2-dimensional"),
        (LABELS, idx(np.zeros(4, dtype=np.uint8)), "4 labels for 3 images"),
        (LABELS, idx(np.array([0, 1, 10], dtype=np.uint8)), "labels from 0 to 10 for 10 classes"),
    ],
)
def test_damaged_idx(tmp_path, file, data, fault):
    error = failure(data_dir=place(tmp_path, GOOD | {file: data}))
    assert error.message == f"the file '{tmp_path / file}' of mnist is damaged: {fault}"
    assert error.hint == "delete it to have it downloaded again"


def test_damaged_gzip(tmp_path):
    error = failure(data_dir=place(tmp_path, {f"{IMAGES}.gz": b"not gzip", LABELS: GOOD[LABELS]}))
    assert "it cannot be decompressed" in error.message


def libsvm(label: int, value: str, first: int = 1) -> bytes:
    return f"{label} {' '.join(f'{first + i}:{value}' for i in range(256))}\n".encode()


NOT_LIBSVM = "it is not libsvm text (a line is a label and the pixels 1 to 256)"
CIFAR_FILES = dict.fromkeys(DATASETS["cifar10"].files["train"], b"\x00" * 3073)
STL = DATASETS["stl10"].files["train"]


@pytest.mark.parametrize(
    ("name", "files", "fault"),
    [
        (
            "cifar10",
            CIFAR_FILES | {"cifar-10-batches-bin/data_batch_3.bin": b"x" * 3072},
            "3,072 bytes are not whole records of 3073",
        ),
        (
            "cifar10",
            CIFAR_FILES | {"cifar-10-batches-bin/data_batch_3.bin": b"\x0a" * 3073},
            "labels from 0 to 10 for 10 classes",
        ),
        ("cifar100", {"cifar-100-binary/train.bin": b""}, "0 bytes are not whole records of 3074"),
        ("usps", {"usps.bz2": b"BZh9 and then"}, "it cannot be decompressed (Invalid data stream)"),
        ("usps", {"usps.bz2": bz2.compress(libsvm(1, "0.5", first=2))}, NOT_LIBSVM),
        ("usps", {"usps.bz2": bz2.compress(libsvm(1, "nan"))}, NOT_LIBSVM),
        ("usps", {"usps.bz2": bz2.compress(libsvm(12, "0"))}, "labels from 11 to 11 for 10 classes"),
        ("usps", {"usps.bz2": bz2.compress(b"")}, "no image in it"),
        ("stl10", {STL[0]: b"x" * 100, STL[1]: b"\1"}, "100 bytes are not whole images of 3x96x96"),
        ("stl10", {STL[0]: b"x" * 27648, STL[1]: b"\0"}, "labels from -1 to -1 for 10 classes"),
        (
            "celeba",
            {"celeba/img_align_celeba/000001.jpg": picture(1), "celeba/list_eval_partition.txt": b"000001.jpg 0\nx\n"},
            "a line reads 'x'",
        ),
        (
            "celeba",
            {"celeba/img_align_celeba/000001.jpg": picture(1), "celeba/list_eval_partition.txt": b"../../x.jpg 0\n"},
            "it names '../../x.jpg', which is not among the images",
        ),
    ],
)
def test_damaged_files(tmp_path, name, files, fault):
    assert failure(name, data_dir=place(tmp_path, files)).message.endswith(f" of {name} is damaged: {fault}")


@pytest.mark.parametrize("words", [b"1 2 3", b"one 1:0.5", b"1 1:x", b"1", b"\xff"])
def test_damaged_libsvm(tmp_path, words):
    error = failure("usps", data_dir=place(tmp_path, {"usps.bz2": bz2.compress(words)}))
    assert "is damaged: it is not libsvm text (" in error.message


def test_damaged_mat(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    place(tmp_path, {"train_32x32.mat": b"not a mat"})
    assert "is damaged: it is not a MATLAB file with X and y (" in failure("svhn", data_dir=tmp_path).message
    for table, fault in (
        ({"X": pixels(32, 32, 3, 2)}, "it is not a MATLAB file with X and y ("),
        ({"X": pixels(32, 32, 2), "y": [1]}, "X is uint8 (32, 32, 2), not uint8 (32, 32, 3, N)"),
        ({"X": np.array(["a"], dtype=object), "y": [1]}, "it is not a MATLAB file with X and y (no numbers)"),
        ({"X": pixels(32, 32, 3, 2), "y": [[1], [11]]}, "labels from 1 to 11 for 10 classes"),
    ):
        savemat(tmp_path / "train_32x32.mat", table)
        assert f"is damaged: {fault}" in failure("svhn", data_dir=tmp_path).message


def test_digits():
    train, test = load("digits"), load("digits", split="test")
    assert (tuple(train.images.shape), tuple(test.images.shape)) == ((1442, 1, 8, 8), (355, 1, 8, 8))
    assert sorted(set(train.images.unique().tolist())) == [round(value * 255 / 16) for value in range(17)]
    assert test.labels[:8].tolist() == [5, 0, 9, 8, 7, 1, 2, 6]
    # Every fifth of each class: the shares of the classes agree within one image.
    for held, kept in zip(test.labels.bincount().tolist(), train.labels.bincount().tolist(), strict=True):
        assert held == (held + kept) // 5


def test_named_sets_in_another_size():
    data = load("digits", size=(16, 12), channels=3, fit="pad", background="red")
    assert tuple(data.images.shape) == (1442, 3, 16, 12)
    assert data.images[0, :, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.skipif(not SHARED or not REAL.exists(), reason="GANCLI_DATA names no folder with MNIST")
def test_the_real_mnist(monkeypatch):
    monkeypatch.setenv("GANCLI_DATA", str(SHARED))
    train, test = load("mnist"), load("mnist", split="test")
    assert (tuple(train.images.shape), tuple(test.images.shape)) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert (train.fingerprint, test.fingerprint) == ("71d3be42f93ad20d", MNIST_TEST)


MNIST_TEST = "4718853ea946af65"
