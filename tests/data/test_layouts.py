"""Layouts of other tools, and what of a folder is no photo."""

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from conftest_data import pack, picture, write

from gancli.data import Skipped, load
from gancli.data.pairs.sources import load_with_sources
from gancli.errors import UsageError
from gancli.library import recipes
from gancli.rendering.animation import save_animation
from gancli.rendering.images import save_grid

CLASSES = {"cat/1.png": picture(1), "cat/2.png": picture(2), "dog/3.png": picture(3)}


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture(params=["folder", "zip", "tar"])
def bring(request, tmp_path):
    """The same files as a folder, a zip and a tar; returns its path."""
    make = {"folder": write, "zip": pack, "tar": tar}[request.param]
    ending = {"folder": "", "zip": ".zip", "tar": ".tar"}[request.param]
    return lambda contents: str(make(tmp_path / f"set{ending}", contents))


def found(data) -> tuple:
    labels = None if data.labels is None else data.labels.tolist()
    return [int(image[0, 0, 0]) for image in data.images], labels, data.classes


def refused(name: str, **options: str) -> str:
    with pytest.raises(UsageError) as error:
        load(name, **options)
    return error.value.message


def test_classes_by_folders(bring):
    assert found(load(bring({f"photos/{name}": data for name, data in CLASSES.items()}))) == (
        [1, 2, 3],
        [0, 0, 1],
        ("cat", "dog"),
    )


def test_the_summary_names_what_is_there_and_what_is_left_out(bring):
    files = {f"train/{name}": data for name, data in CLASSES.items()}
    data = load(bring(files | {"test/4.png": picture(4), "val/5.png": picture(5), "train/dog/6.png": b""}))
    assert data.summary() == (
        "set: 3 images of 8x8, grey; 2 classes; 1 in the test split; left out: images in val/ 1, unusable files 1"
    )


def test_classes_without_an_image_are_named(bring):
    data = load(bring({**CLASSES, "rat/9.png": b""}))
    assert "; 3 classes; none of rat; no held-out split; " in data.summary()


@pytest.mark.parametrize("row", ["{},{}", '{{"file_name": "{}", "label": "{}"}}'])
def test_labels_of_a_table_of_metadata(bring, row):
    lines = ["file_name,label"] if "{}," in row else []
    lines += [row.format(*each) for each in (("x/1.png", "dog"), ("x/2.png", "a cat"), ("x/3.png", "dog"))]
    table = "metadata.csv" if "{}," in row else "metadata.jsonl"
    files = {"x/1.png": picture(1), "x/2.png": picture(2), "x/3.png": picture(3)}
    path = bring({**files, table: "\n".join(lines).encode()})
    assert found(load(path)) == ([1, 2, 3], [1, 0, 1], ("a cat", "dog"))


@pytest.mark.parametrize("table", ["folder", "zip"], indirect=False)
def test_a_table_that_contradicts_the_folders(tmp_path, table):
    make = {"folder": write, "zip": pack}[table]
    rows = b"file_name,label\ncat/1.png,x\ncat/2.png,y\ndog/3.png,x\n"
    path = str(make(tmp_path / "set", {**CLASSES, "metadata.csv": rows}))
    assert refused(path) == (
        f"'{path}' can be read in two ways: 2 classes by 'metadata.csv', such as 'x', or 2 by its folders, such as "
        "'cat'"
    )
    same = b"file_name,label\ncat/1.png,x\ncat/2.png,x\ndog/3.png,y\n"
    assert load(str(make(tmp_path / "other", {**CLASSES, "metadata.csv": same}))).classes == ("x", "y")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("dataset.json", json.dumps({"images": [], "annotations": []})),
        ("dataset.json", "[]"),
        ("metadata.csv", "file_name,text\ncat/1.png,a cat\n"),
        ("metadata.jsonl", '{"file_name": "cat/1.png", "text": "a cat"}\n'),
    ],
)
def test_tables_of_other_programs_are_left_out(tmp_path, table, text):
    data = load(str(write(tmp_path / "set", {**CLASSES, table: text.encode()})))
    assert (found(data)[1:], data.left_out) == (([0, 0, 1], ("cat", "dog")), {f"{table} without labels": 1})


@pytest.mark.parametrize(
    ("table", "text", "fault"),
    [
        ("metadata.csv", b"file_name,label\ncat/1.png,x\n", "has no label for 'cat/2.png'"),
        ("metadata.csv", b"file_name,label\nno.png,x\n", "labels 'no.png', which does not exist"),
        ("metadata.csv", b"\xff", "is faulty: 'utf-8' codec can't decode byte 0xff in position 0"),
        ("metadata.jsonl", b'{"file_name": \n', "is faulty: Expecting value: line 1 column 15"),
    ],
)
def test_faulty_tables(tmp_path, table, text, fault):
    path = write(tmp_path / "set", {**CLASSES, table: text})
    assert refused(str(path)).startswith(f"'{table}' of '{path}' {fault}")


