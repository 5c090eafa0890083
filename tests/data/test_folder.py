import os
import sys
import zipfile

import numpy as np
import pytest
import torch
from conftest_data import labels, noise, pack, picture, write

from gancli.data import Skipped, load, pixels
from gancli.data.folder import files, tables
from gancli.errors import UsageError


def refuse(name: object, **options: object) -> tuple[str, str]:
    with pytest.raises(UsageError) as error:
        load(str(name), **options)
    return error.value.message, error.value.hint


@pytest.fixture(params=["folder", "zip"])
def bring(request, tmp_path):
    """The same files once as a folder and once as a zip; returns its path."""

    def make(contents: dict[str, bytes]):
        return write(tmp_path / "set", contents) if request.param == "folder" else pack(tmp_path / "set.zip", contents)

    return make


def shades(data) -> list[int]:
    return [int(image[0, 0, 0]) for image in data.images]


def test_folders_are_classes(bring):
    data = load(str(bring({"cat/b.png": picture(2), "cat/a.png": picture(1), "ant/x/deep.png": picture(3)})))
    assert (data.name, data.split, data.classes) == ("set", "train", ("ant", "cat"))
    assert (data.images.dtype, tuple(data.images.shape)) == (torch.uint8, (3, 1, 8, 8))
    assert (data.labels.dtype, data.labels.tolist()) == (torch.int64, [0, 1, 1])
    assert shades(data) == [3, 1, 2]
    assert data.skipped == ()


def test_numbers_in_names_of_classes_count_by_their_value(bring):
    data = load(str(bring({f"{name}/a.png": picture(int(name)) for name in ("1", "10", "12", "2", "03")})))
    assert data.classes == ("1", "2", "03", "10", "12")
    assert (data.labels.tolist(), shades(data)) == ([2, 0, 3, 4, 1], [3, 1, 10, 12, 2])


def test_loose_images_are_unlabelled(bring):
    data = load(str(bring({"a.png": picture(1), "cat/b.png": picture(2), "dog/c.png": picture(3)})))
    assert (data.labels, data.classes, shades(data)) == (None, (), [1, 2, 3])


def test_one_class_is_no_class(bring):
    data = load(str(bring({"images/a.png": picture(1), "images/b.png": picture(2)})))
    assert (data.labels, data.classes) == (None, ())


def test_folders_around_everything_are_looked_through(bring):
    data = load(str(bring({"photos/all/cat/a.png": picture(1), "photos/all/dog/b.png": picture(2)})))
    assert data.classes == ("cat", "dog")


def test_images_come_back_exactly(bring):
    contents = {f"{i:03d}.png": noise(i) for i in range(150)}
    data = load(str(bring(contents)))
    expected = np.stack([np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8) for i in range(150)])
    assert (data.images.numpy() == expected.transpose(0, 3, 1, 2)).all()


def test_bad_files_are_named_and_left_out(bring):
    contents = {f"{i:03d}.png": picture(i) for i in range(100)}
    contents |= {"000.png": b"not a picture", "050.jpg": noise(1)[:99], "070.png": picture(9, (3, 9)), "071.png": b""}
    data = load(str(bring(contents)))
    assert shades(data) == [i for i in range(1, 100) if i not in (70, 71)]
    assert [one.name for one in data.skipped] == ["000.png", "050.jpg", "070.png", "071.png"]
    assert data.skipped[0] == Skipped("000.png", "not an image that PIL reads")
    assert data.skipped[2] == Skipped("070.png", "tiny: 9x3 pixels")
    assert data.skipped[1].reason.startswith("broken")


def test_labels_stay_with_their_images_when_some_are_left_out(bring):
    data = load(
        str(bring({"a/1.png": b"", "a/2.png": picture(2), "b/3.png": b"", "b/4.png": picture(4)})),
        size=(8, 8),
        channels=1,
    )
    assert (shades(data), data.labels.tolist(), len(data.skipped)) == ([2, 4], [0, 1], 2)


