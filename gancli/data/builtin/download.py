"""Download named data sets. Checksums are those of torchvision, and every file is verified before it is used."""

import gzip
import hashlib
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gancli.data.builtin.names import DATASETS, SPLITS, Facts, check_installed
from gancli.data.paths import download_folder, search_folders, stored
from gancli.data.types import Progress
from gancli.data.web import WebError, download
from gancli.errors import GancliError, UsageError

_LARGEST = 8 * 2**30
_DRIVE = "drive:"

SOURCES: dict[str, tuple[str, dict[str, str]]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "kmnist": (
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        {
            "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
        },
    ),
    "qmnist": (
        "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
        {
            "qmnist-train-images-idx3-ubyte.gz": "ed72d4157d28c017586c42bc6afe6370",
            "qmnist-train-labels-idx2-int.gz": "0058f8dd561b90ffdd0f734c6a30e5e4",
            "qmnist-test-images-idx3-ubyte.gz": "1394631089c404de565df7b7aeaf9412",
            "qmnist-test-labels-idx2-int.gz": "5b5b05890a5e13444e108efe57b788aa",
        },
    ),
    "emnist": (
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"},
    ),
    "usps": (
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
        {"usps.bz2": "ec16c51db3855ca6c91edd34d0e9b197", "usps.t.bz2": "8ea070ee2aca1ac39742fdd1ef5ed118"},
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    ),
    "cifar100": (
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"},
    ),
    "svhn": (
        "https://ufldl.stanford.edu/housenumbers/",
        {"train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373", "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3"},
    ),
    "stl10": (
        "https://ai.stanford.edu/~acoates/stl10/",
        {"stl10_binary.tar.gz": "91f7769df0f17e558f3565bffb0c7dfb"},
    ),
    "celeba": (
        _DRIVE,
        {
            "img_align_celeba.zip": "00d2c5bc6d35e252742224ab0c1e8fcb",
            "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
        },
    ),
    "flowers102": (
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        {
            "102flowers.tgz": "52808999861908f626f3c1f4e79d11fa",
            "imagelabels.mat": "e0620be6f572b9609742df49c70aed4d",
            "setid.mat": "a5357ecc9cb78c4bef273ce3793fc85c",
        },
    ),
}
"""Of each set its address, and the md5 of every file there."""
DRIVE_KEYS = {
    "img_align_celeba.zip": "0B7EVK8r0v71pZjFTYXZWM3FlRnM",
    "list_eval_partition.txt": "0B7EVK8r0v71pY0NSMzRuSXJEVkk",
}
"""The keys of files on Google Drive."""


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Attributes:
        url: its address.
        md5: of the file.
        files: the members to take from it (or their folder), and the path of each in the data folder; a file that is
            to stay as it is has its own name here.
    """

    url: str
    md5: str
    files: Mapping[str, str]


def fetch(facts: Facts, split: str, data_dir: Path | None, progress: Progress) -> Path:
    """Download what a split needs, verified, and return the data folder.

    Raises:
        UsageError: a module of ``gancli[datasets]`` is missing, or the data folder cannot be written.
        GancliError: no network, or a file does not match its checksum.
    """
    check_installed(facts, facts.extra)
    root = download_folder(data_dir)
    try:
        root.mkdir(parents=True, exist_ok=True)
        for remote in remotes(facts, split):
            if not all(stored(root, file) for file in remote.files.values()):
                _fetch_one(remote, root, progress)
    except WebError as error:
        folders = ", ".join(f"'{folder}'" for folder in search_folders(data_dir))
        # Google Drive refuses most programs, whatever the network.
        other = f"name a copy of {facts.name} on the Hugging Face Hub by hf:USER/REPO, "
        first = other if SOURCES[_source(facts)][0] == _DRIVE else "connect to the network and try again, "
        raise GancliError(
            f"{facts.name} is not in {folders}, and downloading it failed: {error}",
            f"{first}or put {', '.join(facts.files[split])} into '{root}' "
            "(or name the folder that holds them with `data_dir`)",
        ) from None
    except OSError as error:
        raise UsageError(
            f"{facts.name} cannot be stored in '{root}': {(error.strerror or str(error)).lower()}",
            "name a folder that can be written, and has room, with `data_dir`",
        ) from None
    return root


def remotes(facts: Facts, split: str) -> list[Remote]:
    """What to download for a split of a named data set."""
    address, sums = SOURCES[_source(facts)]
    if len(sums) == 1:  # one archive of all files, also of related sets
        related = [each for each in DATASETS.values() if _source(each) == _source(facts)]
        members = {file: file for each in related for part in SPLITS for file in each.files[part]}
        if facts.layout == "emnist":
            # The members stay compressed: all parts take 0.5 GB so, and 2 GB unpacked.
            members = {f"gzip/{_base(file)}.gz": f"{file}.gz" for file in members}
        return [Remote(address + name, md5, members) for name, md5 in sums.items()]
    found = []
    for file in facts.files[split]:
        base = _base(file)
        name = next((base + end for end in ("", ".gz", ".zip") if base + end in sums), next(iter(sums)))
        members = {name: f"{file}.zip"} if name.endswith(".zip") else {base: file}
        found.append(Remote(address + name, sums[name], members))
    return found


def _source(facts: Facts) -> str:
    return "mnist" if facts.layout == "stacked" else facts.name.partition("/")[0]


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _fetch_one(remote: Remote, root: Path, progress: Progress) -> None:
    """Download, verify and unpack one file; WebError when that fails."""
    name = _base(remote.url).removeprefix(_DRIVE)
    folder = Path(tempfile.mkdtemp(prefix=".download-", dir=root))
    try:
        archive = folder / name
        if remote.url.startswith(_DRIVE):
            _from_drive(archive, progress)
        else:
            with archive.open("wb") as file:
                download(remote.url, file, name, _LARGEST, progress)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != remote.md5:
            raise WebError(f"the file is damaged (md5 {found} instead of {remote.md5}) and was removed")
        _unpack(archive, remote.files, root)
    except WebError as error:
        raise WebError(f"{remote.url.replace(_DRIVE, 'Google Drive, ')}: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: Path, files: Mapping[str, str], root: Path) -> None:
    """Move the named members of a verified archive to their places in the data folder, each whole or not at all."""
    folder = archive.parent / "unpacked"
    folder.mkdir()

    def named(member: str) -> bool:
        return member in files or member.rpartition("/")[0] in files

    if archive.name in files:
        folder = archive.parent
    elif archive.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if named(member.name) and (content := tar.extractfile(member)):
                    _write(content, folder / member.name)
    elif archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for name in filter(named, packed.namelist()):
                _write(packed.open(name), folder / name)
    else:
        with gzip.open(archive, "rb") as content:
            _write(content, folder / next(iter(files)))
    for member, path in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / member).replace(root / path)


def _write(content: IO[bytes] | gzip.GzipFile, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file, 2**20)


def _from_drive(path: Path, progress: Progress) -> None:
    """By torchvision, which uses gdown for the pages that Google Drive shows before large files."""
    from torchvision.datasets import utils

    progress(f"downloading {path.name}", 0, 0)
    try:
        utils.download_file_from_google_drive(DRIVE_KEYS[path.name], path.parent, path.name)
    # gdown raises errors of its own, those of requests, and plain ones.
    except Exception as error:
        raise WebError(str(error)) from None
    if not path.exists():
        raise WebError("nothing was downloaded")
