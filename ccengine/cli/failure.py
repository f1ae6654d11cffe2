"""Mistakes of the user become lines on stderr and an exit status, never a traceback."""

from __future__ import annotations

from typing import IO, Any

import click

from ccengine.errors import CcengineError, DocumentError


class Failure(click.ClickException):
    """An error of ours as click shows it: what is wrong and what to do; exit status 1."""

    exit_code = 1

    def __init__(self, error: CcengineError) -> None:
        super().__init__(str(error))
        self._error = error

    def show(self, file: IO[Any] | None = None) -> None:
        """Print one line, or one for each mistake in a document."""
        del file
        if isinstance(self._error, DocumentError):
            for problem in self._error.problems:
                click.echo(str(problem), err=True)
        else:
            click.echo(f"ccengine: {self._error}", err=True)


class ReportingGroup(click.Group):
    """A group whose commands may raise :class:`CcengineError`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; :class:`Failure` for an error of ours."""
        try:
            return super().invoke(ctx)
        except CcengineError as error:
            raise Failure(error) from error