def test_bombs_are_left_out(bring, monkeypatch):
    monkeypatch.setattr(pixels, "LARGEST_IMAGE", 100)
    path = bring({"a.png": picture(1), "b.png": picture(2, (11, 11)), "c.png": picture(2, (99, 99))})
    data = load(str(path))
    assert [one.name for one in data.skipped] == ["b.png", "c.png"]
    assert {one.reason for one in data.skipped} == {"more than 0 megapixels"}


def test_content_decides_not_the_ending(bring):
    contents = {
        "a.jpg": picture(1),
        "b.png": picture((2, 2, 2), kind="BMP"),
        "c": picture(3),
        "d.bin": picture(4, kind="WEBP"),
    }
    data = load(str(bring(contents | {"notes.txt": b"hello", "e.dat": b"data", "f.json": b"{}"})))
    assert (len(data.images), data.skipped) == (4, ())


def test_hidden_files_do_not_count(bring):
    contents = {"a.png": picture(1), ".b.png": picture(2), "__MACOSX/a.png": picture(3), ".git/c.png": picture(4)}
    assert shades(load(str(bring(contents)))) == [1]


def test_size_is_the_most_common_one(bring):
    data = load(str(bring({"a.png": picture(1, (8, 6)), "b.png": picture(2, (8, 6)), "c.png": picture(3, (30, 30))})))
    assert tuple(data.images.shape) == (3, 1, 8, 6)


def test_large_images_are_capped_with_their_aspect(bring):
    assert tuple(load(str(bring({"a.png": picture(1, (300, 600))}))).images.shape) == (1, 1, 32, 64)


def test_size_channels_and_fit_can_be_chosen(bring):
    path = str(bring({"a.png": picture(9, (10, 20))}))
    data = load(path, size=(12, 12), channels=3, fit="pad", background="#0000ff")
    assert tuple(data.images.shape) == (1, 3, 12, 12)
    assert data.images[0, :, 0, 0].tolist() == [0, 0, 255]
    assert data.images[0, :, 6, 6].tolist() == [9, 9, 9]


@pytest.mark.parametrize(
    ("contents", "background", "channels"),
    [
        ({"a.png": picture(1), "b.png": picture(1, mode="1")}, "white", 1),
        ({"a.png": picture(1), "b.png": picture((1, 1, 1))}, "white", 3),
        ({"a.png": picture((1, 0), mode="LA")}, "grey", 1),
        ({"a.png": picture((1, 0), mode="LA")}, "red", 3),
    ],
)
def test_grey_when_all_are_grey(bring, contents, background, channels):
    assert load(str(bring(contents)), background=background).images.shape[1] == channels


def test_train_and_test_folders_are_splits(bring):
    contents = {
        "train/a/1.png": picture(1),
        "train/c/2.png": picture(2),
        "Test/c/3.png": picture(3),
        "val/a/4.png": picture(4),
    }
    path = str(bring(contents))
    train, test = load(path), load(path, split="test")
    assert (shades(train), train.labels.tolist(), shades(test), test.labels.tolist()) == ([1, 2], [0, 1], [3], [1])
    assert train.classes == test.classes == ("a", "c")
    assert (train.splits, train.left_out) == ({"train": 2, "test": 1}, {"images in val/": 1})


def test_validation_is_held_out_where_there_is_no_test(bring):
    path = str(bring({"train/1.png": picture(1), "valid/2.png": picture(2)}))
    assert (shades(load(path)), shades(load(path, split="test"))) == ([1], [2])
    assert load(path).labels is None


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train2017", "val2017"),
        ("Training", "Testing"),
        ("train_images", "test-images"),
        ("data/train", "data/dev"),
    ],
)
def test_splits_of_other_names(bring, train, test):
    path = str(bring({f"{train}/a/1.png": picture(1), f"{train}/b/2.png": picture(2), f"{test}/b/3.png": picture(3)}))
    data, held_out = load(path), load(path, split="test")
    assert (data.classes, data.labels.tolist(), shades(data), data.splits["test"]) == (("a", "b"), [0, 1], [1, 2], 1)
    assert (held_out.classes, held_out.labels.tolist(), shades(held_out)) == (("a", "b"), [1], [3])


