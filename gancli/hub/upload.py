"""Upload files to a repository of models, in one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gancli.hub import client
from gancli.hub.names import Name


@dataclass(frozen=True)
class Uploaded:
    """A commit.

    Attributes:
        name: of the repository, with the commit's hash.
        url: of its page.
    """

    name: Name
    url: str


def upload(
    repo: str, files: Mapping[str, Path | bytes], stale: Sequence[str], message: str, private: bool = False
) -> Uploaded:
    """Upload files in one commit, to a repository that is made if need be. Its other files stay.

    Args:
        repo: "user/repo".
        files: paths on this machine, or bytes, by name in the repository.
        stale: names that are removed from the repository, where they are.
        message: of the commit.
        private: whether a new repository is shown to its owner alone.

    Raises:
        UsageError: not logged in, or not allowed to write there.
        GancliError: the Hub cannot be reached, or refuses.
    """
    hub = client.library()
    name, api = Name(repo), client.api()
    with client.errors_of("model", name):
        page = api.create_repo(repo, private=private or None, exist_ok=True)
        there = {each.rfilename for each in api.repo_info(repo, repo_type="model").siblings or ()}
        commit = api.create_commit(
            repo,
            [
                *(hub.CommitOperationAdd(path, content) for path, content in files.items()),
                *(hub.CommitOperationDelete(path) for path in stale if path in there),
            ],
            commit_message=message,
        )
    return Uploaded(Name(repo, str(commit.oid)), str(page))
