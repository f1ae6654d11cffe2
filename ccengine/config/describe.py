"""The reference of the configuration, written from its schema."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from ccengine.config.change import reload_kind
from ccengine.config.schema import Settings
from ccengine.dialplan.describe import clean, default_words, type_words
from ccengine.dialplan.validation import Section


def _models(annotation: object) -> list[type[BaseModel]]:
    """Return the models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _words(annotation: object) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Path:
        return "path"
    if annotation is SecretStr:
        return "text, kept secret"
    if origin is typing.Annotated:
        return _words(arguments[0])
    if origin is tuple:
        return f"list of {_plural(_words(arguments[0]))}"
    if origin is dict:
        return f"{_words(arguments[0])} → {_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{_anchor(annotation)})"
    if arguments and origin is not typing.Literal:
        return " or ".join(_words(part) for part in arguments if part is not type(None))
    if annotation is typing.Any:
        return "any value"
    return type_words(annotation)


def _plural(words: str) -> str:
    return words if words.endswith(("s", "text", ")")) or "`" in words else f"{words}s"


def _anchor(model: type[BaseModel]) -> str:
    return _title(model).lower().replace(" ", "-")


def _title(model: type[BaseModel]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", model.__name__).capitalize()


def _row(name: str, info: FieldInfo) -> str:
    default = "–" if info.get_default() == {} else default_words(info)
    kind = reload_kind(info) or "–"
    return f"| `{name}` | {_words(info.annotation)} | {default} | {kind} | {info.description} |"


def _section(model: type[BaseModel]) -> Iterator[str]:
    yield f"## {_title(model)}"
    yield ""
    yield clean(model.__doc__)
    if issubclass(model, Section) and model.SHORT:
        yield ""
        yield f"A single value stands for `{model.SHORT}`."
    yield ""
    yield "| key | value | default | reload | meaning |"
    yield "|---|---|---|---|---|"
    for name, info in model.model_fields.items():
        yield _row(name, info)
    yield ""


def _all_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for info in model.model_fields.values():
        for inner in _models(info.annotation):
            yield from _all_models(inner)


def configuration_markdown() -> str:
    """Return the reference of every section and key as Markdown."""
    models = dict.fromkeys(_all_models(Settings))
    lines = [line for model in models for line in _section(model)]
    return "\n".join(lines).rstrip() + "\n"
