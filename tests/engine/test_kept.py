"""What an engine runs is kept for its successor, whatever the files say by then."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from ccengine.config.data import sample_config
from ccengine.config.loader import load_config
from ccengine.engine import main as entry
from ccengine.engine.kept import KeptConfig, Sources
from ccengine.errors import CcengineError


@pytest.fixture
def config(tmp_path) -> Path:
    folder = tmp_path / "etc"
    shutil.copytree(sample_config().parent, folder)
    return folder / "ccengine.yaml"


@pytest.fixture
def kept(tmp_path, config) -> KeptConfig:
    kept = KeptConfig(tmp_path / "configuration.json")
    sources = Sources()
    load_config(config, check_folders=False, read=sources.read)
    kept.save(config, sources.texts)
    return kept


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def reload(kept: KeptConfig, config: Path) -> None:
    sources = Sources()
    load_config(config, check_folders=False, read=sources.read)
    kept.reload(config, sources.texts)


def test_it_is_the_same_configuration_and_dialplan(kept, config):
    there, here = kept.load(), load_config(config, check_folders=False)
    assert there.settings == here.settings
    assert there.dialplan.version == here.dialplan.version


def test_nobody_else_may_read_it(kept, tmp_path):
    assert stat.S_IMODE((tmp_path / "configuration.json").stat().st_mode) == 0o600


def test_files_that_became_wrong_or_vanished_do_not_matter(kept, config):
    version = kept.load().dialplan.version
    config.write_text("sip: {lissteners: 7}", encoding="utf-8")
    (config.parent / "hotline.yaml").unlink()
    assert kept.load().dialplan.version == version


def test_an_edit_without_reload_does_not_count(kept, config):
    edit(config, "ring_timeout_s: 20", "ring_timeout_s: 7")
    assert kept.load().settings.queues["sales"].ring_timeout_s == 20


def test_a_reload_counts_but_its_cold_changes_wait_for_a_restart(kept, config):
    before = kept.load().settings
    edit(config, "ring_timeout_s: 20", "ring_timeout_s: 7")
    edit(config, "workers: 1", "workers: 3")
    edit(config, "folder: var/journal", "folder: var/elsewhere")
    reload(kept, config)
    after = kept.load().settings
    assert after.queues["sales"].ring_timeout_s == 7
    assert after.media.workers == 1
    assert after.journal.folder == before.journal.folder


def test_a_reloaded_dialplan_is_kept(kept, config):
    before = kept.load().dialplan.version
    edit(config.parent / "hotline.yaml", "greeting", "main_menu")
    reload(kept, config)
    assert kept.load().dialplan.version == load_config(config).dialplan.version != before


def test_each_save_can_be_noticed(kept, config):
    before = kept.stamp()
    reload(kept, config)
    assert kept.stamp() != before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"config": "x"}'])
def test_what_is_damaged_is_an_error_of_ours(tmp_path, text):
    path = tmp_path / "configuration.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CcengineError, match="no configuration is kept"):
        KeptConfig(path).load()


class TestSpare:
    """What ``ccengine.engine.main`` does with it before it is told to take over."""

    @pytest.fixture(autouse=True)
    def _quiet(self, monkeypatch):
        monkeypatch.setattr(entry, "configure_logging", lambda level, style: None)
        monkeypatch.setattr(entry, "_freeze", lambda: None)  # the tests are no engine

    def test_it_starts_although_the_file_is_wrong(self, kept, config, tmp_path):
        config.write_text("nonsense", encoding="utf-8")
        loaded = entry.Loaded(config, tmp_path / "configuration.json")
        assert loaded.config.settings.queues

    def test_without_anything_kept_the_file_counts(self, config, tmp_path):
        loaded = entry.Loaded(config, tmp_path / "nothing.json")
        assert loaded.config.path == config
        config.write_text("nonsense", encoding="utf-8")
        with pytest.raises(CcengineError):
            entry.Loaded(config, tmp_path / "nothing.json")

    def test_what_is_damaged_falls_back_to_the_file(self, config, tmp_path, capsys):
        path = tmp_path / "configuration.json"
        path.write_text("{", encoding="utf-8")
        assert entry.Loaded(config, path).config.path == config
        assert "no configuration is kept" in capsys.readouterr().err

    def test_a_reload_of_the_running_engine_is_followed(self, kept, config, tmp_path):
        loaded = entry.Loaded(config, tmp_path / "configuration.json")
        loaded.refresh()
        edit(config, "ring_timeout_s: 20", "ring_timeout_s: 7")
        loaded.refresh()
        assert loaded.config.settings.queues["sales"].ring_timeout_s == 20
        reload(kept, config)
        loaded.refresh()
        assert loaded.config.settings.queues["sales"].ring_timeout_s == 7

    def test_it_keeps_what_it_has_when_the_kept_is_damaged(self, kept, config, tmp_path, caplog):
        path = tmp_path / "configuration.json"
        loaded = entry.Loaded(config, path)
        before = loaded.config
        path.write_text("{", encoding="utf-8")
        loaded.refresh()
        assert loaded.config is before
        assert "keeps the configuration" in caplog.text

    def test_it_waits_for_the_word(self, kept, config, tmp_path):
        class Keeper:
            def __init__(self, *words):
                self.words = list(words)
                self.is_ready = False

            def ready(self):
                self.is_ready = True

            def wait(self, timeout_s):
                return self.words.pop(0)

        loaded = entry.Loaded(config, tmp_path / "configuration.json")
        keeper = Keeper([], [], ["activate"])
        assert entry._wait_for_turn(keeper, loaded)
        assert keeper.is_ready
        assert not entry._wait_for_turn(Keeper([], ["stop"]), loaded)
        assert not entry._wait_for_turn(Keeper(["lost"]), loaded)
