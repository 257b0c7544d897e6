"""`qbench study`: answer an open question of Q-Bench by a measurement."""

from __future__ import annotations

import argparse

from pytest_qbench.cli.command import Commands
from pytest_qbench.prompt_sets.read import name_or_path
from pytest_qbench.prompts import ANSWER_MODES, DEFAULT_PROMPTS


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    study = commands.add_parser("study", help="answer an open question of Q-Bench by a measurement")
    studies = study.add_subparsers(dest="study", required=True)
    context = studies.add_parser("context", help="does context in the prompt help?")
    context.add_argument("--context", metavar="TEXT", help="the context of all items. Default: that of the data")
    options = studies.add_parser("options", help="how large is the bias towards a position of the options?")
    for parser in (context, options):
        _add_measurement(parser)
    context.add_argument("--judge", metavar="SPEC", help="the judge of descriptions, as in --qbench-judge")
    _add_judge(context)
    experts = studies.add_parser("experts", help="what does a human expert reach, and do the experts agree?")
    _add_data(experts)
    experts.add_argument("--judge", metavar="SPEC", required=True, help="the judge, as in --qbench-judge")
    _add_judge(experts)
    experts.add_argument("--run", dest="run_folder", metavar="RUN", help="a run folder whose descriptions are compared")
    study.set_defaults(run=run)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", required=True, help="mini or a data folder")
    parser.add_argument("--datasets", metavar="A,B", help="only these datasets")
    parser.add_argument("--split", default="dev", choices=("dev", "test"), help="the split of LLVisionQA")


def _add_judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--judge-arg", action="append", default=[], metavar="KEY=VALUE",
                        help="a judge argument, as in --qbench-judge-arg; repeatable")  # fmt: skip
    parser.add_argument("--judge-prompts", type=name_or_path, metavar="NAME|FILE", help="as in --qbench-judge-prompts")
    parser.add_argument("--judge-rounds", type=_positive, default=5, metavar="N", help="rounds. Default: 5")


def _add_measurement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="SPEC", required=True, help="the model, as in --qbench-model")
    parser.add_argument("--model-arg", action="append", default=[], metavar="KEY=VALUE",
                        help="a model argument, as in --qbench-model-arg; repeatable")  # fmt: skip
    _add_data(parser)
    parser.add_argument("--limit", type=_positive, metavar="N", help="a sample of N items per dataset")
    parser.add_argument("--answer", choices=ANSWER_MODES, help="as in --qbench-answer")
    parser.add_argument("--prompts", type=name_or_path, default=DEFAULT_PROMPTS, metavar="NAME|FILE",
                        help="as in --qbench-prompts")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of sample, order and resampling")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: not a whole number of at least 1")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Run the study and print its results; return 1 where one is missing."""
    if arguments.study == "experts":
        from pytest_qbench.cli.study_of_experts import study_experts

        return study_experts(arguments)
    from pytest_qbench.cli.study_of_prompts import study_context, study_options

    return study_context(arguments) if arguments.study == "context" else study_options(arguments)
