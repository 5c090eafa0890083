"""``gancli explore``: the address, what it says, and what it takes to be served."""

import http.client
import importlib.util
import re
import signal
import subprocess
import sys
import threading
import time

import pytest


def test_the_error_without_the_extra_names_it(run_cli, monkeypatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("gancli.page.find_spec", lambda name: None if name == "fastapi" else real(name))
    result = run_cli("explore", "dcgan/digits", "--no-open")
    assert (result.code, result.err) == (
        2,
        "error: the page needs the package fastapi\n\nhint: pip install 'gancli[page]'\n",
    )


def test_a_name_that_is_no_model_is_refused_before_anything_is_served(run_cli) -> None:
    result = run_cli("explore", "dcgan/digit", "--no-open")
    assert result.code == 2
    assert "no model is called 'dcgan/digit'" in result.err
    assert result.out == ""


def test_an_address_that_is_not_this_machine_s(run_cli) -> None:
    result = run_cli("explore", "dcgan/digits", "--no-open", "--host", "192.0.2.1", "--port", "9")
    assert result.code == 2
    assert "error: cannot listen at 192.0.2.1, port 9: " in result.err
    assert "hint: name another --port" in result.err


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_the_page_is_served_before_torch_is_imported_and_ends_with_ctrl_c(home, host: str, warned: bool) -> None:
    code = "import sys; from gancli.cli import main; sys.modules['torch'] = None; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "explore", "dcgan/digits", "--no-open", "--host", host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home) as process:
        late = threading.Timer(100, process.kill)
        late.start()
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        found = re.fullmatch(r"http://(127\.0\.0\.1:(\d+))(/\?token=[\w-]{32})", address)
        assert found, address
        connection = http.client.HTTPConnection(found[1], timeout=60)
        connection.request("GET", found[3])
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.getheader("location")) == (303, "/")
        cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        connection.request("GET", "/", headers={"cookie": cookie})
        page = connection.getresponse()
        assert b"static/app.js" in page.read()
        connection.close()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        late.cancel()
    assert process.returncode == 0
    assert out == ""
    assert "token" not in err
    assert ("warning: --host 0.0.0.0 lets other machines connect" in err) is warned
    assert err.endswith("open this address in a browser; Ctrl-C ends the page\n")
