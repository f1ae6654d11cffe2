from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from ccengine.dialplan.expression import Expression, Prompt, Template, ValueTemplate
from ccengine.errors import FlowError

SCOPE = {"digits": "12", "tries": 2, "caller": {"number": "139"}, "rate": 0.5, "vip": True}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("digits == '12'", True),
        ("size(digits) > 2 || caller.number.startsWith('13')", True),
        ("tries + 1", 3),
        ("int(digits) + tries", 14),
        ("has(caller.name)", False),
        ("[1, 2].exists(v, v == tries)", True),
        ("digits in ['12', '13']", True),
    ],
)
def test_expressions_have_values(source: str, value: object) -> None:
    assert Expression(source).value(SCOPE) == value


@pytest.mark.parametrize(
    "source",
    ["1 / 0", "tries + digits", "caller.name", "nosuch", "int('x')", "nofun(1)", "caller[1]"],
)
def test_an_expression_without_a_value_is_a_flow_error(source: str) -> None:
    with pytest.raises(FlowError, match="has no value"):
        Expression(source).value(SCOPE)


def test_a_test_must_be_true_or_false() -> None:
    assert Expression("vip").test(SCOPE)
    with pytest.raises(FlowError, match="neither true nor false"):
        Expression("tries").test(SCOPE)


@pytest.mark.parametrize(
    ("source", "offset"), [("a == ", 5), ("x y", 2), ("a = 1", 2), ("", 0), ("f(", 2)]
)
def test_a_syntax_error_tells_how_far_it_is(source: str, offset: int) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        Expression(source)
    assert caught.value.context is not None
    assert caught.value.context["offset"] == offset
    assert caught.value.context["cure"]


def test_references_name_variables_members_and_functions_with_their_places() -> None:
    expression = Expression("queue.result == 'x.y' && size(order) > 1")
    found = {(r.kind, r.name, r.member, r.offset) for r in expression.references()}
    assert found == {
        ("variable", "queue", "", 0),
        ("variable", "order", "", 30),
        ("member", "queue", "result", 6),
        ("function", "size", "", 25),
    }


def test_names_inside_macros_and_types_are_no_variables() -> None:
    found = Expression("[1].all(item, type(item) == int)").references()
    assert {r.name for r in found if r.kind == "variable"} == set()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("${digits}", "12"),
        ("a ${tries} b ${caller.number}", "a 2 b 139"),
        ("${vip}/${rate}/${2.0}", "true/0.5/2"),
        ("$${digits}", "${digits}"),
        ("cost $5", "cost $5"),
        ("${{'a': '}'}.a}", "}"),
        ("${'{' + digits}", "{12"),
        ("${null}", ""),
    ],
)
def test_templates_are_filled_in(source: str, text: str) -> None:
    assert Template(source).text(SCOPE) == text


def test_one_expression_alone_keeps_its_type() -> None:
    assert ValueTemplate("${tries + 1}").value(SCOPE) == 3
    assert ValueTemplate("n${tries + 1}").value(SCOPE) == "n3"
    assert ValueTemplate(True).value(SCOPE) is True
    assert ValueTemplate("").value(SCOPE) == ""


def test_an_open_brace_is_told_with_its_place() -> None:
    with pytest.raises(PydanticCustomError, match="never closed") as caught:
        Template("ab ${digits")
    assert caught.value.context is not None
    assert caught.value.context["offset"] == 3


@pytest.mark.parametrize("key", ["a b", "a;b", "问候!"])
def test_prompt_keys_are_checked(key: str) -> None:
    with pytest.raises(PydanticCustomError, match="is no prompt key"):
        Prompt.of(key)


def test_a_pattern_that_backtracks_elsewhere_does_not_here() -> None:
    expression = Expression("text.matches('(a+)+$')")
    assert expression.value({"text": "a" * 5000 + "!"}) is False


@given(st.text(max_size=40))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = Template(text)
    except PydanticCustomError:
        return
    if not template.expressions:
        assert template.text({}) == text.replace("$${", "${")
