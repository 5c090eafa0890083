import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.data import pixels
from gancli.data.pixels import BadImageError, convert, decode, parse_colour, parse_fit, probe
from gancli.errors import UsageError

WHITE, RED, BLACK = (255, 255, 255), (255, 0, 0), (0, 0, 0)


def as_file(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def read(image: Image.Image, kind: str = "PNG", *, channels=3, size=None, fit="crop", background=WHITE, **options):
    size = size or (image.height, image.width)
    return decode(as_file(image, kind, **options), size, channels, fit, background)


def colours(array: np.ndarray) -> list[tuple[int, ...]]:
    return sorted({tuple(int(v) for v in pixel) for pixel in array.reshape(len(array), -1).T})


def test_rgb_and_grey_are_read_exactly():
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    assert (read(Image.fromarray(picture)) == picture.transpose(2, 0, 1)).all()
    grey = picture[:, :, 0].copy()
    assert (read(Image.fromarray(grey), channels=1) == grey[None]).all()
    assert (read(Image.fromarray(grey), channels=3) == grey[None]).all()


def test_colour_as_one_channel_is_luma():
    assert colours(read(Image.new("RGB", (5, 5), (200, 100, 50)), channels=1)) == [(124,)]


def test_one_bit():
    image = Image.new("1", (8, 8), 1)
    image.putpixel((0, 0), 0)
    assert colours(read(image, channels=1)) == [(0,), (255,)]


@pytest.mark.parametrize(("background", "seen"), [(WHITE, (255, 127, 127)), (BLACK, (128, 0, 0))])
def test_rgba_lies_on_the_background(background, seen):
    assert colours(read(Image.new("RGBA", (5, 5), (255, 0, 0, 128)), background=background)) == [seen]


def test_grey_with_alpha_lies_on_the_background():
    image = Image.new("LA", (5, 5), (0, 0))
    assert colours(read(image, background=RED)) == [RED]
    assert colours(read(image, channels=1, background=(7, 7, 7))) == [(7,)]


def test_palette_with_a_transparent_entry():
    image = Image.new("P", (5, 4), 1)
    image.putpalette([0, 0, 255, 0, 255, 0])
    image.putpixel((0, 0), 0)
    assert colours(read(image, background=RED, transparency=0)) == [(0, 255, 0), RED]
    assert colours(read(image)) == [(0, 0, 255), (0, 255, 0)]


def test_rgb_with_a_transparent_colour():
    assert colours(read(Image.new("RGB", (5, 5), (1, 2, 3)), background=RED, transparency=(1, 2, 3))) == [RED]


def test_cmyk():
    assert colours(read(Image.new("CMYK", (6, 6), (0, 255, 255, 0)), "TIFF")) == [(255, 0, 0)]


def test_sixteen_bits_are_scaled_not_clipped():
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    found = read(Image.fromarray(values), channels=1)[0]
    assert (found == np.rint(values / 65535 * 255)).all()
    assert (found[0, 0], found[7, 7]) == (0, 255)


def test_thirty_two_bits():
    small = np.array([[0, 65535], [32768, 257]] * 2, dtype=np.int32).repeat(2, 1)
    assert sorted(set(read(Image.fromarray(small), "TIFF", channels=1).ravel().tolist())) == [0, 1, 128, 255]
    wide = np.array([[-100, 100_000]] * 4, dtype=np.int32).repeat(2, 1)
    assert sorted(set(read(Image.fromarray(wide), "TIFF", channels=1).ravel().tolist())) == [0, 255]


def test_floats():
    unit = np.array([[0.0, 0.5, 1.0, 0.2]] * 4, dtype=np.float32)
    assert sorted(set(read(Image.fromarray(unit), "TIFF", channels=1).ravel().tolist())) == [0, 51, 128, 255]
    bytes_ = np.array([[0.0, 128.0, 255.0, 20.0]] * 4, dtype=np.float32)
    assert sorted(set(read(Image.fromarray(bytes_), "TIFF", channels=1).ravel().tolist())) == [0, 20, 128, 255]
    flat = np.full((4, 4), np.nan, dtype=np.float32)
    with pytest.raises(BadImageError, match=r"^broken: pixels that are not finite$"):
        read(Image.fromarray(flat), "TIFF", channels=1)


# A picture whose corners differ, as seen: top left red, top right green, bottom left blue.
def corners(width: int = 6, height: int = 4) -> Image.Image:
    image = Image.new("RGB", (width, height))
    for place, colour in (((0, 0), RED), ((width - 1, 0), (0, 255, 0)), ((0, height - 1), (0, 0, 255))):
        image.putpixel(place, colour)
    return image


# How to undo each EXIF orientation (TIFF 6.0, tag 274).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = Image.Exif()
TURNED[274] = 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_the_upright_image(orientation, kind):
    seen = corners()
    # How the camera held sideways would have stored it: the inverse of what shows it.
    stored = seen
    turn = TURNS.get(orientation)
    inverse = {
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
    }
    if turn is not None:
        stored = seen.transpose(inverse.get(turn, turn))
    exif = Image.Exif()
    exif[274] = orientation
    file = as_file(stored, kind, exif=exif.tobytes(), **({"lossless": True} if kind == "WEBP" else {}))
    assert probe(file)[0] == (4, 6)
    file.seek(0)
    expected = np.asarray(seen).transpose(2, 0, 1)
    assert (decode(file, (4, 6), 3, "crop", WHITE) == expected).all()
    file.seek(0)
    # A file that is copied keeps its orientation; one that is written anew is upright.
    again = io.BytesIO(pixels.common_format(file)[0])
    assert (decode(again, (4, 6), 3, "crop", WHITE) == expected).all()


@pytest.mark.parametrize("said", [b"eXIf" + TURNED.tobytes()[6:], b'tEXtXML:com.adobe.xmp\0<x tiff:Orientation="6"/>'])
@pytest.mark.parametrize("place", [33, -12])
def test_the_orientation_of_a_png_stands_before_its_pixels_or_behind(said, place):
    data = as_file(corners(4, 6).transpose(TURNS[8])).getvalue()
    chunk = struct.pack(">L", len(said) - 4) + said + struct.pack(">L", zlib.crc32(said))
    file = io.BytesIO(data[:place] + chunk + data[place:])
    assert probe(file)[0] == (6, 4)
    file.seek(0)
    assert (decode(file, (6, 4), 3, "crop", WHITE) == np.asarray(corners(4, 6)).transpose(2, 0, 1)).all()


def near(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= 16)


def halves() -> Image.Image:
    """Twice as wide as high: red, white, white, blue in equal stripes."""
    image = Image.new("RGB", (64, 32), WHITE)
    image.paste(RED, (0, 0, 16, 32))
    image.paste((0, 0, 255), (48, 0, 64, 32))
    return image


def test_crop_shows_the_centre():
    found = read(halves(), size=(16, 16), fit="crop")
    assert colours(found[:, :, 2:14]) == [WHITE]
    assert found.min() > 220  # At the edges the filter sees a little of what lies beyond.


def test_pad_shows_all_on_the_background():
    found = read(halves(), size=(16, 16), fit="pad", background=(1, 2, 3))
    assert (found[:, :4] == np.array([1, 2, 3])[:, None, None]).all()
    assert (found[:, 12:] == np.array([1, 2, 3])[:, None, None]).all()
    assert near(found[:, 8, 1], RED)
    assert near(found[:, 8, 14], (0, 0, 255))


def test_stretch_fills_with_all():
    found = read(halves(), size=(16, 16), fit="stretch")
    assert near(found[:, 0, 1], RED)
    assert near(found[:, 15, 14], (0, 0, 255))


def test_resizing_is_antialiased():
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    found = read(Image.fromarray(stripes), channels=1, size=(8, 8))
    assert 120 <= found.min() <= found.max() <= 136


def test_photographs_are_reduced_faithfully():
    ramp = np.linspace(0, 255, 2048).astype(np.uint8)[None].repeat(1024, 0)
    found = read(Image.fromarray(ramp), "JPEG", channels=1, size=(8, 16), quality=95)[0, 4]
    assert np.abs(found.astype(int) - (np.arange(16) + 0.5) * 255 / 16).max() < 3


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLACK)]
    assert colours(read(frames[0], "GIF", save_all=True, append_images=frames[1:])) == [RED]


