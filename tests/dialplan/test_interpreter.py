from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccengine.dialplan import Dialplan, FlowPlace, Interpreter, load_dialplan
from ccengine.dialplan.interpreter import MAX_STEPS_PER_SECOND
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.step import Outcome, Step
from ccengine.dialplan.steps import standard_steps
from ccengine.errors import FlowError
from ccengine.ids import SeededIds
from ccengine.ports import (
    AgentStateSet,
    AnswerCall,
    CallAnswered,
    CallArrived,
    CallEnded,
    CancelDial,
    ConnectDial,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialRinging,
    DialTarget,
    DigitReceived,
    EnterQueue,
    FlowCommand,
    FlowEnded,
    FlowEvent,
    HangUp,
    LeaveQueue,
    Party,
    PlayFinished,
    PlayPrompts,
    QueueLeft,
    RingCall,
    SetAgentState,
    StartDial,
    StopPlay,
)

RigOf = Callable[..., Any]
END = FlowEnded("c1")


def key(digit: str) -> DigitReceived:
    return DigitReceived("c1", digit)


def played(rig: Any, commands: list[FlowCommand]) -> list[FlowCommand]:
    """Let the one play among the commands come to its end."""
    (play,) = [command for command in commands if isinstance(command, PlayPrompts)]
    return list(rig.hear(PlayFinished("c1", play.play_id)))


def keys_of(commands: list[FlowCommand]) -> tuple[str, ...]:
    (play,) = [command for command in commands if isinstance(command, PlayPrompts)]
    return play.keys


# --- answering ----------------------------------------------------------------------------------


def test_a_step_that_needs_it_answers_and_waits_for_the_answer(rig_of: RigOf) -> None:
    rig = rig_of("- play: [a]")
    assert rig.start() == [AnswerCall("c1")]
    (play,) = rig.hear(CallAnswered("c1"))
    assert play.keys == ("a",)
    assert play.language == "zh"
    assert rig.hear(CallAnswered("c1")) == []


def test_an_answered_call_is_not_answered_again(rig_of: RigOf) -> None:
    rig = rig_of("- answer\n- play: [a]", answered=True)
    assert keys_of(rig.start()) == ("a",)


def test_ring_waits_when_told_and_is_silent_once_answered(rig_of: RigOf) -> None:
    rig = rig_of("- ring: 3\n- answer\n- ring\n- hangup: busy")
    assert rig.start() == [RingCall("c1")]
    assert rig.after(2.9) == []
    assert rig.after(0.1) == [AnswerCall("c1")]
    assert rig.hear(CallAnswered("c1")) == [HangUp("c1", "busy"), END]


# --- the end ------------------------------------------------------------------------------------


def test_the_end_of_a_state_is_the_end_of_the_flow(rig_of: RigOf) -> None:
    rig = rig_of("- ring", "second: [answer]")
    assert rig.start() == [RingCall("c1"), END]
    assert rig.machine.ended


@pytest.mark.parametrize("moment", ["before the answer", "while playing"])
def test_a_hang_up_ends_the_flow_once_and_for_all(rig_of: RigOf, moment: str) -> None:
    rig = rig_of("- play: [a]\n- play: [b]", answered=moment == "while playing")
    commands = rig.start()
    assert rig.hear(CallEnded("c1", "normal")) == [END]
    assert rig.machine.next_timeout() is None
    assert rig.hear(CallEnded("c1", "normal")) == []
    assert rig.hear(key("1")) == []
    assert commands


def test_events_of_other_calls_are_ignored(rig_of: RigOf) -> None:
    rig = rig_of("- menu: {prompt: [a], choices: {'1': first}}", answered=True)
    rig.start()
    assert rig.hear(DigitReceived("c2", "1")) == []
    assert rig.hear(CallEnded("c2", "normal")) == []


def test_stop_takes_back_what_is_outstanding(rig_of: RigOf) -> None:
    rig = rig_of("- music: [m]", answered=True)
    (play,) = rig.start()
    assert play.loop
    rig.machine.stop(rig.now)
    assert rig.machine.poll() == [StopPlay("c1", play.play_id), END]


