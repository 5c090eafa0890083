import os

import pytest

from gancli import files
from gancli.errors import UsageError


def test_a_file_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.png"
    with files.atomic(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent
        assert temporary.suffix != ".png"
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("opened", [files.atomic, files.whole])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, opened):
    path = tmp_path / "a.png"
    path.write_text("old")

    def write():
        with opened(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UsageError) as error:
        files.check_file(tmp_path / "a.png")
    assert error.value.message == f"'{tmp_path / 'a.png'}' is a folder, not a file"


@pytest.mark.parametrize("below", ["a", "a/b/c"])
def test_a_file_in_the_way(tmp_path, below):
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError) as error:
        files.check_folder(tmp_path / below)
    assert error.value.message == f"'{tmp_path / below}' is not a folder: a file is in the way"


def test_a_check_makes_nothing(tmp_path):
    files.check_file(tmp_path / "a" / "b" / "c.png")
    files.check_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_a_folder_without_permission(tmp_path, monkeypatch):
    # Root may write anywhere, so the answer of the system is given here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError) as error:
        files.check_file(tmp_path / "a.png")
    assert error.value.message == f"cannot write into the folder '{tmp_path}'"


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(UsageError) as error, files.whole(tmp_path / "x" / "a.png"):
        pass
    assert error.value.message == f"cannot make the folder '{tmp_path / 'x'}': permission denied"