def test_tiny():
    with pytest.raises(BadImageError, match=r"^tiny: 9x3 pixels$"):
        read(Image.new("L", (9, 3)), size=(8, 8))


def test_truncated():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "WEBP", "BMP"):
        data = as_file(Image.fromarray(noise), kind).getvalue()
        with pytest.raises(BadImageError, match=r"^(broken: .|not an image)"):
            decode(io.BytesIO(data[: len(data) // 2]), (8, 8), 3, "crop", WHITE)


def test_not_an_image():
    with pytest.raises(BadImageError, match=r"^not an image that PIL reads$"):
        decode(io.BytesIO(b"hello"), (8, 8), 3, "crop", WHITE)


def test_postscript_is_not_run():
    with pytest.raises(BadImageError, match=r"^not an image that PIL reads$"):
        decode(
            io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"), (8, 8), 3, "crop", WHITE
        )


def test_bomb(monkeypatch):
    monkeypatch.setattr(pixels, "LARGEST_IMAGE", 99)
    with pytest.raises(BadImageError, match=r"^more than 0 megapixels$"):
        read(Image.new("L", (10, 10)))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(16, 16), (20, 9), (70, 80)])
@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_resized_like_single_files(fit, size, channels):
    smooth = np.asarray(halves().resize((40, 24), Image.Resampling.BICUBIC))
    one = decode(as_file(Image.fromarray(smooth)), size, channels, fit, (9, 90, 200))
    many = convert(
        torch.from_numpy(smooth.transpose(2, 0, 1).copy())[None].expand(3, -1, -1, -1),
        size,
        channels,
        fit,
        (9, 90, 200),
    )
    assert many.dtype == torch.uint8
    assert tuple(many.shape) == (3, channels, *size)
    assert (many[1].numpy() == one).all()


def test_grey_batches_become_colour():
    images = torch.arange(48, dtype=torch.uint8).view(3, 1, 4, 4)
    assert (convert(images, (4, 4), 3, "crop", WHITE) == images).all()
    assert convert(images, (4, 4), 1, "crop", WHITE) is images


def test_options_are_checked():
    assert parse_colour("#ff8800") == (255, 136, 0)
    assert parse_colour("black") == BLACK
    assert parse_fit("pad") == "pad"
    with pytest.raises(UsageError) as error:
        parse_colour("whit")
    assert (error.value.message, error.value.hint) == (
        "unknown colour 'whit'",
        "a name as in white, or a code as in #ff8800",
    )
    with pytest.raises(UsageError) as error:
        parse_fit("cropp")
    assert (error.value.message, error.value.hint) == ("unknown fit 'cropp'", "did you mean 'crop'?")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("GIF", "P"), ("WEBP", "RGB"), ("BMP", "RGB"), ("TIFF", "CMYK")],
)
def test_damaged_files_are_an_image_or_a_reason(kind, mode):
    """Whatever happens to the bytes: the right shape, or BadImageError; nothing else comes out."""
    generator = np.random.default_rng(len(kind + mode))
    shades = Image.fromarray(generator.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    whole = as_file(shades.convert(mode), kind).getvalue()
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(150):
            data = bytearray(whole)
            for place in generator.integers(0, min(len(data), generator.choice([64, 10_000])), 3):
                data[place] = generator.integers(0, 256)
            try:
                assert len(probe(io.BytesIO(data))) == 3
                assert decode(io.BytesIO(data), (8, 12), 3, "pad", WHITE).shape == (3, 8, 12)
                outcomes.add("image")
            except BadImageError as error:
                outcomes.add(str(error))
    assert "" not in outcomes
    assert len(outcomes - {"image"}) > 0