# --- sound --------------------------------------------------------------------------------------


def test_play_goes_on_at_the_end_of_its_own_play_only(rig_of: RigOf) -> None:
    rig = rig_of("- play: [a, b]\n- play: c", answered=True)
    first = rig.start()
    assert keys_of(first) == ("a", "b")
    assert rig.hear(PlayFinished("c1", "other")) == []
    assert keys_of(played(rig, first)) == ("c",)


def test_a_prompt_that_fails_is_skipped(rig_of: RigOf) -> None:
    rig = rig_of("- play: [a]\n- play: [b]", answered=True)
    (play,) = rig.start()
    assert keys_of(rig.hear(PlayFinished("c1", play.play_id, "failed"))) == ("b",)


def test_say_speaks_in_its_own_language(rig_of: RigOf) -> None:
    rig = rig_of("- say: {digits: \"${'2*'}\"}\n- say: {number: '12', language: en}", answered=True)
    first = rig.start()
    assert keys_of(first) == ("digit_2", "star")
    (second,) = played(rig, first)
    assert (second.keys, second.language) == (("twelve",), "en")


def test_say_skips_what_has_no_sound_and_refuses_what_is_no_number(rig_of: RigOf) -> None:
    rig = rig_of("- say: {digits: ' '}\n- say: {number: '${caller.name}'}", answered=True)
    (end,) = rig.start()
    assert "cannot be said as a number" in end.error
    assert end.error.startswith("main.first, step 2: ")


def test_language_holds_for_what_follows(rig_of: RigOf) -> None:
    rig = rig_of("- language: en\n- play: '${language}'", answered=True)
    (play,) = rig.start()
    assert (play.keys, play.language) == (("en",), "en")


def test_music_plays_for_its_time_and_follows_keys(rig_of: RigOf) -> None:
    steps = "- music: {prompts: [m], duration_s: 10, choices: {'1': out}}\n- play: [a]"
    rig = rig_of(steps, "out: [leave]", answered=True)
    (music,) = rig.start()
    assert rig.hear(key("5")) == []
    stop, play = rig.after(10)
    assert stop == StopPlay("c1", music.play_id)
    assert play.keys == ("a",)
    rig = rig_of(steps, "out: [leave]", answered=True)
    (music,) = rig.start()
    assert rig.hear(key("1")) == [StopPlay("c1", music.play_id), LeaveQueue("c1", "1"), END]


def test_music_that_cannot_be_played_is_silence(rig_of: RigOf) -> None:
    rig = rig_of("- music: {prompts: [m], duration_s: 10}", answered=True)
    (music,) = rig.start()
    assert rig.hear(PlayFinished("c1", music.play_id, "failed")) == []
    assert rig.after(10) == [END]


def test_wait_is_time(rig_of: RigOf) -> None:
    rig = rig_of("- wait: 2.5")
    assert rig.start() == []
    assert rig.machine.next_timeout() == 102.5
    assert rig.after(2.4) == []
    assert rig.after(0.2) == [END]


# --- menu ---------------------------------------------------------------------------------------

MENU = """
- menu:
    prompt: [ask]
    timeout_s: 4
    retries: 1
    invalid: [wrong]
    no_input: [silent]
    choices: {"1": one}
    on_timeout: slow
    on_invalid: bad
"""
ENDS = "one: [{play: [one]}]\nslow: [{play: [slow]}]\nbad: [{play: [bad]}]"


def test_a_key_stops_the_prompt_and_chooses(rig_of: RigOf) -> None:
    rig = rig_of(MENU, ENDS, answered=True)
    (ask,) = rig.start()
    stop, one = rig.hear(key("1"))
    assert stop == StopPlay("c1", ask.play_id)
    assert one.keys == ("one",)
    assert rig.machine.variables["digits"] == "1"
    assert rig.machine.variables["menu"] == {"result": "choice"}


