"""
Make tests/oracle/analysis.json: power, quantiles, covariates and strata from other libraries.

Run by hand, `python tests/oracle/make_analysis.py`, with scipy, statsmodels and mpmath
installed; the tests read the JSON only. Nothing of modeltrail is imported here. The
spread of quantiles is brute force: whole units are drawn anew, with all their calls.
"""

import csv
import gzip
import json
import platform
from pathlib import Path

import mpmath
import numpy as np
import scipy
import statsmodels
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import proportion_effectsize

HERE = Path(__file__).parent
GSM8K = HERE.parent / "stats" / "ab_gsm8k_by_call.csv.gz"
RESAMPLES = 8_000


def far_tails():
    """
    Tails from 1e-17 to 1e-300, by integrals of 60 digits.
    """
    mpmath.mp.dps = 60

    def t_sf(t, dof):
        t, dof = mpmath.mpf(t), mpmath.mpf(dof)
        return mpmath.betainc(dof / 2, 0.5, 0, dof / (dof + t * t), regularized=True) / 2

    def chi2_sf(x, dof):
        return mpmath.gammainc(mpmath.mpf(dof) / 2, mpmath.mpf(x) / 2, regularized=True)

    ts = ((9.0, 60), (12.0, 528.74), (30.0, 200), (37.0, 100_000), (60.0, 700), (1e10, 30))
    chi2s = ((75.0, 1), (300.0, 4), (1_300.0, 1), (1_380.0, 20))
    return {
        "t_sf": [[t, dof, float(t_sf(t, dof))] for t, dof in ts],
        "chi2_sf": [[x, dof, float(chi2_sf(x, dof))] for x, dof in chi2s],
    }


def noncentral_t():
    """
    Upper tails of (Z + shift) / sqrt(chi-squared / dof), by integrals of 30 digits.

    Not scipy's: its noncentral t differs from these in the sixth digit.
    """
    mpmath.mp.dps = 30

    def sf(t, dof, shift):
        half = mpmath.mpf(dof) / 2
        factor = 2**half * mpmath.gamma(half)

        def part(x):
            density = x ** (half - 1) * mpmath.exp(-x / 2) / factor
            return density * mpmath.erfc((t * mpmath.sqrt(x / dof) - shift) / mpmath.sqrt(2)) / 2

        spread = mpmath.sqrt(2 * dof)
        points = sorted({mpmath.mpf(0), *(max(dof + k * spread, 0) for k in range(-12, 40, 2))})
        return float(mpmath.quad(part, points))

    return [
        [t, dof, shift, sf(t, dof, shift)]
        for dof in (2, 3.7, 12, 80.5, 2_000)
        for t, shift in ((1.96, 2.8), (2.2, 0.0), (2.5, 0.7), (4.0, 6.0))
    ]


def shares():
    """
    Units per arm for a difference of shares, by the normal distribution.

    The variances of both shares, halved, stand for the one that statsmodels knows.
    """
    made = []
    for before, effect, alpha, power in (
        (0.8, 0.02, 0.05, 0.8),
        (0.01, 0.005, 0.05, 0.9),
        (0.5, -0.1, 0.01, 0.8),
        (0.98, 0.02, 0.05, 0.8),
    ):
        after = before + effect
        variance = (before * (1 - before) + after * (1 - after)) / 2
        n = NormalIndPower().solve_power(abs(effect) / variance**0.5, alpha=alpha, power=power)
        arcsine = NormalIndPower().solve_power(
            proportion_effectsize(after, before), alpha=alpha, power=power
        )
        made.append([before, effect, alpha, power, n, arcsine])
    return made


def means():
    """
    Units in control for a difference of means in standard deviations, by the t test.
    """
    return [
        [effect, alpha, power, ratio, solved]
        for effect, alpha, power, ratio in (
            (1.0, 0.05, 0.8, 1),
            (0.5, 0.05, 0.9, 1),
            (0.1, 0.01, 0.8, 1),
            (0.3, 0.05, 0.8, 0.25),
            (0.3, 0.05, 0.8, 3),
        )
        for solved in [TTestIndPower().solve_power(effect, alpha=alpha, power=power, ratio=ratio)]
    ]


def always_valid():
    """
    The same for an interval that holds at every look, at its planned end.

    There it is sqrt(2 (q + 1) / q ln(sqrt(q + 1) / alpha)) standard errors wide to each
    side, q = ln(alpha^-2) + ln(ln(alpha^-2) + 1): a test of a smaller alpha.
    """
    made = []
    for effect, alpha, power in ((0.1, 0.05, 0.8), (0.05, 0.01, 0.9)):
        two = mpmath.log(mpmath.mpf(alpha) ** -2)
        q = two + mpmath.log(two + 1)
        reach = mpmath.sqrt(2 * (q + 1) / q * mpmath.log(mpmath.sqrt(q + 1) / alpha))
        smaller = 2 * stats.norm.sf(float(reach))
        n = NormalIndPower().solve_power(effect, alpha=smaller, power=power)
        made.append([effect, alpha, power, float(reach), n])
    return made


def effects():
    """
    The effect in standard deviations that so many units per arm find.
    """
    return [
        [n, alpha, power, TTestIndPower().solve_power(None, nobs1=n, alpha=alpha, power=power)]
        for n, alpha, power in ((10, 0.05, 0.8), (200, 0.05, 0.9), (5_000, 0.01, 0.8))
    ]


