"""Tables of labels in a folder of images: ``dataset.json`` of the StyleGAN tools, ``metadata.csv`` and ``.jsonl``."""

import csv
import io
import json
from contextlib import suppress
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from gancli.data.folder.files import LARGEST_FILE, Source
from gancli.data.pixels import BadImageError
from gancli.errors import UsageError

STYLEGAN = "dataset.json"
TABLES = (STYLEGAN, "metadata.csv", "metadata.jsonl")
_COLUMNS = ("label", "class", "category")
HINTS = {
    STYLEGAN: 'it should read {"labels": [["name.png", 0], ...]}, with a class number for every image',
    "metadata.csv": "it should begin with the line file_name,label and have a line for every image",
    "metadata.jsonl": 'each line should read {"file_name": "name.png", "label": "cat"}',
}


class _Labels(BaseModel, strict=True):
    """``dataset.json`` of the StyleGAN tools: the class number of every image, or null."""

    labels: list[tuple[str, Annotated[int, Field(ge=0, lt=1_000_000)]]] | None


def read(source: Source, folder: str, table: str) -> dict[str, str] | None:
    """The class of every file that a table labels, by the file's path in the source.

    Args:
        source: of the files.
        folder: of the table, with its slash; names in the table are relative to it.
        table: one of :data:`TABLES`.

    Returns:
        {} where a table says that there are no labels; None where it is one of another program, without any.

    Raises:
        UsageError: it cannot be read, or labels what does not exist.
    """
    where = f"'{folder}{table}' of '{source.path}'"
    # Parsed JSON takes many times its size in memory, and may be compressed a thousandfold.
    most = min(LARGEST_FILE, 2**20 + 1024 * len(source.names))
    try:
        with source.open(folder + table) as file:
            text = file.read(most + 1)
        if len(text) > most:
            reason = f"is larger than labels of {len(source.names):,} files can be"
            raise UsageError(f"{where} {reason}", HINTS[table])
        pairs = _of_json(text) if table == STYLEGAN else _of_rows(text.decode("utf-8-sig"), table)
    except BadImageError as error:
        raise UsageError(f"{where} cannot be read: {error}", HINTS[table]) from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise UsageError(f"{where} is faulty{_reason(error, text)}", HINTS[table]) from None
    if pairs is None:
        return None
    labels = {folder + name.replace("\\", "/"): label for name, label in pairs}
    if unknown := sorted(labels.keys() - source.names):
        raise UsageError(f"{where} labels '{unknown[0][len(folder) :]}', which does not exist", HINTS[table])
    return labels


def _reason(error: Exception, text: bytes) -> str:
    if not isinstance(error, ValidationError):
        return f": {error}"
    fault = error.errors()[0]
    at = ".".join(map(str, fault["loc"]))
    where = _place(text.decode(), fault["loc"][1]) if len(fault["loc"]) > 1 and isinstance(fault["loc"][1], int) else ""
    return f"{f' at {at}' if at else ''}{where}: {fault['msg']}"


def _place(text: str, number: int) -> str:
    """Line and column of an entry of the list of labels; empty where the list is not found."""
    with suppress(ValueError, IndexError):
        at = text.index("[", text.index('"labels"'))
        for count in range(number + 1):
            at = json.JSONDecoder().raw_decode(text, at)[1] if count else at + 1
            while text[at] in " \t\r\n,":
                at += 1
        return f" (line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)})"
    return ""


def _of_json(text: bytes) -> list[tuple[str, str]] | None:
    try:
        pairs = _Labels.model_validate_json(text).labels
    except ValidationError as error:
        if error.errors()[0]["type"] in ("model_type", "missing") and len(error.errors()[0]["loc"]) < 2:
            return None
        raise
    if pairs == []:
        raise ValueError("it labels no image")
    return [(name, str(label)) for name, label in pairs or ()]


def _of_rows(text: str, table: str) -> list[tuple[str, str]] | None:
    if table.endswith(".csv"):
        rows = list(csv.DictReader(io.StringIO(text)))
    else:
        rows = [_row(line, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        return None
    column = next((each for each in _COLUMNS if rows and each in rows[0]), None)
    if column is None or "file_name" not in rows[0]:
        return None
    return [(str(row.get("file_name")), str(row.get(column))) for row in rows]


def _row(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg}: line {number} column {error.colno}") from None
