"""
From frames to columns.
"""

from typing import Any

import msgspec
from msgspec.structs import replace
from recording import KEYS

from modeltrail.describe import columns_of
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind
from modeltrail.tell import canonical


def columns(problems: Problems | None = None, **told: Any) -> dict[str, Any]:
    """
    Return the columns of a frame that says only what was told.
    """
    frame = Frame(FrameKind.START, "id", 1, told, {})
    return columns_of(frame, KEYS, (problems or Problems()).note)


def test_facts_and_plain_fields_are_columns_as_they_are() -> None:
    """What the framework measured wins over what we did."""
    frame = Frame(FrameKind.END, "id", 1, {"latency_us": 5}, {"status": "ok", "latency_us": 9})
    assert columns_of(frame, KEYS, print) == {"status": "ok", "latency_us": 5}


def test_labels_are_columns_of_text() -> None:
    """Known tags fill their columns, whatever their type; None takes a tag away."""
    tags = {"feature": "f", "variant": 2, "phase": 1.5, "propensity_ppm": 500_000, "segment": None}
    assert columns(tags=tags) == {
        "feature": "f",
        "variant": "2",
        "phase": "1.5",
        "propensity_ppm": 500_000,
    }


def test_lists_and_mappings_are_json_with_sorted_keys() -> None:
    """Parameters, finish reasons and free tags are texts in the record."""
    found = columns(
        parameters={"top_p": 1, "n": 2}, finish_reasons=["stop", "length"], tags={"b": [1], "a": {}}
    )
    assert found == {
        "parameters": '{"n":2,"top_p":1}',
        "finish_reasons": '["stop","length"]',
        "tags": '{"a":{},"b":[1]}',
    }


def test_empty_lists_and_mappings_fill_nothing() -> None:
    """Nothing is NULL, not an empty text."""
    assert columns(parameters={}, finish_reasons=[], tags={}, usage={}) == {}


def test_usage_is_read_here() -> None:
    """A report in any known dialect fills the columns of usage."""
    found = columns(usage={"input_tokens": 7, "output_tokens": 2, "total_tokens": 9})
    assert (found["input_tokens"], found["output_tokens"]) == (7, 2)
    assert found["usage_source"] == "provider"
    assert "usage" not in found


def test_what_usage_says_of_cost_and_tier() -> None:
    """Beside the tokens; what the framework says of the cost wins, and a hit has cost nothing."""
    usage = {"input_tokens": 7, "output_tokens": 2, "cost": 0.95, "speed": "fast"}
    found = columns(usage=usage, service_tier="standard")
    assert (found["cost_reported_nanousd"], found["service_tier"]) == (950_000_000, "fast")
    assert columns(usage=usage, cost_reported_nanousd=5)["cost_reported_nanousd"] == 5
    assert "cost_reported_nanousd" not in columns(usage=usage, cache_hit=True)


def test_usage_that_contradicts_itself_is_counted() -> None:
    """What does not add up is kept as it was told, marked, and counted as a problem."""
    problems = Problems()
    found = columns(
        problems, usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 10}
    )
    assert (found["input_tokens"], found["usage_source"]) == (7, "partial")
    assert problems.counts() == {"usage-contradictory": 1}


def test_usage_without_an_input_is_no_contradiction() -> None:
    """A gateway that does not know the input is not at odds with itself."""
    problems = Problems()
    assert (
        columns(problems, usage={"input_tokens": 0, "output_tokens": 2})["usage_source"]
        == "partial"
    )
    assert problems.counts() == {}


def test_source_that_was_told_stays() -> None:
    """An integration that knows better than the report says so."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    assert columns(usage=usage, usage_source="estimated")["usage_source"] == "estimated"


def test_details_of_usage_are_json() -> None:
    """Figures without a column of their own are kept beside."""
    details = {"audio_tokens": 3}
    found = columns(usage={"prompt_tokens": 7, "prompt_tokens_details": details})
    assert found["usage_detail"] == '{"input_audio_tokens":3}'


def test_usage_that_is_no_mapping_says_nothing() -> None:
    """A report of another shape leaves the figures unknown."""
    assert columns(usage=[1, 2]) == {"usage_source": "missing"}


def test_label_that_is_no_text_is_counted() -> None:
    """A known tag with a list for its value is left out."""
    problems = Problems()
    assert columns(problems, tags={"feature": ["a"], "variant": "B"}) == {"variant": "B"}
    assert problems.counts() == {"tag-not-text": 1}


def test_long_texts_give_their_facts() -> None:
    """Texts left to the writer are digested, and an answer's shape is told."""
    data = canonical([("assistant", "{}"), ("tool_call:f", "{}")])
    plain = canonical([("assistant", '{"a": 1}')])
    texts = {"input": b"asked", "output": data}
    frame = Frame(FrameKind.END, "id", 1, {}, {}, texts)
    assert columns_of(frame, KEYS, print) == {
        "input_digest": KEYS.digest(b"asked"),
        "output_digest": KEYS.digest(data),
        "output_format": "tool_call",
    }
    found = columns_of(replace(frame, texts={"output": plain}), KEYS, print)
    assert found["output_format"] == "json"
    assert msgspec.json.decode(plain)[0][0] == "assistant"
