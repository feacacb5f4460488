"""
The curve of a router in words, tables and rows.
"""

from modeltrail.cli.routed import ONE_LOOK, about_of, refused
from modeltrail.cli.routed_figures import curve_figure
from modeltrail.cli.worths import Page, Row, interval_cell, level_of
from modeltrail.experiment.answers import Source
from modeltrail.experiment.scored import Scored
from modeltrail.render.figures import count, decimals_for, percent
from modeltrail.render.layout import Column
from modeltrail.render.text import clean
from modeltrail.stats.callperformance import Curve
from modeltrail.stats.estimate import NotEstimable

SCHEMA = "modeltrail.route-curve/1"
# Shares of the gap between both models of which CPT is told.
RECOVERED = (0.2, 0.5, 0.8)
_LOTS = 0.5
# A longer name is in no heading.
_SHORT = 20
_INDEPENDENT = "Questions are taken as independent, and the score as not learnt from their answers."
_KEY = (
    "Line: the mean quality when the calls with the highest scores go to the strong model. Dashed: "
    "drawing lots. Dots: where so much of the gap is recovered. Diamond: what knowing both "
    "answers would reach."
)


def curve_page(source: Source, score: str, found: Scored, alpha: float) -> Page:
    """
    Lay out what a score is worth.
    """
    asked = about_of(source, found.left_out, alpha)
    # The score takes the place of a segment.
    about = {name: value for name, value in asked.items() if name != "by"}
    about |= {"score": score, "strong": found.strong, "weak": found.weak}
    about["left_out"] = {**asked["left_out"], "no_score": found.no_score}
    names = ["recovered", "strong_share"]
    title = f"Does {score} tell which calls need the stronger {source.arm}?"
    told = found.curve
    if isinstance(told, NotEstimable) or found.strong is None or found.weak is None:
        assert isinstance(told, NotEstimable)
        return refused(SCHEMA, title, about, names, told)
    level = level_of(alpha)
    return Page(
        SCHEMA,
        title,
        {**about, **_figures(told), "refused": None},
        names,
        [{"recovered": each, "strong_share": told.threshold(each)} for each in RECOVERED],
        [
            (_share_columns(found.strong), _share_cells(told)),
            (_router_columns(found.strong), _router_cells(told, found.strong, found.weak)),
        ],
        [_said(score, found.strong, told)],
        [
            f"APGR, the mean share of the gap that is recovered: {_apgr(told)}; by lot {_LOTS}.",
            f"By {count(told.n_calls)} questions. {_INDEPENDENT} {ONE_LOOK.format(level=level)}",
        ],
        [curve_figure(told, found.strong, found.weak, RECOVERED)],
        [_KEY],
    )


def _figures(found: Curve) -> Row:
    return {
        "questions": found.n_calls,
        "weak_quality": found.weak,
        "strong_quality": found.strong,
        "apgr": found.apgr,
        "apgr_standard_error": found.apgr_standard_error,
        "apgr_lower": found.apgr_interval.lower,
        "apgr_upper": found.apgr_interval.upper,
        "optimal_share": found.optimal.strong_share,
        "optimal_quality": found.optimal.quality,
    }


def _said(score: str, strong: str, found: Curve) -> str:
    if found.apgr_interval.lower > _LOTS:
        return f"{score} tells better than lots which calls need {strong}."
    if found.apgr_interval.upper < _LOTS:
        return f"{score} tells worse than lots which calls need {strong}: turn it round."
    return f"{score} is not shown to tell better than lots which calls need {strong}."


def _apgr(found: Curve) -> str:
    lower, upper = found.apgr_interval
    decimals = decimals_for((upper - lower) / 2)
    return f"{found.apgr:.{decimals}f} {interval_cell(found.apgr_interval, 1, decimals)}"


def _share_columns(strong: str) -> list[Column]:
    return [Column("GAP RECOVERED"), Column(_share_title(strong)), Column("BY LOT")]


def _share_cells(found: Curve) -> list[list[str]]:
    return [
        [f"{100 * each:g}%", percent(found.threshold(each)), f"{100 * each:g}%"]
        for each in RECOVERED
    ]


def _router_columns(strong: str) -> list[Column]:
    return [Column("ROUTER", "label"), Column(_share_title(strong)), Column("QUALITY")]


def _share_title(strong: str) -> str:
    # A heading is never cut, and the sentence above has the name.
    return f"SHARE TO {clean(strong) if len(strong) <= _SHORT else 'THE STRONG ONE'}"


def _router_cells(found: Curve, strong: str, weak: str) -> list[list[str]]:
    best = found.optimal
    rows = {
        f"always {clean(weak)}": (0.0, found.weak),
        f"always {clean(strong)}": (1.0, found.strong),
        "(the best possible)": (best.strong_share, best.quality),
    }
    return [[name, percent(share), f"{quality:.4f}"] for name, (share, quality) in rows.items()]
