"""
`modeltrail reconcile`: a trail and exports of one history, with faults put in.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bills
import pytest
from bills import BIG, HAIKU, HOUR, MINI, MONDAY, Used

USED = bills.history((MINI, BIG), keys=("key_a", "key_b"))
CLAUDE = bills.history((HAIKU,))
HIT = MONDAY + 2 * HOUR


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., list[str]]:
    """Write exports into files."""

    def write(*contents: bytes) -> list[str]:
        paths = [tmp_path / f"export-{number}.json" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return [str(path) for path in paths]

    return write


def causes(found: dict[str, Any]) -> set[str | None]:
    """Return the causes that are named."""
    return {row["cause"] for row in found["rows"]} - {None}


def in_hit(used: Used) -> bool:
    """Tell whether a call is one of the hour and the model that faults are put into."""
    return (used.at_s // HOUR * HOUR, used.model, used.key) == (HIT, MINI, "key_a")


def changed(fault: Callable[[Used, int], list[Used]], used: list[Used] = USED) -> list[Used]:
    """Put a fault into the calls of one hour."""
    hit = [each for each in used if in_hit(each)]
    return [
        result
        for each in used
        for result in (fault(each, hit.index(each)) if in_hit(each) else [each])
    ]


def run(cli: Any, files: list[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Run the command and read what it says."""
    result = cli("reconcile", *files, "--format", "json", *words)
    return result.exit_code, json.loads(result.stdout)


def test_equal_histories_agree(cli: Any, url: str, save: Any) -> None:
    """Exact agreement: exit code 0, no difference, and the sums of both sides are right."""
    bills.record_all(url, USED)
    code, found = run(cli, save(bills.openai_usage(USED)), "--tolerance", "0")
    assert (code, causes(found)) == (0, set())
    assert found["schema"] == "modeltrail.reconcile/1"
    assert len(found["rows"]) == 6 * 2 * 2
    for side in ("trail", "export"):
        assert found["total"][f"{side}_requests"] == len(USED)
        assert found["total"][f"{side}_input_tokens"] == sum(each.input for each in USED)
        assert found["total"][f"{side}_output_tokens"] == sum(each.output for each in USED)
    differences = [value for key, value in found["rows"][0].items() if key.startswith("difference")]
    assert set(differences) <= {0, None, "0.00"}


def test_dollars_agree_to_the_nano(cli: Any, url: str, save: Any) -> None:
    """With the costs of the day the whole is compared by day, to the last nano-dollar."""
    bills.record_all(url, USED)
    files = save(bills.openai_usage(USED), bills.openai_costs(USED))
    code, found = run(cli, files, "--tolerance", "0")
    assert (code, causes(found)) == (0, set())
    assert [each["bucket_us"] for each in found["compared"]] == [86_400_000_000]
    assert found["total"]["export_cost_nanousd"] == sum(each.nanousd for each in USED)
    assert found["total"]["difference_cost_nanousd"] == 0


def test_anthropic_agrees_though_it_counts_otherwise(cli: Any, url: str, save: Any) -> None:
    """Input without the cache there is input with it here; requests are not told."""
    bills.record_all(url, CLAUDE, provider="anthropic")
    files = save(bills.anthropic_usage(CLAUDE), bills.anthropic_costs(CLAUDE))
    code, found = run(cli, files, "--tolerance", "0")
    assert (code, causes(found)) == (0, set())
    assert found["total"]["export_requests"] is None
    assert found["total"]["export_input_tokens"] == sum(each.input for each in CLAUDE)
    assert found["total"]["export_cost_nanousd"] == sum(each.nanousd for each in CLAUDE)
    # The costs name no keys: what is compared is as fine as the coarsest export.
    assert {row["key"] for row in found["rows"]} == {None}


def dropped(used: Used, place: int) -> list[Used]:
    """Lose every third call."""
    return [used] if place % 3 else []


def doubled(used: Used, _: int) -> list[Used]:
    """Let the client try each call twice."""
    return [used, used]


def cached_apart(used: Used, _: int) -> list[Used]:
    """Count only uncached input."""
    return [replace(used, columns={"input_tokens": used.uncached})]


def unmetered(used: Used, place: int) -> list[Used]:
    """Lose the usage of some streams."""
    return [bills.without_usage(used) if place % 4 == 0 else used]


