"""
`modeltrail prices show | diff | recompute | refresh`.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from recording import request, response

import modeltrail
from modeltrail.errors import ConfigurationError
from modeltrail.prices import data

# A million tokens in and out by the price that was wrong first, and by the one that was agreed.
WRONG = '[[price]]\nid = "wrong"\nmodel = "gpt-4o-mini*"\ninput = 1\noutput = 1\n'
AGREED = '[[price]]\nid = "agreed"\nmodel = "gpt-4o-mini*"\ninput = 0.1\noutput = 0.4\n'
MODEL = "gpt-4o-mini-2024-07-18"
# 14 tokens in and 7 out, by OpenAI's price and by those above.
LISTED, WRONGLY, AS_AGREED = 14 * 150 + 7 * 600, 21 * 1000, 14 * 100 + 7 * 400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Name a file of prices."""
    return tmp_path / "prices.toml"


@pytest.fixture(autouse=True)
def no_newer_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let published prices be those of the package, until a test fetches newer ones."""
    path = tmp_path / "data" / "prices.json"
    monkeypatch.setenv("MODELTRAIL_PRICE_DATA", str(path))
    monkeypatch.setattr(data, "_in_force", None)
    return path


def record(url: str, *models: str | None, **options: Any) -> None:
    """Put calls into the trail."""
    with modeltrail.open(url, **options) as trail:
        for number, model in enumerate(models):
            call = trail.recorder.start(request(f"run-{number}", provider="openai"))
            call.stop(response(response_model=model))


def costs(url: str) -> list[tuple[int | None, str, str | None]]:
    """Return what the calls cost, as everybody reads it."""
    with modeltrail.open(url) as trail:
        found = [each.record for each in trail.store.calls(limit=None, newest_first=False)]
    return [(each.cost_nanousd, each.cost_source, each.price_id) for each in found]


def test_diff_tells_what_other_prices_would_change(cli: Any, url: str, file: Path) -> None:
    """Nothing is changed by looking."""
    file.write_text(WRONG)
    record(url, MODEL, MODEL, price_file=file)
    file.write_text(AGREED)
    result = cli("prices", "diff", "--prices", str(file), "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["rows"] == [
        {
            "provider": "openai",
            "model": MODEL,
            "calls": 2,
            "newly_priced": 0,
            "before_nanousd": 2 * WRONGLY,
            "after_nanousd": 2 * AS_AGREED,
        }
    ]
    assert [cost for cost, *_ in costs(url)] == [WRONGLY] * 2


def test_recompute_amends_and_tells(cli: Any, url: str, file: Path) -> None:
    """Readers get the new cost; the row stays, and an event says what was done."""
    file.write_text(WRONG)
    record(url, MODEL, MODEL, price_file=file)
    file.write_text(AGREED)
    words = ["prices", "recompute", "--prices", str(file)]
    result = cli(*words)
    assert result.exit_code == 0
    assert "2 calls: $0.000042 -> $0.0000084" in result.stderr
    assert [(cost, source) for cost, source, _ in costs(url)] == [(AS_AGREED, "custom")] * 2
    assert all("custom:agreed:" in (price_id or "") for *_, price_id in costs(url))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        kept = connection.execute("SELECT cost_nanousd FROM call").fetchall()
        whys = connection.execute("SELECT DISTINCT why FROM amendment").fetchall()
        ((detail,),) = connection.execute(
            "SELECT detail FROM event WHERE kind = 'prices-recomputed'"
        ).fetchall()
    assert (kept, whys) == ([(WRONGLY,)] * 2, [("prices-recomputed",)])
    told = json.loads(detail)
    assert (told["calls"], told["before_nanousd"], told["after_nanousd"]) == (
        2,
        2 * WRONGLY,
        2 * AS_AGREED,
    )
    again = cli(*words)
    assert (again.exit_code, again.stdout.count(MODEL)) == (0, 0)


def test_recompute_within_a_window(cli: Any, url: str, file: Path) -> None:
    """Calls from before stay as they are."""
    record(url, MODEL)
    file.write_text(AGREED)
    cli("prices", "recompute", "--prices", str(file), "--until", "1h")
    assert [cost for cost, *_ in costs(url)] == [LISTED]
    cli("prices", "recompute", "--prices", str(file), "--since", "1h")
    assert [cost for cost, *_ in costs(url)] == [AS_AGREED]


def test_model_that_has_a_price_by_now(cli: Any, url: str, file: Path) -> None:
    """What had no cost gets one."""
    record(url, "own-model", MODEL)
    file.write_text('[[price]]\nmodel = "own-*"\ninput = 1\noutput = 2\n')
    result = cli("prices", "recompute", "--prices", str(file), "--format", "json")
    (row,) = json.loads(result.stdout)["rows"]
    assert (row["calls"], row["newly_priced"], row["after_nanousd"]) == (1, 1, 14_000 + 14_000)
    assert [cost for cost, *_ in costs(url)] == [28_000, LISTED]


def test_agreed_prices_are_not_lost_without_their_file(cli: Any, url: str, file: Path) -> None:
    """Who forgets the file does not put the published price in place of the agreed one."""
    file.write_text(AGREED)
    record(url, MODEL, price_file=file)
    assert cli("prices", "diff").exit_code == 0


def test_cost_of_the_applications_own_stays(cli: Any, url: str, file: Path) -> None:
    """A processor that prices calls by itself is not overruled."""

    def own(_: object, __: str, event_dict: Any) -> Any:
        return {**event_dict, "cost_nanousd": 5, "cost_source": "custom", "price_id": None}

    record(url, MODEL, processors=[own])
    file.write_text(AGREED)
    assert cli("prices", "diff", "--prices", str(file)).exit_code == 0


def test_cost_stays_where_no_price_is_known(cli: Any, url: str, file: Path) -> None:
    """A price that is not listed any more takes no cost away."""
    file.write_text('[[price]]\nmodel = "own-*"\ninput = 1\noutput = 2\n')
    record(url, "own-model", price_file=file)
    file.write_text(AGREED)
    assert cli("prices", "diff", "--prices", str(file)).exit_code == 0
    assert [cost for cost, *_ in costs(url)] == [28_000]


def test_recompute_of_more_than_a_page(
    cli: Any, url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All calls are read and amended, however many fit into one page or transaction."""
    monkeypatch.setattr("modeltrail.report.repricing.CALLS_AT_ONCE", 3)
    monkeypatch.setattr("modeltrail.storage.queries.PAGE", 2)
    record(url, *[MODEL] * 7)
    file.write_text(AGREED)
    assert cli("prices", "recompute", "--prices", str(file)).exit_code == 0
    assert [cost for cost, *_ in costs(url)] == [AS_AGREED] * 7


