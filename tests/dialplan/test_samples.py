from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ccengine.dialplan import load_dialplan, standard_steps
from ccengine.dialplan.describe import steps_markdown
from ccengine.dialplan.plan import dialplan_languages, prompt_keys
from ccengine.dialplan.testing import run_tests

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(
    path for path in (ROOT / "dialplans").glob("*.yaml")
    if path.name != "ccengine.yaml" and not path.name.endswith(".test.yaml")
)  # fmt: skip


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_has_no_problem_no_warning_and_tests(path: Path) -> None:
    plan = load_dialplan([path])
    assert plan.warnings == ()
    report = run_tests([path.with_name(f"{path.stem}.test.yaml")])
    assert [str(problem) for problem in report.failures] == []
    assert report.passed >= 5


def test_every_prompt_of_the_samples_is_recorded_in_every_language() -> None:
    manifest = yaml.safe_load((ROOT / "prompts/manifest.yaml").read_text(encoding="utf-8"))
    plan = load_dialplan(SAMPLES)
    assert dialplan_languages(plan) == {"zh", "en"}
    missing = prompt_keys(plan) - {"music_on_hold"} - set(manifest["prompts"])
    assert missing == set()


def test_the_reference_is_what_the_steps_say() -> None:
    text = (ROOT / "docs/reference/dialplan.md").read_text(encoding="utf-8")
    assert text.endswith(steps_markdown(standard_steps())), "run: python docs/generate.py"


def test_the_example_of_the_reference_can_be_loaded(tmp_path: Path) -> None:
    text = (ROOT / "docs/reference/dialplan.md").read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "plan.yaml"
    path.write_text(example, encoding="utf-8")
    assert load_dialplan([path], queues=["sales"]).warnings == ()