def test_the_time_for_a_key_begins_after_the_prompt(rig_of: RigOf) -> None:
    rig = rig_of(MENU, ENDS, answered=True)
    commands = rig.start()
    assert rig.machine.next_timeout() is None
    rig.now += 60
    assert played(rig, commands) == []
    assert rig.after(3.9) == []
    again = rig.after(0.2)
    assert keys_of(again) == ("silent", "ask")
    assert played(rig, again) == []
    assert keys_of(rig.after(4)) == ("slow",)
    assert rig.machine.variables["menu"] == {"result": "timeout"}


def test_wrong_keys_are_asked_again_and_count_with_silence(rig_of: RigOf) -> None:
    rig = rig_of(MENU, ENDS, answered=True)
    rig.start()
    assert keys_of(rig.hear(key("7"))) == ("wrong", "ask")
    assert keys_of(rig.hear(key("8"))) == ("bad",)
    assert rig.machine.variables["menu"] == {"result": "invalid"}


def test_without_barge_in_a_key_waits_for_the_end_of_the_prompt(rig_of: RigOf) -> None:
    rig = rig_of(MENU + "    barge_in: false", ENDS, answered=True)
    commands = rig.start()
    assert rig.hear(key("1")) == []
    assert keys_of(played(rig, commands)) == ("one",)


def test_keys_typed_ahead_choose_before_the_prompt(rig_of: RigOf) -> None:
    rig = rig_of("- play: [a]" + MENU, ENDS, answered=True)
    commands = rig.start()
    assert rig.hear(key("1")) == []
    assert keys_of(played(rig, commands)) == ("one",)


def test_a_wrong_key_typed_ahead_forgets_the_rest(rig_of: RigOf) -> None:
    rig = rig_of("- play: [a]" + MENU, ENDS, answered=True)
    commands = rig.start()
    for digit in "71":
        rig.hear(key(digit))
    assert keys_of(played(rig, commands)) == ("wrong", "ask")
    assert rig.machine.place().digits == ""


def test_a_menu_without_a_prompt_waits_at_once(rig_of: RigOf) -> None:
    rig = rig_of("- menu: {choices: {'1': first}, timeout_s: 2, retries: 0}", answered=True)
    assert rig.start() == []
    assert rig.after(2) == [END]


def test_keys_before_the_answer_are_kept(rig_of: RigOf) -> None:
    rig = rig_of(MENU, ENDS)
    assert rig.start() == [AnswerCall("c1")]
    assert rig.hear(key("1")) == []
    assert keys_of(rig.hear(CallAnswered("c1"))) == ("one",)


def test_a_flood_of_keys_is_bounded(rig_of: RigOf) -> None:
    rig = rig_of("- play: [a]", answered=True)
    rig.start()
    for _ in range(1000):
        rig.hear(key("1"))
    assert len(rig.machine.place().digits) == 64


# --- collect ------------------------------------------------------------------------------------

COLLECT = """
- collect:
    prompt: [ask]
    into: order
    min_digits: 2
    max_digits: 4
    timeout_s: 6
    inter_digit_s: 3
    retries: 1
    invalid: [wrong]
    on_timeout: slow
    on_invalid: bad
- play: [got_it]
"""


@pytest.mark.parametrize(
    ("typed", "order"), [("12#", "12"), ("1234", "1234"), ("1234#", "1234"), ("*1#", "*1")]
)
def test_digits_end_by_terminator_or_number(rig_of: RigOf, typed: str, order: str) -> None:
    rig = rig_of(COLLECT, ENDS, answered=True)
    rig.start()
    for digit in typed:
        rig.hear(key(digit))
    assert rig.machine.variables["order"] == rig.machine.variables["digits"] == order
    assert rig.machine.variables["collect"] == {"result": "entered"}
    # a terminator after the last possible digit is no key for the next menu
    assert rig.machine.place().digits == ""


def test_silence_after_a_digit_ends_the_input(rig_of: RigOf) -> None:
    rig = rig_of(COLLECT, ENDS, answered=True)
    rig.start()
    rig.hear(key("1"))
    assert rig.after(2.9) == []
    rig.hear(key("2"))
    assert rig.after(2.9) == []
    assert keys_of(rig.after(0.1)) == ("got_it",)


