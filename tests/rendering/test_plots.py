import math
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gancli.errors import GancliError
from gancli.rendering.plots import _running_mean, save_losses


def rows(n):
    return [
        {
            "round": 10 * i,
            "images": 1280 * i,
            "seconds": 0.1 * i,
            "loss/discriminator": 1.3 + math.sin(i),
            "loss/generator": 0.8 + math.cos(i),
            "probability/real": 0.55,
            "probability/fake": 0.41,
            "images_per_second": 9000.0,
        }
        for i in range(1, n + 1)
    ]


def coloured(path, colour):
    with Image.open(path) as image:
        return int((np.array(image.convert("RGB")) == colour).all(-1).sum())


@pytest.mark.parametrize("n", [1, 2, 300])
def test_curves_are_drawn(home, n):
    save_losses(rows(n), "losses.png")
    with Image.open("losses.png") as image:
        assert image.size == (900, 600)
    assert coloured("losses.png", (0, 0x72, 0xB2)) > 30
    assert coloured("losses.png", (0xD5, 0x5E, 0)) > 30


def test_the_same_rows_are_the_same_file(home):
    save_losses(rows(30), "a.png")
    save_losses(rows(30), "b.png")
    assert (home / "a.png").read_bytes() == (home / "b.png").read_bytes()
    with Image.open("a.png") as image:
        assert not {"Software", "Creation Time"} & set(image.info)


def test_gaps_and_missing_values(home):
    broken = rows(200)
    broken[3]["loss/generator"] = math.nan
    broken[4]["loss/generator"] = math.inf
    broken[5]["loss/generator"] = None
    del broken[6]["loss/generator"]
    save_losses([{"round": 0}, *broken], "a.png")
    save_losses([{"images": 1, "loss/critic": math.nan}], "b.png")


def test_a_critic_has_no_probability(home):
    save_losses([{"images": 1, "loss/critic": 1.0}, {"images": 2, "loss/critic": -5.0}], "a.png")
    with Image.open("a.png") as image:
        assert image.size == (900, 400)


def test_a_critics_distance_has_a_panel(home):
    plain = [{"images": 10 * i, "loss/critic": -1.0 / i} for i in range(1, 40)]
    save_losses(plain, "plain.png")
    save_losses([{**row, "distance/critic": -row["loss/critic"]} for row in plain], "a.png")
    with Image.open("a.png") as image:
        assert image.size == (900, 600)
    assert coloured("a.png", (0, 0x72, 0xB2)) > 1.5 * coloured("plain.png", (0, 0x72, 0xB2))
    save_losses([{**row, "distance/critic": 1.0, "probability/real": 0.5, "noise": 0.1} for row in plain], "b.png", [])
    with Image.open("b.png") as image:
        assert image.size == (720, 800)


def test_without_a_loss(home):
    with pytest.raises(GancliError) as error:
        save_losses([{"round": 1, "images": 4}], "a.png")
    assert error.value.message == "there is no loss to draw"
    assert list(home.iterdir()) == []


def test_running_mean():
    means = _running_mean([float(i) for i in range(160)], 2)
    assert means[40] == 40
    assert means[0] == 1
    assert means[159] == 158


def test_no_warning_where_the_home_folder_is_read_only(tmp_path) -> None:
    draw = (
        "from gancli.rendering.plots import save_losses; "
        f"save_losses([{{'images': 1, 'loss/g': 1.0}}], {str(tmp_path / 'l.png')!r})"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("MPLCONFIGDIR", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", draw], env={**environment, "HOME": "/proc"}, capture_output=True, check=True
    )
    assert done.stderr == b""
