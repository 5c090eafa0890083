"""Data sets of the Hub: what is read from them, what is refused, and what is fetched how often."""

import io
import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import Hub
from PIL import Image

from gancli import checkpoint
from gancli.data import load
from gancli.data.hub import fetching
from gancli.data.hub import parquet as conversion
from gancli.errors import GancliError, UsageError
from gancli.hub import client
from gancli.hub.names import Name

PICTURE = {"_type": "Image"}


def png(level: int, size: tuple[int, int] = (8, 8)) -> bytes:
    """A picture of one grey level."""
    file = io.BytesIO()
    Image.new("L", (size[1], size[0]), level).save(file, "PNG")
    return file.getvalue()


def parquet(columns: dict[str, Any], features: dict[str, Any] | None = None, **options: Any) -> bytes:
    """A file as ``datasets`` writes it, with its features in the schema's metadata."""
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def rows(*levels: int) -> list[dict[str, Any]]:
    """Values of an image column."""
    return [{"bytes": png(level), "path": f"{level}.png"} for level in levels]


def levels(name: str, split: str = "train", **options: Any) -> list[int]:
    """The grey levels of the images, in their order."""
    return load(name, split=split, **options).images[:, 0, 0, 0].tolist()


CLASSES = {"image": PICTURE, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
PARQUET = {
    "data/train-00000-of-00002.parquet": parquet({"image": rows(40, 50), "label": [1, 0]}, CLASSES),
    "data/train-00001-of-00002.parquet": parquet({"image": rows(60), "label": [1]}, CLASSES),
    "data/test-00000-of-00001.parquet": parquet({"image": rows(70, 80), "label": [0, 1]}, CLASSES),
}


def test_parquet_keeps_its_splits_classes_and_order(hub: Hub) -> None:
    sha = hub.put("dataset", "ann/pets", {"README.md": b"---\nlicense: cc0-1.0\n---\n", **PARQUET})
    train, test = (load("hf:ann/pets", split=split) for split in ("train", "test"))
    assert train.name == f"hf:ann/pets@{sha}"
    assert train.images[:, 0, 0, 0].tolist() == [40, 50, 60]
    assert train.labels is not None
    assert [train.classes[label] for label in train.labels] == ["dog", "cat", "dog"]
    assert test.images[:, 0, 0, 0].tolist() == [70, 80]
    assert test.labels is not None
    assert [test.classes[label] for label in test.labels] == ["cat", "dog"]
    assert train.splits == {"train": 3, "test": 2}
    assert fetching.locate("hf:ann/pets").licence == "cc0-1.0"


def test_a_commit_that_is_here_is_not_asked_for_again(hub: Hub) -> None:
    first = hub.put("dataset", "ann/pets", {f"{level}.png": png(level) for level in (40, 50, 60)})
    second = hub.put("dataset", "ann/pets", {"a.png": png(90), "b.png": png(91)})
    assert levels("hf:ann/pets") == [90, 91]
    assert levels(f"hf:ann/pets@{first}") == [40, 50, 60]
    hub.asked.clear()
    assert levels(f"hf:ann/pets@{first[:8]}") == [40, 50, 60]
    assert levels(f"hf:ann/pets@{second}") == [90, 91]
    assert hub.asked == []


def test_a_tag_is_the_commit_that_it_names(hub: Hub) -> None:
    sha = hub.put("dataset", "ann/pets", {"a.png": png(40), "b.png": png(50)})
    hub.put("dataset", "ann/pets", {"a.png": png(90)})
    hub.repos["dataset", "ann/pets"].tags["v1.0"] = sha
    assert load("hf:ann/pets@v1.0").name == f"hf:ann/pets@{sha}"


@pytest.mark.parametrize("table", ["metadata.csv", "metadata.jsonl"])
def test_an_image_folder_with_a_table(hub: Hub, table: str) -> None:
    text = {
        "metadata.csv": "file_name,label\na.png,old\nb.png,new\n",
        "metadata.jsonl": '{"file_name": "a.png", "label": "old"}\n{"file_name": "b.png", "label": "new"}\n',
    }[table]
    hub.put("dataset", "ann/pets", {"a.png": png(40), "b.png": png(50), table: text.encode(), "notes.txt": b"no"})
    found = load("hf:ann/pets")
    assert found.labels is not None
    assert [found.classes[label] for label in found.labels] == ["old", "new"]
    assert not [each for each in hub.asked if "notes" in each]


def test_an_image_folder_with_splits_and_class_folders(hub: Hub) -> None:
    names = ["train/cat/1.png", "train/dog/2.png", "test/dog/3.png"]
    hub.put("dataset", "ann/pets", {name: png(40 + number) for number, name in enumerate(names)})
    assert levels("hf:ann/pets") == [40, 41]
    test = load("hf:ann/pets", split="test")
    assert test.classes == ("cat", "dog")
    assert test.labels is not None
    assert test.labels.tolist() == [1]


def test_one_zip_is_read_as_a_zip(hub: Hub, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png(40))
    hub.put("dataset", "ann/pets", {"all.zip": (tmp_path / "x.zip").read_bytes()})
    assert levels("hf:ann/pets") == [40]


def test_names_of_classes_may_stand_in_the_card_alone(hub: Hub) -> None:
    card = (
        b"---\ndataset_info:\n  features:\n  - name: picture\n    dtype: image\n  - name: kind\n    dtype:\n"
        b"      class_label:\n        names:\n          '0': cat\n          '1': dog\n---\n"
    )
    columns = {"picture": rows(40, 50), "kind": [1, 0]}
    hub.put("dataset", "ann/pets", {"README.md": card, "train.parquet": parquet(columns)})
    found = load("hf:ann/pets")
    assert found.labels is not None
    assert [found.classes[label] for label in found.labels] == ["dog", "cat"]


def converted(tmp_path: Path, **columns: Any) -> tuple[zipfile.ZipFile, dict[str, int]]:
    """The zip that is made of one Parquet file, in this process, and what was left out."""
    (tmp_path / "0.parquet").write_bytes(parquet(columns))
    out = tmp_path / "out.zip"
    left_out = conversion.convert({"train": [str(tmp_path / "0.parquet")]}, {}, out, 10**6)
    return zipfile.ZipFile(out), left_out


@pytest.mark.parametrize(
    ("columns", "table"),
    [
        ({"image": rows(40, 50), "label": ["red", "a,b"]}, '0000000.png,red\r\n0000001.png,"a,b"\r\n'),
        ({"image": rows(40, 50), "label": [10, 9]}, "0000000.png,10\r\n0000001.png,9\r\n"),
        ({"image": [png(40), png(50)], "other": ["x", "y"]}, None),
        ({"image": rows(40, 50), "label": [0, None]}, None),
        ({"image": rows(40, 50), "label": [0, -1]}, None),
    ],
)
def test_columns_without_a_description(tmp_path: Path, columns: dict[str, Any], table: str | None) -> None:
    archive, left_out = converted(tmp_path, **columns)
    assert [archive.read(f"train/000000{row}.png") for row in (0, 1)] == [png(40), png(50)]
    if table is None:
        assert archive.namelist()[2:] == []
    else:
        assert archive.read("train/metadata.csv").decode() == "file_name,label\r\n" + table
    assert left_out == {}


def test_rows_without_an_image_are_left_out(tmp_path: Path) -> None:
    """A path is that of a file on the machine of the one who wrote it."""
    column = [*rows(40), {"bytes": None, "path": "/etc/passwd"}, *rows(50)]
    archive, left_out = converted(tmp_path, image=column)
    assert archive.namelist() == ["train/0000000.png", "train/0000001.png"]
    assert left_out == {"rows without an image": 1}


def test_one_image_a_thousand_times_is_bounded(tmp_path: Path) -> None:
    """A dictionary page holds it once, so that a small file stands for any number of bytes."""
    noise = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    assert len(parquet({"image": [noise] * 1000})) < 100_000
    with pytest.raises(conversion.BadParquet, match=r"'0\.parquet': more than 2,000,000 rows, or 0\.0 GB of images"):
        converted(tmp_path, image=[noise] * 1000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (parquet({"text": ["x"]}), "it has no column of images, but text"),
        (b"PAR1 and more PAR1", "'0.parquet': "),
        (PARQUET["data/test-00000-of-00001.parquet"][:-40], "'0.parquet': "),
    ],
)
def test_what_is_no_parquet_of_images_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "0.parquet").write_bytes(content)
    with pytest.raises(conversion.BadParquet, match=message):
        conversion.convert({"train": [str(tmp_path / "0.parquet")]}, {}, tmp_path / "out.zip", 10**6)


