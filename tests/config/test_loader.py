from __future__ import annotations

import os
from pathlib import Path

import pytest

from ccengine.config import check, load_config, sample_config
from ccengine.config.change import changed_cold, changed_hot
from ccengine.config.data import data_folder
from ccengine.config.describe import configuration_markdown
from ccengine.config.reference import unwritable
from ccengine.config.schema import Settings
from ccengine.errors import ConfigError

ROOT = Path(__file__).parents[2]
FLOWS = "version: 1\nflows:\n  main: {states: {a: [{queue: sales}]}}\n"


def write(folder: Path, text: str, flows: str = FLOWS) -> Path:
    (folder / "flows.yaml").write_text(flows)
    path = folder / "ccengine.yaml"
    path.write_text(text)
    return path


def problems(path: Path) -> list[str]:
    return [str(problem).removeprefix(f"{path.parent}/") for problem in check(path)]


GOOD = """\
extensions: {1001: {password: a}}
queues: {sales: {}}
dialplan: flows.yaml
numbers: {4001: main}
"""


def test_the_sample_is_without_fault() -> None:
    config = load_config(sample_config())
    assert config.warnings == ()
    assert len(config.settings.extensions) == 6
    assert set(config.settings.queues) == {"sales", "service"}
    for number, flow in (("4001", "main"), ("*11", "agent_sign_in"), ("*14", "agent_away")):
        found = config.numbers.match(number)
        assert found is not None
        assert found[1].flow == flow
        assert flow in config.dialplan.flows
    direct = config.numbers.match("1003")
    assert direct is not None
    assert direct[1].extension


def test_an_empty_file_has_defaults_and_paths_start_at_its_folder(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, ""))
    settings = config.settings
    assert settings.journal.folder == tmp_path / "var/journal"
    assert settings.recording.folder == tmp_path / "var/recordings"
    assert settings.store.url == f"sqlite:///{tmp_path}/var/ccengine.db"
    assert {listener.transport for listener in settings.sip.listeners} == {"udp", "tcp"}


def test_a_path_that_begins_at_the_root_stays(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, "journal: {folder: /tmp/j}\nstore: {url: 'sqlite:////tmp/x.db'}")
    )
    assert config.settings.journal.folder == Path("/tmp/j")
    assert config.settings.store.url == "sqlite:////tmp/x.db"


WRONG = """\
sipp: {}
sip:
  listeners:
    - {name: a, transport: tls, port: 70000}
  registrar: {min_expires_s: 500}
media:
  workrs: 2
  ports: {first: 5001, last: 5010}
recording: {mode: always}
extensions:
  1001: {name: A}
  1002: {password: a, ha1: b}
  1003: {ha1: xyz}
  1004: {password: true}
agents:
  2001: {name: A, phone: 1009, queues: [sals]}
  2002: {phone: 1001}
queues:
  sales: {strategy: random, wait_flow: wating, wrapup_s: -1}
store: {url: "mysql://x"}
dialplan: [flows.yaml, none.yaml]
numbers:
  4001: mian
  4002: {queue: sles}
  4003: {flow: main, queue: sales}
  "1.x": {extension: true}
log: {level: loud}
"""


EXPECTED = """\
1:1: unknown key 'sipp'; did you mean 'sip'?
4:28: 'tls' is not allowed here; write one of: udp, tcp
4:39: the number is out of range; write at most 65535
5:14: the three expiry times are out of order; \
write min_expires_s ≤ default_expires_s ≤ max_expires_s
7:3: unknown key 'workrs'; did you mean 'workers'?
8:10: 5001-5010 holds no whole pairs of RTP and RTCP ports; \
begin with an even port and end with a higher odd one
9:19: 'always' is not allowed here; write one of: answer, connect, off
11:9: an extension needs one credential; write either password or ha1
12:9: an extension needs one credential; write either password or ha1
13:9: ha1 is no MD5 sum; write 32 hexadecimal digits
14:20: true or false stands where text is wanted; put it into quotes
16:26: there is no extension '1009'; did you mean '1004'?
16:41: there is no queue 'sals'; did you mean 'sales'?
17:3: key 'name' is missing; add 'name: …'
19:21: 'random' is not allowed here; write one of: longest_idle
19:58: the number is out of range; write at least 0.0
20:14: this is no database that we know; write sqlite:///PATH
21:24: there is no file FOLDER/none.yaml; correct the name
24:17: there is no queue 'sles'; did you mean 'sales'?
25:9: a number needs one destination; write {flow: NAME}, {queue: NAME} or {extension: true}
26:3: a dot stands for the rest of the number and must come last; \
use digits, x, z, n and a dot at the end
27:14: 'loud' is not allowed here; write one of: debug, info, warning, error
"""


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, WRONG, FLOWS.replace("queue: sales", "queue: sels"))
    expected = EXPECTED.replace("FOLDER", str(tmp_path)).splitlines()
    assert problems(path) == [
        *(f"ccengine.yaml:{line}" for line in expected),
        "flows.yaml:3:31: there is no queue 'sels'; did you mean 'sales'?",
    ]


def test_names_with_mistakes_of_their_own_are_known(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "extensions: {1001: {nam: A, password: a}}\nqueues: {sales: {wrapup_s: x}}\n"
        "agents: {2001: {name: A, phone: 1001, queues: [sales]}}\n"
        "dialplan: flows.yaml\nnumbers: {1001: {extension: true}, 4002: {queue: sales}}\n",
    )
    assert [problem.partition(": ")[2].partition(";")[0] for problem in problems(path)] == [
        "unknown key 'nam'",
        "a number is wanted here",
    ]


