"""A bad specification is refused as a whole, with place and cure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccengine.errors import KeeperError
from ccengine.keeper.spec import load_spec, parse_spec

GOOD = {"name": "a", "role": "media", "argv": ["x"]}


def spec(**changes: Any) -> dict[str, Any]:
    return {"socket": "/tmp/k", "processes": [{**GOOD, **changes}]}


def test_a_good_one_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    other = {"name": "s", "role": "signalling", "argv": ["y"], "spare": True, "stop_s": 30}
    path.write_text(json.dumps({**spec(env={"A": "b"}), "restart": {"limit": 3}}))
    found = load_spec(path)
    assert found.processes[0].env == {"A": "b"}
    assert found.processes[0].heartbeat_s == 0
    assert (found.restart.limit, found.restart.young_s) == (3, 10.0)
    signalling = parse_spec({"socket": "/tmp/k", "processes": [GOOD, other]}).processes[1]
    assert (signalling.heartbeat_s, signalling.spare, signalling.stop_s) == (3.0, True, 30)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "spec: must be an object"),
        ({"socket": "/tmp/k", "processes": []}, "'processes' must be a list with at least one"),
        ({"processes": [GOOD]}, "'socket' must be given as str"),
        ({"socket": "/" + "x" * 120, "processes": [GOOD]}, "longer than 107 bytes"),
        ({**spec(), "sokcet": 1}, "unknown key 'sokcet'; known keys: processes, restart, socket"),
        (spec(argv=[]), r"processes\[0\]: 'argv' must be a list of words"),
        (spec(argv=["a", 1]), "'argv' must be a list of words"),
        (spec(argv="a b"), "'argv' must be given as list"),
        (spec(role="cook"), "unknown role 'cook'; use one of signalling, media, writer"),
        (spec(name=""), "'name' must be given"),
        (spec(env={"A": 1}), "the values of 'env' must be texts"),
        (spec(stop_s=-1), "'stop_s' must be a number, not below 0"),
        (spec(stop_s=True), "'stop_s' must be a number"),
        (spec(spare="yes"), "'spare' must be given as bool"),
        (spec(color=1), r"processes\[0\]: unknown key 'color'"),
        ({"socket": "/tmp/k", "processes": [GOOD, GOOD]}, "two processes are named 'a'"),
        ({**spec(), "restart": {"limit": "x"}}, "restart: 'limit' must be a number"),
        ({**spec(), "restart": {"x": 1}}, "restart: unknown key 'x'"),
    ],
)
def test_mistakes(document: Any, message: str) -> None:
    with pytest.raises(KeeperError, match=message):
        parse_spec(document)


def test_files_that_are_not_there_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(KeeperError, match="No such file"):
        load_spec(tmp_path / "nothing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(KeeperError, match=r"bad\.json: no JSON"):
        load_spec(tmp_path / "bad.json")
