"""Images in Parquet files, as the Hub's data sets have them, into a zip of image files, which is read as any other.

Run as a program with a JSON document on standard input. Parquet compresses, and the sizes in it are a stranger's: this
is the only code that reads such files, in a process of its own with bounded memory.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

LARGEST_IMAGE = 256 * 2**20
MOST_ROWS = 2_000_000
MOST_CLASSES = 65_536
LONGEST_CLASS = 200
TABLE = "metadata.csv"
_BATCH = 64
_LABELS = ("label", "labels", "class", "category", "fine_label")
_IMAGES = ("image", "images", "img", "picture", "jpg", "png")
_ENDINGS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp", b"GIF8": "gif", b"BM": "bmp", b"II*\0": "tif"}


class BadParquet(Exception):
    """A file that cannot be used; the text is the reason."""


def _limit_memory(most: int) -> None:
    """Let this process take no more than so many bytes of address space."""
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _features(file: Any, declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """The type of each column, as the library that wrote the file has described it; {} where it has not."""
    found = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        described = json.loads(found)["info"]["features"]
        return described if isinstance(described, dict) else declared
    return declared


def _kind(features: Mapping[str, Any], column: str) -> str:
    described = features.get(column)
    return str(described.get("_type", "")) if isinstance(described, dict) else ""


def _image_column(schema: Any, features: Mapping[str, Any]) -> str:
    """The column of images: described as one, or bytes with a path, or bytes under a usual name.

    Raises:
        BadParquet: there is none.
    """
    import pyarrow.types as types

    described = [name for name in schema.names if _kind(features, name) == "Image"]
    structs = [
        field.name for field in schema if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    plain = [
        field.name
        for field in schema
        if (types.is_binary(field.type) or types.is_large_binary(field.type)) and field.name in _IMAGES
    ]
    for found in (described, structs, plain):
        if found:
            return min(found, key=lambda name: (name not in _IMAGES, found.index(name)))
    raise BadParquet(f"it has no column of images, but {', '.join(schema.names[:8])}")


def _label_column(schema: Any, features: Mapping[str, Any]) -> str | None:
    """The column of classes: described as one, or numbers or texts under a usual name; None where there is none."""
    import pyarrow.types as types

    described = [name for name in schema.names if _kind(features, name) == "ClassLabel"]
    usual = [
        name
        for name in _LABELS
        if name in schema.names
        and (types.is_integer(kind := schema.field(name).type) or types.is_string(kind) or types.is_large_string(kind))
    ]
    found = described or usual
    return min(found, key=lambda name: (name not in _LABELS, found.index(name))) if found else None


def _names(features: Mapping[str, Any], column: str | None) -> list[str]:
    """The names of the classes in the order of their numbers; [] where they are not described."""
    described = features.get(column or "")
    names = described.get("names") if isinstance(described, dict) else None
    if isinstance(names, dict):  # as cards have them: {"class_label": …} is unwrapped before
        names = [names[key] for key in sorted(names, key=lambda key: int(key))]
    return [str(name)[:LONGEST_CLASS] for name in names[:MOST_CLASSES]] if isinstance(names, list) else []


def _rows(path: Path, declared: Mapping[str, Any]) -> Iterator[tuple[bytes | None, str]]:
    """The bytes and the class of each row; None where there are no bytes, "" where there is no class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, thrift_string_size_limit=2**27, thrift_container_size_limit=10**6) as file:
        features = _features(file, declared)
        images, labels = _image_column(file.schema_arrow, features), _label_column(file.schema_arrow, features)
        names = _names(features, labels)
        columns = [images, *([labels] if labels else [])]
        for batch in file.iter_batches(_BATCH, columns=columns, use_threads=False):
            column = batch.column(images)
            pixels = column.field("bytes") if pa.types.is_struct(column.type) else column
            classes = batch.column(labels).to_pylist() if labels else [None] * len(batch)
            for pixel, label in zip(pixels, classes, strict=True):
                yield pixel.as_py(), _class(label, names)


def _class(label: Any, names: Sequence[str]) -> str:
    """The name of a class; "" for none, which numbers below zero stand for."""
    if isinstance(label, int):
        if label < 0:
            return ""
        return names[label] if label < len(names) else str(label)
    return str(label)[:LONGEST_CLASS] if label is not None else ""


def _ending(content: bytes) -> str:
    return next((ending for start, ending in _ENDINGS.items() if content.startswith(start)), "img")


def convert(
    splits: Mapping[str, Sequence[str]], declared: Mapping[str, Any], out: Path, largest: int
) -> dict[str, int]:
    """Write the images of Parquet files into a zip: ``train/0000000.jpg``, with the classes in ``train/metadata.csv``.

    Args:
        splits: paths of the files of each split.
        declared: the columns' types as the card of the data set has them.
        out: the zip.
        largest: bytes that all images may have together.

    Returns:
        Rows that were left out, by reason.

    Raises:
        BadParquet: a file that cannot be used.
    """
    import pyarrow as pa

    left_out: dict[str, int] = {}
    total, count = 0, 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for split, paths in splits.items():
            table: list[tuple[str, str]] = []
            for path in map(Path, paths):
                try:
                    for content, label in _rows(path, declared):
                        count += 1
                        total += len(content or b"")
                        if count > MOST_ROWS or total > largest:
                            raise BadParquet(f"more than {MOST_ROWS:,} rows, or {largest / 1e9:,.1f} GB of images")
                        if not content or len(content) > LARGEST_IMAGE:
                            reason = "rows too large" if content else "rows without an image"
                            left_out[reason] = left_out.get(reason, 0) + 1
                            continue
                        name = f"{len(table):07d}.{_ending(content)}"
                        archive.writestr(zipfile.ZipInfo(f"{split}/{name}"), content)
                        table.append((name, label))
                except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError, OverflowError) as error:
                    reason = "it takes too much memory" if isinstance(error, MemoryError) else str(error)[:200]
                    raise BadParquet(f"'{path.name}': {reason}") from None
                except BadParquet as error:
                    raise BadParquet(f"'{path.name}': {error}") from None
            if table and all(label for _, label in table):
                text = io.StringIO()
                csv.writer(text).writerows([("file_name", "label"), *table])
                archive.writestr(zipfile.ZipInfo(f"{split}/{TABLE}"), text.getvalue())
    return left_out


def main() -> None:
    """Convert what standard input names; prints a JSON document with ``left_out`` or ``error``."""
    asked = json.load(sys.stdin)
    _limit_memory(asked["memory"])
    try:
        found = {"left_out": convert(asked["splits"], asked["features"], Path(asked["out"]), asked["largest"])}
    except BadParquet as error:
        found = {"error": str(error)}
    except MemoryError:
        found = {"error": "it takes too much memory"}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
