"""What the files of a source are: images that can be read, or kinds of files that are left out."""

from gancli.data.folder.files import Source
from gancli.data.pixels import HEIC_HINT, BadImageError, is_heic, is_known, suffixes

_ENDINGS = {
    "HEIC": ".heic .heics .heif .heifs .hif",
    "camera raw": ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .rw2 .rwl "
    ".sr2 .srf .srw .x3f",
    "JPEG XL": ".jxl",
    "videos": ".avi .m4v .mkv .mov .mp4 .webm",
    "zips": ".zip",
    "tars": ".tar .tgz",
    "packed files": ".7z .gz .rar",
}
_KINDS = {suffix: kind for kind, endings in _ENDINGS.items() for suffix in endings.split()}
_CONVERT = "convert them to JPEG, PNG or TIFF"
HINTS = {
    "HEIC": HEIC_HINT,
    "camera raw": f"of camera raw files, thumbnails alone could be read: {_CONVERT}",
    "JPEG XL": f"JPEG XL cannot be read: {_CONVERT}",
    "videos": "save frames of the videos as images",
    **dict.fromkeys(("zips", "tars", "packed files"), "name one of them, or unpack them"),
}
"""What can be done about files that are left out."""
PHOTOS = ("HEIC", "camera raw", "JPEG XL")


def left_out_as(source: Source, name: str) -> str:
    """The kind of a file that is left out; "" for an image.

    It is judged by its suffix or, where that is unknown, by its first bytes; decoding checks the contents.
    """
    # Hidden files, whose names begin with a dot, are not listed.
    last = name[name.rfind("/") + 1 :]
    suffix = last[last.rfind(".") :].lower() if "." in last else ""
    if suffix in suffixes():
        return ""
    if suffix in _KINDS:
        return _KINDS[suffix]
    try:
        with source.open(name) as file:
            head = file.read(16)
    except BadImageError:
        head = b""
    if is_known(head):
        return ""
    return "HEIC" if is_heic(head) else f"{suffix[:20]} files" if suffix else "files without an ending"