def test_too_few_digits_are_asked_again(rig_of: RigOf) -> None:
    rig = rig_of(COLLECT, ENDS, answered=True)
    rig.start()
    rig.hear(key("1"))
    assert keys_of(rig.hear(key("#"))) == ("wrong", "ask")
    assert keys_of(rig.hear(key("#"))) == ("bad",)
    assert rig.machine.variables["order"] == ""


def test_silence_from_the_beginning_is_a_timeout(rig_of: RigOf) -> None:
    rig = rig_of(COLLECT, ENDS, answered=True)
    played(rig, rig.start())
    assert rig.after(5.9) == []
    again = rig.after(0.1)
    assert keys_of(again) == ("ask",)
    played(rig, again)
    assert keys_of(rig.after(6)) == ("slow",)


def test_the_terminator_is_ignored_for_a_short_time_only(rig_of: RigOf) -> None:
    steps = COLLECT + "- menu: {prompt: [m], choices: {'#': one}}"
    rig = rig_of(steps, ENDS, answered=True)
    rig.start()
    commands = [command for digit in "1234" for command in rig.hear(key(digit))]
    played(rig, commands)
    rig.now += 3.1
    assert keys_of(rig.hear(key("#"))) == ("one",)


def test_half_a_number_typed_ahead_is_completed_without_the_prompt(rig_of: RigOf) -> None:
    rig = rig_of("- play: [a]" + COLLECT, ENDS, answered=True)
    commands = rig.start()
    rig.hear(key("1"))
    assert played(rig, commands) == []
    assert keys_of([c for d in "234" for c in rig.hear(key(d))]) == ("got_it",)


# --- variables, decisions, flows that call flows ------------------------------------------------


def test_set_and_if_follow_the_variables(rig_of: RigOf) -> None:
    steps = """
- set: {tries: 1, who: "${caller.name}", vip: "${caller.number.startsWith('138')}"}
- set: {tries: "${tries + 1}"}
- if: {when: "tries == 2 && vip && who == '张伟' && extension == '1001'", then: one, else: bad}
"""
    rig = rig_of(steps, ENDS, answered=True)
    assert keys_of(rig.start()) == ("one",)
    assert rig.machine.variables["tries"] == 2


def test_if_without_a_way_goes_on(rig_of: RigOf) -> None:
    rig = rig_of("- if: {when: number == '4001', else: bad}\n- play: [a]", ENDS, answered=True)
    assert keys_of(rig.start()) == ("a",)


def test_only_plain_values_become_variables(rig_of: RigOf) -> None:
    rig = rig_of("- set: {x: '${[1, 2]}'}")
    (end,) = rig.start()
    assert "is no value for a variable" in end.error


def test_what_the_engine_knows_is_asked_for(rig_of: RigOf) -> None:
    steps = "- if: {when: \"has(call.level) && call.level == 'gold'\", then: one}"
    assert keys_of(rig_of(steps, ENDS, answered=True, variables={"level": "gold"}).start()) == (
        "one",
    )
    assert rig_of(steps, ENDS, answered=True).start() == [END]


FLOWS = """
  main:
    language: zh
    states:
      a:
        - call: sub
        - play: ['back_${language}_${n}']
  sub:
    language: en
    variables: {n: 0}
    states:
      a:
        - set: {n: "${n + 1}"}
        - if: {when: n < 3, then: a}
        - if: {when: n == 3, then: {flow: other, go: b}}
  other:
    states:
      a: [{play: [never]}]
      b: [{play: [b]}, end, {play: [never]}]
"""


def test_a_called_flow_comes_back_even_by_way_of_others(rig_for: RigOf) -> None:
    rig = rig_for(FLOWS)
    commands = rig.start()
    assert keys_of(commands) == ("b",)
    # the language of the called flow stays, its variables too
    assert keys_of(played(rig, commands)) == ("back_en_3",)


def test_variables_of_a_flow_begin_anew_each_time(rig_for: RigOf) -> None:
    rig = rig_for("""
  main: {states: {a: [{call: sub}, {call: sub}, {play: ['n${n}']}]}}
  sub: {variables: {n: 5}, states: {a: [{set: {n: "${n + 1}"}}]}}
""")
    assert keys_of(rig.start()) == ("n6",)