def test_references_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "sip: {listeners: [{name: a, port: 6000}, {name: a, transport: tcp},"
        " {name: b, port: 6000}]}\n"
        "media: {ports: {first: 6000, last: 6001}, workers: 2}\n"
        "extensions: {1001: {password: a}}\n"
        "agents:\n"
        "  2001: {name: A, phone: 1009, queues: [sals]}\n"
        "  2002: {name: B, phone: 1001, queues: [sales, sales]}\n"
        "  2003: {name: C, phone: 1001}\n"
        "queues: {sales: {wait_flow: wating}}\n"
        "dialplan: flows.yaml\n"
        "numbers: {4001: mian, 4002: {queue: sles}, '1.x': {extension: true},"
        " 1002: {extension: true}}\n"
        "prompts: {folders: nowhere}\n",
    )
    assert problems(path) == [
        "ccengine.yaml:1:35: SIP port 6000 lies among the RTP ports 6000-6001; move one of them",
        "ccengine.yaml:1:49: listener 'a' exists already; give it another name",
        "ccengine.yaml:1:69: udp 0.0.0.0:6000 is listened on already; use another port or address",
        "ccengine.yaml:1:85: SIP port 6000 lies among the RTP ports 6000-6001; move one of them",
        "ccengine.yaml:2:16: 1 pairs of RTP ports are too few for 2 workers; widen the range",
        "ccengine.yaml:5:26: there is no extension '1009'; did you mean '1001'?",
        "ccengine.yaml:5:41: there is no queue 'sals'; did you mean 'sales'?",
        "ccengine.yaml:6:48: queue 'sales' stands here twice; remove one",
        "ccengine.yaml:7:26: phone '1001' belongs to agent 2002 already; leave one of them"
        " without a phone",
        "ccengine.yaml:8:29: there is no flow 'wating'; did you mean 'main'?",
        "ccengine.yaml:10:17: there is no flow 'mian'; did you mean 'main'?",
        "ccengine.yaml:10:37: there is no queue 'sles'; did you mean 'sales'?",
        "ccengine.yaml:10:44: a dot stands for the rest of the number and must come last; use"
        " digits, x, z, n and a dot at the end",
        "ccengine.yaml:10:70: there is no extension '1002'; did you mean '1001'?",
        f"ccengine.yaml:11:20: there is no folder {tmp_path}/nowhere;"
        " create it or correct the name",
    ]


def test_mistakes_of_the_dialplans_come_with_those_of_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        GOOD + "queus: {}\n",
        "version: 1\nflows: {main: {states: {a: [{queue: sles}]}}}\n",
    )
    assert problems(path) == [
        "ccengine.yaml:5:1: unknown key 'queus'; did you mean 'queues'?",
        "flows.yaml:2:37: there is no queue 'sles'; did you mean 'sales'?",
    ]


def test_what_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == [
        "none.yaml:0:0: No such file or directory; check the name and its permissions"
    ]
    with pytest.raises(ConfigError, match="keys with values are wanted"):
        load_config(write(tmp_path, "[]"))


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    path = write(tmp_path, "recording: {folder: file/below}\njournal: {folder: sub}\n")
    assert problems(path) == [
        f"ccengine.yaml:1:21: {tmp_path}/file is no folder; choose another folder, or give the"
        " user of the engine the right to write"
    ]
    # a machine of tests runs as root, which may write everywhere
    monkeypatch.setattr(os, "access", lambda where, mode: False)
    assert unwritable(tmp_path / "new" / "deep") == f"folder {tmp_path} cannot be written"


def test_recordings_that_are_off_need_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = write(tmp_path, "recording: {mode: 'off', folder: file/below}\n")
    assert problems(path) == []


def test_ports_of_outgoing_connections_are_a_warning(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "media: {ports: {first: 30000, last: 40001}}\n"))
    assert [problem.message for problem in config.warnings] == [
        "the RTP ports overlap those of outgoing connections, 32768-60999"
    ]


def test_secrets_are_never_printed(tmp_path: Path) -> None:
    text = "extensions: {1001: {password: s3cret}}\nagents: {2001: {name: A, pin: 4711}}\n"
    config = load_config(write(tmp_path, text))
    for shown in (repr(config), str(config.settings), config.settings.model_dump_json()):
        assert "s3cret" not in shown
        assert "4711" not in shown
    password = config.settings.extensions["1001"].password
    assert password is not None
    assert password.get_secret_value() == "s3cret"
    wrong = write(
        tmp_path, "extensions: {1001: {password: [s3cret]}}\nagents: {2001: {pin: s3cret}}\n"
    )
    assert "s3cret" not in "\n".join(problems(wrong))


def test_hot_and_cold_changes_are_told_apart() -> None:
    old = Settings()
    new = Settings.model_validate(
        {"media": {"workers": 4, "rtp_timeout_s": 9}, "queues": {"a": {}}, "sip": {"domain": "x"}}
    )
    assert changed_cold(old, new) == ("sip.domain", "media.workers")
    assert changed_hot(old, new) == ("media.rtp_timeout_s", "queues")
    assert changed_cold(old, old) == changed_hot(old, old) == ()


def test_every_field_is_hot_or_cold() -> None:
    from pydantic import BaseModel

    from ccengine.config.change import reload_kind
    from ccengine.config.describe import _all_models

    for model in _all_models(Settings):
        for name, info in model.model_fields.items():
            section = isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
            assert reload_kind(info) or section, f"{model.__name__}.{name}"
            assert info.description, f"{model.__name__}.{name}"


def test_the_reference_is_what_the_schema_says() -> None:
    text = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    assert text.endswith(configuration_markdown()), "run: python docs/generate.py"


def test_shipped_folders_are_found() -> None:
    assert (data_folder("dialplans") / "hotline.yaml").is_file()
    assert (data_folder("prompts") / "manifest.yaml").is_file()