def test_images_of_no_split_are_left_out(bring):
    contents = {"seg_train/a/1.png": picture(1), "seg_test/a/2.png": picture(2), "seg_pred/seg_pred/3.png": picture(3)}
    data = load(str(bring(contents)))
    assert (shades(data), data.left_out) == ([1], {"images in seg_pred/": 1})


@pytest.mark.parametrize("test", ["test/3.png", "test/test/3.png", "test/unknown/3.png"])
def test_classes_of_training_images_beside_held_out_ones_without(bring, test):
    path = str(bring({"train/a/1.png": picture(1), "train/b/2.png": picture(2), test: picture(3)}))
    assert (load(path).classes, load(path).labels.tolist()) == (("a", "b"), [0, 1])
    assert (load(path, split="test").labels, shades(load(path, split="test"))) == (None, [3])


def test_two_readings_are_an_error_that_shows_both(bring):
    path = bring({"train/1.png": picture(1), "test/2.png": picture(2), "tram/3.png": picture(3)})
    assert refuse(path) == (
        f"'{path}' can be read in two ways: as the splits train/ and test/ with something beside, or as the classes "
        "test/, train/, tram/",
        "for splits, leave nothing beside train/ and test/; for classes, rename these two",
    )


def test_a_train_among_other_vehicles_is_a_class(bring):
    assert load(str(bring({"train/1.png": picture(1), "tram/3.png": picture(3)}))).classes == ("train", "tram")


def test_no_held_out_split(bring):
    path = bring({"a.png": picture(1)})
    assert refuse(path, split="test") == (
        f"'{path}' has no held-out split",
        "put its images into two folders train/ and test/, or use the split 'train'",
    )


def test_labels_of_the_stylegan_tools(bring):
    names = ["00000/img00000000.png", "00000/img00000001.png", "00001/img00000002.png"]
    contents = {name: picture(i + 1) for i, name in enumerate(names)}
    data = load(str(bring(contents | {"dataset.json": labels([[names[2], 0], [names[0], 3], [names[1], 1]])})))
    assert (shades(data), data.labels.tolist(), data.classes) == ([1, 2, 3], [2, 1, 0], ("0", "1", "3"))


def test_labels_inside_a_folder_around_everything(bring):
    contents = {"x/a.png": picture(1), "x/b.png": picture(2), "x/dataset.json": labels([["a.png", 1], ["b.png", 0]])}
    assert load(str(bring(contents))).labels.tolist() == [1, 0]


def test_labels_above_a_single_folder(bring):
    contents = {f"set/00000/{i}.png": picture(i) for i in range(3)}
    pairs = [[f"00000/{i}.png", 2 - i] for i in range(3)]
    assert load(str(bring(contents | {"set/dataset.json": labels(pairs)}))).labels.tolist() == [2, 1, 0]


def test_labels_may_be_null(bring):
    data = load(str(bring({"00000/a.png": picture(1), "00001/b.png": picture(2), "dataset.json": labels(None)})))
    assert (data.labels, data.classes) == (None, ())


