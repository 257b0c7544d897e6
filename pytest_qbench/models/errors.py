"""Turn errors of transformers and torch into one line with a remedy, and silence their log output."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pytest_qbench.errors import ItemError, ModelError, QBenchError
from pytest_qbench.models.specs import ModelSpec

# Imports in functions: torch and transformers load with the model that needs them.

FAILURES = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors of third-party model code. An interrupt or our own `AssertionError` is not among them."""


def expected_failures(args: Mapping[str, str]) -> tuple[type[Exception], ...]:
    """Return the errors that a model may raise. With `trust_remote_code` its own code may raise any."""
    return (Exception,) if args.get("trust_remote_code") == "true" else FAILURES


class OutOfMemoryError(ItemError):
    """The device has too little memory for this batch; a smaller batch may fit."""


class WorkerDied(ItemError):
    """Remote processes died while they measured this batch. Smaller batches can isolate the item that is the cause."""


def one_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of the message with its type, at most `limit` characters."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= limit else line[: limit - 3] + "..."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory ran out. Only CUDA has its own exception type."""
    torch = sys.modules.get("torch")  # an error of torch cannot come from a process that never imported it
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def loading_error(spec: ModelSpec, error: BaseException, *, device: str) -> ModelError:
    """Return the `ModelError` that explains an error raised while loading."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    names = {type(each).__name__ for each in causes}
    texts = " ".join(str(each) for each in causes)
    target = spec.target
    if any(is_out_of_memory(each) for each in causes):
        return ModelError(
            f"{target} does not fit in the memory of {device}; use a smaller model, half precision or quantization"
        )
    if "trust_remote_code" in texts and "remote" in texts.lower():
        return ModelError(
            f"{target} runs its own Python code; read it, then allow it with --qbench-model-arg=trust_remote_code=true"
        )
    if names & {"SafetensorError", "UnpicklingError", "PickleError", "EOFError"}:
        return ModelError(f"{target}: a weight file is damaged ({one_line(error, 120)}); fetch the model again")
    if "ignore_mismatched_sizes" in texts:
        return ModelError(f"{target}: weight shapes differ from config.json; fetch the model again")
    if "backend tokenizer" in texts:
        return ModelError(f"{target}: tokenizer.json is missing; save the processor beside the weights")
    if "image processor" in texts:
        return ModelError(f"{target}: preprocessor_config.json is missing; save the processor beside the weights")
    if not spec.is_local:
        if "GatedRepoError" in names:
            return ModelError(f"{target} is gated: accept its licence on huggingface.co, then set HF_TOKEN")
        if "RepositoryNotFoundError" in names or "HFValidationError" in names:
            return ModelError(
                f"no model {target} on the hub and no local folder of that name (private models need HF_TOKEN)"
            )
        if "RevisionNotFoundError" in names:
            return ModelError(f"{target}: no such revision on the hub")
        if names & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError", "ConnectTimeout"} or (
            "connect" in texts.lower() and isinstance(error, OSError)
        ):
            return ModelError(f"{target} is no local folder and not in the hub's cache; the hub cannot be reached")
    return ModelError(f"{target} cannot be loaded: {one_line(error)}")


@contextmanager
def item_errors(keys: Sequence[str], batch: int, failures: tuple[type[Exception], ...] = FAILURES) -> Iterator[None]:
    """Convert the errors of a model (`failures`) to `ItemError` or `OutOfMemoryError`, in one line."""
    try:
        yield
    except QBenchError:
        raise
    except failures as error:
        if is_out_of_memory(error):
            traceback.clear_frames(error.__traceback__)  # the frames hold tensors of the batch
            raise OutOfMemoryError(
                f"out of memory with a batch of {batch}; use a smaller --qbench-batch-size"
            ) from None
        where = keys[0] if len(keys) == 1 else f"a batch of {len(keys)} from {keys[0]}"
        raise ItemError(f"{where}: {one_line(error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, logs and progress bars of transformers and the hub client inside this block."""
    import transformers
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    hub_log = logging.getLogger("huggingface_hub")
    hub_level, hub_bars = hub_log.level, not are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.set_verbosity(logging.CRITICAL)
        log.disable_progress_bar()
        hub_log.setLevel(logging.CRITICAL)
        disable_progress_bars()
        try:
            yield
        finally:
            log.set_verbosity(verbosity)
            hub_log.setLevel(hub_level)
            if bars:
                log.enable_progress_bar()
            if hub_bars:
                enable_progress_bars()
