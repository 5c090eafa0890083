"""Checks of ``--out`` before any work: names that cannot be written, and files that would be overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gancli.errors import UsageError
from gancli.files import check_file, check_folder
from gancli.rendering.layout import PICTURES


def picture_path(out: str | None, option: str = "--out") -> Path | None:
    """The path of a picture that an option names, once it is known to be writable; None for None.

    Raises:
        UsageError: an empty name, the suffix of no picture, or a path that cannot be written.
    """
    if out is None:
        return None
    if Path(out).suffix.lower() not in PICTURES:
        raise UsageError(f"{option} '{out}' is not the name of a picture", "end it in .png, .jpg or .webp")
    check_file(Path(out))
    return Path(out)


def picture_or_folder(out: str | None, *, archive: bool = False) -> bool:
    """Whether ``--out`` names one picture (the default) and not a folder, once it is known to be writable.

    Args:
        out: what the user typed.
        archive: whether a .zip will do for a folder.

    Raises:
        UsageError: an empty name, another suffix, a run folder, or a path that cannot be written.
    """
    if out == "":
        raise UsageError("--out is empty", "name a .png or a folder")
    path = Path(out or "picture.png")
    suffix = path.suffix.lower()
    if (path / "state.safetensors").exists():
        raise UsageError(f"--out '{path}' is a run folder", f"name another folder, such as {path.name or 'run'}-images")
    if suffix in PICTURES or (archive and suffix == ".zip"):
        check_file(path)
        return suffix in PICTURES
    if suffix and not path.is_dir() and not str(out).endswith("/"):
        zipped = ", in .zip for an archive" if archive else ""
        raise UsageError(
            f"--out '{out}' ends in '{path.suffix}'", f"end it in .png for one picture{zipped}, or in / for a folder"
        )
    check_folder(path)
    return False


def check_inputs_stay(out: Path, one: bool, images: str | Sequence[str], *others: str) -> None:
    """Refuse to overwrite an image that the user gave, or any file in a folder of such images.

    Args:
        out: the picture, or the folder that gets NAME.png for every image.
        one: whether it is one picture.
        images: files, folders, zips or a data set, of which results are made.
        others: further files that are read, such as a mask.

    Raises:
        UsageError: an input would be overwritten; or see :func:`gancli.data.user_images.list_files`.
    """
    from gancli.data import user_images
    from gancli.data.builtin.names import DATASETS

    names = [name for name in (*user_images.as_list(images), *others) if name not in DATASETS]
    inputs = [Path(name).expanduser().resolve() for name in names]
    for written in [out, *(() if one else (out / f"{file.title}.png" for file in user_images.list_files(images)))]:
        if written.exists() and any(written.resolve().is_relative_to(path) for path in inputs):
            raise UsageError(f"'{written}' is among the input images", "name another file or folder with --out")