def timed_out(used: Used, place: int) -> list[Used]:
    """Give some calls up, which the provider has answered nevertheless."""
    return [bills.without_usage(used, "error") if place % 4 == 0 else used]


def batched(used: Used, place: int) -> list[Used]:
    """Add calls through the batch interface."""
    return [used, replace(used, batch=True, output=used.output + 3)] if place < 5 else [used]


def nothing(used: Used, _: int) -> list[Used]:
    """Lose the whole hour."""
    return []


@pytest.mark.parametrize(
    ("trail", "export", "cause"),
    [
        (changed(dropped), USED, "missing-calls"),
        (changed(nothing), USED, "missing-calls"),
        (changed(cached_apart), USED, "cached-tokens"),
        (changed(unmetered), USED, "no-usage"),
        (changed(timed_out), USED, "no-usage"),
        (USED, changed(doubled), "retries"),
        (USED, changed(batched), "batch"),
        (USED, changed(nothing), "not-in-export"),
    ],
    ids=["dropped", "hour", "cached", "streams", "time-outs", "retries", "batch", "export"],
)
def test_fault_is_found_in_its_hour(
    cli: Any, url: str, save: Any, trail: list[Used], export: list[Used], cause: str
) -> None:
    """The hour, model and key of a fault differ with its cause, and no others."""
    bills.record_all(url, trail)
    code, found = run(cli, save(bills.openai_usage(export)))
    assert code == 1
    differ = [row for row in found["rows"] if row["cause"]]
    assert [(row["start_us"], row["model"], row["key"], row["cause"]) for row in differ] == [
        (HIT * 1_000_000, MINI, "key_a", cause)
    ]


