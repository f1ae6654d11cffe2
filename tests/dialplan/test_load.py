from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.dialplan import Dialplan, DialplanStore, load_dialplan, standard_steps
from ccengine.dialplan.plan import dialplan_languages, prompt_keys, queue_names
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.schema import json_schema
from ccengine.dialplan.step import NEXT, Outcome, Step
from ccengine.errors import DialplanError, FlowError

PlanOf = Callable[..., Dialplan]

WRONG = """\
version: 1
flows:
  main:
    langage: zh
    start: welcme
    states:
      welcome:
        - answer
        - play: []
        - menu:
            prompt: [main_menu]
            timout_s: 5
            retries: two
            choices: {"1": sales, "2": {go: servce}, "99": welcome}
            on_timeout: fallback
        - if: {when: "digits = '1'", then: sales}
        - if: {when: "size(digts) > 1 && caller.nam == ''", then: sales}
        - if: {when: "siz(digits) > 1", then: {flow: englsh}}
        - quue: sales
        - [answer]
        - dial: {extension: 1, uri: "sip:a@b"}
      sales:
        - set: {Bad: 1, caller: 2, ok: [1]}
        - say: {digits: "${nosuch}"}
        - queue: {queue: sals, timeout_s: -1, wait_flow: wating}
        - queue: sales
          timeout_s: 5
        - hangup: bsy
        - call: mian
        - collect: {min_digits: 5, max_digits: 2, into: x}
        - play: 1.5
"""

EXPECTED = [
    "4:5: unknown key 'langage'; did you mean 'language'?",
    "5:12: there is no state 'welcme'; did you mean 'welcome'?",
    "9:17: too few values; add one",
    "12:13: unknown key 'timout_s'; did you mean 'timeout_s'?",
    "13:22: a whole number is wanted here; write digits alone, such as 5",
    "14:45: there is no state 'servce'; known here: sales, welcome",
    '14:54: \'99\' is no key of a phone; write one of "0" to "9", "*", "#"',
    "15:25: there is no state 'fallback'; known here: sales, welcome",
    "16:30: the expression is wrong: token recognition error at: '= '; compare with ==, !=, <, >,"
    " join with && and ||, put texts into quotes",
    "17:28: there is no variable 'digts'; did you mean 'digits'?",
    "17:49: 'caller' has no member 'nam'; did you mean 'name'?",
    "18:22: there is no function 'siz'; did you mean 'size'?",
    "18:54: there is no flow 'englsh'; known here: main",
    "19:11: unknown step 'quue'; did you mean 'queue'?",
    "20:11: this is no step; write one word, such as answer, or 'word: …'",
    "21:17: one of extension and uri is wanted; write {extension: …} or {uri: …}",
    "23:17: 'Bad' is no name; use small letters, digits and _, beginning with a letter",
    "23:25: the name 'caller' is taken; choose another name",
    "23:40: one value is wanted here; write a text, a number, true or false",
    "24:28: there is no variable 'nosuch'; known here: agent, call, caller, collect, dial,"
    " digits, error, extension, language, menu, number, queue",
    "25:26: there is no queue 'sals'; did you mean 'sales'?",
    "25:43: the number is out of range; write more than 0.0",
    "25:58: there is no flow 'wating'; did you mean 'main'?",
    "27:11: 'timeout_s' stands beside 'queue'; indent 'timeout_s' deeper than 'queue'",
    "28:19: 'bsy' is not allowed here; write one of: normal, busy, no_answer, rejected,"
    " unreachable, not_found, congestion, cancelled, media_lost, shutdown, failure",
    "29:17: there is no flow 'mian'; did you mean 'main'?",
    "30:20: min_digits is above max_digits; let min_digits ≤ max_digits",
    "31:17: a fraction stands where text is wanted; put it into quotes",
]


