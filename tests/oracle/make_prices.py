"""
Make tests/oracle/prices.json: what calls cost by prices that are not genai-prices'.

Run by hand, `python tests/oracle/make_prices.py`, with litellm installed; the
tests read the JSON only. Neither modeltrail nor genai-prices is imported here.
Prices come from the map bundled with LiteLLM or, written down below, from pages
of the providers and of those who noted a former price. Amounts are exact
fractions, rounded once, half-even, to the nano-dollar.
"""

import json
import random
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import distribution
from pathlib import Path

HERE = Path(__file__).parent
LITELLM = distribution("litellm")
MAP = json.loads(
    Path(LITELLM.locate_file("litellm/model_prices_and_context_window_backup.json")).read_text(),
    parse_float=Decimal,
)
TODAY = "2026-11-26"
# Kind of token -> the map's name of its price. An input token is of one kind only.
KINDS = {
    "uncached_input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_creation": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
}
# What is kept for an hour is told beside the writes that it is part of.
HOUR_WRITES = "cache_creation_1h_input_tokens"
HOUR_COST = "cache_creation_input_token_cost_above_1hr"
# Tier -> the end of the map's names of its prices.
TIERS = {"batch": "_batches", "flex": "_flex", "priority": "_priority"}
# Kind -> the field of a record that counts it beside the whole input.
FIELDS = {"cache_read": "cache_read_input_tokens", "cache_creation": "cache_creation_input_tokens"}
# genai-prices' provider -> LiteLLM's, before a model in the map where it has that.
PREFIXES = {
    "fireworks": "fireworks_ai",
    "google": "gemini",
    "together": "together_ai",
    "voyageai": "voyage",
    "x-ai": "xai",
}

# Provider -> models that are served today.
CURRENT = {
    "openai": """gpt-6.1-sol gpt-6.1-terra gpt-6-luna gpt-5.5 gpt-5.5-pro gpt-5.4-mini gpt-5.4-nano
        gpt-5.2 gpt-5.1-2025-11-13 gpt-5-mini gpt-4.1 gpt-4.1-mini gpt-4o gpt-4o-mini o3 o3-pro
        text-embedding-3-small text-embedding-3-large""",
    "anthropic": """claude-fable-5-1 claude-opus-5-5 claude-opus-5 claude-opus-4-7-20260416
        claude-sonnet-5-5 claude-sonnet-5 claude-sonnet-4-6 claude-sonnet-4-5-20250929
        claude-haiku-5-5 claude-haiku-4-5-20251001""",
    "google": """gemini-4-argon gemini-3.8-flash gemini-3.6-flash gemini-3.5-flash
        gemini-3.5-flash-lite gemini-3.1-pro-preview gemini-2.5-pro gemini-2.5-flash
        gemini-2.5-flash-lite gemini-embedding-001""",
    "mistral": """mistral-large-2512 mistral-medium-latest mistral-small-latest ministral-8b-2512
        codestral-2508 mistral-embed""",
    "cohere": """command-a-03-2025 command-r-plus-08-2024 command-r-08-2024 command-r7b-12-2024
        embed-v4.0""",
    "x-ai": "grok-4.7 grok-4.5 grok-4.3 grok-build-0.1",
    "groq": "openai/gpt-oss-120b openai/gpt-oss-20b qwen/qwen3.8-27b",
    "aws": """global.anthropic.claude-sonnet-5-5 us.anthropic.claude-opus-4-7
        global.moonshotai.kimi-k3 amazon.nova-pro-v1:0 amazon.nova-micro-v1:0
        us.meta.llama3-3-70b-instruct-v1:0 amazon.titan-embed-text-v2:0""",
    "together": "moonshotai/Kimi-K3 zai-org/GLM-5.3 openai/gpt-oss-120b",
    "fireworks": "accounts/fireworks/models/kimi-k3 accounts/fireworks/models/glm-5p3",
    "perplexity": "pplx-embed-v1-0.6b",
    "voyageai": "voyage-4 voyage-4-large",
}
# Model -> thousands of input tokens above which each token of a call costs more.
LONG = {
    "gpt-6.1-sol": 272,
    "claude-haiku-5-5": 100,
    "gemini-2.5-pro": 200,
    "gemini-3.1-pro-preview": 200,
    "grok-4.7": 200,
    "grok-4.3": 200,
}

