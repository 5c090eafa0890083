"""Fetch a named data set: addresses and checksums as torchvision keeps them, files verified before they count."""

import gzip
import hashlib
import http.client
import os
import re
import shutil
import tarfile
import tempfile
import urllib.error
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gancli.data.builtin.names import SPLITS, Facts
from gancli.data.builtin.reading import need
from gancli.data.paths import download_folder, search_folders, stored
from gancli.data.types import Progress
from gancli.data.web import open_https, secure
from gancli.errors import GancliError, UsageError

#: CIFAR's binary archives, which torchvision does not know: it reads the pickled ones.
CIFAR = {
    "cifar10": ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    "cifar100": ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
}
#: Addresses over https of sets whose own page has none; the checksum is the same.
MIRRORS = {"fashion-mnist": ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",)}
_TIMEOUT = 30.0
_LARGEST = 8 * 2**30
_BLOCK = 2**20

# Takes the verified archive and the data folder, and puts the files into place.
Unpack = Callable[[Path, Path], None]


class FetchError(Exception):
    """One address did not give the file; the text says why."""


@dataclass(frozen=True)
class Remote:
    """A file to download: where from, its md5, the files (in the data folder) it gives, and how."""

    urls: tuple[str, ...]
    md5: str
    gives: tuple[str, ...]
    unpack: Unpack


def fetch(facts: Facts, split: str, data_dir: Path | None, progress: Progress) -> Path:
    """Download what a split needs, verified, and return the data folder.

    Raises:
        UsageError: a module of ``gancli[datasets]`` is missing, or the data folder cannot be written.
        GancliError: no network, or nothing behind any address matches its checksum.
    """
    need(facts, list(facts.extra))
    root = download_folder(data_dir)
    try:
        root.mkdir(parents=True, exist_ok=True)
        for remote in remotes(facts, split):
            if not all(stored(root, file) for file in remote.gives):
                _fetch_one(remote, root, progress)
    except FetchError as error:
        raise _unreachable(facts, split, data_dir, error) from None
    except OSError as error:
        raise UsageError(
            f"{facts.name} cannot be stored in '{root}': {(error.strerror or str(error)).lower()}",
            "name a folder that can be written, and has room, with --data-dir",
        ) from None
    return root


def _unreachable(facts: Facts, split: str, data_dir: Path | None, error: FetchError) -> GancliError:
    folders = ", ".join(f"'{folder}'" for folder in search_folders(data_dir))
    files = ", ".join(facts.files[split])
    return GancliError(
        f"{facts.name} is not in {folders}, and downloading it failed: {error}",
        f"connect to the network and try again, or put {files} into '{download_folder(data_dir)}' "
        "(or name the folder that holds them with --data-dir)",
    )


def remotes(facts: Facts, split: str) -> list[Remote]:
    """What to download for a split of a named data set."""
    # 5 seconds to import, so only when something is really downloaded.
    from torchvision import datasets

    match facts.layout:
        case "idx" if facts.name == "qmnist":
            pairs = datasets.QMNIST.resources[split]
            return [_gzip((url,), md5, file) for (url, md5), file in zip(pairs, facts.files[split], strict=True)]
        case "idx" | "stacked":
            known = {"fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
            chosen = known.get(facts.name, datasets.MNIST)
            sums = dict(chosen.resources)
            names = {file: f"{file.rpartition('/')[2]}.gz" for file in facts.files[split]}
            mirrors = (*chosen.mirrors, *MIRRORS.get(facts.name, ()))
            return [_gzip(tuple(m + name for m in mirrors), sums[name], file) for file, name in names.items()]
        case "emnist":
            return [Remote((datasets.EMNIST.url,), datasets.EMNIST.md5, facts.files[split], _unpack_emnist)]
        case "cifar":
            url, md5 = CIFAR[facts.name]
            return [_tar((url,), md5, tuple(file for split in SPLITS for file in facts.files[split]))]
        case "stl10":
            stl = datasets.STL10
            return [_tar((stl.url,), stl.tgz_md5, tuple(file for split in SPLITS for file in facts.files[split]))]
        case "usps" | "svhn":
            known_split = (datasets.USPS if facts.layout == "usps" else datasets.SVHN).split_list[split]
            return [_plain((known_split[0],), known_split[2], facts.files[split][0])]
        case "celeba":
            sums = {name: (key, md5) for key, md5, name in datasets.CelebA.file_list}
            wanted = ("img_align_celeba.zip", "list_eval_partition.txt")
            return [_plain((f"drive:{sums[name][0]}",), sums[name][1], f"celeba/{name}") for name in wanted]
    return _flowers(datasets.Flowers102._download_url_prefix, datasets.Flowers102._file_dict)


def _flowers(prefix: str, files: dict[str, tuple[str, str]]) -> list[Remote]:
    archive, md5 = files["image"]
    images = Remote((prefix + archive,), md5, ("flowers-102/jpg",), _unpack_flowers)
    return [images, *(_plain((prefix + name,), md5, f"flowers-102/{name}") for name, md5 in list(files.values())[1:])]


def _gzip(urls: tuple[str, ...], md5: str, file: str) -> Remote:
    def unpack(archive: Path, root: Path) -> None:
        with gzip.open(archive, "rb") as packed:
            _put(packed, root / file)

    return Remote(urls, md5, (file,), unpack)


def _plain(urls: tuple[str, ...], md5: str, file: str) -> Remote:
    def unpack(archive: Path, root: Path) -> None:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        archive.replace(root / file)

    return Remote(urls, md5, (file,), unpack)


def _tar(urls: tuple[str, ...], md5: str, files: tuple[str, ...]) -> Remote:
    def unpack(archive: Path, root: Path) -> None:
        # Only the names that are known are taken out: nothing can land outside of the folder.
        missing = set(files)
        with tarfile.open(archive, "r:gz") as packed:
            for member in packed:
                if member.name in missing and (content := packed.extractfile(member)):
                    _put(content, root / member.name)
                    missing.discard(member.name)
        if missing:
            raise FetchError(f"'{sorted(missing)[0]}' is not in the archive")

    return Remote(urls, md5, files, unpack)


def _unpack_emnist(archive: Path, root: Path) -> None:
    # The members stay compressed: all parts take 0.5 GB so, and 2 GB unpacked.
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            if match := re.fullmatch(
                r"gzip/(emnist-[a-z]+-(?:train|test)-(?:images-idx3|labels-idx1)-ubyte\.gz)", name
            ):
                with packed.open(name) as content:
                    _put(content, root / "EMNIST" / "raw" / match[1])


def _unpack_flowers(archive: Path, root: Path) -> None:
    final = root / "flowers-102" / "jpg"
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".jpg-", dir=final.parent))
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for member in packed:
                if re.fullmatch(r"jpg/image_\d{5}\.jpg", member.name) and (content := packed.extractfile(member)):
                    _put(content, folder / member.name.removeprefix("jpg/"))
        folder.chmod(0o755)
        folder.rename(final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(content: "gzip.GzipFile | object", path: Path) -> None:
    """Write a stream to a file that appears only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            shutil.copyfileobj(content, file, _BLOCK)  # ty: ignore[invalid-argument-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _fetch_one(remote: Remote, root: Path, progress: Progress) -> None:
    """Try one address after another; FetchError with every reason when none gives the right file."""
    reasons = []
    for url in remote.urls:
        name = remote.gives[0].rpartition("/")[2] if url.startswith("drive:") else url.rpartition("/")[2]
        folder = Path(tempfile.mkdtemp(prefix=".download-", dir=root))
        try:
            archive = folder / name
            if url.startswith("drive:"):
                _from_drive(url.removeprefix("drive:"), archive, progress)
            else:
                _from_web(secure(url), archive, progress)
            _verify(archive, remote.md5, url)
            remote.unpack(archive, root)
            return
        except FetchError as error:
            reasons.append(str(error))
        except (EOFError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            reasons.append(f"{name} cannot be unpacked ({error})")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise FetchError("; ".join(reasons))


def _from_web(url: str, path: Path, progress: Progress) -> None:
    try:
        with open_https(url, _TIMEOUT) as answer, path.open("wb") as file:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while block := _received(answer, url):
                file.write(block)
                done += len(block)
                progress(f"downloading {path.name}", done, total)
                if done > _LARGEST:
                    raise FetchError(f"{url} sends more than {_LARGEST // 2**30} GiB")
            if done < total:
                raise FetchError(f"{url}: the connection broke off after {done:,} of {total:,} bytes")
    except urllib.error.HTTPError as error:
        raise FetchError(f"{url} answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise FetchError(f"{url}: {getattr(error.reason, 'strerror', None) or error.reason}") from None
    except (TimeoutError, ConnectionError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"{url}: {error or type(error).__name__}") from None


def _received(answer: http.client.HTTPResponse, url: str) -> bytes:
    """The next block; errors of the network told apart from those of the disk, which are OSErrors as well."""
    try:
        return answer.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{url}: the connection broke off ({error})") from None


def _from_drive(key: str, path: Path, progress: Progress) -> None:
    """By torchvision, which uses gdown for the pages that Google Drive puts before large files."""
    from torchvision.datasets import utils

    progress(f"downloading {path.name}", 0, 0)
    try:
        utils.download_file_from_google_drive(key, path.parent, path.name)
    # gdown raises its own errors, those of requests, and plain ones: each means that the file did not come.
    except Exception as error:
        raise FetchError(f"{path.name} from Google Drive: {error}") from None
    if not path.exists():
        raise FetchError(f"{path.name} from Google Drive: nothing came")


def _verify(path: Path, md5: str, url: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise FetchError(f"{path.name} from {url} is damaged (md5 {found} instead of {md5}) and was removed")