HINT = 'it should read {"labels": [["name.png", 0], ...]}, with a class number for every image'


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (b"{", "is faulty: Invalid JSON"),
        (b"\xff\xfe\x00", "is faulty: Invalid JSON"),
        (b"[" * 100_000, "is faulty: Invalid JSON"),
        (b'{"labels": 3}', "is faulty at labels: Input should be a valid array"),
        (labels([["a.png"]]), "is faulty at labels.0.1 (line 1, column 13): Field required"),
        (labels([["a.png", "0"]]), "is faulty at labels.0.1 (line 1, column 13): Input should be a valid integer"),
        (labels([["a.png", True]]), "is faulty at labels.0.1 (line 1, column 13): Input should be a valid integer"),
        (
            labels([["a.png", -1]]),
            "is faulty at labels.0.1 (line 1, column 13): Input should be greater than or equal to 0",
        ),
        (labels([["a.png", 10**9]]), "is faulty at labels.0.1 (line 1, column 13): Input should be less than 1000000"),
        (
            labels([["a.png", [1.0, 0.0]]]),
            "is faulty at labels.0.1 (line 1, column 13): Input should be a valid integer",
        ),
        (
            b'{"labels": [["a.png", 0],\n  ["b.png", "x"]]}',
            "is faulty at labels.1.1 (line 2, column 3): Input should be a",
        ),
        (
            b'{"labels": [["a.png", 0],\n  ["b.png" 1]]}',
            "is faulty: Invalid JSON: expected `,` or `]` at line 2 column 12",
        ),
        (b'{"\\u006cabels": [["a.png", "x"]]}', "is faulty at labels.0.1: Input should be a valid integer"),
        (labels([["a.png", 0], ["../b.png", 0]]), "labels '../b.png', which does not exist"),
        (labels([["a.png", 0]]), "has no label for 'b.png'"),
        (labels([]), "is faulty: it labels no image"),
    ],
)
def test_faulty_labels(bring, document, fault):
    path = bring({"a.png": picture(1), "b.png": picture(2), "dataset.json": document})
    message, hint = refuse(path)
    assert message.startswith(f"'dataset.json' of '{path}' {fault}")
    assert hint == HINT


def test_nothing_there(tmp_path):
    assert refuse(tmp_path / "none" / "x") == (
        f"there is no data set '{tmp_path / 'none' / 'x'}'",
        "a folder or a zip of images, or a name that `gancli data list` shows",
    )
    assert refuse("")[0] == "there is no data set ''"
    assert refuse("x" * 5000)[0] == f"there is no data set '{'x' * 5000}'"
    assert refuse("a\0b")[0] == "there is no data set 'a\0b'"
    assert refuse("fashon-mnist") == ("there is no data set 'fashon-mnist'", "did you mean 'fashion-mnist'?")


IMAGES = "name a folder or a zip with images, such as PNG, JPEG or WebP"


def test_empty(bring):
    path = bring({})
    assert refuse(path) == (f"'{path}' is empty", IMAGES)


def test_no_image(bring):
    path = bring({"notes.txt": b"hello", "sub/table.csv": b"1,2"})
    assert refuse(path) == (f"'{path}' holds no image, but .txt files 1, .csv files 1", IMAGES)


def test_only_bad_images(bring):
    path = bring({"a.png": b"x", "b.png": b"y"})
    expected = f"none of the 2 images of '{path.name}' can be read (a.png: not an image that PIL reads)"
    assert refuse(path) == (expected, "is it a folder or a zip of images?")
    assert refuse(path, size=(8, 8), channels=1)[0] == expected


def test_another_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * 99)
    (tmp_path / "b.zip").write_bytes(b"PK\3\4 and then nothing")
    hint = "name a folder or a zip of images"
    assert refuse(tmp_path / "a.txt") == (f"'{tmp_path / 'a.txt'}' is neither a folder nor a zip", hint)
    assert refuse(tmp_path / "b.zip") == (f"'{tmp_path / 'b.zip'}' is a broken zip", hint)


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:\\evil.png"])
def test_zip_that_leaves_its_folder(tmp_path, name):
    path = pack(tmp_path / "bad.zip", {"a.png": picture(1), name: picture(2)})
    assert refuse(path) == (
        f"'{path}' has an entry that leaves the archive: '{name}'",
        "such a zip is not to be trusted: make it again from the images",
    )


def test_zip_with_a_link(tmp_path):
    link = zipfile.ZipInfo("b.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", picture(1))
        archive.writestr(link, "/etc/passwd")
    data = load(str(tmp_path / "a.zip"))
    assert (shades(data), data.skipped) == ([1], ())