# --- queue --------------------------------------------------------------------------------------

QUEUE = """
- queue:
    queue: "q_${number}"
    wait_flow: main
    priority: 3
    skills: ["${language}"]
    timeout_s: 60
    attributes: {order: "${caller.number}"}
    on_timeout: slow
    on_overflow: bad
    on_left: one
- play: [after]
"""


def test_the_queue_step_enters_the_queue_with_what_routing_needs(rig_of: RigOf) -> None:
    rig = rig_of(QUEUE, ENDS, answered=True)
    assert rig.start() == [
        EnterQueue("c1", "q_4001", "main", 3, ("zh",), 60.0, {"order": "13800138000"})
    ]


@pytest.mark.parametrize(
    ("result", "prompt"),
    [
        ("answered", "after"),
        ("timeout", "slow"),
        ("overflow", "bad"),
        ("refused", "bad"),
        ("left", "one"),
    ],
)
def test_each_result_of_a_queue_has_its_way(rig_of: RigOf, result: Any, prompt: str) -> None:
    rig = rig_of(QUEUE, ENDS, answered=True)
    rig.start()
    assert keys_of(rig.hear(QueueLeft("c1", result, "5"))) == (prompt,)
    assert rig.machine.variables["queue"] == {"name": "q_4001", "result": result, "detail": "5"}


def test_a_caller_who_hung_up_in_the_queue_ends_the_flow(rig_of: RigOf) -> None:
    rig = rig_of(QUEUE, ENDS, answered=True)
    rig.start()
    assert rig.hear(QueueLeft("c1", "hangup")) == [END]


def test_keys_in_the_queue_belong_to_the_wait_flow(rig_of: RigOf) -> None:
    rig = rig_of(QUEUE, ENDS, answered=True)
    rig.start()
    rig.hear(key("1"))
    assert rig.machine.place().digits == ""


# --- dial ---------------------------------------------------------------------------------------

DIAL = """
- dial: {extension: "${number}", timeout_s: 12, on_busy: slow, on_no_answer: bad, on_failed: one}
- play: [after]
"""


def test_dial_rings_connects_and_goes_on_after_the_talk(rig_of: RigOf) -> None:
    rig = rig_of(DIAL, ENDS)
    (start,) = rig.start()
    assert start == StartDial("c1", start.dial_id, DialTarget("extension", "4001"), 12.0)
    assert rig.hear(DialRinging("c1", "stale")) == []
    assert rig.hear(DialRinging("c1", start.dial_id)) == [RingCall("c1")]
    assert rig.hear(DialAnswered("c1", start.dial_id)) == [ConnectDial("c1", start.dial_id)]
    assert rig.hear(CallAnswered("c1")) == []
    assert rig.hear(key("1")) == []
    assert keys_of(rig.hear(DialEnded("c1", start.dial_id, "normal"))) == ("after",)
    assert rig.machine.variables["dial"] == {"result": "answered"}


@pytest.mark.parametrize(
    ("cause", "prompt"),
    [("busy", "slow"), ("rejected", "slow"), ("no_answer", "bad"), ("unreachable", "one")],
)
def test_each_failure_of_a_dial_has_its_way(rig_of: RigOf, cause: Any, prompt: str) -> None:
    rig = rig_of(DIAL, ENDS, answered=True)
    (start,) = rig.start()
    assert keys_of(rig.hear(DialFailed("c1", start.dial_id, cause, 486))) == (prompt,)
    assert rig.machine.variables["dial"] == {"result": cause}


def test_a_uri_is_dialled_as_it_stands_and_given_up_on_stop(rig_of: RigOf) -> None:
    rig = rig_of("- dial: {uri: 'sip:bob@example.com'}")
    (start,) = rig.start()
    assert start.target == DialTarget("uri", "sip:bob@example.com")
    rig.machine.stop(rig.now)
    assert rig.machine.poll() == [CancelDial("c1", start.dial_id), END]


# --- agent --------------------------------------------------------------------------------------


