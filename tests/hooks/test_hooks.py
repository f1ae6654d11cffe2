"""Plugins that behave, and all the ways in which they do not."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ccengine.errors import HookError
from ccengine.hooks import Hooks
from ccengine.hooks.loader import installed_plugins
from ccengine.hooks.spec import HOOKS
from ccengine.plugin import CallFinished, Customer, PluginContext, hookimpl

EVENT = CallFinished("call-1", datetime(2026, 1, 5, tzinfo=UTC), "95588", "1001", "normal", 9, 5)
REFERENCE = Path(__file__).parents[2] / "docs/reference/hooks.md"


def hooks_of(tmp_path: Path, **plugins: object) -> Hooks:
    hooks = Hooks()
    for name, plugin in plugins.items():
        hooks.add(PluginContext(name, tmp_path / name), plugin)
    return hooks


def answering(customer: Any, *, wait_s: float = 0.0) -> object:
    class Answering:
        @hookimpl
        async def resolve_customer(self, number: str) -> Any:
            await asyncio.sleep(wait_s)
            return customer

    return Answering()


def raising(error: BaseException) -> object:
    class Raising:
        @hookimpl
        async def resolve_customer(self, number: str) -> Customer | None:
            raise error

        @hookimpl
        def call_ended(self, event: CallFinished) -> None:
            raise error

    return Raising()


ANN, BOB = Customer("1", "Ann"), Customer("2", "Bob")


class TestFirst:
    async def test_the_first_answer_in_the_order_of_the_plugins(self, tmp_path: Path) -> None:
        hooks = hooks_of(
            tmp_path, none=answering(None), slow=answering(ANN, wait_s=0.02), fast=answering(BOB)
        )
        assert hooks.has("resolve_customer")
        assert not hooks.has("call_ended")
        assert await hooks.first("resolve_customer", number="1") == ANN

    async def test_nobody_knows(self, tmp_path: Path) -> None:
        hooks = hooks_of(tmp_path, a=answering(None))
        assert await hooks.first("resolve_customer", number="1") is None
        assert await Hooks().first("resolve_customer", number="1") is None

    async def test_tryfirst_and_trylast_go_before_the_order(self, tmp_path: Path) -> None:
        class Late:
            @hookimpl(trylast=True)
            async def resolve_customer(self) -> Customer | None:
                return ANN

        hooks = hooks_of(tmp_path, late=Late(), other=answering(BOB))
        assert await hooks.first("resolve_customer", number="1") == BOB

    async def test_plain_functions_run_in_a_thread_of_the_plugin(self, tmp_path: Path) -> None:
        class Blocking:
            @hookimpl
            def resolve_customer(self, number: str) -> Customer | None:
                return Customer(number, threading.current_thread().name)

        hooks = hooks_of(tmp_path, blocking=Blocking())
        customer = await hooks.first("resolve_customer", number="7")
        assert customer.customer_id == "7"
        assert customer.name.startswith("plugin-blocking")
        await hooks.stop()


class TestIsolation:
    @pytest.mark.parametrize(
        "error", [ValueError("no"), SystemExit(3), asyncio.CancelledError(), StopIteration()]
    )
    async def test_a_plugin_that_raises_is_passed_over(
        self, tmp_path: Path, error: BaseException
    ) -> None:
        hooks = hooks_of(tmp_path, bad=raising(error), good=answering(ANN))
        assert await hooks.first("resolve_customer", number="1") == ANN
        assert hooks.counters["bad", "resolve_customer"].failures == 1

    async def test_in_a_thread_as_well(self, tmp_path: Path) -> None:
        hooks = hooks_of(tmp_path, bad=raising(SystemExit(3)))
        assert await hooks.all("call_ended", event=EVENT) == []
        assert hooks.counters["bad", "call_ended"].failures == 1

    async def test_each_kind_is_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        hooks = hooks_of(tmp_path, bad=raising(ValueError("no")))
        with caplog.at_level(logging.ERROR, "ccengine.hooks"):
            for _ in range(5):
                await hooks.first("resolve_customer", number="1")
            await hooks.all("call_ended", event=EVENT)
        assert [record.getMessage().split(":")[0] for record in caplog.records] == [
            "plugin 'bad', hook 'resolve_customer'",
            "plugin 'bad', hook 'call_ended'",
        ]
        assert hooks.counters["bad", "resolve_customer"].failures == 5

    @pytest.mark.parametrize("wrong", ["Ann", 5, [ANN], {"name": "Ann"}, True])
    async def test_a_wrong_type_is_no_answer(self, tmp_path: Path, wrong: Any) -> None:
        hooks = hooks_of(tmp_path, bad=answering(wrong), good=answering(ANN))
        assert await hooks.first("resolve_customer", number="1") == ANN
        assert hooks.counters["bad", "resolve_customer"].wrong_results == 1

    async def test_a_slow_plugin_costs_its_deadline_and_no_more(self, tmp_path: Path) -> None:
        slow = {f"slow{n}": answering(BOB, wait_s=30) for n in range(5)}
        hooks = hooks_of(tmp_path, **slow, good=answering(ANN))
        begin = time.monotonic()
        assert await hooks.first("resolve_customer", number="1", deadline_s=0.05) == ANN
        assert time.monotonic() - begin < 1
        assert hooks.counters["slow0", "resolve_customer"].timeouts == 1
        assert hooks.counters["good", "resolve_customer"].timeouts == 0

    async def test_one_that_ignores_its_cancellation(self, tmp_path: Path) -> None:
        release = asyncio.Event()

        class Stubborn:
            @hookimpl
            async def resolve_customer(self, number: str) -> Customer | None:
                while not release.is_set():
                    try:
                        await release.wait()
                    except asyncio.CancelledError:
                        continue
                raise ValueError("too late for anybody")

        hooks = hooks_of(tmp_path, stubborn=Stubborn(), good=answering(ANN))
        assert await hooks.first("resolve_customer", number="1", deadline_s=0.02) == ANN
        assert hooks._dispatcher.abandoned == 1
        release.set()
        await asyncio.sleep(0.01)
        assert hooks._dispatcher.abandoned == 0

    async def test_threads_that_hang_hold_up_their_plugin_alone(self, tmp_path: Path) -> None:
        release = threading.Event()

        class Hanging:
            @hookimpl
            def resolve_customer(self, number: str) -> Customer | None:
                release.wait(10)
                return BOB

        hooks = hooks_of(tmp_path, hanging=Hanging(), good=answering(ANN))
        hooks._workers["hanging"]._limit = 3
        for _ in range(8):
            assert await hooks.first("resolve_customer", number="1", deadline_s=0.01) == ANN
        counters = hooks.counters["hanging", "resolve_customer"]
        assert counters.timeouts == 5, "two threads and three that wait"
        assert counters.refused == 3
        release.set()
        await hooks.stop()

    async def test_a_caller_that_goes_takes_its_question_along(self, tmp_path: Path) -> None:
        hooks = hooks_of(tmp_path, slow=answering(ANN, wait_s=30))
        task = asyncio.create_task(hooks.first("resolve_customer", number="1", deadline_s=20))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
        assert hooks._dispatcher.abandoned == 0
        assert len(asyncio.all_tasks()) == 1


class TestRegistration:
    def refuse(self, tmp_path: Path, plugin: object) -> str:
        with pytest.raises(HookError) as caught:
            hooks_of(tmp_path, bad=plugin)
        return str(caught.value)

    def test_an_argument_that_the_hook_does_not_have(self, tmp_path: Path) -> None:
        class Bad:
            @hookimpl
            async def resolve_customer(self, phone: str) -> None: ...

        text = self.refuse(tmp_path, Bad())
        assert "plugin 'bad', hook 'resolve_customer'" in text
        assert "phone" in text
        assert "resolve_customer(number: str) -> Customer | None" in text

    def test_a_hook_that_does_not_exist(self, tmp_path: Path) -> None:
        class Bad:
            @hookimpl
            async def resolve_custommer(self, number: str) -> None: ...

        assert "did you mean 'resolve_customer'" in self.refuse(tmp_path, Bad())

    def test_wrappers_generators_and_catch_all_arguments(self, tmp_path: Path) -> None:
        class Wrapper:
            @hookimpl(wrapper=True)
            def resolve_customer(self, number: str) -> Any:
                return (yield)

        class Generator:
            @hookimpl
            def resolve_customer(self, number: str) -> Any:
                yield ANN

        class CatchAll:
            @hookimpl
            def resolve_customer(self, **everything: Any) -> None: ...

        assert "wrappers" in self.refuse(tmp_path, Wrapper())
        assert "generator" in self.refuse(tmp_path, Generator())
        assert "does not fit" in self.refuse(tmp_path, CatchAll())

    def test_a_name_twice(self, tmp_path: Path) -> None:
        hooks = hooks_of(tmp_path, a=answering(ANN))
        with pytest.raises(HookError, match="named twice"):
            hooks.add(PluginContext("a", tmp_path), answering(BOB))

    async def test_a_wrong_call_is_an_error_of_ours(self, tmp_path: Path) -> None:
        hooks = hooks_of(tmp_path, a=answering(ANN))
        with pytest.raises(HookError, match=r"called with first\(\)"):
            await hooks.all("resolve_customer", number="1")
        with pytest.raises(HookError, match=r"resolve_customer\(number: str\)"):
            await hooks.first("resolve_customer", phone="1")


class TestLoading:
    async def test_start_gives_each_plugin_its_own_context(self, tmp_path: Path) -> None:
        seen = {}

        class Plugin:
            @hookimpl
            async def plugin_startup(self, context: PluginContext) -> None:
                seen[context.name] = (context.settings, context.data_dir.is_dir())

            @hookimpl
            async def plugin_shutdown(self) -> None:
                seen["stopped"] = True

        module = ModuleType("module")
        module.Plugin = Plugin  # type: ignore[attr-defined]
        hooks = Hooks.load(
            ["b", "a"],
            {"a": {"x": 1}},
            data_dir=tmp_path,
            find=lambda: {"a": lambda: Plugin, "b": lambda: module},
        )
        assert hooks.plugins == ("b", "a")
        assert await hooks.start() == ()
        assert seen == {"a": ({"x": 1}, True), "b": ({}, True)}
        await hooks.stop()
        assert seen["stopped"]
        assert not hooks.has("plugin_startup")

    async def test_a_plugin_that_does_not_start_is_left_out(self, tmp_path: Path) -> None:
        class Broken:
            @hookimpl
            async def plugin_startup(self) -> None:
                raise OSError("no disk")

            @hookimpl
            async def resolve_customer(self, number: str) -> Customer | None:
                return BOB

        (tmp_path / "file").write_text("in the way of a folder")
        hooks = hooks_of(tmp_path, broken=Broken(), file=answering(BOB), good=answering(ANN))
        assert await hooks.start() == ("broken", "file")
        assert hooks.plugins == ("good",)
        assert await hooks.first("resolve_customer", number="1") == ANN

    @pytest.mark.parametrize(
        ("found", "message"),
        [({"costumers": lambda: None}, "did you mean 'costumers'"), ({}, "there are"),
         ({"customers": lambda: 5}, "neither a class nor"),
         ({"customers": lambda: ModuleType("m")}, "neither a class nor"),
         ({"customers": lambda: __import__("no_such_module")}, "cannot be loaded")],
    )  # fmt: skip
    def test_what_cannot_be_loaded_is_named(
        self, tmp_path: Path, found: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(HookError, match=message) as caught:
            Hooks.load(["customers"], {}, data_dir=tmp_path, find=lambda: found)
        assert "'customers'" in str(caught.value)

    def test_the_plugin_that_ships_is_found(self) -> None:
        assert "customers" in installed_plugins()


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented(name: str) -> None:
    hook, text = HOOKS[name], REFERENCE.read_text(encoding="utf-8")
    way = "first" if hook.first else "all"
    assert f"## {name}\n\n`{hook.signature}` · {way} · {hook.deadline_s:g} s\n" in text


def test_no_documented_hook_is_gone() -> None:
    titles = [
        line[3:] for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line[:3] == "## "
    ]
    assert titles == list(HOOKS)