def test_a_page_that_unfolds_to_more_than_the_memory_ends_a_process_of_its_own(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = pa.array([bytes(2**20)] * 160, pa.large_binary())
    content = parquet({"image": zeros}, compression="zstd", use_dictionary=False, data_page_size=2**30)
    assert len(content) < 200_000
    hub.put("dataset", "ann/pets", {"train.parquet": content})
    monkeypatch.setattr(fetching, "MEMORY", 2**29)
    with pytest.raises(GancliError, match=r"cannot be read: 'train\.parquet': it takes too much memory"):
        load("hf:ann/pets")
    assert not [path for path in (home / "cache").rglob("*") if path.is_file()]


def test_the_card_says_which_files_are_which_split(hub: Hub) -> None:
    card = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: a/*\n"
    card += b"  - split: validation\n    path: [b/*]\n---\n"
    files = {f"{part}/0.parquet": parquet({"image": rows(level)}) for part, level in (("a", 40), ("b", 50), ("c", 60))}
    hub.put("dataset", "ann/pets", {"README.md": card, **files})
    repository = client.describe("dataset", Name("ann/pets"), Path())
    assert fetching._chosen(repository)[1] == {"a/0.parquet": "train", "b/0.parquet": "test"}


REFUSED = {
    "no images": ({"a.csv": b"x"}, "holds no images, but .csv 1"),
    "tars": ({"train-0.tar": b"x", "train-1.tar": b"x"}, "holds no images, but .tar 2"),
    "no Parquet": ({"a.parquet": b"PAR1 and more PAR1"}, "'hf:ann/pets@.*' cannot be read: 'a.parquet': "),
    "parts": (
        {f"{part}/train.parquet": parquet({"image": rows(1)}) for part in ("big", "small")},
        "has several parts: big, small",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_and_leaves_nothing(hub: Hub, home: Path, case: str) -> None:
    files, message = REFUSED[case]
    hub.put("dataset", "ann/pets", files)
    with pytest.raises(GancliError, match=message):
        load("hf:ann/pets")
    assert not [path for path in (home / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "a/../../out.png", "C:out.png", "a\\..\\out.png"])
def test_a_path_that_leaves_the_folder_is_refused(hub: Hub, home: Path, name: str) -> None:
    hub.put("dataset", "ann/pets", {"good.png": png(1), "bad.png": png(2)})
    hub.listed["bad.png"] = name
    with pytest.raises(GancliError, match="has a file whose path leaves it"):
        load("hf:ann/pets")
    assert not list(home.rglob("*.png"))


def test_a_link_is_a_file_that_is_no_image(hub: Hub) -> None:
    """Git stores the path that a link leads to as its content, and so does the Hub."""
    hub.put("dataset", "ann/pets", {"a.png": png(40), "b.png": b"../../../../../../../../etc/passwd"})
    found = load("hf:ann/pets")
    assert [(one.name, len(found.images)) for one in found.skipped] == [("b.png", 1)]
    assert not [path for path in fetching.locate("hf:ann/pets").path.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("name", ["a.png", "train.parquet"])
def test_bytes_that_do_not_match_the_hash_are_refused(hub: Hub, home: Path, name: str) -> None:
    content = png(1) if name == "a.png" else parquet({"image": rows(1)})
    hub.put("dataset", "ann/pets", {name: content})
    hub.corrupt.add(name)
    with pytest.raises(GancliError, match=f"'{name}' of 'hf:ann/pets@[0-9a-f]+' is damaged"):
        load("hf:ann/pets")
    assert not [path for path in (home / "cache").rglob("*") if path.is_file()]


def test_small_files_are_compared_with_their_name_in_git(hub: Hub) -> None:
    hub.put("dataset", "ann/pets", {"a.jpg": png(40), "metadata.csv": b"file_name,label\na.jpg,x\n"})
    hub.corrupt.add("metadata.csv")
    with pytest.raises(GancliError, match="is damaged"):
        load("hf:ann/pets")


def test_more_than_may_be_downloaded_is_not_begun(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("dataset", "ann/pets", {"a.png": png(1)})
    monkeypatch.setattr(fetching, "LARGEST", 10)
    with pytest.raises(UsageError, match="GB to download"):
        load("hf:ann/pets")
    assert not [each for each in hub.asked if "resolve" in each]


def test_without_a_network_the_error_names_what_is_here(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = hub.put("dataset", "ann/pets", {"a.png": png(40)})
    load("hf:ann/pets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(GancliError, match="'hf:ann/pets' is not here, and HF_HUB_OFFLINE is set") as error:
        load("hf:ann/pets")
    assert error.value.hint.endswith(f"name a commit that is here already: hf:ann/pets@{sha}")
    assert levels(f"hf:ann/pets@{sha}") == [40]


def test_a_hub_that_does_not_answer(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(GancliError, match="the Hub cannot be reached for 'hf:ann/pets'"):
        load("hf:ann/pets")


def test_what_is_not_there_and_what_is_not_for_everybody(hub: Hub) -> None:
    hub.put("dataset", "ann/pets", {"a.png": png(1)})
    with pytest.raises(UsageError, match="the Hub has no data set 'hf:ann/cars'"):
        load("hf:ann/cars")
    with pytest.raises(UsageError, match="'hf:ann/pets' has no revision 'v9'"):
        load("hf:ann/pets@v9")
    hub.repos["dataset", "ann/pets"].gated = True
    with pytest.raises(UsageError, match="only to those who have accepted its terms"):
        load("hf:ann/pets")


@pytest.mark.parametrize(
    "name", ["hf:", "hf:pets", "hf:a/b/c", "hf:../pets", "hf:a/..", "hf:a/b@", "hf:a/b@../x", "hf:a/b c"]
)
def test_other_names_are_not_asked_for(hub: Hub, name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a repository of the Hub"):
        load(name)
    assert hub.asked == []


@pytest.mark.parametrize("module", ["huggingface_hub", "pyarrow"])
def test_a_missing_extra_is_named_before_anything_is_downloaded(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    from importlib import util

    hub.put("dataset", "ann/pets", PARQUET)
    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == module else real(name))
    if module == "huggingface_hub":
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(UsageError) as error:
        load("hf:ann/pets")
    assert error.value.hint == "pip install 'gancli[hub]'"
    assert not [each for each in hub.asked if "resolve" in each]


def test_a_run_names_the_commit_and_its_model_the_licence(hub: Hub, run_cli) -> None:
    files = {f"{level}.png": png(level) for level in range(60, 72)}
    sha = hub.put("dataset", "ann/pets", {"README.md": b"---\nlicense: cc0-1.0\n---\n", **files})
    fast = (
        "--precision",
        "fp32",
        "--set",
        "training.threads=1",
        "--set",
        "training.batch=4",
        "--set",
        "training.samples=4",
    )
    command = ("train", "hf:ann/pets", "--model", "gan", "--rounds", 1, *fast, "--out", "run")
    done = run_cli(*command)
    assert done.code == 0, done.err
    header = checkpoint.read_header(Path("run/model.safetensors"))
    assert tomllib.loads(Path("run/recipe.toml").read_text())["data"]["name"] == f"hf:ann/pets@{sha}"
    assert header["recipe"]["data"]["name"] == f"hf:ann/pets@{sha}"
    assert header["dataset"]["licence"] == "cc0-1.0"
    # A newer commit are other data; the run goes on with its own, and asks nobody.
    hub.put("dataset", "ann/pets", {"0.png": png(90)})
    refused = run_cli(*command)
    assert (refused.code, f"was trained with data.name = 'hf:ann/pets@{sha}'" in refused.err) == (2, True)
    hub.asked.clear()
    assert run_cli("train", "--resume", "run").code == 0
    assert hub.asked == []
