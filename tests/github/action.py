"""Run the composite action offline: the very shell of its YAML, with GitHub's expressions and files imitated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "qbench"
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_TERM = re.compile(r"(always\(\))|([\w.-]+) (==|!=) '([^']*)'")


@dataclass
class Job:
    """One use of the action. `used` holds the inputs of each other action that it would have called."""

    folder: Path
    environment: dict[str, str]
    inputs: dict[str, str]
    contexts: dict[str, str] = field(default_factory=dict)
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    log: str = ""
    status: int = 0

    def run(self, *, skip: tuple[str, ...] = ()) -> Job:
        """Run all steps but those with an id in `skip`. A step that fails ends the job, except for `always()`."""
        action = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))
        defaults = {name: str(one.get("default", "")) for name, one in action["inputs"].items()}
        unknown = self.inputs.keys() - defaults.keys()
        assert not unknown
        self.contexts |= {
            "github.token": self.environment.get("GITHUB_TOKEN", ""), "github.action_path": str(ACTION),
            "runner.os": "Linux", "runner.arch": "X64",
        }  # fmt: skip
        self.contexts |= {f"inputs.{name}": self._text(value) for name, value in {**defaults, **self.inputs}.items()}
        for step in action["runs"]["steps"]:
            if step.get("id") not in skip and self._is_on(step.get("if")):
                self._step(step)
        return self

    def output(self, action: dict[str, Any], name: str) -> str:
        return self._text(action["outputs"][name]["value"])

    def _text(self, value: Any) -> str:
        return _EXPRESSION.sub(lambda found: self.contexts.get(found[1], ""), str(value))

    def _is_on(self, condition: str | None) -> bool:
        if condition is None:
            return self.status == 0
        is_on = self.status == 0 or "always()" in condition
        for term in condition.split(" && "):
            found = _TERM.fullmatch(term)
            assert found, f"unknown expression: {term}"
            if found[2]:
                is_on &= (self.contexts.get(found[2], "") == found[4]) == (found[3] == "==")
        return is_on

    def _step(self, step: dict[str, Any]) -> None:
        if "uses" in step:
            self.used[step["uses"]] = {key: self._text(value) for key, value in step.get("with", {}).items()}
            return
        assert step["shell"] == "bash"
        assert not _EXPRESSION.search(step["run"]), "an expression in a script is code that an input may write"
        given = {key: self._text(value) for key, value in step.get("env", {}).items()}
        # A step sees the token only where the action hands it over.
        inherited = {key: value for key, value in {**os.environ, **self.environment}.items() if key != "GITHUB_TOKEN"}
        output = Path(self.environment["GITHUB_OUTPUT"])
        output.write_text("")
        script = self.folder / "script.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], cwd=self.folder,
            env={**inherited, **given}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
            check=False,
        )  # fmt: skip
        self.log += done.stdout
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.contexts[f"steps.{step['id']}.outputs.{name}"] = value
        self.status = self.status or done.returncode


def prepared(job: Job) -> Job:
    """Stand for the step `install`: an environment whose python and `qbench` are those of the tests."""
    folder = Path(job.environment["RUNNER_TEMP"]) / "qbench.test"
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    command = "import sys; from pytest_qbench.cli import main; sys.exit(main())"
    (folder / "venv" / "bin" / "qbench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{command}" "$@"\n')
    for file in (folder / "venv" / "bin").iterdir():
        file.chmod(0o755)
    job.contexts["steps.install.outputs.folder"] = str(folder)
    return job
