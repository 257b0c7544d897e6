"""Sign a file and verify its signature with an SSH key, by the program `ssh-keygen` of OpenSSH."""

from __future__ import annotations

import base64
import binascii
import subprocess
from pathlib import Path

from pytest_qbench.errors import UsageError

NAMESPACE = "pytest-qbench"
"""The purpose that a signature states. A signature of the same key for git or a login does not count."""
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class BadSignatureError(Exception):
    """A signature that does not hold; the message gives the reason."""


def sign(path: Path, key: Path) -> Path:
    """Sign a file and return the signature's file, ``NAME.sig`` beside it. `ssh-keygen` asks for a passphrase itself.

    `key` is a private key, or a public key whose private key an agent holds. Raises `UsageError`.
    """
    if not key.is_file():
        raise UsageError(f"--key={key}: no such file; name an SSH key, such as ~/.ssh/id_ed25519")
    done = _ssh_keygen("-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key), str(path))
    if done.returncode != 0:
        raise UsageError(f"--key={key}: cannot sign: {_last_line(done)}")
    return path.with_name(f"{path.name}.sig")


def verify(content: bytes, signature: Path, signers: Path, signer: str | None) -> str:
    """Return the name under which `signers` lists the key that signed `content`.

    `signers` is a file of allowed signers as `ssh-keygen` and git use it. With `signer`, only the keys of this name
    count. Raises `BadSignatureError`.
    """
    found = _ssh_keygen("-Y", "find-principals", "-f", str(signers), "-s", str(signature))
    # A line of allowed signers may list several names, separated by commas.
    names = [name for line in found.stdout.decode("utf-8", "replace").splitlines() for name in line.split(",")]
    if found.returncode != 0 or not names:
        raise BadSignatureError(f"no key of {signers} made the signature")
    if signer is not None and signer not in names:
        raise BadSignatureError(f"it was signed by {', '.join(names)}, not by {signer}")
    name = signer or names[0]
    done = _ssh_keygen(
        "-Y", "verify", "-f", str(signers), "-I", name, "-n", NAMESPACE, "-s", str(signature), content=content
    )
    if done.returncode != 0:
        raise BadSignatureError(f"the signature of {name} does not hold: {_last_line(done)}")
    return name


def is_canonical(text: str) -> bool:
    """Return whether a signature file is written as `ssh-keygen` writes it, so that no byte of it is free to change."""
    first, *body = text.split("\n")
    if first != _BEGIN or len(body) < 3 or body[-2:] != [_END, ""]:
        return False
    lines = body[:-2]
    joined, width = "".join(lines), max(1, len(lines[0]))
    try:
        decoded = base64.b64decode(joined, validate=True)
    except (binascii.Error, ValueError):
        return False
    return base64.b64encode(decoded).decode() == joined and lines == [
        joined[start : start + width] for start in range(0, len(joined), width)
    ]


def _ssh_keygen(*arguments: str, content: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    given = {"stdin": subprocess.DEVNULL} if content is None else {}
    try:
        return subprocess.run(["ssh-keygen", *arguments], input=content, capture_output=True, check=False, **given)  # type: ignore[call-overload, no-any-return]
    except FileNotFoundError as e:
        raise UsageError("ssh-keygen was not found: install OpenSSH 8.2 or newer") from e


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else f"ssh-keygen ended with {done.returncode}"
