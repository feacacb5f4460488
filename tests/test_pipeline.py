"""
The chain of structlog processors.
"""

from typing import Any

import structlog
from structlog.testing import CapturingLogger

from modeltrail.pipeline import Pipeline
from modeltrail.problems import Problems

COLUMNS: dict[str, Any] = {
    "framework": "test",
    "operation": "chat",
    "status": "ok",
    "started_at_us": 1_750_000_000_000_000,
    "request_model": "gpt-4o-mini",
    "input_tokens": 14,
    "output_tokens": 7,
    "usage_source": "provider",
    "capture_mode": "digest",
    "input_digest": "d" * 64,
    "user_ref": "u" * 32,
    "feature": "support",
    "tags": '{"note":"sk-proj-abcdefghij0123456789"}',
}


def test_default_chain_prices_and_scrubs() -> None:
    """Credentials go, the cost comes, the digest stays."""
    found = Pipeline(problems=Problems()).run(COLUMNS)
    assert found is not None
    assert found["tags"] == '{"note":"[secret]"}'
    assert (found["cost_nanousd"], found["cost_source"]) == (14 * 150 + 7 * 600, "genai-prices")
    assert found["input_digest"] == "d" * 64
    assert "event" not in found
    assert COLUMNS["tags"].startswith('{"note":"sk-')


def test_metadata_mode_is_enforced_here_too() -> None:
    """No digest passes the chain under `metadata`."""
    found = Pipeline(problems=Problems()).run({**COLUMNS, "capture_mode": "metadata"})
    assert found is not None and "input_digest" not in found


def test_cache_hit_costs_nothing() -> None:
    """What came from a cache is not billed, whatever tokens it repeats."""
    found = Pipeline(problems=Problems()).run({**COLUMNS, "cache_hit": True})
    assert found is not None
    assert (found["cost_nanousd"], found["cost_source"]) == (0, "cache")


def test_reported_cost_is_used_where_no_price_is_known() -> None:
    """The framework's figure stands beside ours, and in for it where we have none."""
    reported = {**COLUMNS, "cost_reported_nanousd": 77}
    known = Pipeline(problems=Problems()).run(reported)
    unknown = Pipeline(problems=Problems()).run({**reported, "request_model": "own-model"})
    assert known is not None and unknown is not None
    assert (known["cost_nanousd"], known["cost_source"]) == (6300, "genai-prices")
    assert (unknown["cost_nanousd"], unknown["cost_source"]) == (77, "reported")


def test_user_processor_changes_the_record() -> None:
    """A processor of the application sees a priced event dict named model_call."""
    seen = []

    def processor(_: Any, __: str, event_dict: Any) -> Any:
        seen.append((event_dict["event"], event_dict["cost_nanousd"]))
        event_dict["environment"] = "staging"
        return event_dict

    found = Pipeline([processor], problems=Problems()).run(COLUMNS)
    assert seen == [("model_call", 6300)]
    assert found is not None and found["environment"] == "staging"


def test_drop_event_keeps_a_record_out() -> None:
    """DropEvent means what it means in structlog."""

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    problems = Problems()
    assert Pipeline([drop], problems=problems).run(COLUMNS) is None
    assert problems.counts() == {}


def test_failing_processor_costs_its_change_and_the_free_tags() -> None:
    """A processor that fails may have been there to scrub: what it could not do is not kept."""

    def fail(_: Any, __: str, event_dict: Any) -> Any:
        event_dict["feature"] = "half done"
        raise ValueError

    problems = Problems()
    found = Pipeline([fail], problems=problems).run(COLUMNS)
    assert found is not None
    assert found["feature"] == "support"
    assert "tags" not in found
    assert problems.counts() == {"processor-failed": 1}


def test_renderer_is_refused_as_a_processor() -> None:
    """A processor that returns text, as renderers do, is a counted failure."""
    problems = Problems()
    found = Pipeline([structlog.processors.JSONRenderer()], problems=problems).run(COLUMNS)
    assert found is not None and found["feature"] == "support"
    assert problems.counts() == {"processor-failed": 1}


def test_mirror_gets_the_record_without_people() -> None:
    """The application's logger gets each record; no reference to a person is in it."""
    captured = CapturingLogger()
    logger = structlog.wrap_logger(captured, processors=[structlog.processors.KeyValueRenderer()])
    Pipeline(mirror=logger, problems=Problems()).run(COLUMNS)
    (line,) = captured.calls
    assert line.method_name == "info"
    assert "event='model_call'" in line.args[0] and "feature='support'" in line.args[0]
    assert "user_ref" not in line.args[0]


def test_mirror_that_fails_is_counted() -> None:
    """A broken logger costs its line, not the record."""

    class Broken:
        def info(self, *_: Any, **__: Any) -> None:
            raise OSError

    problems = Problems()
    assert Pipeline(mirror=Broken(), problems=problems).run(COLUMNS) is not None
    assert problems.counts() == {"mirror-failed": 1}


def test_text_that_no_database_takes_is_made_storable() -> None:
    """NUL and lone surrogates in any column are replaced."""
    found = Pipeline(problems=Problems()).run({**COLUMNS, "feature": "a\0b", "segment": "\ud800"})
    assert found is not None
    assert (found["feature"], found["segment"]) == ("a\ufffdb", "?")
