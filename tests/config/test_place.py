from __future__ import annotations

from pathlib import Path

import pytest

from ccengine.config.data import sample_config
from ccengine.config.loader import load_config
from ccengine.config.place import find_places
from ccengine.config.schema import Settings
from ccengine.dialplan.source import read_document
from ccengine.dialplan.validation import validate
from ccengine.errors import CommandError, ConfigError

OWN = """\
run: {folder: ~/run}
journal: {folder: /var/lib/ccengine/journal}
recording: {folder: ../rec}
store: {url: "sqlite:////var/lib/ccengine/calls.db"}
"""


@pytest.mark.parametrize("text", ["", OWN, 'store: {url: "sqlite:///calls.db"}\n'])
def test_places_are_those_of_the_whole_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ccengine.yaml"
    path.write_text(text)
    same(path)


def test_places_of_the_sample_are_those_of_the_whole_configuration() -> None:
    same(sample_config())


def same(path: Path) -> None:
    found = find_places(path)

    settings, problems = validate(read_document(path), Settings, context={"base": path.parent})
    assert settings is not None, problems
    assert found.run == settings.run.folder
    assert found.journal == settings.journal.folder
    assert found.recordings == settings.recording.folder
    assert found.store_url == settings.store.url


def test_a_wrong_value_elsewhere_does_not_hide_the_places(tmp_path: Path) -> None:
    path = tmp_path / "ccengine.yaml"
    path.write_text("run: {folder: r}\nqueues: {sales: {no_such_key: 1}}\n")
    assert find_places(path).run == tmp_path / "r"
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_missing_file_and_one_that_is_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="-c FILE"):
        find_places(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="no YAML"):
        find_places(tmp_path / "bad.yaml")
