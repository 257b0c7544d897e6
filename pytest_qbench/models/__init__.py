"""Vision-language models: the model protocol, the specs of users, and the backends."""

from pytest_qbench.models.base import Model
from pytest_qbench.models.load import load_model
from pytest_qbench.models.model_args import check_args, parse_model_args
from pytest_qbench.models.specs import ModelSpec, check, parse_spec
from pytest_qbench.records import Response

__all__ = ["Model", "ModelSpec", "Response", "check", "check_args", "load_model", "parse_model_args", "parse_spec"]
