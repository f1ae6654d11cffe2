"""The customers plugin through the hooks, and when its database is away."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from ccengine.hooks import Hooks
from ccengine.plugin import CallFinished, Customer, DocumentError, PluginContext, StoreError
from ccengine.plugins.customers import (
    CustomerRow,
    CustomerStore,
    ImportResult,
    Plugin,
    import_csv,
    open_store,
    read_csv,
)
from ccengine.plugins.customers import store as store_module

AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
WANG = CustomerRow("+8613812345678", "王伟", "gold", "likes tea")


def ended(number: str, at: datetime = AT) -> CallFinished:
    return CallFinished("call-1", at, "95588", number, "normal", 60.0, 50.0)


@pytest.fixture
def context(tmp_path: Path) -> PluginContext:
    folder = tmp_path / "data" / "customers"
    folder.mkdir(parents=True)
    return PluginContext("customers", folder)


@pytest.fixture
def store(context: PluginContext):
    store = open_store(context)
    yield store
    store.close()


async def started(tmp_path: Path, **settings: object) -> Hooks:
    hooks = Hooks.load(["customers"], {"customers": settings}, data_dir=tmp_path / "data")
    await hooks.start()
    return hooks


class TestThroughTheHooks:
    async def test_a_call_finds_its_customer_and_is_counted(
        self, tmp_path: Path, store: CustomerStore
    ) -> None:
        store.save([WANG])
        hooks = await started(tmp_path)
        try:
            for number in ("013812345678", "+86 138 1234 5678", "13812345678"):
                found = await hooks.first("resolve_customer", number=number, deadline_s=5)
                assert found == Customer("1", "王伟", "gold", "likes tea")
                await hooks.all("call_ended", event=ended(number))
            assert await hooks.first("resolve_customer", number="1001", deadline_s=5) is None
            await hooks.all("call_ended", event=ended("1001"))
            await hooks.all("call_ended", event=ended("anonymous"))
        finally:
            await hooks.stop()
        (row,) = store.list()
        assert (row.calls, row.last_call_at) == (3, AT)
        assert all(item.failures == 0 for item in hooks.counters.values())

    async def test_local_numbers_with_the_area_code_of_the_settings(
        self, tmp_path: Path, store: CustomerStore
    ) -> None:
        store.save([CustomerRow("+8657187654321", "Repair Shop")])
        hooks = await started(tmp_path, area_code="0571")
        try:
            found = await hooks.first("resolve_customer", number="87654321", deadline_s=5)
        finally:
            await hooks.stop()
        assert found.name == "Repair Shop"

    @pytest.mark.parametrize("settings", [{"area_cod": "0571"}, {"area_code": 571}])
    async def test_wrong_settings_leave_the_plugin_out(
        self, tmp_path: Path, settings: dict[str, object], caplog: pytest.LogCaptureFixture
    ) -> None:
        hooks = await started(tmp_path, **settings)
        assert hooks.plugins == ()
        assert "area_cod" in caplog.text


class TestDatabaseAway:
    async def test_locked_the_call_goes_on_within_its_deadline(
        self, tmp_path: Path, store: CustomerStore, context: PluginContext, monkeypatch
    ) -> None:
        monkeypatch.setattr(store_module, "BUSY_S", 0.05)
        store.save([WANG])
        hooks = await started(tmp_path)
        locker = sqlite3.connect(context.data_dir / "customers.db", isolation_level=None)
        try:
            locker.execute("BEGIN EXCLUSIVE")
            assert await hooks.all("call_ended", event=ended(WANG.number)) == []
            assert hooks.counters["customers", "call_ended"].failures == 1
            locker.execute("ROLLBACK")
            assert await hooks.all("call_ended", event=ended(WANG.number)) == [None]
        finally:
            locker.close()
            await hooks.stop()
        assert store.list()[0].calls == 1

    async def test_slow_the_deadline_holds(self, tmp_path: Path, monkeypatch) -> None:
        hooks = await started(tmp_path)
        monkeypatch.setattr(CustomerStore, "find", lambda self, number: time.sleep(0.3))
        try:
            begin = time.monotonic()
            answer = await hooks.first("resolve_customer", number="13812345678", deadline_s=0.02)
            assert answer is None
            assert time.monotonic() - begin < 0.25
        finally:
            await hooks.stop()
        assert hooks.counters["customers", "resolve_customer"].timeouts == 1

    async def test_lost_and_back_again(self, tmp_path: Path) -> None:
        """The folder of the database appears after the start."""
        missing = tmp_path / "later"
        hooks = await started(tmp_path, database_url=f"sqlite:///{missing}/customers.db")
        try:
            assert hooks.plugins == ("customers",)
            for _ in range(2):
                answer = await hooks.first("resolve_customer", number=WANG.number, deadline_s=5)
                assert answer is None
            assert hooks.counters["customers", "resolve_customer"].failures == 2
            missing.mkdir()
            other = CustomerStore(f"sqlite:///{missing}/customers.db")
            other.save([WANG])
            other.close()
            found = await hooks.first("resolve_customer", number=WANG.number, deadline_s=5)
            assert found.name == "王伟"
        finally:
            await hooks.stop()

    def test_what_is_lost_is_said(self, tmp_path: Path) -> None:
        store = CustomerStore(f"sqlite:///{tmp_path}/none/customers.db")
        with pytest.raises(StoreError, match="does not answer: unable to open"):
            store.find("1")

    def test_a_newer_schema_is_not_touched(self, store: CustomerStore) -> None:
        store.save([WANG])
        with store._engine.begin() as connection:
            connection.execute(text("INSERT INTO customers_schema VALUES (99)"))
        again = CustomerStore(store._engine.url)
        with pytest.raises(StoreError, match="newer version"):
            again.find(WANG.number)
        again.close()

    def test_a_plugin_that_was_not_started_knows_nobody(self) -> None:
        assert Plugin().resolve_customer(WANG.number) is None
        Plugin().call_ended(ended(WANG.number))


class TestStore:
    def test_saving_again_changes_what_people_write_and_keeps_the_calls(
        self, store: CustomerStore
    ) -> None:
        assert store.save([WANG]) == ImportResult(added=1, changed=0)
        store.count_call(WANG.number, AT)
        again = CustomerRow(WANG.number, "王伟", "platinum")
        assert store.save([again]) == ImportResult(added=0, changed=1)
        (row,) = store.list()
        assert (row.level, row.note, row.calls) == ("platinum", "", 1)
        assert not store.count_call("+861", AT)

    def test_pages(self, store: CustomerStore) -> None:
        store.save([CustomerRow(f"+86139{n:08}", f"c{n}") for n in range(7)])
        first = store.list(limit=5)
        rest = store.list(limit=5, after=first[-1].number)
        assert [row.name for row in [*first, *rest]] == [f"c{n}" for n in range(7)]


class TestImport:
    def write(self, tmp_path: Path, content: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "customers.csv"
        path.write_bytes(content.encode(encoding))
        return path

    def problems(self, tmp_path: Path, content: str) -> list[str]:
        path = self.write(tmp_path, content)
        with pytest.raises(DocumentError) as caught:
            read_csv(path)
        return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
    def test_takes_over_a_good_file(
        self, tmp_path: Path, store: CustomerStore, encoding: str
    ) -> None:
        content = 'Name,Number,level\n王伟,138 1234 5678,gold\r\n\n"李, 娜",0571-87654321,\n'
        path = self.write(tmp_path, content, encoding)
        assert import_csv(store, path) == ImportResult(added=2, changed=0)
        assert [(row.number, row.name, row.level) for row in store.list()] == [
            ("+8613812345678", "王伟", "gold"),
            ("+8657187654321", "李, 娜", ""),
        ]

    def test_names_every_mistake_and_takes_nothing(
        self, tmp_path: Path, store: CustomerStore
    ) -> None:
        content = (
            "name,number,level\n"
            "Ann,abc,gold\n"
            '"Bo, b",13812345678,\n'
            ",13812345679,\n"
            "Eve,+8613812345678,\n"
            "Dan,13812345670,x,y\n"
        )
        assert self.problems(tmp_path, content) == [
            "2:5: 'abc' is no telephone number; write digits",
            "4:1: the name is empty; write a name",
            "5:5: '+8613812345678' stands in line 3 already; keep one",
            "6:19: 4 fields, not 3; put text with commas into double quotes",
        ]
        assert store.list() == []

    def test_names_mistakes_of_the_header(self, tmp_path: Path) -> None:
        assert self.problems(tmp_path, "nmae,number,number\n") == [
            "1:1: there is no column 'name'; begin with number,name,level,note",
            "1:1: unknown column 'nmae'; write 'name'",
            "1:13: column 'number' stands twice; remove one",
        ]
        assert len(self.problems(tmp_path, "")) == 2

    def test_other_files(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="cannot be read"):
            read_csv(tmp_path / "none.csv")
        (tmp_path / "x.csv").write_bytes(b"\xff\xff\x00\xff")
        with pytest.raises(DocumentError, match="neither UTF-8"):
            read_csv(tmp_path / "x.csv")
        assert "check the quotes" in self.problems(tmp_path, 'number,name\n1,"a')[0]
        long = self.problems(tmp_path, f"number,name\n1,{'a' * 201}\n")
        assert long == ["2:3: name has 201 characters, at most 200; shorten it"]

    def test_a_flood_of_mistakes_is_cut(self, tmp_path: Path) -> None:
        assert len(self.problems(tmp_path, "number,name\n" + "x,y\n" * 5000)) == 100
