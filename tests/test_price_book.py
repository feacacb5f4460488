"""
Prices of one's own: files, which entry holds, and what it makes of usage.
"""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from recording import make_call
from typer.testing import CliRunner

import modeltrail
from modeltrail import prices
from modeltrail.cli.app import app
from modeltrail.errors import ConfigurationError
from modeltrail.prices import Cost, Subject
from modeltrail.prices.book import OwnPrice
from modeltrail.record import Usage

FILE = """
[[price]]
id = "acme"
provider = "openai"
model = "gpt-4o*"
from = 2026-01-01
until = 2027-01-01
input = 2.10
output = "8.40"
cache_read = 1

[[price]]
model = "own-*"
input = 0.1

[[price]]
provider = "anthropic"
model = "*"
service_tier = "batch"
discount_percent = 12.5

[[price]]
provider = "anthropic"
model = "claude-sonnet-4-0"
input = 1
output = 2
cache_write = 1.25
cache_write_1h = 2
"""


def at_us(*date: int) -> int:
    """Return the first moment of a day, or another one."""
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type]


NOW_US = at_us(2026, 11, 1)


@pytest.fixture
def book(tmp_path: Path) -> prices.PriceBook:
    """Read the file above."""
    path = tmp_path / "prices.toml"
    path.write_text(FILE)
    return prices.read_book(path)


def cost(book: prices.PriceBook, subject: Subject, **counts: int) -> Cost:
    """Price a chat."""
    detail = {"cache_creation_1h_input_tokens": counts.pop("hour")} if "hour" in counts else None
    used = Usage(**counts, detail=detail, source="provider")
    return prices.price(used, subject, operation="chat", book=book)


def test_own_price_wins_and_says_so(book: prices.PriceBook) -> None:
    """A rate is in dollars for a million tokens, exact however it is written."""
    subject = Subject("openai", "gpt-4o-mini-2024-07-18", NOW_US)
    found = cost(book, subject, input_tokens=1000, cache_read_input_tokens=300, output_tokens=100)
    assert found.nanousd == 700 * 2100 + 300 * 1000 + 100 * 8400
    assert found.source == "custom"
    assert found.price_id is not None and found.price_id.startswith("custom:acme:")


@pytest.mark.parametrize(
    ("subject", "is_own"),
    [
        (Subject("openai", "GPT-4o", NOW_US), True),
        (Subject("OpenAI", "gpt-4o", NOW_US), True),
        (Subject("azure", "gpt-4o", NOW_US), False),
        (Subject(None, "gpt-4o", NOW_US), False),
        (Subject("openai", "gpt-4.1", NOW_US), False),
        (Subject("openai", "gpt-4o", at_us(2025, 12, 31, 23, 59, 59)), False),
        (Subject("openai", "gpt-4o", at_us(2026, 1, 1)), True),
        (Subject("openai", "gpt-4o", at_us(2026, 12, 31, 23, 59, 59)), True),
        (Subject("openai", "gpt-4o", at_us(2027, 1, 1)), False),
        (Subject("anybody", "own-model", NOW_US), True),
        (Subject("openai", "gpt-4o", NOW_US, "priority"), True),
    ],
)
def test_price_holds_for_its_models_provider_and_days(
    book: prices.PriceBook, subject: Subject, *, is_own: bool
) -> None:
    """The first day counts and the last does not; whatever does not fit has the published price."""
    found = cost(book, subject, input_tokens=1, output_tokens=0)
    assert (found.source == "custom") == is_own


def test_tier_that_is_named_is_the_only_one(book: prices.PriceBook) -> None:
    """Claude Sonnet 4.5, batch: half of 3 and 15 dollars, an eighth less of that."""
    counts = {"input_tokens": 1000, "output_tokens": 100}
    subject = Subject("anthropic", "claude-sonnet-4-5", NOW_US)
    batch = cost(book, replace(subject, service_tier="batch"), **counts)
    assert batch.nanousd == (1000 * 1500 + 100 * 7500) * 7 // 8
    assert batch.source == "custom"
    assert cost(book, replace(subject, service_tier="Batch"), **counts) == batch
    assert cost(book, subject, **counts).nanousd == 1000 * 3000 + 100 * 15000


def test_writes_for_an_hour_have_a_rate_of_their_own(book: prices.PriceBook) -> None:
    """Of 600 tokens written to a cache 200 are kept for an hour."""
    subject = Subject("anthropic", "claude-sonnet-4-0", NOW_US)
    found = cost(
        book,
        subject,
        input_tokens=1000,
        cache_creation_input_tokens=600,
        hour=200,
        output_tokens=0,
    )
    assert found.nanousd == 400 * 1000 + 400 * 1250 + 200 * 2000


def test_discount_on_what_has_no_published_price(tmp_path: Path) -> None:
    """There is nothing to be less than: the cost is unknown."""
    path = tmp_path / "prices.toml"
    path.write_text('[[price]]\nmodel = "*"\ndiscount_percent = 10')
    found = cost(
        prices.read_book(path),
        Subject("openai", "nobodys", NOW_US),
        input_tokens=1,
        output_tokens=1,
    )
    assert found == Cost(None, "none", None)


