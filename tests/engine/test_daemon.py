"""What the keeper is told to run for a configuration."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from ccengine.config.data import sample_config
from ccengine.config.loader import Config, load_config
from ccengine.engine import daemon
from ccengine.engine.kept import KEPT_NAME, KeptConfig
from ccengine.errors import CcengineError
from ccengine.keeper.spec import parse_spec


def configured(folder: Path, *changes: tuple[str, str]) -> Config:
    etc = folder / "etc"
    shutil.copytree(sample_config().parent, etc)
    path = etc / "ccengine.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def option(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]


def test_one_signalling_with_a_spare_the_workers_and_a_writer(tmp_path):
    config = configured(tmp_path, ("workers: 1", "workers: 2"))
    spec = daemon.keeper_spec(config)
    roles = [(one["name"], one["role"]) for one in spec["processes"]]
    assert roles == [
        ("signalling", "signalling"),
        ("media-0", "media"),
        ("media-1", "media"),
        ("writer", "writer"),
    ]
    signalling = spec["processes"][0]
    assert signalling["spare"]
    assert option(signalling["argv"], "--config") == str(config.path.resolve())
    assert option(signalling["argv"], "--kept") == str(config.settings.run.folder / KEPT_NAME)
    assert signalling["stop_s"] > config.settings.run.drain_s


def test_the_keeper_understands_it(tmp_path):
    spec = parse_spec(daemon.keeper_spec(configured(tmp_path)))
    assert [one.name for one in spec.processes] == ["signalling", "media-0", "writer"]


def test_the_ports_are_shared_out_without_overlap(tmp_path):
    config = configured(tmp_path, ("workers: 1", "workers: 3"))
    spec = daemon.keeper_spec(config)
    ranges = [
        tuple(map(int, option(one["argv"], "--ports").split("-")))
        for one in spec["processes"]
        if one["role"] == "media"
    ]
    ports = config.settings.media.ports
    assert ranges[0][0] == ports.first
    assert ranges[-1][1] <= ports.last
    for (first, last), (following, _) in pairwise(ranges):
        assert first % 2 == 0
        assert last % 2 == 1
        assert following == last + 1


def test_pinned_workers_get_cores_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    config = configured(tmp_path, ("workers: 1", "workers: 3\n  pin: true"))
    cores = [
        option(one["argv"], "--core")
        for one in daemon.keeper_spec(config)["processes"]
        if one["role"] == "media"
    ]
    assert cores == ["0", "1", "0"]


def test_run_keeps_the_configuration_and_becomes_the_keeper(tmp_path, monkeypatch):
    config = configured(tmp_path, ("port: 5060", "port: 0"))
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda path, argv: became.append(argv))
    monkeypatch.setattr(daemon, "raise_file_limit", lambda: 1024)
    daemon.run(config)
    (argv,) = became
    assert argv[1:3] == ["-m", "ccengine.keeper.main"]
    assert Path(argv[3]).exists()
    kept = KeptConfig(config.settings.run.folder / KEPT_NAME).load()
    assert kept.settings == config.settings


def test_a_folder_that_cannot_be_made_is_named_with_its_key(tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(CcengineError) as caught:
        daemon.make_folder(tmp_path / "file" / "run", "run.folder")
    assert caught.value.cure == "correct run.folder"
