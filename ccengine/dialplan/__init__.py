"""Dialplans in YAML: source positions, schema, interpreter and spoken values."""

from ccengine.dialplan.interpreter import Interpreter
from ccengine.dialplan.load import load_dialplan
from ccengine.dialplan.place import FlowPlace
from ccengine.dialplan.plan import Dialplan, DialplanStore, prompt_keys
from ccengine.dialplan.registry import StepRegistry
from ccengine.dialplan.steps import standard_steps

__all__ = [
    "Dialplan",
    "DialplanStore",
    "FlowPlace",
    "Interpreter",
    "StepRegistry",
    "load_dialplan",
    "prompt_keys",
    "standard_steps",
]