def test_recompute_makes_no_trail(cli: Any, tmp_path: Path) -> None:
    """A name that was mistyped is an error, not a new file."""
    path = tmp_path / "nothing.db"
    result = cli("prices", "recompute", db=f"sqlite:///{path}")
    assert (result.exit_code, path.exists()) == (4, False)


# --- show ---------------------------------------------------------------------------------------


def test_show_rates(cli: Any) -> None:
    """Claude Sonnet 4.6: 3 dollars in, 0.30 read, 3.75 and 6 written, 15 out; half in a batch."""
    words = ["prices", "show", "--provider", "anthropic", "--model", "claude-sonnet-4-6"]
    standard = json.loads(cli(*words, "--format", "json").stdout)
    batch = json.loads(cli(*words, "--service-tier", "batch", "--format", "json").stdout)
    assert standard["usd_per_million"] == {
        "uncached_input": "3",
        "cache_read": "0.3",
        "cache_creation": "3.75",
        "hour_creation": "6",
        "output": "15",
    }
    assert batch["usd_per_million"]["output"] == "7.5"
    assert (standard["cost_source"], batch["service_tier"]) == ("genai-prices", "batch")


def test_show_ones_own(cli: Any, file: Path) -> None:
    """Own rates are shown as they are, a discount as what is left."""
    file.write_text(AGREED + '[[price]]\nmodel = "o3"\ndiscount_percent = 25\n')
    agreed = cli("prices", "show", "--model", MODEL, "--prices", str(file))
    assert "output          $0.4\n" in agreed.stdout
    assert "custom:agreed:" in agreed.stderr
    discount = cli("prices", "show", "--model", "o3", "--at", "2025-07-15", "--prices", str(file))
    assert "uncached_input  $1.5\n" in discount.stdout


