"""
Providers' exports, from samples in the shapes that the providers document.
"""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.interop.export import LoggedCall, UsageBucket, nanousd
from modeltrail.interop.formats import FORMATS, read_export

SAMPLES = Path(__file__).parent / "samples"
NOVEMBER_1 = 1_730_419_200_000_000
AUGUST_1 = 1_754_006_400_000_000
DAY = 86_400_000_000


def sample(name: str) -> bytes:
    """Return a sample's content."""
    return (SAMPLES / name).read_bytes()


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_format_is_recognised(path: Path) -> None:
    """Each sample is recognised by its content, packed or not, and says so when it is told."""
    expected = path.stem
    assert read_export(path.name, path.read_bytes()).format == expected
    assert read_export(path.name, gzip.compress(path.read_bytes())).format == expected
    assert read_export(path.name, path.read_bytes(), expected).format == expected  # type: ignore[arg-type]


def test_every_format_has_a_sample() -> None:
    """No format is read by code that no sample has seen."""
    assert {path.stem for path in SAMPLES.iterdir()} == set(FORMATS)


def test_openai_usage() -> None:
    """The input has the cached tokens in it; a bucket without results is a time without use."""
    export = read_export("usage.json", sample("openai-usage.json"))
    first = UsageBucket(
        provider="openai",
        start_us=NOVEMBER_1,
        end_us=NOVEMBER_1 + DAY,
        model="gpt-4o-mini-2024-07-18",
        key="key_abc",
        project="proj_abc",
        requests=5,
        input_tokens=1000,
        cache_read_input_tokens=800,
        output_tokens=500,
    )
    second = UsageBucket(
        provider="openai",
        start_us=NOVEMBER_1,
        end_us=NOVEMBER_1 + DAY,
        model="gpt-4o-2024-08-06",
        requests=1,
        input_tokens=70,
        cache_read_input_tokens=0,
        cache_creation_input_tokens=30,
        output_tokens=7,
        batch=True,
    )
    assert export.buckets == (first, second)
    assert export.spans == (
        (NOVEMBER_1, NOVEMBER_1 + DAY),
        (NOVEMBER_1 + DAY, NOVEMBER_1 + 2 * DAY),
    )
    assert export.more


def test_openai_costs() -> None:
    """Dollars become nano-dollars exactly; what is finer is rounded half to even."""
    export = read_export("costs.json", sample("openai-costs.json"))
    assert [(each.model, each.cost_nanousd) for each in export.buckets] == [
        ("gpt-4o-mini-2024-07-18", 60_000_000),
        (None, 12_000_000),
    ]
    assert {each.input_tokens for each in export.buckets} == {None}


def test_anthropic_usage() -> None:
    """Uncached, read and written together are the input; requests are not told."""
    (bucket,) = read_export("usage.json", sample("anthropic-usage.json")).buckets
    assert bucket == UsageBucket(
        provider="anthropic",
        start_us=AUGUST_1,
        end_us=AUGUST_1 + DAY,
        model="claude-sonnet-4-20250514",
        key="apikey_01Rj2N8SVvo6BePZj99NhmiT",
        project="wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ",
        input_tokens=1500 + 200 + 1000 + 500,
        cache_read_input_tokens=200,
        cache_creation_input_tokens=1500,
        output_tokens=500,
        batch=True,
    )


def test_anthropic_costs_are_cents() -> None:
    """ "123.78912" cents are $1.2378912."""
    (bucket,) = read_export("costs.json", sample("anthropic-costs.json")).buckets
    assert (bucket.model, bucket.cost_nanousd) == ("claude-sonnet-4-20250514", 1_237_891_200)


def test_bedrock_log() -> None:
    """One call a line; a refused one is no request, and the hours are whole."""
    export = read_export("log.jsonl", sample("bedrock-log.jsonl"))
    first, second = export.calls
    assert first == LoggedCall(
        provider="aws",
        request_id="a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        at_us=1_776_435_710_000_000,
        model="us.anthropic.claude-sonnet-4-20250514-v1:0",
        input_tokens=8 + 100 + 20,
        output_tokens=20,
    )
    assert (second.error, second.input_tokens) == ("ThrottlingException", None)
    assert [each.requests for each in export.buckets] == [1, 0]
    assert export.spans == ((1_776_434_400_000_000, 1_776_441_600_000_000),)


def test_pages_may_follow_each_other() -> None:
    """Several pages in one file are read as one export; the last says whether there are more."""
    pages = sample("openai-usage.json") + sample("openai-usage.json").replace(
        b'true,\n  "n', b'false,\n  "n'
    )
    export = read_export("pages.json", pages)
    assert (len(export.buckets), export.more) == (4, False)


NO_NUMBER = b"""{"data": [{"start_time": 1, "end_time": 2,
    "results": [{"input_tokens": 1, "num_model_requests": "x"}]}]}"""
NO_END = b"""{"data": [{"start_time": 1,
    "results": [{"input_tokens": 1, "num_model_requests": 1}]}]}"""
EUROS = b"""{"data": [{"start_time": 1, "end_time": 2,
    "results": [{"object": "", "amount": {"value": 1, "currency": "eur"}}]}]}"""
BACKWARDS = b"""{"data": [{"start_time": 2, "end_time": 1,
    "results": [{"input_tokens": 1, "num_model_requests": 1}]}]}"""
NO_AMOUNT = b"""{"data": [{"start_time": 1, "end_time": 2,
    "results": [{"object": "", "amount": {"value": "NaN", "currency": "usd"}}]}]}"""
YESTERDAY = b'{"requestId": "r", "modelId": "m", "timestamp": "yesterday"}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "usage.json: is empty"),
        (b"{}", "usage.json: is no export that is known"),
        (b'{"data": []}', "name its format with --from: openai-usage, "),
        (b"not json", "usage.json: JSON is malformed"),
        (b"\x1f\x8bnot gzip", "usage.json: "),
        (b"[1]", "usage.json: Expected `object`"),
        (b'{"data": [{"results": [3]}]}', r"usage.json: Expected `object`, got `int`"),
        (NO_NUMBER, r"Expected `int`, got `str` - at `\$\[0\].data\[0\].results\[0\].num_model"),
        (NO_END, r"missing required field `end_time` - at `\$\[0\].data\[0\]`"),
        (EUROS, "usage.json: amounts in eur cannot be compared"),
        (BACKWARDS, "usage.json: a bucket ends no later than it begins, at 1970-01-01 00:00:02"),
        (NO_AMOUNT, "usage.json: NaN is no amount"),
        (YESTERDAY, "usage.json: 'yesterday' is no time"),
    ],
)
def test_errors_name_file_and_place(content: bytes, message: str) -> None:
    """What is wrong with a file is told with its name."""
    with pytest.raises(ConfigurationError, match=message):
        read_export("usage.json", content)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("0.1", 10**8), ("0.0000000005", 0), ("0.0000000015", 2), ("-1", -(10**9)), ("1E-9", 1)],
)
def test_money_is_exact(amount: str, expected: int) -> None:
    """A tenth of a dollar is a hundred million nano-dollars, not nearly so."""
    assert nanousd(Decimal(amount), "usd") == expected
