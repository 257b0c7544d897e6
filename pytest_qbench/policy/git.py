"""Read files, names and messages of commits by the program `git`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.files import LARGE, read_text

INDEX, WORKTREE = ":", ""
"""The revisions that are no commits: what the next commit will hold, and the files as they are."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository. A revision is a commit, `INDEX` or `WORKTREE`."""

    root: Path

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """Return the repository that contains a folder. Raises `UsageError`."""
        found = _git(folder, "rev-parse", "--show-toplevel")
        if found is None:
            raise UsageError(f"{folder.resolve()}: is not in a git repository")
        return cls(Path(found.rstrip("\n")))

    def base_of(self, reference: str) -> str:
        """Return the last common commit of a reference and HEAD. Raises `UsageError`."""
        commit = _git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
        if commit is None:
            raise UsageError(f"--since={reference}: no such commit; fetch it, with its history")
        found = _git(self.root, "merge-base", commit.strip(), "HEAD")
        if found is None:
            raise UsageError(f"--since={reference}: has no common history with HEAD; fetch more of it")
        return found.strip()

    def names(self, revision: str, patterns: Sequence[str]) -> list[str]:
        """Return the paths of a revision that match one of the patterns."""
        if revision == WORKTREE:
            text = _git(self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns)
            return sorted({name for name in (text or "").split("\0") if name and (self.root / name).is_file()})
        if revision == INDEX:
            text = _git(self.root, "ls-files", "-z", "--cached", "--", *patterns)
        else:  # ls-tree knows no patterns, and diff-tree compares with the tree without files
            text = _git(self.root, "diff-tree", "-r", "-z", "--name-only", _EMPTY_TREE, revision, "--", *patterns)
        return sorted(name for name in (text or "").split("\0") if name)

    def names_with(self, revision: str, word: str, pattern: str) -> list[str]:
        """Return the paths of a revision that match a pattern and whose text contains a word."""
        place = {WORKTREE: ["--untracked"], INDEX: ["--cached"]}.get(revision, [])
        tree = [] if revision in (WORKTREE, INDEX) else [revision]
        text = _git(self.root, "grep", "-l", "-z", "-F", "-I", *place, "-e", word, *tree, "--", pattern)
        prefix = f"{revision}:" if tree else ""
        return sorted(name.removeprefix(prefix) for name in (text or "").split("\0") if name)

    def text(self, revision: str, name: str) -> str:
        """Return the text of a file. Bytes that are no UTF-8 are replaced."""
        if revision == WORKTREE:
            return read_text(self.root / name, LARGE)
        return _git(self.root, "show", f"{'' if revision == INDEX else revision}:{name}") or ""

    def commits(self, base: str, patterns: Sequence[str]) -> list[str]:
        """Return the commits since `base` that touch the patterns, without merges."""
        found = _git(self.root, "rev-list", "--no-merges", f"{base}..HEAD", "--", *patterns)
        return (found or "").split()

    def parent(self, commit: str) -> str:
        """Return the parent of a commit, or the empty tree."""
        found = _git(self.root, "rev-parse", "--verify", "--quiet", f"{commit}^")
        return found.strip() if found else _EMPTY_TREE

    def message(self, commit: str) -> str:
        """Return the whole message of a commit."""
        return _git(self.root, "log", "-1", "--format=%B", commit) or ""


_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The hash of a tree without files, which every git repository knows."""


def head_commit(folder: Path) -> str | None:
    """Return the current commit of the repository around a folder; None outside a repository or without git."""
    try:
        found = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    except UsageError:
        return None
    return found.strip() if found else None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None if it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError as e:
        raise UsageError("git was not found: install it") from e
    except NotADirectoryError as e:
        raise UsageError(f"{folder}: is not a folder") from e
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
