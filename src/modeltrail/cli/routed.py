"""
Routes in words, tables and rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from modeltrail.cli.routed_figures import (
    frontier_figure,
    frontier_key,
    worth_figures,
    worth_key,
)
from modeltrail.cli.worths import (
    FIGURES,
    PER_THOUSAND,
    Cells,
    Page,
    Row,
    figures_of,
    interval_cell,
    level_of,
    plain,
    reason_or,
    scales_of,
    worth_cells,
    worth_columns,
)
from modeltrail.experiment.answers import Gathered, LeftOut, Log, Source
from modeltrail.experiment.cheapest import Recommendation
from modeltrail.experiment.logged import OTHERS, Choices, WhatIf
from modeltrail.experiment.routing import Frontier, FrontierPoint, Mean, Worth
from modeltrail.render.figures import UNKNOWN, count, decimals_for
from modeltrail.render.layout import Column
from modeltrail.render.text import clean
from modeltrail.stats.estimate import Difference, NotEstimable
from modeltrail.stats.hull import AverageQuality
from modeltrail.stats.offpolicy import Evaluation, Value, Weights

FRONTIER_SCHEMA = "modeltrail.route-frontier/1"
WHAT_IF_SCHEMA = "modeltrail.route-what-if/1"
CHEAPEST_SCHEMA = "modeltrail.route-cheapest/1"
_UNPAIRED = (
    "Each call went to one {arm}: the figures compare these as well as the calls were given out "
    "at random."
)
_OBSERVED = (
    "It is right only if within a feature nothing that bears on the quality decided which calls "
    "got what."
)
_UNPRICED = "What it would have cost cannot be told: by calls of a known cost, {}."
ONE_LOOK = "The {level} intervals are for one look."
ESTIMATES = {
    "snips": "self-normalised",
    "doubly_robust": "doubly robust",
    "ips": "plain (IPS)",
}


def frontier_page(
    source: Source, found: Frontier | NotEstimable, gathered: Gathered, alpha: float
) -> Page:
    """
    Lay out a frontier.
    """
    about = about_of(source, gathered.left_out, alpha)
    names = [source.arm, "answers", *FIGURES, *_gap_names(), "on_pareto", "on_hull"]
    title = f"Cost and quality by {source.arm}"
    if isinstance(found, NotEstimable):
        return refused(FRONTIER_SCHEMA, title, about, names, found)
    level = level_of(alpha)
    columns = [
        Column(clean(source.arm).upper(), "text"),
        Column("ANSWERS", rank=4),
        *worth_columns(level),
        Column("TO THE BEST", rank=1),
        Column(f"{level} OF IT", rank=3),
        Column("WORTH", "text"),
    ]
    oracle = found.oracle if isinstance(found.oracle, Worth) else None
    shown = [*(point.worth for point in found.points), *([oracle] if oracle else [])]
    scales = scales_of(shown)
    cells = [
        [
            clean(point.model),
            count(point.n_answers),
            *worth_cells(point.worth, scales),
            *_gap_cells(point),
            _standing(point),
        ]
        for point in found.points
    ]
    if oracle:
        cells.append(["(the best of each)", "", *worth_cells(oracle, scales), "", "", ""])
    return Page(
        FRONTIER_SCHEMA,
        title,
        {
            **about,
            "questions": found.n_questions,
            "aiq": plain(found.aiq),
            "oracle": reason_or(found.oracle),
            "unplaced": found.unplaced,
            "refused": None,
        },
        names,
        [_point_row(source.arm, point) for point in found.points],
        [(columns, cells)],
        [_worth_their_price(found)],
        [*_no_place(found), *_aiq(found.aiq), *_caveats(source), ONE_LOOK.format(level=level)],
        [frontier_figure(found)],
        frontier_key(level),
    )


def what_if_page(source: Source, found: WhatIf, log: Log, choices: Choices, alpha: float) -> Page:
    """
    Lay out the value of a policy.
    """
    names = ["estimate", *FIGURES]
    level = level_of(alpha)
    estimates = {
        "logged": (found.logged_cost, found.logged_quality),
        **{name: _pair_of(found, name) for name in ESTIMATES},
    }
    titles = {"logged": "as logged", **ESTIMATES}
    if found.basis == "observational":
        estimates = {name: estimates[name] for name in ("logged", "doubly_robust")}
        titles["doubly_robust"] = "observational"
        estimates["observational"] = estimates.pop("doubly_robust")
        titles["observational"] = "observational"
    told = {name: _both(*each) for name, each in estimates.items()}
    reason = found.quality.doubly_robust
    refusal = reason if isinstance(reason, NotEstimable) else None
    cost = found.cost.doubly_robust
    unpriced = cost if isinstance(cost, NotEstimable) else None
    unseen = _not_in_log(choices, log)
    scales = scales_of([each for each in told.values() if each])
    columns = [Column("ESTIMATE", "text"), *worth_columns(level)]
    cells = [[titles[name], *worth_cells(each, scales)] for name, each in told.items()]
    rows = [{"estimate": name, **figures_of(each)} for name, each in told.items()]
    content = {
        **about_of(source, log.left_out, alpha),
        "policy": choices,
        "basis": found.basis,
        "calls": found.n_calls,
        "no_propensity": found.no_propensity,
        "not_in_log": unseen,
        "weights": plain(found.weights),
        "is_invalid": found.is_invalid,
        "refused": refusal.reason if refusal else None,
        "cost_refused": unpriced.reason if unpriced else None,
    }
    return Page(
        WHAT_IF_SCHEMA,
        "What another policy would have been worth",
        content,
        names,
        rows,
        [(columns, cells)],
        [_of_policy(found, refusal)],
        [
            *([] if refusal or unpriced is None else [_UNPRICED.format(unpriced.reason)]),
            *_weights(found.weights),
            *_basis(found),
            *(f"The policy names {name!r}, of which the log has no call." for name in unseen),
            ONE_LOOK.format(level=level),
        ],
        worth_figures({titles[name]: each for name, each in told.items()}),
        worth_key(level),
    )


def cheapest_page(
    source: Source,
    found: Recommendation | NotEstimable,
    gathered: Gathered,
    margin: float,
    alpha: float,
) -> Page:
    """
    Lay out a recommendation.
    """
    about = {**about_of(source, gathered.left_out, alpha), "margin": margin}
    names = [source.segment, "units", source.arm, "p"]
    title = f"The cheapest {source.arm} that is not worse, by {source.segment}"
    if isinstance(found, NotEstimable):
        return refused(CHEAPEST_SCHEMA, title, about, names, found)
    level = level_of(alpha)
    worths = {"policy": found.policy, "single": found.single, "random": found.random}
    titles = {
        "policy": "these choices",
        "single": clean(_alone(found)),
        "random": "by lot",
    }
    scales = scales_of([each for each in worths.values() if isinstance(each, Worth)])
    cells = [[titles[name], *worth_cells(each, scales)] for name, each in worths.items()]
    return Page(
        CHEAPEST_SCHEMA,
        title,
        {
            **about,
            "baseline": found.baseline,
            "single_is": found.singles,
            "alike": found.alike,
            **{name: reason_or(each) for name, each in worths.items()},
            "cost_nanousd_difference": plain(found.cost_nanousd),
            "quality_difference": plain(found.quality),
            "refused": None,
        },
        names,
        [
            {
                source.segment: choice.segment or None,
                "units": choice.n_units,
                source.arm: choice.model,
                "p": dict(choice.p),
            }
            for choice in found.choices
        ],
        [
            _choices(source, found),
            ([Column("POLICY", "text"), *worth_columns(level)], cells),
        ],
        [_recommended(source, found)],
        [
            *_unvalued(worths.values()),
            *_gain(found),
            *_singles(source, found),
            *_caveats(source),
            *_halves(source, found),
            "Its worth is measured on units that had no say in the choices. "
            + ONE_LOOK.format(level=level),
        ],
        worth_figures({titles[name]: each for name, each in worths.items()}),
        worth_key(level),
    )


def refused(schema: str, title: str, about: Row, names: Sequence[str], found: NotEstimable) -> Page:
    """
    Lay out why there is no answer.
    """
    content = {**about, "refused": found.reason}
    return Page(schema, title, content, names, [], above=[f"Cannot tell: {found.reason}."])


def about_of(source: Source, left_out: LeftOut, alpha: float) -> Row:
    """
    Say what was asked.
    """
    return {
        "between": source.arm,
        "by": source.segment,
        "quality_is": source.quality,
        "pair_by": source.question,
        "experiment": source.filters.experiment,
        "feature": source.filters.feature,
        "since_us": source.filters.since_us,
        "until_us": source.filters.until_us,
        "alpha": alpha,
        "left_out": asdict(left_out),
    }


def _gap_names() -> list[str]:
    return ["quality_gap", "quality_gap_lower", "quality_gap_upper"]


def _gap_cells(point: FrontierPoint) -> list[str]:
    if point.gap is None:
        return ["best", ""]
    if isinstance(point.gap, NotEstimable):
        return [UNKNOWN, UNKNOWN]
    decimals = decimals_for((point.gap.interval.upper - point.gap.interval.lower) / 2)
    return [
        f"{point.gap.difference:+,.{decimals}f}",
        interval_cell(point.gap.interval, 1, decimals, "+"),
    ]


def _standing(point: FrontierPoint) -> str:
    if point.on_hull:
        return "yes"
    return "mixed" if point.on_pareto else "no"


def _point_row(arm: str, point: FrontierPoint) -> Row:
    gap = point.gap if isinstance(point.gap, Difference) else None
    values = (gap.difference, *gap.interval) if gap else (None, None, None)
    return {
        arm: point.model,
        "answers": point.n_answers,
        **figures_of(point.worth),
        **dict(zip(_gap_names(), values, strict=True)),
        "on_pareto": point.on_pareto,
        "on_hull": point.on_hull,
    }


def _worth_their_price(found: Frontier) -> str:
    names = [point.model for point in found.points if point.on_hull]
    of = "" if found.n_questions is None else f", by {count(found.n_questions)} questions to all"
    return f"Worth their price{of}: {', '.join(names)}."


def _no_place(found: Frontier) -> list[str]:
    return [f"Not placed: {model}: {reason}." for model, reason in found.unplaced.items()]


def _aiq(found: AverageQuality | NotEstimable) -> list[str]:
    if isinstance(found, NotEstimable):
        return [f"AIQ: {found.reason}."]
    ranged, largest = found.by_cost_range, found.by_largest_cost
    return [f"AIQ: {ranged:.3f} by the range of costs, {largest:.3f} by the largest cost."]


def _caveats(source: Source) -> list[str]:
    return [] if source.question else [_UNPAIRED.format(arm=source.arm)]


def _pair_of(found: WhatIf, name: str) -> tuple[Mean | NotEstimable, Mean | NotEstimable]:
    return _mean_of(found.cost, name), _mean_of(found.quality, name)


def _mean_of(found: Evaluation, name: str) -> Mean | NotEstimable:
    value: Value | NotEstimable = {
        "snips": found.snips,
        "doubly_robust": found.doubly_robust,
        "ips": found.ips,
    }[name]
    return value if isinstance(value, NotEstimable) else Mean(value.value, value.interval)


def _both(cost: Mean | NotEstimable, quality: Mean | NotEstimable) -> Worth | None:
    if isinstance(quality, NotEstimable):
        return None
    # A cost that cannot be told does not hide the quality.
    unknown = Mean(float("nan"), NotEstimable("")) if isinstance(cost, NotEstimable) else cost
    return Worth(unknown, quality)


def _of_policy(found: WhatIf, refusal: NotEstimable | None) -> str:
    if refusal:
        return f"Cannot tell: {refusal.reason}."
    if found.basis == "observational":
        some = f"{count(found.no_propensity)} of {count(found.n_calls)} calls"
        return f"Observed, not randomised: {some} tell no propensity of what they were given."
    return f"What the policy would have been worth on {count(found.n_calls)} calls:"


def _not_in_log(choices: Choices, log: Log) -> list[str]:
    known = {call.feature for call in log.quality} | {OTHERS}
    return sorted(set(choices) - known)


def _weights(found: Weights | NotEstimable) -> list[str]:
    if isinstance(found, NotEstimable):
        return []
    return [
        f"It says as much as {found.effective:,.1f} of {count(found.n_units)} units.",
        f"The largest weight of a call is {found.largest:,.1f}, the mean {found.mean:.3f}.",
    ]


def _basis(found: WhatIf) -> list[str]:
    return [] if found.basis == "randomised" else [_OBSERVED]


def _choices(source: Source, found: Recommendation) -> Cells:
    columns = [
        Column(clean(source.segment).upper(), "label"),
        Column("UNITS"),
        Column("CHOICE", "text"),
        Column("P OF WORSE", rank=1),
    ]
    cells = [
        [
            clean(choice.segment) or UNKNOWN,
            count(choice.n_units),
            clean(choice.model),
            f"{choice.p[choice.model]:.2g}" if choice.model in choice.p else "stays",
        ]
        for choice in found.choices
    ]
    return columns, cells


def _recommended(source: Source, found: Recommendation) -> str:
    cheaper = sum(choice.model != found.baseline for choice in found.choices)
    return (
        f"For {cheaper} of {len(found.choices)} by {source.segment} a cheaper {source.arm} than "
        f"{found.baseline} is shown to be not worse by {found.margin:g}."
    )


def _unvalued(worths: Iterable[Worth | NotEstimable]) -> list[str]:
    reasons = {each.reason: None for each in worths if isinstance(each, NotEstimable)}
    return [f"Not valued: {reason}." for reason in reasons]


def _alone(found: Recommendation) -> str:
    same = set(found.singles) == {found.baseline}
    return f"always {found.baseline}" if same else "the best single one"


def _singles(source: Source, found: Recommendation) -> list[str]:
    if set(found.singles) == {found.baseline}:
        return []
    names = " and ".join(found.singles)
    chosen = f"The best single {source.arm}, too, is chosen by the other half of the units"
    return [f"{chosen}: for the two halves {names}."]


def _halves(source: Source, found: Recommendation) -> list[str]:
    n = len(found.choices)
    if found.alike == n:
        return []
    valued = "What is valued is what either half of the units chose for the other"
    return [f"{valued}: for {found.alike} of {n} by {source.segment} the same as above."]


def _gain(found: Recommendation) -> list[str]:
    cost, quality = found.cost_nanousd, found.quality
    if isinstance(cost, NotEstimable) or isinstance(quality, NotEstimable):
        return []
    money = interval_cell(cost.interval, PER_THOUSAND, 4, "+")
    score = interval_cell(quality.interval, 1, 3, "+")
    saved = f"{cost.difference * PER_THOUSAND:+.4f} {money}"
    return [
        f"Against {_alone(found)}, per 1,000 calls in dollars: {saved}.",
        f"In quality: {quality.difference:+.3f} {score}.",
    ]
