import pytest

from gancli.rendering.layout import file_stem


@pytest.mark.parametrize(
    ("model", "stem"),
    [("dcgan/mnist", "dcgan-mnist"), ("../../etc/x", "etc-x"), ("runs/2026 a", "runs-2026-a"), ("..", "samples")],
)
def test_names_of_files(model, stem):
    assert file_stem(model) == stem
