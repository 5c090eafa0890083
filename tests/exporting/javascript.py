"""Node.js and npm, for tests of a page's JavaScript."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import gancli

RANDOM_JS = Path(gancli.__file__).parent / "exporting/page/random.js"


def needed(program: str) -> str:
    """The path of node or npm; without it the test is skipped, and with CI set it fails."""
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed, which the tests of pages take"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found


def in_node(script: str, values: object) -> object:
    """What a function's body returns, which has random.js as ``page`` and the values as ``given``."""
    code = f"""
        const page = await import({json.dumps(RANDOM_JS.as_uri())});
        const given = JSON.parse(await new Response(process.stdin).text());
        const answer = (() => {{ {script} }})();
        process.stdout.write(JSON.stringify(answer));
    """
    command = [needed("node"), "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