def units_with_calls(rng, n_units, slower):
    """
    Latencies in ms: a user's own level, and 2 to 20 calls around it.
    """
    levels = rng.normal(6.5 + slower, 0.5, n_units)
    counts = rng.integers(2, 20, n_units)
    return [
        np.exp(rng.normal(level, 0.6, count)).round().astype(int).tolist()
        for level, count in zip(levels, counts, strict=True)
    ]


def quantiles(rng):
    """
    Quantiles of two arms; how far they move when users are drawn anew.
    """
    arms = [units_with_calls(rng, 150, slower) for slower in (0.0, 0.1)]
    found = []
    for p in (0.25, 0.5, 0.9):
        values = [np.quantile(np.concatenate(arm), p, method="inverted_cdf") for arm in arms]
        drawn = [[resampled(rng, arm, p) for _ in range(RESAMPLES)] for arm in arms]
        deviations = [float(np.std(each, ddof=1)) for each in drawn]
        found.append({"p": p, "values": values, "deviations": deviations})
    return {"arms": arms, "quantiles": found}


def resampled(rng, arm, p):
    chosen = [arm[i] for i in rng.integers(0, len(arm), len(arm))]
    return np.quantile(np.concatenate(chosen), p, method="inverted_cdf")


def covariate():
    """
    Characters of the answers to GSM8K, corrected for those of the question.

    Weights of 1 / (n (n - 1)) make the common slope that which an estimator has that
    minimises the variance of the difference; without them it is plain ANCOVA. The
    slope's own uncertainty is as in ANCOVA: the covariate's t and degrees of freedom.
    """
    with gzip.open(GSM8K, "rt") as file:
        rows = list(csv.DictReader(file))
    treated = np.array([row["variant"] == "B" for row in rows], float)
    before = np.array([float(row["prompt_chars"]) for row in rows])
    answer = np.array([float(row["response_chars"]) for row in rows])
    sizes = np.where(treated == 1, treated.sum(), (1 - treated).sum())
    design = sm.add_constant(np.column_stack([treated, before]))
    weighted = sm.WLS(answer, design, weights=1 / (sizes * (sizes - 1))).fit()
    plain = sm.OLS(answer, design).fit(cov_type="HC3")
    own = stats.ttest_ind(before[treated == 1], before[treated == 0], equal_var=False)
    residual = answer - weighted.params[2] * before
    after = stats.ttest_ind(residual[treated == 1], residual[treated == 0], equal_var=False)
    change = answer[treated == 1].mean() - answer[treated == 0].mean()
    raw = stats.ttest_ind(answer[treated == 1], answer[treated == 0], equal_var=False)
    slope = (1 + own.statistic**2 / own.df) * own.df / (own.df - 1)
    return {
        "theta": weighted.params[2],
        "difference": weighted.params[1],
        "standard_error": weighted.params[1] / after.statistic * slope**0.5,
        "unadjusted": change,
        "unadjusted_standard_error": change / raw.statistic,
        "covariate_p": own.pvalue,
        "ancova": plain.params[1],
        "ancova_standard_error": plain.bse[1],
    }


def balanced(rng):
    """
    Plain ANCOVA of two equal arms, one call per unit.
    """
    treated = np.repeat([0.0, 1.0], 40)
    before = rng.normal(0, 2, 80).round(3)
    answer = (before * 1.5 + 4 * treated + rng.normal(0, 3, 80)).round(3)
    fitted = sm.OLS(answer, sm.add_constant(np.column_stack([treated, before]))).fit()
    return {
        "before": before.tolist(),
        "answer": answer.tolist(),
        "theta": fitted.params[2],
        "difference": fitted.params[1],
        "standard_error": fitted.bse[1],
    }


def strata(rng):
    """
    A regression with an own effect in each stratum, HC2, weighted with the strata's shares.
    """
    sizes = {"x": (12, 9), "y": (3, 20), "z": (2, 2), "w": (30, 8)}
    rows = [
        [name, arm, round(float(rng.normal(10 + place * 3 + arm * (1 + place), 2)), 3)]
        for place, (name, pair) in enumerate(sizes.items())
        for arm, n in enumerate(pair)
        for _ in range(n)
    ]
    names = list(sizes)
    design = np.array(
        [
            [
                float(row[0] == name) * (row[1] if effect else 1)
                for effect in (0, 1)
                for name in names
            ]
            for row in rows
        ]
    )
    fitted = sm.OLS(np.array([row[2] for row in rows]), design).fit(cov_type="HC2")
    shares = np.array([0.0] * 4 + [sum(sizes[name]) / len(rows) for name in names])
    return {
        "rows": rows,
        "difference": shares @ fitted.params,
        "standard_error": (shares @ fitted.cov_params() @ shares) ** 0.5,
    }


def plain(value):
    """
    numpy's numbers as JSON knows them.
    """
    return value.item()


def main():
    rng = np.random.default_rng(20261126)
    expected = {
        "made_by": "tests/oracle/make_analysis.py",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "statsmodels": statsmodels.__version__,
            "mpmath": mpmath.__version__,
        },
        "far_tails": far_tails(),
        "noncentral_t": noncentral_t(),
        "shares": shares(),
        "means": means(),
        "always_valid": always_valid(),
        "effects": effects(),
        "covariate": covariate(),
        "balanced": balanced(rng),
        "strata": strata(rng),
        "quantiles": quantiles(rng),
    }
    text = json.dumps(expected, default=plain, allow_nan=False)
    (HERE / "analysis.json").write_text(
        text.replace('], "', '],\n"').replace('}, "', '},\n"') + "\n"
    )


if __name__ == "__main__":
    main()
