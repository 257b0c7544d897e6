"""Command-line options and their configuration twins. Imports only pytest: every pytest start loads this module."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

NAME = "qbench"


class Option(NamedTuple):
    """One option. `ini` says whether a project may set it in its configuration; a flag (`kind` "bool") has no value."""

    name: str
    help: str
    kind: str = "string"  # string, bool, or linelist for repeatable ones
    metavar: str | None = None
    ini: bool = True

    @property
    def dest(self) -> str:
        """Name of the configuration twin and of the parsed value."""
        return self.name.lstrip("-").replace("-", "_")


OPTIONS = (
    Option("--qbench-model", "Choose the model: an alias such as tiny, a local directory, a hub id, hf:ID, "
           "openai:MODEL@BASE_URL, vllm:ID, sglang:ID or llamacpp:FILE for an engine that the plugin starts, "
           "random:SEED, or replay:PATH for recorded outputs. There is no default.",
           metavar="SPEC"),
    Option("--qbench-model-arg", "Pass KEY=VALUE to the model: dtype, device, revision, attn_implementation, "
           "trust_remote_code, ... Repeatable.", kind="linelist", metavar="KEY=VALUE"),
    Option("--qbench-data", "Choose the data: mini (embedded, the default; it is not Q-Bench), a data folder, or hf.",
           metavar="SPEC"),
    Option("--qbench-datasets", "Restrict to these datasets, comma-separated. Default: all.",
           metavar="A,B"),
    Option("--qbench-tasks", "Restrict to these tasks, comma-separated: perception, description, assessment. Default: "
           "all that the data has.", metavar="A,B"),
    Option("--qbench-split", "Choose the LLVisionQA split: dev (default) or test.", metavar="SPLIT"),
    Option("--qbench-limit", "Measure N items per dataset, a stratified sample. Default: all.", metavar="N"),
    Option("--qbench-limit-by", "Draw the --qbench-limit questions by the uncertainty of the baseline's answers: "
           "uncertainty. Each counts with the inverse of its probability. Default: a stratified sample.",
           metavar="uncertainty"),
    Option("--qbench-seed", "Seed of the sample and of the resampling. Default: 0.", metavar="S"),
    Option("--qbench-answer", "Answer perception questions by generated text (generate), by the likelihood of each "
           "option (likelihood) or by the loss over prompt and option (perplexity). Default: the mode of the model's "
           "alias, else generate.", metavar="MODE"),
    Option("--qbench-prompts", "Ask with a packaged prompt set (default, paper, hub, lmms-eval, vlmevalkit, "
           "q-instruct, q-align, zh) or with that of a YAML file. Default: default.", metavar="NAME|FILE"),
    Option("--qbench-answer-tokens", "Maximum number of tokens of a perception reply. Default: 32.", metavar="N"),
    Option("--qbench-description-tokens", "Maximum number of tokens of a description. Default: 256.", metavar="N"),
    Option("--qbench-protocol", "Score as documented (default) or as the published tables do (paper): temperature 100, "
           "CGIQA as the mean of its halves, the paper's words per model; qalign: five levels, from excellent to bad.",
           metavar="NAME"),
    Option("--qbench-words", "Record the log-probabilities of these words, too, comma-separated. Those of the packaged "
           "scoring strategies are recorded where that takes no further forward pass.", metavar="A,B"),
    Option("--qbench-batch-size", "Items per forward pass, or auto (default).", metavar="auto|N"),
    Option("--qbench-repeats", "Ask each item K times, for models whose answers vary: endpoints and sampled decoding. "
           "Flaky items are named, and a baseline holds all answers. Default: 1.", metavar="K"),
    Option("--qbench-concurrency", "Requests in flight at an endpoint. Default: 64.", metavar="N"),
    Option("--qbench-timeout", "Seconds for one request to an endpoint with all its repeats. Default: 60.",
           metavar="SECONDS"),
    Option("--qbench-no-cache", "Send every request, also if its reply is in .qbench/cache.", kind="bool"),
    Option("--qbench-early-stop", "Measure the items in random order, and stop as soon as a gate has regressed or all "
           "gates of a task pass. A stopped run cannot become a baseline.", kind="bool", ini=False),
    Option("--qbench-blind", "Show a grey image instead of each image, to measure answers without sight. Gates do "
           "not decide.", kind="bool", ini=False),
    Option("--qbench-shuffle-options", "Permute the options of each question, by --qbench-seed and the item's id, to "
           "measure the bias towards a position. Gates do not decide.", kind="bool", ini=False),
    Option("--qbench-judge", "Choose the judge of descriptions: lexicon (embedded, a smoke judge; the default on mini "
           "only), openai:MODEL@BASE_URL or hf:ID.", metavar="SPEC"),
    Option("--qbench-judge-arg", "Pass KEY=VALUE to the judge: mode, temperature, max_new_tokens, revision, price, ... "
           "Repeatable.", kind="linelist", metavar="KEY=VALUE"),
    Option("--qbench-judge-prompts", "Ask the judge with the published prompts (paper) or with those of a YAML file. "
           "Default: our own.", metavar="NAME|FILE"),
    Option("--qbench-judge-unparsed", "Let the judge read unparsed replies, with five votes.",
           kind="bool"),
    Option("--qbench-judge-answers", "Let the judge, who knows the right answer, mark each perception reply with five "
           "votes, as the paper does.", kind="bool"),
    Option("--qbench-judge-rounds", "Rounds per description and dimension. Default: 5.", metavar="N"),
    Option("--qbench-nights", "Share alpha over N runs against one baseline, such as the nights of a month, so that a "
           "false alarm in any of them stays as rare as in one run. Default: 1.", metavar="N"),
    Option("--qbench-max-errors", "Share of items that may end in an error before gates are invalid. Default: 0.",
           metavar="SHARE"),
    Option("--qbench-max-unparsed", "Share of replies that may be unparsed before gates are invalid. Default: 0.05.",
           metavar="SHARE"),
    Option("--qbench-max-cut", "Share of replies that the token limit may cut before gates are invalid. Default: 0.05.",
           metavar="SHARE"),
    Option("--qbench-run-dir", "Write records and summary to this new folder. Default: one under .qbench/runs.",
           metavar="DIR"),
    Option("--qbench-resume", "Resume the run in --qbench-run-dir (default: the newest): measure missing items and "
           "items that ended in an error.", kind="bool", ini=False),
    Option("--qbench-shard", "Measure part I of N of the items, by a hash of their ids, and gate nothing; qbench merge "
           "joins the run folders.", metavar="I/N", ini=False),
    Option("--qbench-ray", "Spread the items over replicas of a local model on a Ray cluster: HOST:PORT of its head "
           "node, or auto for a running one, else one started here.", metavar="auto|ADDRESS", ini=False),
    Option("--qbench-baseline-dir", "Folder of baselines, relative to rootdir, or an address such as "
           "s3://bucket/baselines. Default: baselines.", metavar="DIR"),
    Option("--qbench-baseline", "Compare with this baseline, or with NAME@DATA. Default: MODEL@DATA, or MODEL if "
           "that is of this data.", metavar="NAME"),
    Option("--qbench-update-baseline", "Record this run as the baseline and say what changes.", kind="bool", ini=False),
    Option("--qbench-accept-regression", "Let --qbench-update-baseline record a run that regressed. Needs "
           "--qbench-reason.", kind="bool", ini=False),
    Option("--qbench-accept-lost-items", "Let --qbench-update-baseline record a run that lacks items of the old "
           "baseline.", kind="bool", ini=False),
    Option("--qbench-new-anchor", "Let the baseline that --qbench-update-baseline records be its own anchor. Needs "
           "--qbench-reason.", kind="bool", ini=False),
    Option("--qbench-reason", "Store this text in the baseline that --qbench-update-baseline records.", metavar="TEXT",
           ini=False),
    Option("--qbench-no-gates", "Measure only: gates report, but do not decide the exit status.", kind="bool",
           ini=False),
    Option("--qbench-strict", "End with exit status 11 where a gate is inconclusive.", kind="bool"),
    Option("--qbench-why", "Where a gate regressed, name the stage, the slices and the images behind it, at the end of "
           "the run.", kind="bool"),
    Option("--qbench-json", "Write the summary to this file as well.", metavar="FILE"),
    Option("--qbench-html", "Write the report as one self-contained page to this file.", metavar="FILE"),
    Option("--qbench-md", "Write the report as Markdown to this file. In GitHub Actions, every run appends it to the "
           "step summary.", metavar="FILE"),
)  # fmt: skip


def add_options(parser: pytest.Parser) -> None:
    """Declare the option group `qbench` and the configuration twins."""
    group = parser.getgroup(NAME, "Q-Bench: low-level vision of vision-language models")
    for option in OPTIONS:
        extra: dict[str, Any] = {"metavar": option.metavar}
        if option.kind == "bool":
            extra = {"action": "store_const", "const": True}
        elif option.kind == "linelist":
            extra["action"] = "append"
        group.addoption(option.name, dest=option.dest, default=None, help=option.help, **extra)
        if option.ini:
            kind: Any = "linelist" if option.kind == "linelist" else option.kind
            parser.addini(option.dest, f"Default of {option.name}.", type=kind, default=None)


def given(config: pytest.Config) -> bool:
    """Return whether the command line has a Q-Bench option."""
    return any(config.getoption(option.dest) is not None for option in OPTIONS)


def in_use(config: pytest.Config) -> bool:
    """Return whether the command line or the configuration has a Q-Bench option."""
    return given(config) or any(option.ini and config.getini(option.dest) for option in OPTIONS)


def given_model(config: pytest.Config) -> bool:
    """Return whether the command line names a model."""
    return config.getoption("qbench_model") is not None
