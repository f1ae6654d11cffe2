"""The reference of all steps, written from the steps themselves."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ccengine.dialplan.expression import Expression, Prompt, QueueName, ValueTemplate
from ccengine.dialplan.registry import StepRegistry
from ccengine.dialplan.step import FlowName, Step, Target, VariableName

_WORDS: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true/false",
    Expression: "expression",
    Prompt: "prompt key",
    QueueName: "queue",
    ValueTemplate: "text, number or true/false",
    FlowName: "flow",
    VariableName: "variable",
    Target: "target",
}


def type_words(annotation: object) -> str:
    """Return in words what may be written for a field."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " \\| ".join(f"`{value}`" if value != "" else "empty" for value in arguments)
    if origin is typing.Annotated:
        return type_words(arguments[0])
    if origin is tuple:
        return f"list of {_plural(type_words(arguments[0]))}"
    if origin is dict:
        return f"{type_words(arguments[0])} → {type_words(arguments[1])}"
    if arguments:
        return " or ".join(type_words(part) for part in arguments if part is not type(None))
    return "text" if isinstance(annotation, type) else str(annotation)


def _plural(words: str) -> str:
    return words if words.endswith("s") or words == "text" else f"{words}s"


def default_words(info: FieldInfo) -> str:
    """Return the default of a field, ``required`` when it has none."""
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True, validated_data={})
    if default is None or default in ("", (), {}) or _holds_models(default):
        return "–"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{default}`"


def _holds_models(value: object) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return any(isinstance(item, BaseModel) for item in values)


def clean(docstring: str | None) -> str:
    """Return a docstring as plain paragraphs of Markdown."""
    text = inspect.cleandoc(docstring or "").replace("``", "`")
    text = re.sub(r":rfc:`(\d+)`", r"RFC \1", text)
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def field_rows(model: type[BaseModel]) -> Iterator[str]:
    """Yield a Markdown table row for each field of a model."""
    for name, info in model.model_fields.items():
        key = info.alias or name
        words = type_words(info.annotation)
        yield f"| `{key}` | {words} | {default_words(info)} | {clean(info.description)} |"


def _step(step: type[Step]) -> Iterator[str]:
    yield f"### `{step.NAME}`"
    yield ""
    yield clean(step.__doc__)
    notes = []
    if step.SHORT:
        notes.append(f"Short form: `{step.NAME}: {step.SHORT.upper()}`.")
    if step.NEEDS_ANSWER and step.NAME != "answer":
        notes.append("Answers the call when nobody has yet.")
    if step.DIGITS == "drop":
        notes.append("Keys pressed meanwhile are not kept.")
    if step.WHOLE:
        info = step.model_fields[step.WHOLE]
        notes.append(f"Written `{step.NAME}: …` with {type_words(info.annotation)}.")
    if notes:
        yield ""
        yield " ".join(notes)
    if step.model_fields and not step.WHOLE:
        yield ""
        yield "| key | value | default | meaning |"
        yield "|---|---|---|---|"
        yield from field_rows(step)
    yield ""


def steps_markdown(steps: StepRegistry) -> str:
    """Return the reference of all steps as Markdown, in the order of the registry."""
    return "\n".join(line for step in steps for line in _step(step)).rstrip() + "\n"
