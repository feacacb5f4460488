"""
A history of calls, and what a provider would export of it: written by hand, not by our code.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.rows import Batch, call_row

HOUR = 3_600
DAY = 24 * HOUR
# 2026-09-21 00:00:00 UTC, a Monday.
MONDAY = 1_789_948_800
MINI, BIG = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"
HAIKU = "claude-haiku-4-5-20251001"
# Nano-dollars for a token: uncached input, read from a cache, written to one, output.
PRICES = {
    MINI: (150, 75, 150, 600),
    BIG: (2_500, 1_250, 2_500, 10_000),
    HAIKU: (1_000, 100, 1_250, 5_000),
}


@dataclass(frozen=True)
class Used:
    """
    What one call used, as both sides should know it.
    """

    at_s: int
    model: str
    key: str
    uncached: int
    read: int
    written: int
    output: int
    batch: bool = False
    request_id: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def nanousd(self) -> int:
        counts = (self.uncached, self.read, self.written, self.output)
        return sum(n * price for n, price in zip(counts, PRICES[self.model], strict=True))

    @property
    def input(self) -> int:
        return self.uncached + self.read + self.written


def history(
    models: Sequence[str], *, hours: int = 6, calls: int = 20, keys: Sequence[str] = ("key_a",)
) -> list[Used]:
    """
    Make so many calls of each model and key in each hour, all of different size.
    """
    chance = random.Random(42)
    return [
        Used(
            at_s=MONDAY + hour * HOUR + chance.randrange(60, HOUR - 60),
            model=model,
            key=key,
            uncached=chance.randrange(50, 4_000),
            read=chance.choice((0, 0, 1_024)),
            written=chance.choice((0, 512)) if model == HAIKU else 0,
            output=chance.randrange(5, 900),
            request_id=f"req-{hour}-{model}-{key}-{number}",
        )
        for hour in range(hours)
        for model in models
        for key in keys
        for number in range(calls)
    ]


def record_all(
    url: str, used: Iterable[Used], *, provider: str = "openai", tag: bool = True
) -> None:
    """
    Make a trail that has them.
    """
    store = Store.open(url)
    rows = [call_row(_record(each, number, provider, tag)) for number, each in enumerate(used)]
    assert store.append(Batch(call=rows)) == []
    store.close()


def _record(used: Used, number: int, provider: str, tag: bool) -> CallRecord:
    at_us = used.at_s * 1_000_000 + number % 1_000
    given: dict[str, Any] = {
        "id": uuid7(at_us),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": at_us,
        "status": "ok",
        "provider": provider,
        "response_model": used.model,
        "input_tokens": used.input,
        "output_tokens": used.output,
        "cache_read_input_tokens": used.read,
        "cache_creation_input_tokens": used.written,
        "usage_source": "provider",
        "cost_nanousd": used.nanousd,
        "cost_source": "genai-prices",
        "provider_request_id": used.request_id,
        "tags": json.dumps({"key_alias": used.key}) if tag else None,
    }
    return msgspec.convert(given | used.columns, CallRecord)


def without_usage(used: Used, status: str = "ok") -> Used:
    """
    Let the trail not know what a call used.
    """
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cost_nanousd")
    unknown = dict.fromkeys((*names, "cache_creation_input_tokens"))
    more = {"usage_source": "missing", "cost_source": "none", "status": status}
    return replace(used, columns={**unknown, **more})


def _grouped(
    used: Iterable[Used], width: int
) -> dict[int, dict[tuple[str, str, bool], list[Used]]]:
    """
    Sort calls into buckets of whole days, without gaps, and these by model, key and batch.
    """
    used = list(used)
    first = min(each.at_s for each in used) // DAY * DAY
    last = max(each.at_s for each in used) // DAY * DAY + DAY
    found: dict[int, dict[tuple[str, str, bool], list[Used]]] = {
        start: {} for start in range(first, last, width)
    }
    for each in used:
        group = found[each.at_s // width * width]
        group.setdefault((each.model, each.key, each.batch), []).append(each)
    return found


def openai_usage(used: Iterable[Used], width: int = HOUR) -> bytes:
    """
    What `/v1/organization/usage/completions` returns, grouped by model, key and batch.
    """
    data = [
        {
            "object": "bucket",
            "start_time": start,
            "end_time": start + width,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": sum(each.input for each in calls),
                    "output_tokens": sum(each.output for each in calls),
                    "input_cached_tokens": sum(each.read for each in calls),
                    "input_audio_tokens": 0,
                    "output_audio_tokens": 0,
                    "num_model_requests": len(calls),
                    "project_id": None,
                    "user_id": None,
                    "api_key_id": key,
                    "model": model,
                    "batch": batch,
                }
                for (model, key, batch), calls in groups.items()
            ],
        }
        for start, groups in _grouped(used, width).items()
    ]
    return _page(data)


def openai_costs(used: Iterable[Used], factor: int = 1) -> bytes:
    """
    What `/v1/organization/costs` returns, grouped by line item and key.
    """
    data = []
    for start, groups in _grouped(used, DAY).items():
        results = []
        for (model, key, _), calls in groups.items():
            output = sum(each.output * PRICES[model][3] for each in calls)
            rest = sum(each.nanousd for each in calls) - output
            for kind, nano in (("input", rest), ("output", output)):
                whole, nanos = divmod(nano * factor, 10**9)
                results.append(
                    {
                        "object": "organization.costs.result",
                        "amount": {"value": f"@{whole}.{nanos:09d}@", "currency": "usd"},
                        "line_item": f"{model}, {kind}",
                        "project_id": None,
                        "api_key_id": key,
                    }
                )
        data.append(
            {"object": "bucket", "start_time": start, "end_time": start + DAY, "results": results}
        )
    # A number, and as exact as it was.
    return _page(data).replace(b'"@', b"").replace(b'@"', b"")


def anthropic_usage(used: Iterable[Used], width: int = HOUR) -> bytes:
    """
    What `/v1/organizations/usage_report/messages` returns, grouped by model, key and tier.
    """
    data = [
        {
            "starting_at": _rfc3339(start),
            "ending_at": _rfc3339(start + width),
            "results": [
                {
                    "uncached_input_tokens": sum(each.uncached for each in calls),
                    "cache_read_input_tokens": sum(each.read for each in calls),
                    "cache_creation": {
                        "ephemeral_1h_input_tokens": 0,
                        "ephemeral_5m_input_tokens": sum(each.written for each in calls),
                    },
                    "output_tokens": sum(each.output for each in calls),
                    "server_tool_use": {"web_search_requests": 0},
                    "api_key_id": key,
                    "workspace_id": None,
                    "model": model,
                    "service_tier": "batch" if batch else "standard",
                    "context_window": "0-200k",
                    "inference_geo": None,
                }
                for (model, key, batch), calls in groups.items()
            ],
        }
        for start, groups in _grouped(used, width).items()
    ]
    return _page(data)


def anthropic_costs(used: Iterable[Used]) -> bytes:
    """
    What `/v1/organizations/cost_report` returns, grouped by description: cents as text.
    """
    data = []
    for start, groups in _grouped(used, DAY).items():
        results = []
        for model in sorted({model for model, _, _ in groups}):
            calls = [each for key, calls in groups.items() if key[0] == model for each in calls]
            cents, rest = divmod(sum(each.nanousd for each in calls), 10**7)
            results.append(
                {
                    "currency": "USD",
                    "amount": f"{cents}.{rest:07d}",
                    "workspace_id": None,
                    "description": f"{model} Usage",
                    "cost_type": "tokens",
                    "context_window": "0-200k",
                    "model": model,
                    "service_tier": "standard",
                    "token_type": "uncached_input_tokens",
                }
            )
        data.append(
            {
                "starting_at": _rfc3339(start),
                "ending_at": _rfc3339(start + DAY),
                "results": results,
            }
        )
    return _page(data)


def bedrock_log(used: Iterable[Used]) -> bytes:
    """
    What Bedrock writes into its model invocation log, a line a call.
    """
    return b"".join(
        json.dumps(
            {
                "schemaType": "ModelInvocationLog",
                "schemaVersion": "1.0",
                "timestamp": _rfc3339(each.at_s),
                "accountId": "123456789012",
                "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/app/session"},
                "region": "us-east-1",
                "requestId": each.request_id,
                "operation": "Converse",
                "modelId": "arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
                f"us.anthropic.{each.model}-v1:0",
                "input": {
                    "inputContentType": "application/json",
                    "inputTokenCount": each.uncached,
                    "cacheReadInputTokenCount": each.read,
                    "cacheWriteInputTokenCount": each.written,
                },
                "output": {
                    "outputContentType": "application/json",
                    "outputTokenCount": each.output,
                },
            }
        ).encode()
        + b"\n"
        for each in used
    )


def _page(data: list[Any]) -> bytes:
    return json.dumps(
        {"object": "page", "data": data, "has_more": False, "next_page": None}
    ).encode()


def _rfc3339(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
