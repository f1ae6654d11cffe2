from __future__ import annotations

from pathlib import Path

import pytest

from ccengine.dialplan.testing import TestReport, run_tests

PLAN = """\
version: 1
flows:
  main:
    states:
      a:
        - answer
        - play: [greeting]
        - menu: {prompt: [ask], choices: {"1": sales, "2": call, "3": agent, "4": bye}, retries: 0}
        - set: {x: "${1 / 0}"}
      sales:
        - queue: {queue: sales, timeout_s: 60, attributes: {a: b}}
        - hangup
      call:
        - dial: {extension: "1001", timeout_s: 20}
        - play: [over]
      agent:
        - agent: ready
        - play: [done]
      bye: [{hangup: busy}]
"""


def run(folder: Path, script: str, head: str = "number: 4001") -> TestReport:
    (folder / "plan.yaml").write_text(PLAN)
    lines = "\n".join(f"      {line}" for line in script.strip().splitlines())
    path = folder / "plan.test.yaml"
    path.write_text(
        "version: 1\ndialplan: plan.yaml\nnumbers: {'4001': main}\ncases:\n"
        f"  - name: the case\n    {head}\n    script:\n{lines}\n"
    )
    return run_tests([folder])


@pytest.mark.parametrize(
    "script",
    [
        "- expect: {answer: true}\n- expect: {play: greeting, language: zh}\n- hangup\n"
        "- expect: {end: true}",
        "- press: 1\n- expect: {play: greeting}\n- expect: {queue: {queue: sales, timeout_s: 60,"
        " attributes: {a: b}}}\n- queue: answered\n- expect: {hangup: normal}",
        "- press: 2\n- expect: {play: greeting}\n- expect: {dial: {to: 1001, timeout_s: 20}}\n"
        "- dial: answered\n- wait: 60\n- dial: ended\n"
        "- expect: {play: over, variables: {dial.result: answered}}\n- expect: {end: true}",
        "- press: 2\n- expect: {play: greeting}\n- expect: {dial: 1001}\n- dial: ringing\n"
        "- dial: busy\n- expect: {variables: {dial.result: busy}}",
        "- press: 3\n- expect: {play: greeting}\n- expect: {agent: ready}\n- agent: no\n"
        "- expect: {play: done, variables: {agent.error: no}}",
        "- expect: {play: greeting}\n- expect: {play: ask}\n- expect: {error: no value}",
        "- expect: {play: greeting}\n- expect: {play: ask}\n- expect: {nothing_s: 5.9}\n"
        "- press: 4\n"
        "- expect: {hangup: busy}",
    ],
)
def test_scripts_that_pass(tmp_path: Path, script: str) -> None:
    report = run(tmp_path, script)
    assert report.failures == ()
    assert report.ok
    assert report.passed == 1


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (
            "- expect: {play: hello}",
            "8:9: the case: play [greeting] at 0 s; expected play [hello]",
        ),
        (
            "- press: 1\n- expect: {play: greeting}\n- expect: {queue: service}",
            "10:9: the case: the queue is 'sales'; expected 'service'",
        ),
        (
            "- press: 4\n- expect: {play: greeting}\n- expect: {hangup: normal}",
            "10:9: the case: hangup busy at 1 s; expected hangup normal",
        ),
        (
            "- press: 1\n- expect: {play: greeting}\n- expect: {queue: sales}\n- expect: {play: x}",
            "11:9: the case: nothing more happens after 1 s; expected play [x]",
        ),
        ("- queue: answered", "8:9: the case: the call is in no queue; expect a queue before"),
        ("- dial: busy", "8:9: the case: nobody is dialled; expect a dial before"),
        (
            "- agent: ok",
            "8:9: the case: no change of an agent's state is asked for; expect an agent before",
        ),
        (
            "- hangup\n- press: 1",
            "9:9: the case: the flow is over already; remove this line",
        ),
        (
            "- expect: {nothing_s: 3}",
            "8:9: the case: play [greeting] at 0 s; expected nothing for 3 s",
        ),
        (
            "- expect: {play: greeting, language: en}",
            "8:9: the case: the language is 'zh'; expected 'en'",
        ),
        (
            "- expect: {variables: {numbr: 1}}",
            "8:9: the case: there is no variable numbr; did you mean 'number'?",
        ),
        (
            "- expect: {variables: {number: '1'}}",
            "8:9: the case: variable number is '4001'; expected '1'",
        ),
        (
            "- expect: {play: greeting}\n- expect: {play: ask}\n- expect: {end: true}",
            "10:9: the case: the flow failed: main.a, step 4: '1 / 0' has no value: division"
            " by zero in CEL expression at 7 s; expected end",
        ),
    ],
)
def test_a_failure_tells_place_what_happened_and_what_was_expected(
    tmp_path: Path, script: str, failure: str
) -> None:
    report = run(tmp_path, script)
    assert [str(problem) for problem in report.failures] == [f"{tmp_path}/plan.test.yaml:{failure}"]
    assert not report.ok


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("number: 4002", "no flow has number 4002; add it to numbers"),
        ("flow: mian", "there is no flow 'mian'; did you mean 'main'?"),
    ],
)
def test_a_case_needs_a_way_in(tmp_path: Path, head: str, message: str) -> None:
    report = run(tmp_path, "- hangup", head)
    assert message in str(report.failures[0])


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("- prss: 1", "unknown key 'prss'; did you mean 'press'?"),
        ("- {press: 1, wait: 2}", "one deed or expectation is wanted"),
        ("- expect: {play: a, end: true}", "play and end stand in one expectation"),
        ("- expect: {}", "nothing is expected"),
        ("- queue: answred", "'answred' is not allowed here"),
        ("- wait: 0", "the number is out of range"),
    ],
)
def test_mistakes_in_a_test_file_are_told(tmp_path: Path, script: str, message: str) -> None:
    report = run(tmp_path, script)
    assert message in str(report.failures[0])
    assert report.results == ()


def test_mistakes_of_the_dialplan_and_missing_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("version: 1\nflows: {main: {states: {a: [answr]}}}\n")
    (tmp_path / "a.test.yaml").write_text(
        "version: 1\ndialplan: plan.yaml\ncases: [{name: x, flow: main, script: [hangup]}]\n"
    )
    texts = [str(p) for p in run_tests([tmp_path, tmp_path / "none.test.yaml"]).failures]
    assert "unknown step 'answr'" in texts[1]
    assert "none.test.yaml:0:0: No such file" in texts[0]


def test_no_case_at_all_is_no_success(tmp_path: Path) -> None:
    assert not run_tests([tmp_path]).ok