def test_the_agent_step_asks_and_goes_by_the_answer(rig_of: RigOf) -> None:
    steps = """
- set: {id: 2001}
- agent: {action: away, agent_id: "${id}", pin: "4711", reason: lunch, on_refused: bad}
"""
    rig = rig_of(steps, ENDS, answered=True)
    (ask,) = rig.start()
    assert ask == SetAgentState("c1", ask.request_id, "away", "2001", "4711", "lunch")
    assert rig.hear(AgentStateSet("c1", "stale")) == []
    assert keys_of(rig.hear(AgentStateSet("c1", ask.request_id, "wrong PIN"))) == ("bad",)
    assert rig.machine.variables["agent"] == {"error": "wrong PIN"}


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    ["- go: first", "- call: main", "- play: ['${number}']\n- go: first"],
    ids=["go", "call", "plays that fail at once"],
)
def test_a_flow_that_runs_in_circles_is_ended(rig_of: RigOf, steps: str) -> None:
    rig = rig_of(steps, answered=True)
    commands = rig.start()
    for _ in range(MAX_STEPS_PER_SECOND + 2):
        if isinstance(commands[-1], PlayPrompts):
            commands = rig.hear(PlayFinished("c1", commands[-1].play_id, "failed"))
    assert isinstance(commands[-1], FlowEnded)
    assert "circles" in commands[-1].error or "too deep" in commands[-1].error


def test_a_circle_that_takes_its_time_goes_on(rig_of: RigOf) -> None:
    rig = rig_of("- wait: 0.1\n- go: first")
    rig.start()
    for _ in range(5000):
        assert rig.after(0.1) == []


FAILING = """
  main:
    on_error: trouble
    states:
      a: [{call: sub}]
      trouble: [{play: ['sorry']}, {set: {x: "${1 / 0}"}}]
  sub: {states: {a: [{set: {x: "${int('x')}"}}]}}
"""


def test_a_failure_goes_to_the_flow_that_handles_it_once(rig_for: RigOf) -> None:
    rig = rig_for(FAILING)
    commands = rig.start()
    assert keys_of(commands) == ("sorry",)
    assert rig.machine.variables["error"].startswith("sub.a, step 1: ")
    (end,) = played(rig, commands)
    assert end.error.startswith("main.trouble, step 2: ")


class Broken(Step):
    """A step with a flaw."""

    NAME = "broken"

    def begin(self, run: StepRun) -> Outcome:
        raise ZeroDivisionError


def test_a_flaw_in_a_step_ends_its_flow_alone(
    plan_of: Callable[..., Dialplan], caplog: pytest.LogCaptureFixture
) -> None:
    steps = standard_steps()
    steps.add(Broken)
    plan = plan_of("  main: {states: {a: [broken]}}\n", steps=steps)
    machine = Interpreter(plan, "main", CallArrived("c1", "1", Party("2")), SeededIds())
    machine.start(1.0)
    assert machine.poll() == [
        FlowEnded("c1", "main.a, step 1: step 'broken' failed: ZeroDivisionError()")
    ]
    assert "step broken of call c1 failed" in caplog.text


def test_an_unknown_flow_is_told(plan_of: Callable[..., Dialplan]) -> None:
    plan = plan_of("  main: {states: {a: [answer]}}\n")
    with pytest.raises(FlowError, match="known flows: main"):
        Interpreter(plan, "other", CallArrived("c1", "1", Party("2")), SeededIds())


# --- place and restore --------------------------------------------------------------------------


def encoded(machine: Interpreter, plan: Dialplan, now: float) -> Interpreter:
    """Put a machine down as bytes, and take it up again."""
    data = msgspec.msgpack.encode(machine.place())
    return Interpreter.restore(plan, msgspec.msgpack.decode(data, type=FlowPlace), now)


def test_restoring_needs_the_version_of_the_place(plan_of: Callable[..., Dialplan]) -> None:
    one = plan_of("  main: {states: {a: [answer]}}\n")
    two = plan_of("  main: {states: {a: [ring]}}\n")
    place = Interpreter(one, "main", CallArrived("c1", "1", Party("2")), SeededIds()).place()
    with pytest.raises(FlowError, match="belongs to dialplan"):
        Interpreter.restore(two, place, 1.0)


