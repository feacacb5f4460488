"""
Declarations: what is refused, what an id is made of, and that they come back.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modeltrail
from modeltrail.errors import ConfigurationError
from modeltrail.experiment.buckets import Namespace
from modeltrail.experiment.declaration import Declaration, Guardrail, declarations
from modeltrail.storage import Store
from modeltrail.trail import Trail

HALVES = {"control": 0.5, "mini": 0.5}
FULL: dict[str, Any] = {
    "key": "cheaper-model",
    "arms": HALVES,
    "unit": "user",
    "coverage": 0.8,
    "control": "control",
    "primary": "cost_per_call",
    "guardrails": (Guardrail("error_share", 0.01), Guardrail("latency", 200_000)),
    "plan_units": 700,
    "alpha": 0.01,
    "seed": "s",
    "namespace": Namespace("answers", 0.25, 1.0),
    "hash_version": 1,
}
# One change per attribute, each of which makes another declaration.
CHANGES: dict[str, Any] = {
    "key": "dearer-model",
    "arms": {"control": 0.4, "mini": 0.6},
    "unit": "session",
    "coverage": 0.9,
    "control": "mini",
    "primary": "latency",
    "guardrails": (Guardrail("error_share", 0.02),),
    "plan_units": 701,
    "alpha": 0.05,
    "seed": "t",
    "namespace": Namespace("answers", 0.5, 1.0),
    "hash_version": 2,
}
# Those by which units get other chances.
OF_THE_PLAN = {"arms", "unit", "coverage", "seed", "namespace", "hash_version"}


@pytest.fixture
def opened(trail: Trail) -> Iterator[Trail]:
    """
    Open a trail; at the end nothing may have gone wrong inside.
    """
    yield trail
    assert trail.health().problems == {}


def declared(trail: Trail, key: str) -> list[Declaration]:
    """
    Return the declarations that are stored.
    """
    assert trail.flush(5)
    return [each.declaration for each in declarations(trail.store, key)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control": "maxi"}, "control 'maxi' .* none of its arms: control, mini"),
        ({"primary": ""}, "primary metric .* no name"),
        ({"plan_units": 0}, "planned units"),
        ({"plan_units": -1}, "planned units"),
        ({"plan_units": 1.5}, "planned units"),
        ({"primary": "cost:cap=-1"}, "cap"),
        ({"guardrails": (Guardrail("errors:cap=1", 0.1),)}, "errors has no cap"),
        ({"primary": "errors:p95"}, "no quantiles"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 0.5}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"arms": {"control": 0.5, "mini": 0.6}}, "add up to 1.1"),
        ({"coverage": 1.5}, "coverage"),
        ({"key": "a=b"}, "'='"),
        ({"guardrails": (Guardrail("cost", 1), Guardrail("cost", 2))}, "same metric"),
        ({"namespace": Namespace("n", 0.5, 0.5)}, "namespace"),
        ({"hash_version": 3}, "version 3"),
    ],
)
def test_what_cannot_be_judged_is_refused(change: dict[str, Any], message: str) -> None:
    """
    A declaration that makes no sense says what is wrong with it.
    """
    with pytest.raises(ConfigurationError, match=message):
        Declaration(**(FULL | change))


@pytest.mark.parametrize("margin", [0.0, -0.1, math.inf, math.nan])
def test_a_margin_is_a_positive_number(margin: float) -> None:
    """
    Without a margin nothing could be shown to be not worse.
    """
    with pytest.raises(ConfigurationError, match="margin of guardrail 'latency'"):
        Guardrail("latency", margin)


def test_a_guardrail_has_a_name() -> None:
    """
    A guardrail is a metric.
    """
    with pytest.raises(ConfigurationError, match="name of its metric"):
        Guardrail("", 1.0)


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_attribute_is_in_the_id_and_the_plan_in_the_phase(name: str) -> None:
    """
    A change of anything makes another event; the phase changes with the chances alone.
    """
    before, after = Declaration(**FULL), Declaration(**(FULL | {name: CHANGES[name]}))
    assert before.id != after.id
    assert (before.phase != after.phase) == (name in OF_THE_PLAN)


def test_the_same_plan_has_the_same_id_whatever_its_types() -> None:
    """
    1 and 1.0 are one weight, and the order of arms is content.
    """
    one = Declaration("key", {"a": 1, "b": 0}, "user", coverage=1)
    other = Declaration("key", {"a": 1.0, "b": 0.0}, "user", coverage=1.0)
    assert (one.id, one.phase) == (other.id, other.phase)
    turned = Declaration("key", {"b": 0.0, "a": 1.0}, "user")
    assert turned.id != one.id
    assert turned.phase != one.phase


def test_the_id_is_a_uuid_of_version_5_and_the_same_everywhere() -> None:
    """
    What is stored of today's declarations must be known again by later versions.
    """
    found = Declaration("key", HALVES, "user")
    plan = b'[[["control",0.5],["mini",0.5]],1.0,"user",null,null,2]'
    assert found.phase == hashlib.sha256(plan).hexdigest()[:8]
    said = (
        '{"alpha":0.05,"arms":[["control",0.5],["mini",0.5]],"coverage":1.0,"guardrails":[],'
        f'"hash_version":2,"key":"key","phase":"{found.phase}","unit":"user"}}'
    )
    assert found.detail == said
    assert found.id == str(uuid5(UUID("6f2c0f0e-6d0c-4d43-9a2e-0f6f1b7a5d11"), said))


def test_the_detail_is_readable_without_us() -> None:
    """
    The event says in JSON what was declared.
    """
    told = json.loads(Declaration(**FULL).detail)
    assert told["arms"] == [["control", 0.5], ["mini", 0.5]]
    assert told["guardrails"] == [["error_share", 0.01], ["latency", 200_000.0]]
    assert told["namespace"] == ["answers", 0.25, 1.0]
    assert (told["primary"], told["plan_units"], told["alpha"]) == ("cost_per_call", 700, 0.01)


def declare_full(trail: Trail) -> None:
    """
    Declare FULL as an application does.
    """
    given = {name: value for name, value in FULL.items() if name not in ("key", "arms")}
    guardrails = {each.metric: each.margin for each in FULL["guardrails"]}
    trail.experiment(FULL["key"], HALVES, **(given | {"guardrails": guardrails}))


def test_a_declaration_comes_back_as_it_was(opened: Trail) -> None:
    """
    All that was declared is read from the trail again, in its order.
    """
    declare_full(opened)
    (found,) = declared(opened, "cheaper-model")
    assert found == Declaration(**FULL)
    assert list(found.arms) == ["control", "mini"]
    assert found.id == Declaration(**FULL).id
    assert declared(opened, "another") == []


def test_declaring_again_adds_nothing(url: str) -> None:
    """
    The same declaration, twice in one process and in another one, is one event.
    """
    for _ in range(2):
        with modeltrail.open(url) as trail:
            declare_full(trail)
            declare_full(trail)
    with closing(Store.open(url)) as store:
        assert len(store.events("experiment")) == 1


def test_a_change_is_entered_beside_the_first(opened: Trail) -> None:
    """
    Both declarations are there, the first one first, with the times of their making.
    """
    opened.experiment("key", HALVES, primary="latency")
    opened.experiment("key", HALVES, primary="cost_per_call")
    opened.experiment("key", HALVES, primary="latency")
    assert opened.flush(5)
    first, second = declarations(opened.store, "key")
    assert [first.declaration.primary, second.declaration.primary] == ["latency", "cost_per_call"]
    assert 0 < first.at_us <= second.at_us


def test_a_declaration_that_was_not_written_is_tried_again(
    opened: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What could not be entered the first time is entered the next time it is declared.
    """
    with monkeypatch.context() as patch:
        patch.setattr(opened.recorder, "emit", lambda *_: None)
        opened.experiment("key", HALVES)
    assert declared(opened, "key") == []
    opened.experiment("key", HALVES)
    assert len(declared(opened, "key")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_declares_its_own(opened: Trail) -> None:
    """
    What a child declares is entered, too.
    """
    if (child := os.fork()) == 0:
        opened.experiment("child", HALVES)
        os._exit(0 if opened.close() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(declared(opened, "child")) == 1


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 9), min_size=2, max_size=4))
def test_any_arms_come_back_from_their_detail(shares: dict[str, int]) -> None:
    """
    Whatever arms are called, their names and order survive JSON, or they are refused.
    """
    total = sum(shares.values()) or 1
    try:
        made = Declaration("key", {name: share / total for name, share in shares.items()}, "user")
    except ConfigurationError:
        refused = not sum(shares.values()) or any("\0" in name for name in shares)
        assert refused or any("\ud800" <= c <= "\udfff" for name in shares for c in name)
        return
    assert dict(json.loads(made.detail)["arms"]) == made.arms
    assert [name for name, _ in json.loads(made.detail)["arms"]] == list(shares)
