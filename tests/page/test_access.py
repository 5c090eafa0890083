"""Who may use the page: nobody without the token, no other site, no other name of this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, Request, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from gancli.errors import UsageError
from gancli.page import access, server
from gancli.page.access import Access

HERE = "http://127.0.0.1:8642"


def app(host: str = "127.0.0.1") -> tuple[Access, TestClient]:
    """A server with a view that counts and echoes."""
    routes, counts = APIRouter(), []

    @routes.get("/count")
    async def count() -> int:
        return len(counts)

    @routes.post("/count")
    async def more(request: Request) -> int:
        counts.append(len(await request.body()))
        return counts[-1]

    @routes.post("/fail")
    async def fail() -> None:
        raise UsageError("that is wrong", "type this")

    @routes.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    made = Access(host, 8642)
    view = server.View("counting", "Counting", routes)
    return made, TestClient(server.create([view], made), base_url=HERE, follow_redirects=False)


@pytest.fixture
def stranger() -> Iterator[TestClient]:
    """A client without a cookie."""
    with app()[1] as client:
        yield client


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client that has opened the page."""
    made, client = app()
    with client:
        assert client.get("/", params={"token": made.token}).status_code == 303
        yield client


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address() -> None:
    made, client = app()
    answer = client.get("/", params={"token": made.token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"gancli-8642={made.session};")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert made.token not in f"{answer.headers}{answer.text}"
    page = client.get("/")
    assert page.status_code == 200
    assert made.token not in page.text
    assert client.get("/api/views").json()["views"] == [{"name": "counting", "title": "Counting", "style": False}]


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/api/views", "/api/counting/count", "/static/app.js"]
)
def test_nothing_is_served_without_the_cookie(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    stranger.cookies.set("gancli-8642", "wrong")
    assert stranger.get(path).status_code == 403


def test_the_browser_s_own_token_admits_once() -> None:
    made, client = app()
    token = made.once
    assert client.get("/", params={"token": token}).status_code == 303
    client.cookies.clear()
    assert client.get("/", params={"token": token}).status_code == 403
    assert client.get("/", params={"token": ""}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example:8642", "127.0.0.1.evil.example:8642", "", "192.168.0.7:8642"])
def test_another_name_of_this_machine_is_refused(client: TestClient, host: str) -> None:
    """As where a site has pointed its own domain at 127.0.0.1 (DNS rebinding)."""
    for path in ("/", "/api/counting/count", "/static/app.js"):
        assert client.get(path, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8642", "127.0.0.1:9000", "[::1]:8642"])
def test_own_names_and_tunnels_are_served(client: TestClient, host: str) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    assert client.get("/api/counting/count", headers={"host": host, "cookie": cookie}).json() == 0


@pytest.mark.parametrize(
    ("host", "name", "served"),
    [
        ("0.0.0.0", "192.168.0.7:8642", True),
        ("0.0.0.0", "localhost:8642", True),
        ("0.0.0.0", "evil.example:8642", False),
        ("box.example", "box.example:8642", True),
    ],
)
def test_a_server_for_others_knows_addresses_and_its_own_name(host: str, name: str, served: bool) -> None:
    assert Access(host, 8642).is_named(name) is served


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "http://evil.example"},
        {"origin": HERE, "sec-fetch-site": "cross-site"},
        {"origin": HERE, "sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_another_site_changes_nothing(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/counting/count", headers=headers).status_code == 403
    assert client.get("/api/counting/count").json() == 0
    # Another port of this machine is the same site: its requests carry the cookie.
    answer = client.get("/api/counting/count", headers={"sec-fetch-site": "same-site"})
    assert answer.status_code == 403


def test_the_page_s_own_requests_are_served(client: TestClient) -> None:
    own = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert client.post("/api/counting/count", headers=own, content=b"abc").json() == 3
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"origin": HERE, "host": "127.0.0.1:8642", "cookie": cookie}
    with client.websocket_connect("/api/counting/talk", headers=headers) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://evil.example"}, {"origin": HERE, "host": "evil.example"}], ids=str
)
def test_another_site_s_websocket_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"host": "127.0.0.1:8642", "cookie": cookie, **headers}
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/counting/talk", headers=headers):
        pytest.fail("connected")


def test_a_link_on_another_site_opens_the_page_once_more_by_itself() -> None:
    """Where a browser would send no strict cookie after the redirect."""
    made, client = app()
    foreign = {"sec-fetch-site": "cross-site"}
    answer = client.get("/", params={"token": made.token}, headers=foreign)
    assert (answer.status_code, 'content="0;url=./"' in answer.text) == (200, True)
    client.cookies.clear()
    again = client.get("/", headers=foreign)
    assert (again.status_code, 'content="0"' in again.text) == (200, True)
    assert client.get("/", headers={"sec-fetch-site": "same-origin"}).status_code == 403


def test_every_answer_says_what_it_may_load(client: TestClient) -> None:
    for path in ("/", "/static/app.js", "/api/views", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
    assert client.get("/static/app.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static//etc/passwd"]
)
def test_no_path_leaves_the_folder(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_page_loads_scripts_from_elsewhere(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_body_is_bounded_with_and_without_its_length(client: TestClient) -> None:
    own = {"origin": HERE}
    size = access.LARGEST_BODY
    assert client.post("/api/counting/count", headers=own, content=bytes(size)).json() == size
    assert client.post("/api/counting/count", headers=own, content=bytes(size + 1)).status_code == 413
    parts = (bytes(1 << 16) for _ in range(64))
    assert client.post("/api/counting/count", headers=own, content=parts).status_code == 413
    assert client.get("/api/counting/count").json() == 1


def test_errors_are_told_with_their_hint(client: TestClient) -> None:
    answer = client.post("/api/counting/fail", headers={"origin": HERE})
    assert (answer.status_code, answer.json()) == (400, {"error": "that is wrong", "hint": "type this"})


def test_a_port_that_is_taken(home: Path) -> None:
    with server.listen("127.0.0.1", None) as first:
        port = first.getsockname()[1]
        with server.listen("127.0.0.1", None) as second:
            assert second.getsockname()[1] > port
        with pytest.raises(UsageError, match=f"cannot listen at 127.0.0.1, port {port}: "):
            server.listen("127.0.0.1", port)


def test_an_address_that_is_not_this_machine_s() -> None:
    with pytest.raises(UsageError, match=r"cannot listen at 192\.0\.2\.1"):
        server.listen("192.0.2.1", 0)