@pytest.mark.parametrize("model", ["nobodys", "gemini-2.5-pro"])
def test_show_what_is_no_plain_rate(cli: Any, model: str) -> None:
    """No price at all, or one that depends on the length of the input."""
    result = cli("prices", "show", "--model", model)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no plain rates are known" in result.stderr


# --- refresh ------------------------------------------------------------------------------------


def published(price: float) -> bytes:
    """Return a list of prices as genai-prices publishes them, with one model."""
    model = {
        "id": "gpt-new",
        "match": {"equals": "gpt-new"},
        "prices": {"input_mtok": price, "output_mtok": 2},
    }
    return json.dumps(
        [{"id": "openai", "name": "OpenAI", "api_pattern": "x", "models": [model]}]
    ).encode()


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """Serve prices on this machine."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    folder = tmp_path / "site"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield (
        lambda raw: (folder / "data.json").write_bytes(raw),
        (f"http://127.0.0.1:{server.server_address[1]}/data.json"),
    )
    server.shutdown()
    server.server_close()


def test_refreshed_prices_are_used(
    cli: Any, url: str, site: Any, no_newer_prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New trails price by them, and their id says so; stored calls follow by `recompute`."""
    record(url, "gpt-new")
    serve, address = site
    serve(published(0.5))
    assert cli("prices", "refresh", "--url", address).exit_code == 0
    assert no_newer_prices.exists()
    record(url.replace(".db", "-2.db"), "gpt-new")
    ((cost, _, price_id),) = costs(url.replace(".db", "-2.db"))
    assert cost == 14 * 500 + 7 * 2000
    assert price_id is not None and price_id.endswith(":openai/gpt-new")
    assert genai_prices.__version__ not in price_id
    assert costs(url)[0][0] is None
    cli("prices", "recompute")
    assert costs(url)[0][0] == cost
    serve(published(1.5))
    cli("prices", "refresh", "--url", address)
    cli("prices", "recompute")
    ((again, _, other_id),) = costs(url)
    assert again == 14 * 1500 + 7 * 2000
    assert other_id != price_id
    # Whoever uses genai-prices in the same process keeps theirs.
    with pytest.raises(LookupError):
        genai_prices.calc_price(genai_prices.Usage(input_tokens=1), "gpt-new", provider_id="openai")


def test_quote_is_by_refreshed_prices(cli: Any, no_newer_prices: Path) -> None:
    """A program that opens no trail knows them, too."""
    no_newer_prices.parent.mkdir()
    no_newer_prices.write_bytes(published(0.5))
    model = ["--provider", "openai", "--model", "gpt-new"]
    words = [*model, "--input-tokens", "1000000", "--output-tokens", "0"]
    result = cli("prices", "quote", *words)
    assert (result.exit_code, result.stdout.split()[0]) == (0, "$0.50")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'[{"id": "openai"}]', b"<html>"])
def test_what_are_no_prices_is_not_kept(
    cli: Any, site: Any, no_newer_prices: Path, raw: bytes
) -> None:
    """A page that says something else leaves the prices as they are."""
    serve, address = site
    serve(raw)
    result = cli("prices", "refresh", "--url", address)
    assert (result.exit_code, no_newer_prices.exists()) == (2, False)
    assert "cannot be read" in result.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/data.json", "file:///etc/passwd"])
def test_address_without_prices(cli: Any, no_newer_prices: Path, address: str) -> None:
    """Nobody there, or no address of the web at all."""
    result = cli("prices", "refresh", "--url", address)
    assert (result.exit_code, no_newer_prices.exists()) == (2, False)


def test_damaged_file_of_newer_prices(url: str, no_newer_prices: Path) -> None:
    """A trail is not opened by prices that nobody can read; the error says what to do."""
    no_newer_prices.parent.mkdir()
    no_newer_prices.write_text("[")
    with pytest.raises(ConfigurationError, match="modeltrail prices refresh"):
        modeltrail.open(url)
