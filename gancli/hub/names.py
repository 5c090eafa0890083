"""Names of repositories of the Hugging Face Hub: ``hf:user/repo``, ``hf:user/repo@revision``. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gancli.errors import UsageError

Kind = Literal["model", "dataset"]
PREFIX = "hf:"
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REVISION = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}"
_SHA = re.compile(r"[0-9a-f]{40}")
AS_IN = "as in hf:USER/REPO, or hf:USER/REPO@REVISION with a branch, a tag or the hash of a commit"


@dataclass(frozen=True)
class Name:
    """A repository at a revision.

    Attributes:
        repo: "user/repo".
        revision: a branch, a tag or the hash of a commit; empty for the newest commit.
    """

    repo: str
    revision: str = ""

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return _SHA.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        """As users type it."""
        return f"{PREFIX}{self.repo}" + f"@{self.revision}" * bool(self.revision)


def is_hub(name: str) -> bool:
    """Whether a name is that of a repository of the Hub."""
    return name.startswith(PREFIX)


def parse(name: str) -> Name:
    """A name as users type it.

    Raises:
        UsageError: it is none of a repository.
    """
    found = re.fullmatch(rf"{PREFIX}({_PART}/{_PART})(?:@({_REVISION}))?", name)
    # The Hub has no repositories of such names, and revisions stand in paths.
    if not found or re.search(r"--|\.\.|\.git(?![A-Za-z0-9_-])", found[1]) or ".." in (found[2] or ""):
        raise UsageError(f"'{name}' is not the name of a repository of the Hub", AS_IN)
    return Name(found[1], found[2] or "")


def title(name: str) -> str:
    """The repository's own name, for names of folders; another name as it is."""
    return parse(name).repo.partition("/")[2] if is_hub(name) else name