def test_call_at_the_edge_of_an_hour(cli: Any, url: str, save: Any) -> None:
    """A call that the provider counts an hour later is told in both hours."""
    calls = [each for each in USED if in_hit(each)]
    late = [replace(each, at_s=each.at_s + HOUR) if each in calls[:4] else each for each in USED]
    bills.record_all(url, USED)
    code, found = run(cli, save(bills.openai_usage(late)))
    assert code == 1
    differ = [(row["start_us"] // 1_000_000, row["cause"]) for row in found["rows"] if row["cause"]]
    assert differ == [(HIT, "other-bucket"), (HIT + HOUR, "other-bucket")]


def test_equal_hours_are_no_moved_ones(cli: Any, url: str, save: Any) -> None:
    """Where every hour is like the others, an hour that is lost is lost, not moved."""
    steady = [replace(USED[0], at_s=MONDAY + hour * HOUR + 60) for hour in range(6)]
    bills.record_all(url, [each for each in steady if each.at_s // HOUR * HOUR != HIT])
    _, found = run(cli, save(bills.openai_usage(steady)))
    differ = [(row["start_us"] // 1_000_000, row["cause"]) for row in found["rows"] if row["cause"]]
    assert differ == [(HIT, "missing-calls")]


def test_clock_that_is_an_hour_off(cli: Any, url: str, save: Any) -> None:
    """A trail shifted by an hour is told as such, in every bucket."""
    shifted = [replace(each, at_s=each.at_s + HOUR) for each in USED]
    # Its first call is long before, so that the first hour is compared as well.
    bills.record_all(url, [*shifted, replace(USED[0], at_s=MONDAY - bills.DAY)])
    code, found = run(cli, save(bills.openai_usage(USED)))
    assert code == 1
    assert {row["cause"] for row in found["rows"]} == {"other-bucket"}


def test_key_and_model_that_are_not_instrumented(cli: Any, url: str, save: Any) -> None:
    """What the trail never saw is named by what it is: a key, or a model."""
    bills.record_all(url, [each for each in USED if each.key == "key_a" and each.model == MINI])
    _, found = run(cli, save(bills.openai_usage(USED)))
    named = {(row["model"], row["key"], row["cause"]) for row in found["rows"]}
    assert named == {
        (MINI, "key_a", None),
        (BIG, "key_a", "unknown-model"),
        (MINI, "key_b", "unknown-key"),
        (BIG, "key_b", "unknown-key"),
    }


def test_other_price(cli: Any, url: str, save: Any) -> None:
    """Equal tokens and other dollars are another price; calls without a price are no price."""
    bills.record_all(url, USED)
    files = save(bills.openai_usage(USED), bills.openai_costs(USED, factor=2))
    code, found = run(cli, files)
    assert (code, causes(found)) == (1, {"price"})
    spent = sum(each.nanousd for each in USED)
    assert found["total"]["difference_cost_nanousd"] == spent


def test_calls_without_a_price(cli: Any, url: str, save: Any) -> None:
    """Tokens that agree and dollars that the trail does not know."""
    unpriced = {"cost_nanousd": None, "cost_source": "none"}
    bills.record_all(url, [replace(each, columns=unpriced) for each in USED])
    code, found = run(cli, save(bills.openai_usage(USED), bills.openai_costs(USED)))
    assert (code, causes(found)) == (1, {"no-price"})


def test_failed_calls_are_no_requests(cli: Any, url: str, save: Any) -> None:
    """Calls that were refused and those served from a cache are not missed at the provider."""
    refused = [bills.without_usage(each, "error") for each in USED[:7]]
    served = [
        replace(each, columns={"cache_hit": True, "cost_source": "cache", "cost_nanousd": 0})
        for each in USED[:9]
    ]
    bills.record_all(url, [*USED, *refused, *served])
    code, found = run(cli, save(bills.openai_usage(USED)), "--tolerance", "0")
    assert (code, causes(found)) == (0, set())
    assert sum(row["failed"] for row in found["rows"]) == 7


def test_calls_of_nobody_are_told(cli: Any, url: str, save: Any) -> None:
    """Behind an endpoint of one's own the provider is not known, and nothing can be compared."""
    unnamed = [replace(each, columns={"provider": None}) for each in USED[:3]]
    bills.record_all(url, [*USED, *unnamed])
    result = cli("reconcile", *save(bills.openai_usage(USED)))
    assert result.exit_code == 0
    assert "not compared: 3 calls of the trail have no known provider" in result.stderr


def test_aliases_of_keys_and_models(cli: Any, url: str, save: Any) -> None:
    """An alias is matched with an id by --key, and a model's alias with its only snapshot."""
    ours = [
        replace(each, model=MINI, key="app", columns={"response_model": "gpt-4o-mini"})
        for each in USED
        if each.key == "key_a" and each.model == MINI
    ]
    theirs = [replace(each, key="key_a") for each in ours]
    bills.record_all(url, ours)
    files = save(bills.openai_usage(theirs))
    code, found = run(cli, files, "--key", "app=key_a", "--tolerance", "0")
    assert code == 0
    assert {(row["model"], row["key"]) for row in found["rows"]} == {(MINI, "key_a")}
    code, found = run(cli, files, "--tolerance", "0")
    assert code == 0, "without a known key keys are not compared"
    assert {row["key"] for row in found["rows"]} == {None}


def test_bedrock_is_joined_call_by_call(cli: Any, url: str, save: Any) -> None:
    """Each call that one side lacks is named by the id of its request."""
    # The first and the last stay: nothing is missed outside of the log's time.
    ordered = sorted(CLAUDE, key=lambda each: each.at_s)
    lost, unknown = ordered[10:13], ordered[30:32]
    bills.record_all(url, [each for each in ordered if each not in lost], provider="aws")
    log = bills.bedrock_log([each for each in ordered if each not in unknown])
    code, found = run(cli, save(log))
    assert code == 1
    apart = {(each["only_in"], each["request_id"]) for each in found["calls"]}
    assert apart == {
        *(("export", each.request_id) for each in lost),
        *(("trail", each.request_id) for each in unknown),
    }
    assert found["joined"] == [
        {
            "provider": "aws",
            "matched": len(ordered) - 5,
            "differing": 0,
            "only_in_export": 3,
            "only_in_trail": 2,
            "without_id": 0,
        }
    ]


def test_call_with_other_tokens_is_counted(cli: Any, url: str, save: Any) -> None:
    """Even where the hour agrees within the tolerance: as many in JSON as on stderr."""
    bills.record_all(url, CLAUDE, provider="aws")
    other = [replace(CLAUDE[0], output=CLAUDE[0].output + 1), *CLAUDE[1:]]
    words = ("reconcile", *save(bills.bedrock_log(other)), "--tolerance", "50%")
    result = cli(*words, "--format", "json")
    (joined,) = json.loads(result.stdout)["joined"]
    assert (joined["matched"], joined["differing"]) == (len(CLAUDE), 1)
    assert "1 of them with other tokens" in result.stderr


def test_bedrock_that_agrees(cli: Any, url: str, save: Any) -> None:
    """The same calls on both sides: exit code 0, and the input has the cache in it."""
    bills.record_all(url, CLAUDE, provider="aws")
    result = cli("reconcile", *save(bills.bedrock_log(CLAUDE)), "--tolerance", "0")
    assert result.exit_code == 0, result.output
    assert f"aws: {len(CLAUDE)} calls stand on both sides, 0 of them with other" in result.stderr


def test_bedrock_without_ids_is_compared_by_hour(cli: Any, url: str, save: Any) -> None:
    """Where the trail has no ids of requests, hours are all there is."""
    bills.record_all(url, [replace(each, request_id=None) for each in CLAUDE], provider="aws")
    result = cli("reconcile", *save(bills.bedrock_log(CLAUDE)), "--tolerance", "0")
    assert result.exit_code == 0
    assert "aws: no call of the trail has the id of its request; not joined" in result.stderr


def test_window_is_what_both_have(cli: Any, url: str, save: Any) -> None:
    """Nothing is compared before the trail begins, nor in a bucket that --until cuts."""
    bills.record_all(url, [each for each in USED if each.at_s >= HIT])
    until = "2026-09-21T04:30"
    result = cli("reconcile", *save(bills.openai_usage(USED)), "--until", until)
    assert result.exit_code == 0
    first, second = result.stderr.splitlines()
    assert first == (
        "openai: compared by hour from 2026-09-21 02:00:00 to 2026-09-21 04:00:00 UTC, "
        "the end excluded"
    )
    assert second.startswith("openai: left out 22 buckets")


@pytest.mark.parametrize(
    "trail", [[], [replace(each, at_s=each.at_s + 7 * bills.DAY) for each in USED]]
)
def test_no_overlap_cannot_be_judged(cli: Any, url: str, save: Any, trail: list[Used]) -> None:
    """Without any time in common the answer is 3, not 0."""
    bills.record_all(url, trail)
    result = cli("reconcile", *save(bills.openai_usage(USED)))
    assert result.exit_code == 3
    assert "nothing can be compared" in result.stderr


def test_trail_that_ended_before(cli: Any, url: str, save: Any) -> None:
    """A trail without any call in the time of the export says nothing of it."""
    bills.record_all(url, [replace(each, at_s=each.at_s - 7 * bills.DAY) for each in USED])
    assert cli("reconcile", *save(bills.openai_usage(USED))).exit_code == 3


def test_table_names_what_it_found(cli: Any, url: str, save: Any) -> None:
    """A row has both sides, the difference and the cause; stderr explains the cause."""
    used = [each for each in USED if each.key == "key_a" and each.model == MINI]
    bills.record_all(url, changed(dropped, used))
    result = cli("reconcile", *save(bills.openai_usage(used)), "--differences")
    heading, row, total = (line.split() for line in result.stdout.splitlines())
    assert heading[:4] == ["FROM", "PROVIDER", "MODEL", "KEY"]
    hour = [each for each in used if in_hit(each)]
    tokens = sum(each.input + each.output for each in hour)
    kept = [each for place, each in enumerate(hour) if place % 3]
    left = sum(each.input + each.output for each in kept)
    assert row == [
        *("2026-09-21", "02:00", "openai", MINI, "key_a"),
        *(str(len(kept)), str(len(hour)), f"{left:,}", f"{tokens:,}"),
        *("—", "—", f"{tokens - left:,}", "missing-calls"),
    ]
    assert total[0] == "TOTAL"
    assert "missing-calls: the provider has calls that the trail lacks" in result.stderr


def test_formats_have_the_same_rows(cli: Any, url: str, save: Any) -> None:
    """Lines and columns say what JSON says."""
    bills.record_all(url, changed(dropped))
    files = save(bills.openai_usage(USED))
    _, found = run(cli, files)
    lines = cli("reconcile", *files, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == found["rows"]
    heading, *rows = cli("reconcile", *files, "--format", "csv").stdout.splitlines()
    assert heading.split(",") == list(found["rows"][0])
    assert len(rows) == len(found["rows"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.json"], "missing.json cannot be read"),
        (["--tolerance", "many", "{}"], "'many' is no share"),
        (["--tolerance", "200%", "{}"], "makes no sense"),
        (["--key", "app", "{}"], "'app' is no ALIAS=ID"),
    ],
)
def test_errors_say_what_to_do(
    cli: Any, url: str, save: Any, words: list[str], message: str
) -> None:
    """What cannot be used ends with 2 and one line."""
    bills.record_all(url, USED)
    (path,) = save(bills.openai_usage(USED))
    result = cli("reconcile", *(path if word == "{}" else word for word in words))
    assert result.exit_code == 2
    assert message in result.stderr


def test_same_export_twice_is_refused(cli: Any, url: str, save: Any) -> None:
    """Or everything would look as if it had been tried twice."""
    bills.record_all(url, USED)
    result = cli("reconcile", *save(*[bills.openai_usage(USED)] * 2))
    assert result.exit_code == 2
    assert "tell the same; leave one out" in result.stderr


def test_page_twice_in_a_file_is_refused(cli: Any, url: str, save: Any) -> None:
    """As it is if the pages of two downloads overlap; other pages may follow each other."""
    bills.record_all(url, USED)
    page = bills.openai_usage(USED)
    result = cli("reconcile", *save(page + b"\n" + page))
    assert result.exit_code == 2
    assert "has a page twice; leave one out" in result.stderr
    halves = [[each for each in USED if (each.at_s < HIT) is early] for early in (True, False)]
    pages = [json.loads(bills.openai_usage(half)) for half in halves]
    pages[0]["data"], pages[1]["data"] = pages[0]["data"][:2], pages[1]["data"][2:]
    in_one = b"\n".join(json.dumps(each).encode() for each in pages)
    assert cli("reconcile", *save(in_one)).exit_code == 0


@pytest.mark.parametrize("in_one_file", [False, True])
def test_hours_beside_their_day_are_refused(
    cli: Any, url: str, save: Any, in_one_file: bool
) -> None:
    """The same report by hour and by day has everything twice."""
    bills.record_all(url, USED)
    both = [bills.openai_usage(USED, width) for width in (HOUR, bills.DAY)]
    result = cli("reconcile", *save(*([b"\n".join(both)] if in_one_file else both)))
    assert result.exit_code == 2
    assert "the same time is told by hour and by day in " in result.stderr


def test_log_is_counted_by_the_ids_of_its_requests(cli: Any, url: str, save: Any) -> None:
    """A line that stands there twice is one call; calls that are alike but for their id are two."""
    alike = [replace(each, at_s=HIT, uncached=100, read=0, output=7) for each in CLAUDE]
    model = f"us.anthropic.{HAIKU}-v1:0"
    recorded = [replace(each, columns={"response_model": model}) for each in alike]
    bills.record_all(url, recorded, provider="aws")
    half = len(alike) // 2
    code, found = run(
        cli, save(bills.bedrock_log(alike[:half] * 2), bills.bedrock_log(alike[half:]))
    )
    assert (code, found["total"]["export_requests"]) == (0, len(alike))
    twice = cli("reconcile", *save(*[bills.bedrock_log(alike)] * 2))
    assert twice.exit_code == 2
    assert "tell the same; leave one out" in twice.stderr


@pytest.mark.parametrize("width", [HOUR, bills.DAY])
def test_buckets_across_the_edge_are_not_compared(
    cli: Any, url: str, save: Any, width: int
) -> None:
    """Nobody knows how much of a bucket from half past to half past is of which hour."""
    bills.record_all(url, USED)
    page = json.loads(bills.openai_usage(USED, width))
    for bucket in page["data"]:
        bucket["start_time"] += HOUR // 2
        bucket["end_time"] += HOUR // 2
    result = cli("reconcile", *save(json.dumps(page).encode()))
    assert result.exit_code == 3
    assert "have no whole bucket in common" in result.stderr


def test_pages_that_were_not_fetched_are_told(cli: Any, url: str, save: Any) -> None:
    """A first page without the others is no whole export."""
    bills.record_all(url, USED)
    cut = bills.openai_usage(USED).replace(b'"has_more": false', b'"has_more": true')
    result = cli("reconcile", *save(cut))
    assert "the provider has more pages" in result.stderr
