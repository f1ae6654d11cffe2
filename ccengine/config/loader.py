"""Reading the configuration with its dialplans: every mistake at once, or a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ccengine.config.number import NumberPlan
from ccengine.config.reference import folders, named, references, warnings
from ccengine.config.schema import NumberTarget, Settings
from ccengine.dialplan.load import load_dialplan
from ccengine.dialplan.plan import Dialplan
from ccengine.dialplan.registry import StepRegistry
from ccengine.dialplan.source import Document, DocumentReader, read_document
from ccengine.dialplan.validation import salvage, validate
from ccengine.errors import ConfigError, DialplanError, DocumentError, Problem


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that fits together, with its dialplan loaded.

    ``warnings`` are what works and should be looked at all the same.
    """

    path: Path
    settings: Settings
    dialplan: Dialplan
    numbers: NumberPlan[NumberTarget]
    warnings: tuple[Problem, ...] = ()


def _load_flows(
    document: Document, settings: Settings, steps: StepRegistry | None, read: DocumentReader
) -> tuple[Dialplan | None, list[Problem]]:
    try:
        plan = load_dialplan(
            settings.dialplan.files, steps=steps, queues=named(document, "queues"), read=read
        )
    except DialplanError as error:
        problems = list(error.problems)
        for index, file in enumerate(settings.dialplan.files):
            if not file.exists():
                problems = [problem for problem in problems if problem.file != str(file)]
                path = ("dialplan", "files", index)
                message = f"there is no file {file}"
                problems.append(document.problem(path, message, "correct the name"))
        return None, problems
    return plan, []


def load_config(
    path: Path | str,
    *,
    steps: StepRegistry | None = None,
    check_folders: bool = True,
    read: DocumentReader = read_document,
) -> Config:
    """Read a configuration file and everything that belongs to it.

    ``steps`` are the dialplan's steps, the standard ones without it.  ``check_folders`` says
    whether the folders must be usable now; a process that takes a running engine over does
    without: calls go on although their recordings cannot be written.  ``read`` says where
    the documents come from.  Raises
    :class:`ConfigError` with every problem of the file, its dialplans and their references.
    """
    path = Path(path)
    try:
        document = read(path)
    except DocumentError as error:
        raise ConfigError(error.problems) from error
    context = {"base": path.parent}
    found, problems = validate(document, Settings, context=context)
    problems = [*document.problems, *problems]
    # What is right in a wrong file is looked at as well, so that one run shows everything.
    settings = found or salvage(Settings, document.data, context=context)
    if settings is None:
        raise ConfigError(problems)
    plan, plan_problems = _load_flows(document, settings, steps, read)
    problems += plan_problems
    if plan is not None:
        problems += references(document, settings, plan.flows)
    elif settings.dialplan.files:
        problems += references(document, settings, _names_used(settings))
    if check_folders:
        problems += folders(document, settings)
    if problems or plan is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Config(
        path=path,
        settings=settings,
        dialplan=plan,
        numbers=NumberPlan.build(settings.numbers),
        warnings=(*warnings(document, settings), *plan.warnings),
    )


def _names_used(settings: Settings) -> set[str]:
    """Return the flows that the configuration names: not checked while they cannot be read."""
    return {target.flow for target in settings.numbers.values()} | {
        queue.wait_flow for queue in settings.queues.values()
    }


def check(path: Path | str, *, steps: StepRegistry | None = None) -> list[Problem]:
    """Return every problem of a configuration, none when it can be run."""
    try:
        load_config(path, steps=steps)
    except ConfigError as error:
        return list(error.problems)
    return []
