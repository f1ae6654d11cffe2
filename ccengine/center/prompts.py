"""The prompt catalogue: from a key and a language to the file that is played."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

_log = logging.getLogger(__name__)
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_NEUTRAL = "music"  # the folder of sounds that no language owns
_MAX_MISSING = 1000  # keys can be computed by a flow: the books of what is missing stay small


def shipped_prompts() -> Path:
    """Return the folder of the prompts that come with ccengine.

    An installed wheel has them beside its modules, a source checkout at its top.
    """
    package = Path(__file__).resolve().parent.parent
    installed = package / "_data" / "prompts"
    return installed if installed.is_dir() else package.parent / "prompts"


class PromptCatalogue:
    """Finds prompts in ``roots``: the first root that has one wins, so put one's own first.

    A root holds ``<language>/<key>.wav`` and ``music/<key>.wav``.  A prompt that the wanted
    language lacks is taken from its base language (``zh`` for ``zh-CN``) or from one of
    ``languages``, in their order.  A missing prompt is logged once for each key and language,
    counted each time, and never raises: a call goes on without it.
    """

    def __init__(self, roots: Sequence[Path], languages: Sequence[str]) -> None:
        self._roots = tuple(roots)
        self._languages = tuple(languages)
        self._found: dict[tuple[str, str], Path] = {}
        self._missing: Counter[tuple[str, str]] = Counter()

    @property
    def missing(self) -> dict[tuple[str, str], int]:
        """Return how often each (key, language) was wanted and not there."""
        return dict(self._missing)

    @property
    def missing_count(self) -> int:
        """Return how often any prompt was wanted and not there."""
        return self._missing.total()

    def find(self, key: str, language: str) -> Path | None:
        """Return the file of a prompt, None when there is none in any language."""
        found = self._found.get((key, language))
        if found is None:
            found = self._search(key, language)
            if found is None:
                self._miss(key, language)
            else:
                self._found[key, language] = found
        return found

    def files(self, keys: Iterable[str], language: str) -> tuple[str, ...]:
        """Return the files of several prompts in order, without those that are missing."""
        found = (self.find(key, language) for key in keys)
        return tuple(str(path) for path in found if path is not None)

    def lacks(self, keys: Iterable[str], languages: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Return the (key, language) pairs without a file of their own language.

        For checks of a configuration: nothing is logged or counted.
        """
        wanted = sorted(set(keys))
        return tuple(
            (key, language)
            for language in sorted(set(languages))
            for key in wanted
            if self._look(key, _tags(language)) is None
        )

    def reload(self) -> None:
        """Forget what was found and what was missing: files were added or taken away."""
        self._found.clear()
        self._missing.clear()

    def _search(self, key: str, language: str) -> Path | None:
        tags = _tags(language)
        for other in self._languages:
            tags += [tag for tag in _tags(other) if tag not in tags]
        return self._look(key, tags)

    def _look(self, key: str, tags: Sequence[str]) -> Path | None:
        # Flows compute keys from what callers press: none may lead out of the roots.
        if not _KEY.fullmatch(key):
            return None
        for folder in (*tags, _NEUTRAL):
            for root in self._roots:
                path = root / folder / f"{key}.wav"
                if path.is_file():
                    return path
        return None

    def _miss(self, key: str, language: str) -> None:
        pair = (key, language)
        if pair not in self._missing and len(self._missing) >= _MAX_MISSING:
            pair = ("", "")
        self._missing[pair] += 1
        if self._missing[pair] == 1:
            places = ", ".join(map(str, self._roots)) or "no folder"
            _log.error(
                "prompt %r (%s) is missing in %s: record %s/%s.wav there; the call goes on",
                key, language, places, language, key,
            )  # fmt: skip


def _tags(language: str) -> list[str]:
    """Return a language tag and its base language (:rfc:`4647` section 3.4: lookup)."""
    tag = language.replace("_", "-")
    if not _LANGUAGE.fullmatch(tag):
        return []
    base = tag.partition("-")[0].lower()
    return [tag] if tag == base else [tag, base]
