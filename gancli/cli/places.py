"""Where a command's pictures go, as users name it in ``--out``; no torch here."""

from pathlib import Path

from gancli.errors import UsageError
from gancli.files import check_file, check_folder


def picture_path(out: str | None) -> Path | None:
    """The place of one picture, once it is known that it can be written there; None for None.

    Raises:
        UsageError: an empty name, another suffix than .png, or a place that cannot be written.
    """
    if out is None:
        return None
    if Path(out).suffix.lower() != ".png":
        raise UsageError(f"--out '{out}' is not the name of a PNG", "end it in .png")
    check_file(Path(out))
    return Path(out)


def picture_or_folder(out: str | None) -> bool:
    """Whether one picture is wanted rather than a folder, once the place is known to be fit for it.

    Raises:
        UsageError: an empty name, a suffix other than .png, a run folder, or a place that cannot be written.
    """
    if out == "":
        raise UsageError("--out is empty", "name a .png or a folder")
    path = Path(out or "picture.png")
    if (path / "state.safetensors").exists():
        raise UsageError(f"--out '{path}' is a run folder", f"name another folder, such as {path.name or 'run'}-images")
    if path.suffix.lower() == ".png":
        check_file(path)
        return True
    if path.suffix and not path.is_dir() and not str(out).endswith("/"):
        raise UsageError(
            f"--out '{out}' ends in '{path.suffix}'", "end it in .png for one picture, or in / for a folder"
        )
    check_folder(path)
    return False
