"""
A comparison, as it is shown and as it is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from modeltrail.experiment.adjust import Adjusted
from modeltrail.experiment.checks import Check
from modeltrail.experiment.contrasts import ArmEstimate, Contrast
from modeltrail.experiment.metrics import Metric
from modeltrail.experiment.plan import Plan
from modeltrail.stats.estimate import Interval, NotEstimable

SCHEMA = "modeltrail.compare/2"
METHOD = (
    "ratio of sums per unit; delete-one-unit jackknife; asymptotic confidence sequence decides, "
    "at every look; beside it t on Welch-Satterthwaite degrees of freedom of effective units, or "
    "Newcombe for shares of single calls, for one look; Holm over what decides"
)
QUANTILES = (
    "; quantiles: order statistics, their spread between calls (Woodruff) times the jackknife's "
    "design effect of the share of calls below them"
)
ADJUSTED = (
    "; adjusted differences by CUPED on the same metric before, or by post-stratification: they "
    "decide"
)
PHASES = "; within phases, weighted by their units"
Verdict = Literal["better", "worse", "not_worse", "undecided", "invalid"]
# primary: decides alone; joint: decides with the others, since none was named; secondary: is shown.
Role = Literal["primary", "joint", "secondary"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A verdict with its reason.

    Attributes:
        verdict: None where neither direction is good.
        reason: In words.
        units_needed: How many more units, both arms together, would decide it if
            estimate and spread stayed as they are; None if it is decided, or
            if no number could be told.
    """

    verdict: Verdict | None
    reason: str
    units_needed: int | None = None


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """
    One metric in all variants.

    Attributes:
        metric: What is compared.
        role: Whether it decides.
        arms: Estimate per variant, control first.
        contrasts: Difference from control per other variant.
        adjusted_p: Always-valid p value per other variant, adjusted by Holm over
            all that decides; None where the metric does not decide.
        findings: Verdict per other variant.
        adjusted: Difference per other variant, corrected for what was known before, which
            then decides; empty if it was not asked for.
    """

    metric: Metric
    role: Role
    arms: Mapping[str, ArmEstimate | NotEstimable]
    contrasts: Mapping[str, Contrast | NotEstimable]
    adjusted_p: Mapping[str, float | None]
    findings: Mapping[str, Finding]
    adjusted: Mapping[str, Adjusted | NotEstimable] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GuardrailResult:
    """
    Whether variants are not worse than control by a margin.

    Attributes:
        metric: Name of the metric.
        margin: How much worse still counts as not worse, in the metric's unit of measure.
        bounds: Per other variant: how much better it is at least, at every look,
            one-sided; it is not worse if that is above minus the margin.
        findings: Verdict per other variant.
    """

    metric: str
    margin: float
    bounds: Mapping[str, float | NotEstimable]
    findings: Mapping[str, Finding]


@dataclass(frozen=True, slots=True)
class Segment:
    """
    One metric of one variant against control, in the calls of one feature.

    Attributes:
        n_units: Units in both arms.
        always_valid: Interval of the difference that holds at every look.
        p: Its p value.
        believed: Whether it is found among all segments of the metric by Benjamini
            and Hochberg's procedure, at a rate of alpha.
        verdict: `undecided` where it is not.
    """

    metric: str
    variant: str
    feature: str
    n_units: int
    difference: float
    always_valid: Interval
    p: float
    believed: bool
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """
    A segment that could not be compared, and why.
    """

    metric: str
    variant: str
    feature: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    The result of one look at an experiment.

    Attributes:
        experiment: Key of the experiment.
        plan: How it is judged.
        units: Units per variant, those seen in two of them left out.
        calls: Calls per variant, of the same units.
        checks: Conditions of belief, `sample_ratio` first.
        metrics: One comparison per metric, in the order asked for.
        guardrails: In the order of the plan.
        decisions: Verdict per variant other than control, over all that decides.
        segments: By feature, if that was asked for.
        skipped: Segments that could not be compared.
    """

    experiment: str
    plan: Plan
    units: Mapping[str, int]
    calls: Mapping[str, int]
    checks: tuple[Check, ...]
    metrics: tuple[MetricComparison, ...]
    guardrails: tuple[GuardrailResult, ...]
    decisions: Mapping[str, Finding]
    segments: tuple[Segment, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def verdict(self) -> Literal["decided", "undecided", "invalid"]:
        """
        Whether every variant is decided; `invalid` if a failed check forbids it for one.
        """
        verdicts = {each.verdict for each in self.decisions.values()}
        if "invalid" in verdicts or (not verdicts and _all_fail(self.checks)):
            return "invalid"
        return "undecided" if not verdicts or "undecided" in verdicts else "decided"

    @property
    def has_phases(self) -> bool:
        """
        Whether variants are compared within phases.
        """
        return any(each.name == "phases" for each in self.checks)

    @property
    def is_adjusted(self) -> bool:
        """
        Whether adjusted differences decide.
        """
        return any(each.adjusted for each in self.metrics)

    @property
    def method(self) -> str:
        """
        How the figures were made.
        """
        has_quantiles = any(each.metric.p is not None for each in self.metrics)
        return (
            METHOD
            + (QUANTILES if has_quantiles else "")
            + (PHASES if self.has_phases else "")
            + (ADJUSTED if self.is_adjusted else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """
        Give the comparison as plain data that JSON can carry.

        Returns:
            A dict with `schema` "modeltrail.compare/2"; what could not be
            estimated is `{"not_estimable": reason}`.
        """
        content = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        for metric in content["metrics"]:
            if not metric["adjusted"]:
                del metric["adjusted"]
        return {"schema": SCHEMA, "method": self.method, "verdict": self.verdict, **content}


def _all_fail(checks: tuple[Check, ...]) -> bool:
    return any(check.status == "fail" and not check.concerns for check in checks)


def _plain(value: Any) -> Any:
    """
    Turn a result into what JSON knows; a refusal stays one.
    """
    if isinstance(value, NotEstimable):
        return {"not_estimable": value.reason}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value