# Pages that are no map.
DEEPSEEK = "https://api-docs.deepseek.com/quick_start/pricing"
PEAK = f"{DEEPSEEK} (peak: Monday to Friday, 01:00-04:00 and 06:00-10:00 UTC)"
OFF_PEAK = f"{DEEPSEEK} (off-peak)"
BEFORE_PEAKS = f"{DEEPSEEK}?model_version=DeepSeek-V4-Pro-0813 (until 2026-08-16, 16:00 UTC)"
SOL = "https://developers.openai.com/api/docs/models/gpt-5.6-sol"
SOL_BEFORE = (
    f"{SOL} (4 and 20 dollars are 20 % and 33 % less than before, a write costs 1.25 times an"
    " input), https://docs.apiyi.com/models/gpt-5-6-sol as of 2026-07-31"
)
ROO = "https://github.com/RooCodeInc/Roo-Code/pull/2691 (from OpenAI's page, 2025-04-17)"
SONNET = (
    "https://platform.claude.com/docs/zh-CN/models/sonnet-5-5/overview; reads cost half since"
    " 2026-10-07: https://github.com/kurofune/claudit/releases/tag/v1.9.2"
)

# Provider, model, when; prices of uncached input, cache read, cache creation and output, dollars
# per million tokens, "-" where there is none; where they stand.
QUOTED = (
    ("deepseek", "deepseek-v4-pro", "2026-11-26T02:30", "1.32 0.044 - 3.96", PEAK),
    ("deepseek", "deepseek-v4-pro", "2026-11-26T12:00", "0.66 0.022 - 1.98", OFF_PEAK),
    ("deepseek", "deepseek-flash", "2026-11-26T09:30", "0.3 0.006 - 1.2", PEAK),
    ("deepseek", "deepseek-flash", "2026-11-26T05:00", "0.15 0.003 - 0.6", OFF_PEAK),
    ("deepseek", "deepseek-v4-pro", "2026-07-15T12:00", "0.435 0.003625 - 0.87", BEFORE_PEAKS),
    ("openai", "gpt-5.6-sol", "2026-08-01", "5 0.5 6.25 30", SOL_BEFORE),
    ("openai", "gpt-5.6-sol", "2026-10-01", "4 0.4 5 20", SOL),
)

# Tiers that genai-prices 0.2.3 has no price of, by the start of the model; a call has none then.
TIERLESS = (
    ("text-embedding-3", ("batch",)),
    ("gemini-3.5-flash", ("batch",)),
    ("gemini-embedding", ("batch",)),
    ("gemini", ("flex", "priority")),
)
TIER_DISAGREES = {
    ("gemini-3.5-flash-lite", "batch"): (
        "0.15 0.02 - 1.25",
        "LiteLLM halves the price of cached input, genai-prices rounds it to cents",
    )
}

# What is left out, since genai-prices says otherwise: provider, model, genai-prices' prices in
# 0.2.3, None if it has none, why.
STALE = "genai-prices has the price of the model that the alias meant before"
UNCACHED = "genai-prices has no price of cached input and takes that of other input"
RETIRED = "they disagree on a model that is retired"
BY_THE_MAP = (
    ("mistral", "mistral-large-latest", "2 - - 6", STALE),
    ("mistral", "mistral-medium", "0.4 0.04 - 2", STALE),
    ("mistral", "magistral-medium-latest", "2 - - 5", STALE),
    ("mistral", "magistral-small-latest", "0.5 - - 1.5", STALE),
    ("mistral", "open-mistral-nemo", "0.15 - - 0.15", "they disagree"),
    ("mistral", "codestral-latest", "0.3 - - 0.9", UNCACHED),
    ("together", "ricursive-ai/Ripple-65B-Preview", "0.2 - - 0.6", UNCACHED),
    ("together", "Qwen/Qwen3.8-2.4T-A95B", "2 0.5 - 6", RETIRED),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "0.88 - - 0.88", RETIRED),
    (
        "fireworks",
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "0.2 - - 0.2",
        "they disagree",
    ),
    ("groq", "openai/gpt-oss-safeguard-20b", "0.075 0.0375 - 0.3", "LiteLLM has a rounded price"),
    (
        "aws",
        "anthropic.claude-opus-4-7",
        "5.5 0.55 6.875 27.5",
        "without a region in its name, it has a region's price in genai-prices, not in LiteLLM",
    ),
    (
        "aws",
        "eu.amazon.nova-pro-v1:0",
        "0.8 0.2 - 3.2",
        "genai-prices has the American price for Europe",
    ),
    ("x-ai", "grok-4.20-reasoning", None, "genai-prices knows it by names with a date only"),
    ("cohere", "embed-v5.0-pro", None, "genai-prices does not have it"),
)
# The same with prices from pages: provider, model, when, these, where, genai-prices', why.
BY_PAGES = (
    (
        "deepseek",
        "deepseek-v4-pro",
        "2026-11-28T02:30",
        "0.66 0.022 - 1.98",
        f"{OFF_PEAK}: a Saturday",
        "1.32 0.044 - 3.96",
        "genai-prices has peak hours at weekends, too",
    ),
    (
        "deepseek",
        "deepseek-v4-pro",
        "2026-07-15T02:30",
        "0.435 0.003625 - 0.87",
        BEFORE_PEAKS,
        "1.32 0.044 - 3.96",
        "genai-prices has peak hours for the time before there were any",
    ),
    (
        "openai",
        "o3",
        "2025-05-15",
        "10 2.5 - 40",
        ROO,
        "10 0.5 - 40",
        "genai-prices has the later price of cached input; the others are right",
    ),
    (
        "anthropic",
        "claude-sonnet-5-5",
        "2026-10-01",
        "2 0.2 2.5 10",
        SONNET,
        "2 0.1 2.5 10",
        "genai-prices has the later price of cached input; the others are right",
    ),
)
# Provider, model, the figures, why there is nothing to compare with.
UNDECIDED = (
    (
        "openai",
        "gpt-5.6-sol, today",
        "4 in and 20 out, both",
        f"a promotion that was promised until 2026-11-21: {SOL}",
    ),
    (
        "mistral",
        "mistral-large-4",
        "0.7 in and 2.1 out, both",
        "a preview seen for 1.36 and 4.18: https://vercel.com/ai-gateway/models/mistral-large-4.md",
    ),
    (
        "anthropic",
        "claude-sonnet-4-5, more than 200,000 tokens",
        "LiteLLM 3 in and 15 out, genai-prices 6 and 22.5",
        "such calls are refused since 2026-04-30",
    ),
    (
        "perplexity",
        "sonar-pro",
        "3 in and 15 out, both; for 1,000 requests LiteLLM 6, 10 or 14, genai-prices 14",
        "the fee depends on how much was searched; no longer served since 2026-09-27",
    ),
    (
        "perplexity",
        "sonar-deep-research",
        "2 in, 8 out, 3 for reasoning, both",
        "LiteLLM adds reasoning to the output, genai-prices takes it out of it; no longer served",
    ),
    ("openrouter", "every model", "LiteLLM none", "no second source"),
)


