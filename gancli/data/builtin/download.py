"""Download named data sets from torchvision's addresses; every file is verified by its checksum before it is used."""

import gzip
import hashlib
import os
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
from gancli.data.web import WebError, download, secure
from gancli.errors import GancliError, UsageError

CIFAR = {
    "cifar10": ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    "cifar100": ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
}
"""CIFAR's binary archives: torchvision knows only the pickled ones."""
MIRRORS = {"fashion-mnist": ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",)}
"""Addresses over https of sets whose own page has none; the checksum is the same."""
_LARGEST = 8 * 2**30
_DRIVE = "drive:"


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Attributes:
        urls: mirrors, tried in this order.
        md5: of the file.
        files: the members to take from it (or their folder), and the path of each in the data folder; a file that is
            to stay as it is has its own name here.
    """

    urls: tuple[str, ...]
    md5: str
    files: Mapping[str, str]


def fetch(facts: Facts, split: str, data_dir: Path | None, progress: Progress) -> Path:
    """Download what a split needs, verified, and return the data folder.

    Raises:
        UsageError: a module of ``gancli[datasets]`` is missing, or the data folder cannot be written.
        GancliError: no network, or no mirror has a file that matches its checksum.
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
        raise GancliError(
            f"{facts.name} is not in {folders}, and downloading it failed: {error}",
            f"connect to the network and try again, or put {', '.join(facts.files[split])} into '{root}' "
            "(or name the folder that holds them with --data-dir)",
        ) from None
    except OSError as error:
        raise UsageError(
            f"{facts.name} cannot be stored in '{root}': {(error.strerror or str(error)).lower()}",
            "name a folder that can be written, and has room, with --data-dir",
        ) from None
    return root


def remotes(facts: Facts, split: str) -> list[Remote]:
    """What to download for a split of a named data set."""
    # Imported only when something is downloaded: it takes 5 seconds.
    from torchvision import datasets

    both = [file for each in SPLITS for file in facts.files[each]]
    match facts.layout:
        case "idx" if facts.name == "qmnist":
            pairs = zip(datasets.QMNIST.resources[split], facts.files[split], strict=True)
            return [Remote((url,), md5, {_base(file): file}) for (url, md5), file in pairs]
        case "idx" | "stacked":
            known = {"fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
            chosen = known.get(facts.name, datasets.MNIST)
            sums = dict(chosen.resources)
            mirrors = (*chosen.mirrors, *MIRRORS.get(facts.name, ()))
            names = {f"{_base(file)}.gz": file for file in facts.files[split]}
            return [
                Remote(tuple(mirror + name for mirror in mirrors), sums[name], {_base(file): file})
                for name, file in names.items()
            ]
        case "emnist":
            # The members stay compressed: all parts take 0.5 GB so, and 2 GB unpacked.
            parts = [each.files[split] for each in DATASETS.values() if each.layout == "emnist" for split in SPLITS]
            files = {f"gzip/{_base(file)}.gz": f"{file}.gz" for part in parts for file in part}
            return [Remote((datasets.EMNIST.url,), datasets.EMNIST.md5, files)]
        case "cifar":
            url, md5 = CIFAR[facts.name]
            return [Remote((url,), md5, {file: file for file in both})]
        case "stl10":
            return [Remote((datasets.STL10.url,), datasets.STL10.tgz_md5, {file: file for file in both})]
        case "usps" | "svhn":
            url, _, md5, *_ = (datasets.USPS if facts.layout == "usps" else datasets.SVHN).split_list[split]
            return [Remote((url,), md5, {_base(url): facts.files[split][0]})]
        case "celeba":
            sums = {name: (key, md5) for key, md5, name in datasets.CelebA.file_list}
            names = ("img_align_celeba.zip", "list_eval_partition.txt")
            return [Remote((_DRIVE + sums[name][0],), sums[name][1], {name: f"celeba/{name}"}) for name in names]
    prefix, table = datasets.Flowers102._download_url_prefix, datasets.Flowers102._file_dict
    archive, *others = table.values()
    return [
        Remote((prefix + archive[0],), archive[1], {"jpg": "flowers-102/jpg"}),
        *(Remote((prefix + name,), md5, {name: f"flowers-102/{name}"}) for name, md5 in others),
    ]


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _fetch_one(remote: Remote, root: Path, progress: Progress) -> None:
    """Try one mirror after another; WebError with every reason when none gives the right file."""
    reasons = []
    for url in remote.urls:
        drive = url.startswith(_DRIVE)
        name = next(iter(remote.files)) if drive else _base(url)
        folder = Path(tempfile.mkdtemp(prefix=".download-", dir=root))
        try:
            archive = folder / name
            if drive:
                _from_drive(url.removeprefix(_DRIVE), archive, progress)
            else:
                with archive.open("w+b") as file:
                    download(secure(url), file, name, _LARGEST, progress)
            with archive.open("rb") as file:
                found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if found != remote.md5:
                raise WebError(f"the file is damaged (md5 {found} instead of {remote.md5}) and was removed")
            _unpack(archive, remote.files, root)
            return
        except WebError as error:
            reasons.append(f"{f'{name} from Google Drive' if drive else url}: {error}")
        except (EOFError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            reasons.append(f"{url}: it cannot be unpacked ({error})")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise WebError("; ".join(reasons))


def _unpack(archive: Path, files: Mapping[str, str], root: Path) -> None:
    """Move the named members of an archive to their places in the data folder, each whole or not at all."""
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
        if not (folder / member).exists():
            raise WebError(f"'{member}' is not in the archive")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / member).replace(root / path)


def _write(content: IO[bytes] | gzip.GzipFile, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file, 2**20)
        file.flush()
        os.fsync(file.fileno())


def _from_drive(key: str, path: Path, progress: Progress) -> None:
    """By torchvision, which uses gdown for the pages that Google Drive shows before large files."""
    from torchvision.datasets import utils

    progress(f"downloading {path.name}", 0, 0)
    try:
        utils.download_file_from_google_drive(key, path.parent, path.name)
    # gdown raises errors of its own, those of requests, and plain ones.
    except Exception as error:
        raise WebError(str(error)) from None
    if not path.exists():
        raise WebError("nothing was downloaded")
