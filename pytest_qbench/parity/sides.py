"""The two sides of a comparison: finished run folders are read, model specs are measured by an ordinary pytest run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_qbench import packaged
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.results import Results
from pytest_qbench.models.model_args import check_args, parse_model_args
from pytest_qbench.models.specs import ModelSpec, check, parse_spec
from pytest_qbench.parity.pairs import NotComparable
from pytest_qbench.prompt_sets.read import is_file
from pytest_qbench.records import RECORDS
from pytest_qbench.runs.read import read_run
from pytest_qbench.runs.summary import SUMMARY

USAGE_ERROR = 4  # exit status of pytest
_OTHER_DTYPE = {"float32": "bfloat16"}  # any other dtype is measured again in float32


@dataclass(frozen=True)
class Side:
    """One side: `name` is A or B, `text` what the user wrote; `folder` is set for a finished run, `spec` for a model.

    `arguments` are the model arguments, as ``KEY=VALUE``.
    """

    name: str
    text: str
    folder: Path | None = None
    spec: ModelSpec | None = None
    arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, text: str, arguments: Sequence[str]) -> Side:
        """Return the side that `text` names.

        Raises `NotComparable` for the folder of an unfinished run, and `UsageError` for an unusable model.
        """
        folder = Path(text)
        option = f"--{name.lower()}-arg"
        if (folder / SUMMARY).is_file():
            if arguments:
                raise UsageError(f"{option}={arguments[0]}: {name} is a finished run, which takes no model arguments")
            return cls(name, text, folder=folder)
        if (folder / RECORDS).is_file():
            raise NotComparable(f"{name}: {folder} holds an unfinished run (no {SUMMARY}); end it with --qbench-resume")
        spec = parse_spec(text)
        check(spec, option="")
        check_args(spec, parse_model_args(arguments))
        return cls(name, text, spec=spec, arguments=tuple(arguments))

    @property
    def is_local_model(self) -> bool:
        """Whether a second measurement can use another dtype."""
        quantized = any(argument.startswith("quantization_config") for argument in self.arguments)
        return self.spec is not None and self.spec.kind == "transformers" and not quantized

    @property
    def is_repeatable(self) -> bool:
        """Whether a model answers anew, so that a second measurement shows noise."""
        return self.spec is not None and self.spec.kind != "replay"


@dataclass(frozen=True)
class Measurement:
    """Measures sides into folders below `folder`, with the same options of pytest for all. `tell` gets progress."""

    folder: Path
    options: tuple[str, ...]
    tell: Callable[[str], None]

    def results(self, side: Side) -> Results:
        """Return the results of a side. A model is measured first. Raises `NotComparable` if its run fails."""
        if side.folder is not None:
            return read_run(side.folder)
        return self._measure(side, side.name.lower(), side.arguments)

    def again(self, side: Side, first: Fingerprint) -> tuple[Results, str]:
        """Measure a side a second time. Return the results and the description of what was varied.

        A local model gets half the batch size and another dtype, any other model the same requests once more.
        """
        if not side.is_local_model:
            return self._measure(side, "again", side.arguments, "--qbench-no-cache"), "the same requests once more"
        batch = max(1, (first.batch_size or 2) // 2)
        dtype = _OTHER_DTYPE.get(str((first.model or {}).get("dtype")), "float32")
        found = self._measure(side, "again", (*side.arguments, f"dtype={dtype}"), f"--qbench-batch-size={batch}")
        return found, f"{dtype} in batches of {batch}"

    def _measure(self, side: Side, folder: str, arguments: Sequence[str], *more: str) -> Results:
        run, log = self.folder / folder, self.folder / f"{folder}.log"
        settings = self.folder / "pytest.ini"
        settings.write_text("[pytest]\n")  # an own one: that of a project could ask the two sides differently
        command = [
            sys.executable, "-m", "pytest", "-q", "-c", str(settings), f"--rootdir={Path.cwd()}", "-p",
            "no:cacheprovider", "--qbench-no-gates", f"--qbench-run-dir={run}", *self.options, *more,
            f"--qbench-model={side.text}", *(f"--qbench-model-arg={argument}" for argument in arguments),
            str(packaged("suites")),
        ]  # fmt: skip
        self.tell(f"measuring {side.name}{' again' if folder == 'again' else ''}: {side.text} (log: {log})")
        with log.open("wb") as output:
            done = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, env=_environment_without_pytest(), check=False
            )
        if done.returncode == USAGE_ERROR:
            raise UsageError(f"{side.name}: {_last_error(log)}")
        if not (run / SUMMARY).is_file():
            raise NotComparable(f"{side.name}: its run ended with status {done.returncode}, unfinished; see {log}")
        return read_run(run)


def options_of(made: Fingerprint) -> list[str]:
    """Return the options of pytest that ask as a finished run asked, as far as its fingerprint tells."""
    selection = made.selection
    judge = made.judge_name if made.judge_name == "lexicon" else None  # of another one, the name is not its spec
    found: dict[str, object] = {
        "data": made.data, "answer": made.answer, "answer-tokens": made.answer_tokens,
        "description-tokens": made.description_tokens, "judge": judge,
        "judge-rounds": made.judge_rounds,
    }  # fmt: skip
    if selection is not None:
        found |= {
            "datasets": ",".join(selection.datasets or ()) or None, "tasks": ",".join(selection.tasks or ()) or None,
            "split": selection.split, "limit": selection.limit, "seed": selection.seed,
            "limit-by": selection.limit_by,
            "shard": "/".join(map(str, selection.shard)) if selection.shard else None,
        }  # fmt: skip
    prompts = made.prompts.get("set") if not isinstance(made.prompts, str) and made.prompts else None
    if isinstance(prompts, str) and not is_file(prompts):
        found["prompts"] = prompts
    options = [f"--qbench-{name}={value}" for name, value in found.items() if value is not None]
    options += ["--qbench-blind"] if made.blind else []
    return options + (["--qbench-shuffle-options"] if made.option_order else [])


def _last_error(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return errors[-1] if errors else f"pytest refused its options; see {log}"


def _environment_without_pytest() -> dict[str, str]:
    """Return the environment of this process without the variables that pytest reads."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
