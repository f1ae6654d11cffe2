"""JSON Schema of dialplans, for editors that complete and check while one writes."""

from __future__ import annotations

from typing import Any

from ccengine.dialplan.load import FlowFile
from ccengine.dialplan.registry import StepRegistry
from ccengine.dialplan.step import Step, Target
from ccengine.dialplan.steps import standard_steps

_REF = "#/$defs/{model}"


def _with_short(schema: dict[str, Any], short: str) -> dict[str, Any]:
    """Return a schema that takes the short form as well."""
    if not short:
        return schema
    alone = schema["properties"][short]
    return {"anyOf": [alone, schema], "description": schema.get("description", "")}


def step_schema(step: type[Step], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what stands after a step's word; adds to ``definitions``."""
    schema = step.model_json_schema(ref_template=_REF, by_alias=True)
    definitions.update(schema.pop("$defs", {}))
    if step.WHOLE:
        return dict(schema["properties"][step.WHOLE])
    return _with_short(schema, step.SHORT)


def json_schema(steps: StepRegistry | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a dialplan file with the given steps, else the standard ones."""
    registry = steps if steps is not None else standard_steps()
    schema = FlowFile.model_json_schema(ref_template=_REF, by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    words: list[str] = []
    forms: list[dict[str, Any]] = []
    for step in registry:
        body = step_schema(step, definitions)
        forms.append(
            {
                "type": "object",
                "properties": {step.NAME: body},
                "required": [step.NAME],
                "additionalProperties": False,
            }
        )
        if not any(info.is_required() for info in step.model_fields.values()):
            words.append(step.NAME)
    definitions["Target"] = _with_short(
        Target.model_json_schema(ref_template=_REF, by_alias=True), Target.SHORT
    )
    definitions["Step"] = {"anyOf": [{"enum": words}, *forms]}
    states = definitions["FlowSource"]["properties"]["states"]
    for state in states["patternProperties"].values():
        state["items"] = {"$ref": _REF.format(model="Step")}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "ccengine dialplan"
    return schema
