"""From pydantic's errors to problems that name the place and the cure."""

from __future__ import annotations

import copy
import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    RootModel,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ccengine.dialplan.source import Document, KeyPath
from ccengine.errors import Problem

Model = TypeVar("Model", bound=BaseModel)

_OWN = "ccengine"


class Section(BaseModel):
    """Base of everything that is read from a file: frozen, and unknown keys are errors.

    ``SHORT`` names the field that may be written alone, without a mapping around it:
    ``play: [greeting]`` for ``play: {prompts: [greeting]}``.  ``WHOLE`` names the field that
    takes everything that stands there, a mapping as well: ``set: {queue: sales}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    SHORT: typing.ClassVar[str] = ""
    WHOLE: typing.ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def from_short(cls, data: Any) -> Any:
        """Return ``data`` as a mapping when it was written in the short form."""
        if cls.WHOLE and not isinstance(data, BaseModel):
            return {cls.WHOLE: data}
        if not cls.SHORT or isinstance(data, Mapping | BaseModel):
            return data
        return {} if data is None else {cls.SHORT: data}


def reject(message: str, cure: str = "", *, offset: int = 0) -> NoReturn:
    """Fail a validator with a message, a cure and an offset into the value's text."""
    raise PydanticCustomError(
        _OWN, "{message}", {"message": message, "cure": cure, "offset": offset}
    )


def as_text(value: Any) -> Any:
    """Return a bare whole number as text; other values are left to the type's own check."""
    # 95588 without quotes is a number to YAML and a telephone number to people.
    if isinstance(value, bool):
        reject("true or false stands where text is wanted", "put it into quotes")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        reject("a fraction stands where text is wanted", "put it into quotes")
    return value


Text = Annotated[str, BeforeValidator(as_text, json_schema_input_type=str | int)]
"""Text that may be written as a bare number, such as an extension or a PIN."""


def _one_as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def one_or_more(item: Any) -> BeforeValidator:
    """Return a mark for lists of ``item`` of which one may be written without brackets."""
    return BeforeValidator(_one_as_list, json_schema_input_type=item | tuple[item, ...])


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a cure that names the nearest known word, or all of them when they are few."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return "remove it"
    if len(names) <= 12:
        return f"known here: {', '.join(names)}"
    return f"known here: {', '.join(names[:12])} and {len(names) - 12} more"


# --- where a pydantic error belongs ----------------------------------------------------------


def _arguments(annotation: Any) -> Iterator[Any]:
    """Yield the annotation, with unions and ``Annotated`` taken apart."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from _arguments(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _arguments(part)
    else:
        yield annotation


def _inside(annotation: Any, component: str | int) -> Iterator[Any]:
    """Yield what stands at ``component`` inside a value of ``annotation``."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        for part in _arguments(annotation.model_fields["root"].annotation):
            yield from _inside(part, component)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            if component in (name, info.alias):
                yield from _arguments(info.annotation)
    elif typing.get_origin(annotation) is not None:
        for part in typing.get_args(annotation)[-2:]:
            if part is not Ellipsis:
                yield from _arguments(part)


