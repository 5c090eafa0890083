"""Where a command's pictures go, as users name it in ``--out``; no torch above."""

from collections.abc import Sequence
from pathlib import Path

from gancli.errors import UsageError
from gancli.files import check_file, check_folder


def picture_path(out: str | None, option: str = "--out") -> Path | None:
    """The place of one picture that an option names, once it is known that it can be written there; None for None.

    Raises:
        UsageError: an empty name, another suffix than .png, or a place that cannot be written.
    """
    if out is None:
        return None
    if Path(out).suffix.lower() != ".png":
        raise UsageError(f"{option} '{out}' is not the name of a PNG", "end it in .png")
    check_file(Path(out))
    return Path(out)


def check_no_run(path: Path) -> None:
    """Make sure that images do not go into the folder of a training.

    Raises:
        UsageError: they would.
    """
    if (path / "state.safetensors").exists():
        raise UsageError(f"--out '{path}' is a run folder", f"name another folder, such as {path.name or 'run'}-images")


def picture_or_folder(out: str | None) -> bool:
    """Whether one picture is wanted rather than a folder, once the place is known to be fit for it.

    Raises:
        UsageError: an empty name, a suffix other than .png, a run folder, or a place that cannot be written.
    """
    if out == "":
        raise UsageError("--out is empty", "name a .png or a folder")
    path = Path(out or "picture.png")
    check_no_run(path)
    if path.suffix.lower() == ".png":
        check_file(path)
        return True
    if path.suffix and not path.is_dir() and not str(out).endswith("/"):
        raise UsageError(
            f"--out '{out}' ends in '{path.suffix}'", "end it in .png for one picture, or in / for a folder"
        )
    check_folder(path)
    return False


def check_inputs_stay(out: Path, one: bool, images: str | Sequence[str], *others: str) -> None:
    """Make sure, before any work, that no result would be written over an image that the user gave.

    Files are compared by what they are on the disk: links and other spellings of a path lead to the same one.

    Args:
        out: the place of one picture, or the folder that gets NAME.png of every image.
        one: whether it is one picture.
        images: files, folders, zips or a data set, of which results are made.
        others: whatever else is read, such as true images or a mask.

    Raises:
        UsageError: it would; or see :func:`gancli.data.user_images.list_files`.
    """
    from gancli.data import user_images
    from gancli.data.builtin.names import DATASETS

    files = user_images.list_files(images)
    inputs = [*files, *(file for other in others for file in user_images.list_files(other))]
    names = [Path(name).expanduser() for name in (*user_images.as_list(images), *others) if name not in DATASETS]
    folders = [folder.resolve() for folder in names if folder.is_dir()]
    beside = out.resolve().parent if one else out.resolve()
    hint = f"name another {'file' if one else 'folder'}, as in --out {_other_name(out)}"
    if not one and _identity(out) in map(_identity, folders):
        raise UsageError(f"'{out}' is a folder of images that were given: results would replace them", hint)
    taken = {_identity(file.path) for file in inputs}
    for name in [out.name] if one else [f"{file.title}.png" for file in files]:
        written = out if one else out / name
        there = _identity(written)
        # A folder also counts with what is passed over in it, such as the training images beside the held-out ones.
        if there and (there in taken or any(beside.is_relative_to(folder) for folder in folders)):
            raise UsageError(f"'{written}' is an image that was given: a result would replace it", hint)


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for every way to name a file or folder; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _other_name(path: Path) -> Path:
    """A name like that of a file or folder, for a hint."""
    return path.parent / f"{path.stem if path.suffix == '.png' else path.resolve().name}-made{path.suffix}"


def fitted(changed: str, shape: tuple[int, int, int]) -> str:
    """The note that images were, say, "cropped and resized" to a model's (channels, height, width)."""
    return f"note: images were {changed} to {shape[2]}x{shape[1]}"
