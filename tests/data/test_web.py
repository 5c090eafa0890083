"""Addresses: over https alone, wherever they lead; what does not come whole and right leaves nothing."""

import io
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from urllib.response import addinfourl

import pytest

from gancli.data import DATASETS, web
from gancli.data.builtin import download
from gancli.data.web import WebError
from gancli.errors import GancliError, UsageError


class Answers(urllib.request.HTTPSHandler):
    """Answers in the place of the network: by address, the status and where it leads, or the bytes."""

    def __init__(self, pages: dict[str, tuple[int, str] | bytes]) -> None:
        super().__init__()
        self.pages, self.asked = pages, []

    def https_open(self, req: urllib.request.Request) -> addinfourl:
        self.asked.append(req.full_url)
        page, headers = self.pages[req.full_url], Message()
        if isinstance(page, bytes):
            headers["Content-Length"] = str(len(page))
            found = addinfourl(io.BytesIO(page), headers, req.full_url, 200)
        else:
            headers["Location"] = page[1]
            found = addinfourl(io.BytesIO(b""), headers, req.full_url, page[0])
        found.msg = "said"
        return found


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch):
    """Let addresses be answered so."""
    real = urllib.request.build_opener

    def answer(pages: dict[str, tuple[int, str] | bytes]) -> Answers:
        answers = Answers(pages)
        monkeypatch.setattr(urllib.request, "build_opener", lambda *handlers: real(answers, *handlers))
        return answers

    return answer


@pytest.mark.parametrize(
    "url", ["http://a.org/x", "file:///etc/passwd", "ftp://a.org/x", "data:,x", "HTTP://a.org", "x", ""]
)
def test_other_addresses_are_not_opened(serve, url: str) -> None:
    answers = serve({})
    with pytest.raises(UsageError, match="is not fetched: only https is"):
        web.open_https(url, 1.0)
    assert answers.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307])
@pytest.mark.parametrize("target", ["http://a.org/x", "file:///etc/passwd", "ftp://a.org/x", "http://127.0.0.1/x"])
def test_a_redirection_leads_nowhere_else(serve, status: int, target: str) -> None:
    answers = serve({"https://a.org/start": (status, target)})
    with pytest.raises((UsageError, urllib.error.URLError)):
        web.open_https("https://a.org/start", 1.0)
    assert answers.asked == ["https://a.org/start"]


def test_a_redirection_over_https_is_followed(serve) -> None:
    serve({"https://a.org/start": (302, "https://b.org/end"), "https://b.org/end": b"whole"})
    with web.open_https("https://a.org/start", 1.0) as answer:
        assert answer.read() == b"whole"


GOOD = "d41d8cd98f00b204e9800998ecf8427e"


def remote(url: str, md5: str = GOOD) -> download.Remote:
    return download.Remote(url, md5, {"file.bin": "part/file.bin"})


def nothing(*_: object) -> None: ...


def test_a_whole_file_is_put_in_its_place(serve, tmp_path: Path) -> None:
    serve({"https://a.org/file.bin": b""})
    download._fetch_one(remote("https://a.org/file.bin"), tmp_path, nothing)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["part", "part/file.bin"]


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (b"other", "is damaged"),
        ((302, "http://a.org/other"), "is not fetched: only https is"),
        ((302, "file:///etc/passwd"), "is not fetched: only https is|redirection|Found|said"),
        ((404, ""), "answers 404"),
    ],
)
def test_whatever_else_comes_leaves_nothing(serve, tmp_path: Path, page, says: str) -> None:
    serve({"https://a.org/file.bin": page})
    with pytest.raises(WebError, match=says):
        download._fetch_one(remote("https://a.org/file.bin"), tmp_path, nothing)
    assert list(tmp_path.rglob("*")) == []


def test_more_than_was_agreed_on_is_not_taken(serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_LARGEST", 1000)
    monkeypatch.setattr(web, "_BLOCK", 100)
    serve({"https://a.org/file.bin": bytes(100_000)})
    with pytest.raises(WebError, match="it has more than 1,000 bytes"):
        download._fetch_one(remote("https://a.org/file.bin"), tmp_path, nothing)
    assert list(tmp_path.rglob("*")) == []


def test_a_disk_that_fails_leaves_nothing(serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({"https://a.org/file.bin": b""})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_unpack", fail)
    with pytest.raises(OSError, match="No space left"):
        download._fetch_one(remote("https://a.org/file.bin"), tmp_path, nothing)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", sorted(name for name, facts in DATASETS.items() if facts.files))
def test_every_address_of_every_set_has_a_checksum_and_is_asked_over_https(name: str) -> None:
    for split in ("train", "test"):
        for each in download.remotes(DATASETS[name], split):
            assert len(each.md5) == 32
            assert each.url.startswith(("https://", "drive:"))


def test_weights_of_an_extractor_come_over_https_and_by_their_digest(serve, home: Path, monkeypatch) -> None:
    from gancli.evaluation.extractors import inception

    monkeypatch.delenv("GANCLI_INCEPTION", raising=False)
    for page in ((302, "http://a.org/x"), b"other bytes"):
        serve({inception.URL_INCEPTION_V3: page})
        with pytest.raises(GancliError):
            inception.read()
        assert not [path for path in (home / "cache").rglob("*") if path.is_file()]