def written(number):
    """
    A number as people write it.
    """
    return format(Decimal(number).normalize(), "f")


def quoted(figures):
    """
    Prices in the order of their kinds.
    """
    named = zip(KINDS, figures.split(), strict=True)
    return {kind: figure for kind, figure in named if figure != "-"}


def key_of(provider, model):
    """
    What the map calls a model.
    """
    keys = (f"{PREFIXES.get(provider, provider)}/{model}", model)
    return next(each for each in keys if each in MAP)


def mapped(provider, model, above=None, suffix=""):
    """
    Prices of the map for a million tokens, and where they stand.
    """
    key = key_of(provider, model)
    entry = MAP[key]
    suffix = f"_above_{above}k_tokens" if above else suffix
    found = {kind: entry.get(name + suffix) for kind, name in KINDS.items()}
    prices = {kind: written(price * 10**6) for kind, price in found.items() if price}
    page = f", which names {entry['source']}" if "source" in entry else ""
    return prices, f"LiteLLM {LITELLM.version}, model_cost['{key}']{page}"


def counts(seed, prices, tier=None):
    """
    Odd numbers of tokens, each different; of a long input only the sum is beyond the tier.
    """
    rng = random.Random(seed)
    low, high = (tier * 500, tier * 800) if tier else (3_000, 30_000)
    ranges = dict.fromkeys(prices, (low, high)) | {"output": (300, 4_000)}
    return {kind: rng.randrange(ranges[kind][0] + 1, ranges[kind][1], 2) for kind in prices}


def case(provider, model, at, prices, source, tokens, *, reasons=False):
    """
    One call: what it used, what that costs, and how one comes to it.

    Reasoning is told beside the output that it is part of, and costs no more.
    """
    dollars = sum(Fraction(prices[kind]) * count for kind, count in tokens.items()) / 10**6
    terms = " + ".join(f"{count:,} x {prices[kind]}" for kind, count in tokens.items())
    usage = {"input_tokens": sum(tokens.values()) - tokens.get("output", 0)}
    if "output" in tokens:
        usage["output_tokens"] = tokens["output"]
    if reasons:
        usage["reasoning_output_tokens"] = tokens["output"] * 2 // 3
    return {
        "provider": provider,
        "model": model,
        "operation": "chat" if "output" in tokens else "embeddings",
        "at": at,
        "usage": usage | {FIELDS[kind]: tokens[kind] for kind in FIELDS if kind in tokens},
        "usd_per_million_tokens": prices,
        "source": source,
        "arithmetic": f"({terms}) / 1,000,000 = {decimal(dollars)}",
        "cost_nanousd": round(dollars * 10**9),
    }