def test_zip_with_an_encrypted_and_a_damaged_entry(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.png": picture(1), "b.png": noise(2), "c.png": noise(3)}, zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = [i for i in range(len(raw)) if raw[i : i + 4] == magic][1]
        raw[start + offset] |= 1
    start = [i for i in range(len(raw)) if raw[i : i + 4] == b"PK\3\4"][2]
    raw[start + 60] ^= 255
    path.write_bytes(raw)
    data = load(str(path))
    assert shades(data) == [1]
    assert data.skipped[0] == Skipped("b.png", "encrypted")
    assert data.skipped[1].name == "c.png"
    assert data.skipped[1].reason.startswith("broken entry of the zip: ")


def test_files_larger_than_any_image_are_not_read(bring, monkeypatch):
    path = bring({"a.png": picture(1), "b.png": noise(1, (64, 64))})
    monkeypatch.setattr(files, "LARGEST_FILE", 2**10)
    data = load(str(path))
    assert (shades(data), data.skipped) == ([1], (Skipped("b.png", "larger than 0 MiB"),))


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
def test_links_pipes_and_loops(tmp_path):
    root = write(tmp_path / "set", {"a.png": picture(1)})
    outside = write(tmp_path / "other", {"b.png": picture(2)})
    (root / "b.png").symlink_to(outside / "b.png")
    (root / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    data = load(str(root))
    assert shades(data) == [1, 2]
    assert data.skipped == (Skipped("gone.png", "no such file or directory"),)


def test_names_of_sets(tmp_path, monkeypatch):
    write(tmp_path / "my.set", {"a.png": picture(1)})
    assert load(f"{tmp_path}/my.set/").name == "my.set"
    monkeypatch.chdir(tmp_path / "my.set")
    assert load(".").name == "my.set"
    write(tmp_path / "my.set" / "digits", {"a.png": picture(1)})
    assert (len(load("./digits").images), len(load("digits").images)) == (1, 1442)


def test_options_are_checked(tmp_path):
    write(tmp_path / "set", {"a.png": picture(1)})
    path = str(tmp_path / "set")
    assert refuse(path, split="tset") == ("unknown split 'tset'", "did you mean 'test'?")
    known = "1 is grey, 3 is colour, 4 is colour with alpha"
    assert refuse(path, channels=2) == ("images have 1, 3 or 4 channels, not 2", known)
    assert refuse(path, size=(0, 8)) == ("0x8 is not an image size", "each side lies from 1 to 4096")
    assert refuse(path, fit="none")[0] == "unknown fit 'none'"
    assert refuse(path, background="nocolour")[0] == "unknown colour 'nocolour'"


def test_progress_is_told(bring):
    told = []
    load(str(bring({f"{i:03d}.png": picture(i) for i in range(130)})), progress=lambda *what: told.append(what))
    assert told == [(what, done, 130) for what in ("reading sizes", "decoding") for done in (32, 64, 96, 128, 130)]


def test_a_table_of_labels_far_larger_than_the_images_is_not_read(bring, monkeypatch):
    monkeypatch.setattr(tables, "_Labels", None)
    path = bring({"a.png": picture(1), "dataset.json": b'{"labels": [' + b"[]," * 500_000 + b"[]]}"})
    assert refuse(path) == (f"'dataset.json' of '{path}' is larger than labels of 2 files can be", HINT)


def test_a_faulty_line_of_a_table_is_named(bring):
    lines = b'{"file_name": "a.png", "label": "x"}\n\n{"file_name" "b.png"}\n'
    path = bring({"a.png": picture(1), "b.png": picture(2), "metadata.jsonl": lines})
    assert refuse(path)[0].endswith("is faulty: Expecting ':' delimiter: line 3 column 14")


def test_a_single_image_is_no_set(tmp_path):
    path = write(tmp_path, {"a": picture(1)}) / "a"
    assert refuse(path) == (f"'{path}' is a single image", "put hundreds of images into a folder, and name the folder")
    found = load(str(write(tmp_path / "set", {"a.png": picture(99)})))
    assert found.summary().startswith("set: 1 image of 8x8, grey; no classes")