def problems_of(path: Path, **more: object) -> list[str]:
    with pytest.raises(DialplanError) as caught:
        load_dialplan([path], **more)  # type: ignore[arg-type]
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_every_mistake_is_told_at_once_with_place_and_cure(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    assert problems_of(path, queues=["sales"]) == EXPECTED


def test_mistakes_of_all_files_are_told_and_a_flow_exists_once(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("version: 1\nflows:\n  main:\n    states: {a: [answr]}\n")
    two.write_text("version: 1\nflows:\n  main:\n    states: {a: [{go: b}]}\n")
    with pytest.raises(DialplanError) as caught:
        load_dialplan([one, two, tmp_path / "none.yaml"])
    texts = [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    assert texts == [
        "none.yaml:0:0: No such file or directory; check the name and its permissions",
        "one.yaml:4:18: unknown step 'answr'; did you mean 'answer'?",
        f"two.yaml:3:3: flow 'main' exists already, in {one}:3; give it another name",
    ]


@pytest.mark.parametrize("text", ["", "[]", "5", "version: 2\nflows: {}", "version: 1\nflows: []"])
def test_files_that_are_no_dialplans_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    assert problems_of(path)


def test_a_state_called_like_a_flow_is_explained(plan_of: PlanOf) -> None:
    with pytest.raises(DialplanError, match=r"write \{flow: other\}"):
        plan_of("  main: {states: {a: [{go: other}]}}\n  other: {states: {a: [answer]}}\n")


def test_what_nobody_reaches_is_a_warning(plan_of: PlanOf) -> None:
    plan = plan_of(
        "  main:\n"
        "    on_error: trouble\n"
        "    states:\n"
        "      a: [{go: b}, answer]\n"
        "      b: [{go: {flow: other, go: c}}]\n"
        "      lost: [{go: lost2}]\n"
        "      lost2: [answer]\n"
        "      trouble: [hangup]\n"
        "  other: {states: {d: [answer], c: [answer]}}\n"
    )
    texts = [problem.message for problem in plan.warnings]
    assert texts == [
        "step 'answer' is never reached: 'go' stands before it",
        "state 'lost' is never reached",
        "state 'lost2' is never reached",
    ]


def test_the_version_is_the_content_and_not_its_notation(plan_of: PlanOf) -> None:
    one = plan_of("  main: {states: {a: [answer, {play: [x]}]}}\n")
    same = plan_of(
        "  main:\n    # a comment\n    states:\n      a:\n      - answer\n      - play: [x]\n"
    )
    other = plan_of("  main: {states: {a: [answer, {play: [y]}]}}\n")
    assert one.version == same.version != other.version
    # without `start` the first state counts, so their order is content
    swapped = plan_of("  main: {states: {a: [answer], b: [answer]}}\n")
    assert swapped.version != plan_of("  main: {states: {b: [answer], a: [answer]}}\n").version


def test_a_dialplan_tells_its_prompts_queues_and_languages(plan_of: PlanOf) -> None:
    plan = plan_of(
        "  main:\n    language: zh\n    states:\n      a:\n"
        "        - play: [one, 'two_${number}']\n"
        "        - language: en\n"
        "        - menu: {prompt: three, invalid: [four], choices: {'1': b}}\n"
        "      b:\n        - queue: sales\n        - queue: 'q${digits}'\n"
    )
    assert prompt_keys(plan) == {"one", "three", "four"}
    assert queue_names(plan) == {"sales"}
    assert dialplan_languages(plan) == {"zh", "en"}


def test_the_prompts_of_spoken_values_are_told(plan_of: PlanOf) -> None:
    plan = plan_of(
        "  main: {language: zh, states: {a: [{say: {digits: '1'}}, {say: {number: 1}}]}}\n"
    )
    keys = prompt_keys(plan)
    assert {f"digit_{digit}" for digit in "0123456789"} <= keys
    assert len(keys) > 12  # tens, hundreds and more of spoken numbers


class Fanfare(Step):
    """Sound a fanfare."""

    NAME = "fanfare"

    def begin(self, run: StepRun) -> Outcome:
        run.play(("fanfare",))
        return NEXT


def test_other_rooms_add_steps(plan_of: PlanOf) -> None:
    steps = standard_steps()
    steps.add(Fanfare)
    assert plan_of("  main: {states: {a: [fanfare]}}\n", steps=steps).flows["main"]
    with pytest.raises(DialplanError, match="unknown step 'fanfare'"):
        plan_of("  main: {states: {a: [fanfare]}}\n")
    with pytest.raises(ValueError, match="registered already"):
        steps.add(Fanfare)


def test_a_store_holds_old_versions_while_calls_run_on_them(plan_of: PlanOf) -> None:
    one = plan_of("  main: {states: {a: [answer]}}\n")
    two = plan_of("  main: {states: {a: [ring]}}\n")
    store = DialplanStore(one)
    assert store.acquire() is one
    assert store.adopt(one.version) is one
    store.replace(two)
    assert store.acquire() is two
    assert store.versions == {one.version, two.version}
    store.release(one.version)
    assert store.get(one.version) is one
    store.release(one.version)
    assert store.versions == {two.version}
    with pytest.raises(FlowError, match="not held"):
        store.get(one.version)
    store.release(two.version)
    assert store.current is two


def test_a_store_forgets_a_version_that_nobody_used(plan_of: PlanOf) -> None:
    store = DialplanStore(plan_of("  main: {states: {a: [answer]}}\n"))
    store.replace(plan_of("  main: {states: {a: [ring]}}\n"))
    assert len(store.versions) == 1


def test_the_json_schema_knows_every_step() -> None:
    schema = json_schema()
    forms = schema["$defs"]["Step"]["anyOf"]
    named = {name for form in forms[1:] for name in form["properties"]}
    assert named == set(standard_steps().names)
    assert {"answer", "hangup", "end", "leave", "ring"} <= set(forms[0]["enum"])
    assert not {"play", "menu", "queue", "go"} & set(forms[0]["enum"])
    assert schema["$defs"]["FlowSource"]["additionalProperties"] is False


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["a", "go", "${x", "1", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["menu", "play", "queue", "set", "if", "go", "choices", "1", "prompt", "when"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(steps=st.lists(YAML_VALUES, max_size=4))
def test_any_steps_are_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, steps: list[object]
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "plan.yaml"
    path.write_text(json.dumps({"version": 1, "flows": {"main": {"states": {"a": steps}}}}))
    try:
        load_dialplan([path])
    except DialplanError as error:
        problems = error.problems
    else:
        problems = ()
    assert all(problem.line > 0 for problem in problems)
