"""A Hub of our own on loopback: what huggingface_hub calls for describing, downloading and committing, and no more.

Written from what the client asks (version 2.4, without Xet). A question that it does not know is answered 404, and
listed in ``unknown``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

LARGE = (".safetensors", ".parquet", ".png", ".zip")
REPO = r"([^/]+/[^/]+)"


@dataclass
class Commit:
    """The files of a repository at one moment."""

    sha: str
    files: dict[str, bytes]


@dataclass
class Repo:
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    def at(self, revision: str) -> Commit | None:
        if revision in ("main", "HEAD"):
            return self.commits[-1] if self.commits else None
        revision = self.tags.get(revision, revision)
        return next((each for each in self.commits if each.sha == revision), None)


def is_large(name: str) -> bool:
    return name.endswith(LARGE)


def git_name(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


class Hub:
    """The server's state; use it in a ``with``, which starts and stops the server.

    Attributes:
        repos: by (kind, "user/repo").
        asked: "METHOD path" of every request.
        unknown: those that it had no answer to.
        writers: the tokens that may write.
        corrupt: names of files whose bytes are sent with one changed.
    """

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.unknown: list[str] = []
        self.corrupt: set[str] = set()
        self.writers: tuple[str, ...] = ("hf_of_no_one",)
        self.listed: dict[str, str] = {}
        handler = type("Bound", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, kind: str, repo: str, files: dict[str, bytes]) -> str:
        """Commit these files as the whole of a repository; returns the commit's hash."""
        commits = self.repos.setdefault((kind, repo), Repo()).commits
        sha = hashlib.sha1(repr((repo, len(commits), sorted(files))).encode()).hexdigest()
        commits.append(Commit(sha, dict(files)))
        return sha

    def info(self, repo: str, commit: Commit) -> dict[str, Any]:
        """A repository as the API describes it with ``blobs=true``."""
        siblings = []
        for name, content in commit.files.items():
            entry: dict[str, Any] = {"rfilename": self.listed.get(name, name), "size": len(content)}
            entry["blobId"] = git_name(content)
            if is_large(name):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        text = commit.files.get("README.md", b"").decode()
        block = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
        card = yaml.safe_load(block[1]) if block else None
        return {"id": repo, "sha": commit.sha, "siblings": siblings, "private": False, "tags": [], "cardData": card}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def _send(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, document: Any) -> None:
        self._send(200, json.dumps(document).encode(), Content_Type="application/json")

    def _missing(self, code: str) -> None:
        self._send(403 if code == "GatedRepo" else 404, b"{}", X_Error_Code=code, X_Error_Message=f"no such {code}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":  # as files are sent
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self.hub.asked.append(f"{self.command} {path}")
        body = self._body()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.command in ("POST", "PUT") and not path.startswith("/upload/") and token not in self.hub.writers:
            self._send(403, b'{"error": "you may not"}', Content_Type="application/json")
            return
        for method, pattern, answer in _ROUTES:
            if method == self.command and (found := re.fullmatch(pattern, path)):
                answer(self, body, *map(unquote, found.groups()))
                return
        self.hub.unknown.append(f"{self.command} {path}")
        self._send(404, b"{}")

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def _commit(self, kind: str, repo: str, revision: str) -> Commit | None:
        found = self.hub.repos.get((kind, repo))
        if found is None or found.gated:
            self._missing("RepoNotFound" if found is None else "GatedRepo")
            return None
        if (commit := found.at(revision)) is None:
            self._missing("RevisionNotFound")
        return commit

    def describe(self, _: bytes, kind: str, repo: str, revision: str = "main") -> None:
        if commit := self._commit(kind, repo, revision):
            self._json(self.hub.info(repo, commit))

    def resolve(self, _: bytes, kind: str, repo: str, revision: str, name: str) -> None:
        if not (commit := self._commit(kind.removesuffix("s/") or "model", repo, revision)):
            return
        if (content := commit.files.get(name)) is None:
            self._missing("EntryNotFound")
            return
        etag = hashlib.sha256(content).hexdigest() if is_large(name) else git_name(content)
        if name in self.hub.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        sent = {"ETag": f'"{etag}"', "X_Repo_Commit": commit.sha, "Accept_Ranges": "bytes"}
        sent |= {"X_Linked_Etag": f'"{etag}"', "X_Linked_Size": str(len(content))} if is_large(name) else {}
        self._send(200, content, **sent)

    def nothing(self, _: bytes) -> None:
        self._json({})

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
        key = (asked.get("type", "model"), repo)
        if key in self.hub.repos:
            self._send(409, json.dumps({"error": "exists", "url": f"{self.hub.url}/{repo}"}).encode())
            return
        self.hub.repos[key] = Repo()
        self.hub.put(key[0], repo, {".gitattributes": b"*.safetensors filter=lfs\n"})
        self._json({"url": f"{self.hub.url}/{repo}", "id": repo})

    def valid(self, _: bytes) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, body: bytes, *_: str) -> None:
        files = json.loads(body)["files"]
        modes = [{"path": each["path"], "uploadMode": "lfs" if is_large(each["path"]) else "regular"} for each in files]
        self._json({"files": [{**mode, "shouldIgnore": False} for mode in modes]})

    def batch(self, body: bytes, _: str) -> None:
        objects = [
            {
                "oid": each["oid"],
                "size": each["size"],
                "actions": {"upload": {"href": f"{self.hub.url}/upload/{each['oid']}"}},
            }
            for each in json.loads(body)["objects"]
        ]
        self._send(
            200,
            json.dumps({"transfer": "basic", "objects": objects}).encode(),
            Content_Type="application/vnd.git-lfs+json",
        )

    def upload(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.objects[oid] = body
        self._send(200)

    def commit(self, body: bytes, kind: str, repo: str, _revision: str) -> None:
        files = dict(self.hub.repos[kind, repo].commits[-1].files)
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                files.pop(value["path"], None)
        sha = self.hub.put(kind, repo, files)
        url = f"{self.hub.url}/{repo}/commit/{sha}"
        self._json({"commitUrl": url, "commitOid": sha, "success": True})


_ROUTES = [
    ("GET", "/api/agent-harnesses", _Handler.nothing),
    ("GET", rf"/api/(model|dataset)s/{REPO}", _Handler.describe),
    ("GET", rf"/api/(model|dataset)s/{REPO}/revision/([^/]+)", _Handler.describe),
    *((method, rf"/(datasets/|){REPO}/resolve/([^/]+)/(.+)", _Handler.resolve) for method in ("HEAD", "GET")),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.valid),
    ("POST", rf"/api/(model|dataset)s/{REPO}/preupload/([^/]+)", _Handler.preupload),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", "/upload/([0-9a-f]{64})", _Handler.upload),
    ("POST", rf"/api/(model|dataset)s/{REPO}/commit/([^/]+)", _Handler.commit),
]