@pytest.mark.parametrize(
    "steps",
    [
        "- play: [a, b]",
        "- music: [m]",
        "- menu: {prompt: [a], choices: {'1': first}}",
        QUEUE,
        DIAL,
        "- agent: {action: ready, reason: x}",
        "- answer",
    ],
    ids=["play", "music", "menu", "queue", "dial", "agent", "answer"],
)
def test_resume_says_again_what_is_outstanding(rig_of: RigOf, steps: str) -> None:
    rig = rig_of(steps, ENDS, answered="- answer" not in steps)
    before = rig.start()
    plan = rig.machine._plan
    again = encoded(rig.machine, plan, rig.now)
    assert again.poll() == []
    again.resume(rig.now)
    assert again.poll() == before


def test_a_place_moves_to_the_clock_of_another_boot(rig_of: RigOf) -> None:
    rig = rig_of("- wait: 5")
    rig.start()
    place = rig.machine.place().moved(-90.0)
    again = Interpreter.restore(rig.machine._plan, place, 12.0)
    assert again.next_timeout() == 15.0


EVERYTHING = load_dialplan(["dialplans/hotline.yaml", "dialplans/feature_codes.yaml"])

MOVES = st.lists(
    st.sampled_from([*"0123456789*#", "played", "failed", "time", "later"])
    | st.sampled_from(["answered", "timeout", "overflow", "left", "refused", "hangup"])
    | st.sampled_from(["agent", "no agent", "stale"]),
    max_size=40,
)


class Player:
    """Gives a machine the events that its commands ask for."""

    def __init__(self, machine: Interpreter) -> None:
        self.machine = machine
        self.now = 50.0
        self.said: list[FlowCommand] = []
        self.play_id = self.request_id = ""

    def listen(self) -> None:
        for command in self.machine.poll():
            self.said.append(command)
            if isinstance(command, PlayPrompts):
                self.play_id = command.play_id
            elif isinstance(command, SetAgentState):
                self.request_id = command.request_id

    def event(self, move: str) -> FlowEvent | None:
        if move in ("played", "failed"):
            return PlayFinished("c1", self.play_id, "done" if move == "played" else "failed")
        if move == "stale":
            return PlayFinished("c1", "stale")
        if move in ("agent", "no agent"):
            return AgentStateSet("c1", self.request_id, "" if move == "agent" else "no")
        if len(move) == 1:
            return key(move)
        return None if move in ("time", "later") else QueueLeft("c1", move)  # type: ignore[arg-type]

    def make(self, move: str) -> None:
        self.now += 0.3
        event = self.event(move)
        if event is not None:
            self.machine.receive(event, self.now)
        else:
            due = self.machine.next_timeout()
            self.now = max(self.now, due if due is not None and move == "time" else self.now + 2.0)
            self.machine.handle_timeout(self.now)
        self.listen()


@settings(deadline=None, max_examples=150)
@given(flow=st.sampled_from(sorted(EVERYTHING.flows)), moves=MOVES, answered=st.booleans())
def test_a_flow_taken_up_after_every_event_says_the_same(
    flow: str, moves: list[str], answered: bool
) -> None:
    players = []
    for restored in (False, True):
        machine = Interpreter(
            EVERYTHING,
            flow,
            CallArrived("c1", "4001", Party("139")),
            SeededIds(),
            answered=answered,
        )
        player = Player(machine)
        machine.start(player.now)
        player.listen()
        if not answered:
            machine.receive(CallAnswered("c1"), player.now)
            player.listen()
        for move in moves:
            if restored:
                player.machine = encoded(player.machine, EVERYTHING, player.now)
            player.make(move)
        players.append(player)
    one, two = players
    assert one.said == two.said
    assert one.machine.place() == encoded(two.machine, EVERYTHING, two.now).place()
    ends = [index for index, said in enumerate(one.said) if isinstance(said, FlowEnded)]
    # the end comes once, and nothing after it
    assert ends in ([], [len(one.said) - 1])
    assert one.machine.ended == bool(ends)
    assert all(not said.error for said in one.said if isinstance(said, FlowEnded))