def known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that ``model`` knows at ``path`` of its data."""
    candidates: list[Any] = [model]
    for component in path:
        inner = [part for candidate in candidates for part in _inside(candidate, component)]
        candidates = inner or candidates
    return [
        info.alias or name
        for candidate in candidates
        if isinstance(candidate, type) and issubclass(candidate, BaseModel)
        for name, info in candidate.model_fields.items()
    ]


# --- wording ------------------------------------------------------------------------------------

_WRONG_TYPE: Mapping[str, tuple[str, str]] = {
    "string_type": ("text is wanted here", "write one piece of text"),
    "int_type": ("a whole number is wanted here", "write digits without quotes"),
    "int_parsing": ("a whole number is wanted here", "write digits alone, such as 5"),
    "int_from_float": ("a whole number is wanted here", "write it without a fraction"),
    "float_type": ("a number is wanted here", "write digits, such as 5 or 0.5"),
    "float_parsing": ("a number is wanted here", "write digits, such as 5 or 0.5"),
    "bool_type": ("true or false is wanted here", "write true or false"),
    "bool_parsing": ("true or false is wanted here", "write true or false"),
    "tuple_type": ("a list is wanted here", "write [a, b] or one '- item' a line"),
    "list_type": ("a list is wanted here", "write [a, b] or one '- item' a line"),
    "dict_type": ("keys with values are wanted here", "write 'key: value' lines"),
    "model_type": ("keys with values are wanted here", "write 'key: value' lines"),
    "model_attributes_type": ("keys with values are wanted here", "write 'key: value' lines"),
    "none_required": ("nothing is wanted here", "leave the value out"),
    "too_short": ("too few values", "add one"),
    "string_too_short": ("the text is empty", "write something"),
    "finite_number": ("a finite number is wanted here", "write digits, such as 5"),
}

_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _bare(text: object) -> str:
    """Return ``'a', 'b' or 'c'`` as ``a, b, c``."""
    return str(text).replace(" or ", ", ").replace("'", "")


def _describe(detail: ErrorDetails) -> tuple[str, str]:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == _OWN:
        return str(context["message"]), str(context["cure"])
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return "the number is out of range", f"write {words} {context[name]}"
    if kind in ("literal_error", "enum"):
        allowed = _bare(context["expected"]).split(", ")
        given = detail["input"]
        shown = f"{given!r}" if isinstance(given, str | int | float) else "this"
        return f"{shown} is not allowed here", f"write one of: {', '.join(allowed)}"
    if kind in _WRONG_TYPE:
        return _WRONG_TYPE[kind]
    if kind == "string_pattern_mismatch":
        return "the text has the wrong form", f"it must match {context['pattern']}"
    return str(detail["msg"]).removeprefix("Value error, "), ""


def _problem(
    document: Document, model: type[BaseModel], at: KeyPath, detail: ErrorDetails
) -> Problem:
    location: KeyPath = tuple(part for part in detail["loc"] if part != "[key]")
    path = (*at, *location)
    if detail["type"] == "extra_forbidden":
        word = str(location[-1])
        cure = nearest(word, known_keys(model, location[:-1]))
        return document.problem(path, f"unknown key {word!r}", cure, key=True)
    if detail["type"] == "missing":
        word = str(location[-1])
        return document.problem(path[:-1], f"key {word!r} is missing", f"add '{word}: …'", key=True)
    message, cure = _describe(detail)
    on_key = "[key]" in detail["loc"]
    offset = int(detail.get("ctx", {}).get("offset", 0))
    return document.problem(path, message, cure, key=on_key, offset=offset)


def validate(
    document: Document,
    model: type[Model],
    path: KeyPath = (),
    *,
    context: Mapping[str, Any] | None = None,
) -> tuple[Model | None, list[Problem]]:
    """Check the value at ``path`` against ``model`` and return it with every problem found.

    ``context`` is what validators may look at, such as the folder of the file.
    """
    value = document.data
    for component in path:
        value = value[component]
    return validate_value(document, model, value, path, context=context)


def validate_value(
    document: Document,
    model: type[Model],
    value: Any,
    path: KeyPath,
    *,
    context: Mapping[str, Any] | None = None,
) -> tuple[Model | None, list[Problem]]:
    """Check a value that was taken from ``path`` of ``document``."""
    try:
        given = {} if value is None else value
        return model.model_validate(given, context=dict(context or {})), []
    except ValidationError as error:
        details = _first_causes(error.errors(include_url=False, include_input=True))
        problems = {_problem(document, model, path, detail) for detail in details}
        return None, sorted(problems)


def _first_causes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out lists that are too short only because what they hold is wrong."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(at[: len(detail["loc"])] == detail["loc"] != at for at in places)
    ]


def salvage(
    model: type[Model], value: Any, *, context: Mapping[str, Any] | None = None
) -> Model | None:
    """Return a model of what is right in ``value``, so that more mistakes can be looked for.

    None when what is left after taking the mistakes out is not enough.
    """
    value = copy.deepcopy(value)
    for _ in range(3):
        try:
            return model.model_validate(value, context=dict(context or {}))
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=False):
                _take_out(value, detail["loc"])
    return None


def _take_out(value: Any, location: tuple[str | int, ...]) -> None:
    """Remove the deepest mapping entry on the way to ``location``."""
    entry: tuple[dict[Any, Any], str | int] | None = None
    for component in location:
        if isinstance(value, dict) and component in value:
            entry = (value, component)
            value = value[component]
        elif isinstance(value, list) and isinstance(component, int) and component < len(value):
            value = value[component]
    if entry is not None:
        entry[0].pop(entry[1], None)