def decimal(fraction):
    """
    A fraction that has an end, to that end.
    """
    text = written(Decimal(fraction.numerator) / fraction.denominator)
    assert Fraction(text) == fraction
    return text


def o3():
    """
    The price of o3 fell by 80 % on 2025-06-10, and with it that of the same call.
    """
    tokens = {"uncached_input": 1_000_000, "output": 100_000}
    yield case("openai", "o3", "2025-05-15", quoted("10 2.5 - 40"), ROO, tokens)
    yield case("openai", "o3", "2025-07-15", *mapped("openai", "o3"), tokens)


def current():
    """
    Models that are served today, by the map.
    """
    for provider, models in CURRENT.items():
        for model in models.split():
            entry = MAP[key_of(provider, model)]
            reasoning = entry.get("output_cost_per_reasoning_token")
            assert reasoning in (None, entry.get("output_cost_per_token"))
            assert entry.get("deprecation_date", "9999") > TODAY
            reasons = entry.get("supports_reasoning", False)
            for tier in (None, LONG[model]) if model in LONG else (None,):
                prices, source = mapped(provider, model, tier)
                tokens = counts(f"{provider} {model} {tier}", prices, tier)
                yield case(provider, model, TODAY, prices, source, tokens, reasons=reasons)


def of_tiers():
    """
    The same models where another tier serves them, by the map.
    """
    for provider in ("openai", "anthropic", "google"):
        for model in CURRENT[provider].split():
            for tier, suffix in TIERS.items():
                if f"input_cost_per_token{suffix}" in MAP[key_of(provider, model)]:
                    prices, source = mapped(provider, model, suffix=suffix)
                    tokens = counts(f"{provider} {model} {tier}", prices)
                    of = case(provider, model, TODAY, prices, source, tokens)
                    yield {**of, "service_tier": tier}


def is_left_out(of):
    """
    Why a case of a tier is left out, with genai-prices' prices; None if it is not.
    """
    model, tier = of["model"], of["service_tier"]
    if any(model.startswith(start) and tier in tiers for start, tiers in TIERLESS):
        return "genai-prices has no price of this tier", None
    theirs, reason = TIER_DISAGREES.get((model, tier), (None, None))
    return reason and (reason, quoted(theirs))


def for_an_hour():
    """
    Writes to a cache that keeps them for five minutes, and others for an hour.
    """
    for model in CURRENT["anthropic"].split():
        prices, source = mapped("anthropic", model)
        prices["hour_creation"] = written(MAP[key_of("anthropic", model)][HOUR_COST] * 10**6)
        tokens = counts(f"{model} hour", prices)
        of = case("anthropic", model, TODAY, prices, source, tokens)
        of["usage"]["cache_creation_input_tokens"] += tokens["hour_creation"]
        of["usage"]["detail"] = {HOUR_WRITES: tokens["hour_creation"]}
        yield of


def by_pages():
    """
    Prices that depend on the hour or the day.
    """
    for provider, model, at, figures, source in QUOTED:
        prices = quoted(figures)
        yield case(provider, model, at, prices, source, counts(f"{model} {at}", prices))


def left_out():
    """
    What we are not held to, with both figures.
    """
    disagreeing = [
        (provider, model, TODAY, *mapped(provider, model), theirs, reason)
        for provider, model, theirs, reason in BY_THE_MAP
    ] + [
        (provider, model, at, quoted(figures), source, theirs, reason)
        for provider, model, at, figures, source, theirs, reason in BY_PAGES
    ]
    for provider, model, at, prices, source, theirs, reason in disagreeing:
        yield {
            "reason": reason,
            "genai_prices_usd_per_million_tokens": theirs and quoted(theirs),
            **case(provider, model, at, prices, source, counts(f"{model} {at}", prices)),
        }
    for of in of_tiers():
        if why := is_left_out(of):
            yield {"reason": why[0], "genai_prices_usd_per_million_tokens": why[1], **of}
    for provider, model, figures, reason in UNDECIDED:
        yield {"reason": reason, "provider": provider, "model": model, "figures": figures}


def main():
    expected = {
        "made_by": "tests/oracle/make_prices.py",
        "versions": {"litellm": LITELLM.version, "genai-prices, of what is left out": "0.2.3"},
        "cases": [
            *o3(),
            *current(),
            *by_pages(),
            *for_an_hour(),
            *(of for of in of_tiers() if not is_left_out(of)),
        ],
        "left_out": list(left_out()),
    }
    (HERE / "prices.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
