"""The metadata of the package, the requirements of its core, and the release workflow."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: list[str]) -> set[str]:
    return {requirement.partition(">")[0].partition("=")[0] for requirement in requirements}


def test_the_core_needs_no_model_library() -> None:
    local = names(PROJECT["optional-dependencies"]["local"])
    assert local == {"torch", "torchvision", "transformers"}
    assert not local & names(PROJECT["dependencies"])
    for extra in ("ray", "test", "tools"):  # these start the embedded model and need its libraries
        assert "local" in str(PROJECT["optional-dependencies"][extra]), extra


def test_the_demo_installs_what_the_embedded_model_needs() -> None:
    assert "'.[local]'" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_only_the_publishing_job_may_prove_who_it_is() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert jobs["publish"]["needs"] == "build"
    commands = [step.get("run", "") for step in jobs["build"]["steps"]]
    assert "python -m twine check --strict dist/*" in commands
    assert not [
        step for step in jobs["publish"]["steps"] if "run" in step
    ]  # it only publishes the files that were checked
