"""A page in the browser, served on this machine: what a model makes, and how to steer it.

A view is a Python module here with a ``router`` and a JavaScript module of the same name in ``static/``; see
:class:`gancli.page.server.View`. Importing this package imports neither FastAPI nor torch.
"""

from importlib.util import find_spec

from gancli.errors import UsageError

PACKAGES = ("fastapi", "uvicorn")


def check_installed() -> None:
    """Make sure that what serves the page is installed.

    Raises:
        UsageError: it is not; the hint names the extra.
    """
    missing = next((name for name in PACKAGES if find_spec(name) is None), None)
    if missing:
        raise UsageError(f"the page needs the package {missing}", "pip install 'gancli[page]'")
