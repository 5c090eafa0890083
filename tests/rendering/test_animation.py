import sys

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.errors import GancliError, UsageError
from gancli.rendering.animation import save_animation


def frames(n=12, channels=3, height=9, width=11):
    # A bar that moves one column a frame: no two frames are alike, and colours are few.
    images = torch.full((n, channels, height, width), 40, dtype=torch.uint8)
    images[torch.arange(n), :, :, torch.arange(n) % width] = torch.tensor([200, 90, 250, 255][:channels]).byte()[
        :, None
    ]
    if channels == 4:
        images[:, 3] = 255
    return images


def read(path):
    pictures, delays = [], []
    with Image.open(path) as image:
        for place in range(image.n_frames):
            image.seek(place)
            image.load()
            pictures.append(torch.from_numpy(np.array(image.convert("RGBA"))).permute(2, 0, 1))
            delays.append(image.info["duration"])
        return torch.stack(pictures), delays, image.info.get("loop")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_frames_come_back(home, suffix, channels):
    images = frames(channels=channels)
    save_animation(images, f"a{suffix}", fps=24)
    seen, delays, loop = read(f"a{suffix}")
    assert torch.equal(seen[:, :3], images[:, :3].expand(-1, 3, -1, -1))
    assert sum(delays) == pytest.approx(500, abs=1)
    assert loop == 0


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_frames_may_stream(home, suffix):
    save_animation(iter(frames()), f"a{suffix}")
    assert len(read(f"a{suffix}")[0]) == 12


def test_grey_gif_keeps_every_shade(home):
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images = torch.cat([ramp, ramp.flip(-1)])
    save_animation(images, "a.gif")
    assert torch.equal(read("a.gif")[0][:, :1], images)


def test_a_gif_has_a_fastest_rate(home):
    save_animation(frames(), "a.gif", fps=100)
    assert set(read("a.gif")[1]) == {20}


def test_transparent_frames_lie_on_white_in_a_gif(home):
    images = frames(2, 4)
    images[:, 3] = 0
    images[1, :, 0, 0] = 255
    images[1, 0, 0, 0] = 0
    save_animation(images, "a.gif")
    assert read("a.gif")[0][0, :3].unique().tolist() == [255]


@pytest.mark.parametrize("channels", [1, 4])
def test_mp4_has_even_sides(home, channels):
    import av

    images = frames(channels=channels).repeat_interleave(3, 2).repeat_interleave(3, 3)
    save_animation(images, "a.mp4", fps=24)
    with av.open("a.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (34, 28, 24)
        seen = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(seen) == 12
    wanted = images[5, :3].expand(3, -1, -1).permute(1, 2, 0).float()
    assert (torch.from_numpy(seen[5])[:27, :33].float() - wanted).abs().mean() < 12


def test_mp4_without_pyav(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError) as error:
        save_animation(frames(), "a.mp4")
    assert error.value.message == "MP4 needs PyAV"
    assert error.value.hint == "pip install 'gancli[video]', or name a .gif or a .webp"


@pytest.mark.parametrize("name", ["a.avi", "a.png", "a"])
def test_other_suffixes(home, name):
    with pytest.raises(UsageError) as error:
        save_animation(frames(), name)
    assert error.value.message == f"'{name}' does not name an animation"
    assert error.value.hint == "end it in one of: .gif, .webp, .apng, .mp4"


@pytest.mark.parametrize("fps", [0, -1, 241, float("nan"), float("inf")])
def test_rates_out_of_bounds(home, fps):
    with pytest.raises(UsageError) as error:
        save_animation(frames(), "a.gif", fps=fps)
    assert error.value.message == f"{fps:g} frames a second cannot be shown"


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there is no frame to animate"),
        (
            [frames(channels=2)[0]],
            "pictures are made from uint8 (N, C, H, W) with 1, 3 or 4 channels, not from uint8 (1, 2, 9, 11)",
        ),
    ],
)
def test_faulty_frames_leave_no_file(home, name, images, message):
    with pytest.raises(GancliError) as error:
        save_animation(images, name)
    assert error.value.message == message
    assert list(home.iterdir()) == []


def test_an_animation_beyond_memory(home, monkeypatch):
    monkeypatch.setattr("gancli.rendering.animation.MAX_BYTES", 1000)
    with pytest.raises(GancliError) as error:
        save_animation(frames(), "a.gif")
    assert error.value.message == "the animation is too large for this format"