UNPAIRED = {
    f"{name}/{shade}.png": picture(shade) for shade, name in enumerate(("trainA", "trainB", "testA", "testB"), 1)
}


def test_two_domains_are_never_classes(bring):
    path = bring({f"horse2zebra/{name}": data for name, data in UNPAIRED.items()})
    assert refused(path) == f"'{path}' holds images of two domains: testA, testB, trainA, trainB"
    for split, (ours, theirs) in {"train": (2, 1), "test": (4, 3)}.items():
        data = load_with_sources(path, "domains", paired=False, split=split)
        assert (found(data)[0], data.sources[:, 0, 0, 0].tolist(), data.classes) == ([ours], [theirs], ())
    assert "does not hold two domains" in refused(bring(CLASSES), domain="A")


def test_a_translation_takes_the_domains_of_its_folder(tmp_path):
    for name, files, source in (("h2z", UNPAIRED, "domains"), ("other", CLASSES, "inverted")):
        data = recipes.new(str(write(tmp_path / name, files)), {}, [], "cyclegan").data
        assert (data.source, data.paired) == (source, False)


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_linked_folders_are_classes_and_loops_are_not(tmp_path):
    elsewhere = write(tmp_path / "elsewhere", {"3.png": picture(3)})
    root = write(tmp_path / "set", {"cat/1.png": picture(1)})
    (root / "dog").symlink_to(elsewhere)
    for link, target in {"again": elsewhere, "cat/loop": root, "copy": root / "cat"}.items():
        (root / link).symlink_to(target)
    (elsewhere / "back").symlink_to(tmp_path)
    data = load(str(root))
    assert (len(data.images), len(data.classes)) == (2, 2)
    assert data.left_out == {"links to folders that are read already": 4}


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_a_folder_of_links(tmp_path):
    photos, links = write(tmp_path / "photos", {"1.png": picture(1)}), write(tmp_path / "links", {})
    (links / "a.png").symlink_to(photos / "1.png")
    assert found(load(str(links)))[0] == [1]


def test_a_folder_of_archives_names_them(tmp_path):
    path = write(tmp_path / "set", {"a.zip": b"PK", "b.zip": b"PK", "c.tar": b""})
    assert refused(str(path)) == f"'{path}' holds no image, but zips 2, tars 1"


def test_a_folder_called_like_a_tar(tmp_path):
    assert found(load(str(write(tmp_path / "x.tar", CLASSES))))[2] == ("cat", "dog")


def draw(folder: Path) -> int:
    """Pictures of all kinds that gancli draws; their number."""
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    for ending in ("png", "jpg", "webp"):
        save_grid(images, folder / f"grid.{ending}")
    for ending in ("gif", "webp", "apng"):
        save_animation(images, folder / f"walk.{ending}")
    return 6


def test_what_gancli_draws_beside_class_folders_does_not_count(tmp_path):
    root = write(tmp_path / "set", CLASSES)
    before = load(str(root)).fingerprint
    count = draw(root)
    data = load(str(root))
    assert (data.fingerprint, data.classes, data.left_out) == (
        before,
        ("cat", "dog"),
        {"pictures drawn by gancli": count},
    )


def test_what_gancli_draws_among_photos_does_not_count(tmp_path):
    root = write(tmp_path / "set", {"1.png": picture(1)})
    before = load(str(root)).fingerprint
    count = draw(root)
    data = load(str(root))
    assert (data.fingerprint, len(data.skipped)) == (before, count)
    assert data.skipped[0] == Skipped("grid.jpg", "drawn by gancli, not a photo")


@pytest.mark.parametrize("make", [write, pack])
def test_folders_that_gancli_made_do_not_count(tmp_path, make):
    files = {
        "runs/1/recipe.toml": b"",
        "runs/1/model.safetensors": b"",
        "runs/1/samples/0.png": picture(8),
        "fakes/.model": b"dcgan",
        "fakes/cat/seed0000000.png": picture(9),
    }
    data = load(str(make(tmp_path / "set", {**CLASSES, **files})))
    assert (found(data), data.left_out) == (([1, 2, 3], [0, 0, 1], ("cat", "dog")), {"folders made by gancli": 2})
    # Named itself, a folder of samples is data.
    assert found(load(str(write(tmp_path / "fakes", {".model": b"", "seed0000000.png": picture(9)}))))[0] == [9]
