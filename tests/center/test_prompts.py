"""The prompt catalogue finds what there is, and what there is not ends no call."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ccengine.center.prompts import PromptCatalogue, shipped_prompts


def put(root: Path, name: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_ones_own_root_comes_before_the_shipped_one(tmp_path: Path) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    mine = put(own, "zh/greeting.wav")
    put(shipped, "zh/greeting.wav")
    theirs = put(shipped, "zh/goodbye.wav")
    catalogue = PromptCatalogue((own, shipped), ("zh",))
    assert catalogue.find("greeting", "zh") == mine
    assert catalogue.find("goodbye", "zh") == theirs


def test_languages_fall_back_to_their_base_and_then_in_order(tmp_path: Path) -> None:
    zh, en = put(tmp_path, "zh/a.wav"), put(tmp_path, "en/b.wav")
    music = put(tmp_path, "music/on_hold.wav")
    catalogue = PromptCatalogue((tmp_path,), ("zh", "en"))
    assert catalogue.find("a", "zh-CN") == zh
    assert catalogue.find("a", "en") == zh
    assert catalogue.find("b", "fr") == en
    assert catalogue.find("on_hold", "en") == music
    assert catalogue.lacks(["a", "b", "on_hold"], ["zh", "en"]) == (("a", "en"), ("b", "zh"))
    assert catalogue.missing_count == 0


def test_the_wanted_language_comes_before_the_better_root(tmp_path: Path) -> None:
    put(tmp_path / "own", "en/a.wav")
    zh = put(tmp_path / "shipped", "zh/a.wav")
    catalogue = PromptCatalogue((tmp_path / "own", tmp_path / "shipped"), ("en",))
    assert catalogue.find("a", "zh") == zh


def test_a_missing_prompt_is_logged_once_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = put(tmp_path, "en/a.wav")
    catalogue = PromptCatalogue((tmp_path,), ("en",))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert catalogue.files(["a", "nowhere"], "en") == (str(there),)
    assert len(caplog.records) == 1
    assert "nowhere" in caplog.text
    assert catalogue.missing == {("nowhere", "en"): 3}
    put(tmp_path, "en/nowhere.wav")
    assert catalogue.find("nowhere", "en") is not None  # added while running


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "a/../../b", "", ".", "a\0b", "a//b"])
def test_no_key_leads_out_of_the_roots(tmp_path: Path, key: str) -> None:
    put(tmp_path, "secret.wav")
    catalogue = PromptCatalogue((tmp_path / "root",), ("en",))
    assert catalogue.find(key, "en") is None
    assert catalogue.find("secret", "..") is None


def test_the_books_of_what_is_missing_stay_small(tmp_path: Path) -> None:
    catalogue = PromptCatalogue((tmp_path,), ("en",))
    for number in range(3000):
        assert catalogue.find(f"order_{number}", "en") is None
    assert len(catalogue.missing) <= 1001
    assert catalogue.missing_count == 3000


def test_reload_forgets(tmp_path: Path) -> None:
    path = put(tmp_path, "en/a.wav")
    catalogue = PromptCatalogue((tmp_path,), ("en",))
    assert catalogue.find("a", "en") == path
    path.unlink()
    catalogue.reload()
    assert catalogue.find("a", "en") is None


def test_shipped_prompts_are_found_in_a_checkout_and_in_a_wheel(tmp_path: Path) -> None:
    assert (shipped_prompts() / "zh" / "greeting.wav").is_file()
    package = tmp_path / "ccengine"
    (package / "center").mkdir(parents=True)
    (package / "_data" / "prompts").mkdir(parents=True)
    for name in ("__init__.py", "center/prompts.py"):
        shutil.copy(Path(__file__).parents[2] / "ccengine" / name, package / name)
    (package / "center" / "__init__.py").write_text("")
    program = "from ccengine.center.prompts import shipped_prompts; print(shipped_prompts())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(package / "_data" / "prompts")
