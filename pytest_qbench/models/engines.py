"""`vllm:`, `sglang:` and `llamacpp:`: the command lines of the engines, and how to ask them for their version."""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_qbench.errors import ModelError
from pytest_qbench.untrusted.parsing import parse_json

if TYPE_CHECKING:
    from pytest_qbench.models.specs import ModelSpec

TIMEOUT = 1800.0
"""Seconds until an engine has to be ready: weights may have to be fetched, kernels compiled."""
_DOCS = "docs: managed engines"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. `program` is its installed command, `module` what Python runs instead (empty: it is no Python).

    `program_words` and `module_words` come before the model, `alias` before its name. `health` is a path that answers
    200 when the engine is ready. `version` are paths of which one reports the version under `version_key`.
    """

    name: str
    program: str
    module: str
    program_words: tuple[str, ...]
    module_words: tuple[str, ...]
    alias: str
    health: str
    version: tuple[str, ...]
    version_key: str

    def command(self, spec: ModelSpec, args: Mapping[str, str], port: int, name: str) -> list[str]:
        """Return the command line of a server on `port` that calls its model `name`.

        Raises `ModelError` if the engine is not installed.
        """
        first = self._program(args.get("engine_python"))
        more = [*self.arguments(args), *(("--revision", args["revision"]) if "revision" in args else ())]
        place = ["--host", "127.0.0.1", "--port", str(port)]
        return [*first, spec.target, self.alias, name, *place, *more]

    def check(self, args: Mapping[str, str]) -> None:
        """Raise `ModelError` if the engine is not installed or its arguments are badly quoted. Starts nothing."""
        self._program(args.get("engine_python"))
        self.arguments(args)

    def arguments(self, args: Mapping[str, str]) -> list[str]:
        """Return the arguments that change answers or speed, as the fingerprint holds them."""
        dtype = ["--dtype", args["dtype"]] if "dtype" in args else []
        given = args.get("engine_args", "")
        try:
            return dtype + shlex.split(given)
        except ValueError as e:  # an open quotation mark
            raise ModelError(f"model argument engine_args={given}: {e}") from None

    def _program(self, python: str | None) -> list[str]:
        if python is None:
            found = shutil.which(self.program)
            if found is None:
                raise ModelError(
                    f"{self.name}: no command {self.program} on PATH; install it, or name the Python of an environment "
                    f"that has it: --qbench-model-arg=engine_python=PATH ({_DOCS})"
                )
            return [found, *self.program_words]
        path = Path(python).expanduser().absolute()  # not resolved: the link is what makes an environment
        if not os.access(path, os.X_OK) or path.is_dir():
            raise ModelError(f"engine_python={python}: no such program; name the Python of an environment ({_DOCS})")
        if self.module:
            return [str(path), "-m", self.module, *self.module_words]
        beside = path.with_name(self.program)
        if not os.access(beside, os.X_OK):
            raise ModelError(f"engine_python={python}: no {self.program} beside it; install it there ({_DOCS})")
        return [str(beside), *self.program_words]

    def read_version(self, port: int) -> str | None:
        """Return the version that a ready engine reports, None if it reports none."""
        for path in self.version:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                try:
                    connection.request("GET", path)
                    reply = connection.getresponse()
                    found = parse_json(reply.read(1 << 22)) if reply.status == 200 else None
                finally:
                    connection.close()
                if isinstance(found, dict) and isinstance(found.get(self.version_key), str):
                    return str(found[self.version_key])
        return None


ENGINES: Mapping[str, Engine] = MappingProxyType({
    "vllm": Engine(
        "vllm", "vllm", "vllm.entrypoints.openai.api_server", ("serve",), ("--model",), "--served-model-name",
        "/health", ("/version",), "version",
    ),
    "sglang": Engine(
        "sglang", "sglang", "sglang.launch_server", ("serve", "--model-path"), ("--model-path",), "--served-model-name",
        "/health", ("/server_info", "/get_server_info"), "version",
    ),
    "llamacpp": Engine(
        "llamacpp", "llama-server", "", ("--model",), (), "--alias", "/health", ("/props",), "build_info",
    ),
})  # fmt: skip
# No engine reports to its makers from a run, and none asks the hub about a folder.
QUIET: Mapping[str, str] = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
OFFLINE: Mapping[str, str] = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
