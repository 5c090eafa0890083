import pytest

from gancli.data import DATASETS, pixels
from gancli.data.builtin import download
from gancli.data.builtin.names import SPLITS, parse_size
from gancli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [("28", (28, 28)), ("28x32", (28, 32)), (" 8 X 16 ", (8, 16)), ("8×9", (8, 9)), ("4096", (4096, 4096))],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "28x", "x28", "0", "28x0", "-3", "2.5", "28x28x3", "4097", "1e3", "٣"])
def test_faulty_sizes(text):
    with pytest.raises(UsageError) as error:
        parse_size(text)
    assert error.value.message == f"'{text}' is not an image size"
    assert error.value.hint == "give one side, as in 32, or height x width, as in 32x48; each from 1 to 4096"


def test_every_set_of_the_list():
    assert {name.partition("/")[0] for name in DATASETS} == {
        "digits", "mnist", "stacked-mnist", "fashion-mnist", "kmnist", "emnist", "qmnist", "usps", "cifar10",
        "cifar100", "svhn", "stl10", "celeba", "flowers102", "sine", "ring", "grid", "swissroll",
    }  # fmt: skip


@pytest.mark.parametrize("name", DATASETS)
def test_facts_are_complete(name):
    facts = DATASETS[name]
    assert facts.name == name
    assert facts.channels in (1, 3)
    assert len(set(facts.classes)) == len(facts.classes)
    assert set(facts.images) == set(SPLITS)
    assert name == "digits" or facts.formula or all(facts.files[split] for split in SPLITS)


@pytest.mark.parametrize("name", [name for name, facts in DATASETS.items() if facts.files])
def test_every_set_knows_where_it_comes_from(name):
    for split in SPLITS:
        remotes = download.remotes(DATASETS[name], split)
        files = {file for remote in remotes for file in remote.files.values()}
        assert {file.removesuffix(".zip").removesuffix(".gz") for file in files} >= set(DATASETS[name].files[split])
        for remote in remotes:
            assert len(remote.md5) == 32
            assert remote.url.startswith(("https://", "drive:"))


def test_classes_are_those_of_torchvision():
    from torchvision import datasets

    theirs = datasets.EMNIST.classes_split_dict
    for part in ("byclass", "bymerge", "balanced", "digits", "mnist"):
        assert list(DATASETS[f"emnist/{part}"].classes) == theirs[part]
    assert list(DATASETS["emnist/letters"].classes) == theirs["letters"][1:]
    assert list(DATASETS["kmnist"].classes) == datasets.KMNIST.classes
    assert [name.lower() for name in DATASETS["fashion-mnist"].classes] == [
        n.lower() for n in datasets.FashionMNIST.classes
    ]
    # Theirs leaves a question mark in one name.
    assert [name.rstrip("?") for name in datasets.Flowers102.classes] == list(DATASETS["flowers102"].classes)


def test_endings_of_images():
    assert {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"} <= pixels.suffixes()
    assert not {".eps", ".pdf", ".mp4", ".txt", ".json"} & pixels.suffixes()