def test_rate_that_is_not_given(book: prices.PriceBook) -> None:
    """Tokens of a cache cost as others; output without a rate has no cost."""
    own = Subject(None, "own-model", NOW_US)
    cached = cost(book, own, input_tokens=10, cache_read_input_tokens=4, output_tokens=0)
    assert cached.nanousd == 10 * 100
    assert cost(book, own, input_tokens=10, output_tokens=1).nanousd is None


def test_audio_has_no_price_of_ones_own(book: prices.PriceBook) -> None:
    """The rates say nothing of it: better no cost than a wrong one."""
    used = Usage(
        input_tokens=9, output_tokens=1, detail={"input_audio_tokens": 3}, source="provider"
    )
    subject = Subject("openai", "gpt-4o-audio", NOW_US)
    assert prices.price(used, subject, operation="chat", book=book).nanousd is None


def test_price_id_changes_with_the_price(tmp_path: Path) -> None:
    """Records tell apart what a price said before and after the file was changed."""
    ids = set()
    for rate in ("1", "1.5"):
        path = tmp_path / f"{rate}.toml"
        path.write_text(f'[[price]]\nid = "same"\nmodel = "m"\ninput = {rate}')
        ids.add(
            cost(
                prices.read_book(path), Subject(None, "m", NOW_US), input_tokens=1, output_tokens=0
            ).price_id
        )
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[[price]]\nmodel = ", "cannot be read"),
        ("[price]\nmodel = 'a'", "list of [[price]]"),
        ("[[prices]]\nmodel = 'a'", "list of [[price]]"),
        ("[[price]]\ninput = 1", "price 1 in"),
        ("[[price]]\nmodel = 'a'", "either rates or `discount_percent`"),
        ("[[price]]\nmodel = 'a'\noutput = 1", "give the rate of `input`"),
        ("[[price]]\nmodel = 'a'\ninput = 1\ndiscount_percent = 1", "either rates"),
        ("[[price]]\nmodel = 'a'\ninput = -1", "less than 0"),
        ("[[price]]\nmodel = 'a'\ninput = nan", "not a number"),
        ("[[price]]\nmodel = 'a'\ndiscount_percent = 101", "between 0 and 100"),
        ("[[price]]\nmodel = 'a'\ninput = 1\ninptu = 1", "inptu"),
        (
            "[[price]]\nmodel = 'a'\ninput = 1\nfrom = 2026-01-02\nuntil = 2026-01-02",
            "`until` is not after `from`",
        ),
        ("[[price]]\nmodel='a'\ninput=1\n[[price]]\nmodel = 'a'\ninput = 'x'", "price 2 in"),
    ],
)
def test_file_that_does_not_hold(tmp_path: Path, content: str, says: str) -> None:
    """The error names the file, the entry and what is wrong."""
    path = tmp_path / "prices.toml"
    path.write_text(content)
    with pytest.raises(ConfigurationError) as raised:
        prices.read_book(path)
    assert says in str(raised.value)
    assert str(path) in str(raised.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """So does one that cannot be opened."""
    with pytest.raises(ConfigurationError, match="nothing.toml cannot be read"):
        prices.read_book(tmp_path / "nothing.toml")


@pytest.mark.parametrize("by_environment", [False, True])
def test_trail_prices_its_calls_by_the_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_environment: bool
) -> None:
    """What was agreed is on the record, and which price it was."""
    path = tmp_path / "prices.toml"
    path.write_text(FILE)
    if by_environment:
        monkeypatch.setenv("MODELTRAIL_PRICES", str(path))
    with modeltrail.open(url, price_file=None if by_environment else path) as trail:
        make_call(trail.recorder, provider="openai")
        assert trail.flush(20)
        (record,) = [each.record for each in trail.store.calls()]
    assert (record.cost_nanousd, record.cost_source) == (14 * 2100 + 7 * 8400, "custom")
    assert record.price_id is not None and record.price_id.startswith("custom:acme:")


def test_trail_with_a_file_that_does_not_hold_is_not_opened(url: str, tmp_path: Path) -> None:
    """It is found at the start, not at the end of the month."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        modeltrail.open(url, price_file=tmp_path / "nothing.toml")


def test_example_of_the_documentation_holds(tmp_path: Path) -> None:
    """The file in the page is read, and what its command prints is true."""
    page = (Path(__file__).parents[1] / "docs" / "howto" / "prices.md").read_text("utf-8")
    path = tmp_path / "prices.toml"
    path.write_text(page.split("```toml\n")[1].split("```")[0])
    command, _, printed = page.split("```text\n$ ")[1].split("```")[0].partition("11-01\n")
    words = shlex.split(command.replace("\\\n", "") + "11-01")[1:]
    words[words.index("prices.toml")] = str(path)
    assert CliRunner().invoke(app, words).stdout == printed
    entries = set(re.findall(r"`(\w+)`", page.split("|---|---|---|\n")[1].split("\n\n")[0]))
    fields = msgspec.structs.fields(OwnPrice)
    assert {field.encode_name for field in fields} <= entries
