"""
Make tests/oracle/stats.json: expected statistics from libraries that are not ours.

Run by hand, `python tests/oracle/make_stats.py`, with scipy and mpmath installed; the
tests read the JSON only. Nothing of modeltrail is imported here. The jackknife
is brute force: every unit is really deleted and the ratio computed anew.
"""

import csv
import gzip
import json
import platform
from collections import defaultdict
from pathlib import Path

import mpmath
import numpy as np
import scipy
from scipy import special, stats

HERE = Path(__file__).parent
AB_MMLU = HERE.parent / "stats" / "ab_mmlu_by_user.csv.gz"
K = 100.0


def tails():
    """
    Tails and quantiles, from the middle to far beyond 1e-16.
    """
    ts = (-3.0, 0.0, 0.01, 0.3, 0.999, 1.0, 1.96, 4.5, 9.2, 20.0)
    dofs = (0.5, 1, 2.7, 10, 30.5, 528.74, 5_000, 1e5)
    ps = (1e-12, 0.0005, 0.025, 0.3, 0.5, 0.8, 0.975)
    chi2s = (0.0, 0.01, 1.0, 4.0, 10.83, 60.6, 500.0)
    shapes = ((0.5, 0.5), (2, 3), (30, 0.5), (0.2, 40), (300, 450), (12, 1))
    return {
        "t_sf": [[t, dof, stats.t.sf(t, dof)] for t in ts for dof in dofs],
        "t_quantile": [[p, dof, stats.t.ppf(p, dof)] for p in ps for dof in dofs],
        "chi2_sf": [[x, k, stats.chi2.sf(x, k)] for x in chi2s for k in (1, 2, 5, 56, 300)],
        "beta_inc": [
            [a, b, x, special.betainc(a, b, x)]
            for a, b in shapes
            for x in (0.0, 1e-4, 0.2, 0.4, 0.9, 1.0)
        ],
        "gamma_q": [
            [a, x, special.gammaincc(a, x)]
            for a in (0.3, 1, 9.5, 80)
            for x in (0.01, 2, 9, 85, 300)
        ],
    }


def arm(totals, counts):
    """
    One arm: the ratio, and its variance by deleting each unit in turn.
    """
    totals, counts = np.asarray(totals, float), np.asarray(counts, float)
    k = len(totals)
    estimate = totals.sum() / counts.sum()
    without = np.array([np.delete(totals, i).sum() / np.delete(counts, i).sum() for i in range(k)])
    variance = (k - 1) / k * ((without - estimate) ** 2).sum()
    k_eff = counts.sum() ** 2 / (counts**2).sum()
    interval = stats.t.interval(0.95, k_eff - 1, estimate, np.sqrt(variance))
    return {
        "n_units": k,
        "count": counts.sum(),
        "k_eff": k_eff,
        "estimate": estimate,
        "variance": variance,
        "interval": list(interval),
    }


def welch(estimate, variances, k_effs):
    """
    Interval and p value of an estimate with two independent variances.
    """
    (va, vb), (ka, kb) = variances, k_effs
    dof = (va + vb) ** 2 / (va**2 / (ka - 1) + vb**2 / (kb - 1))
    error = np.sqrt(va + vb)
    return {
        "estimate": estimate,
        "standard_error": error,
        "dof": dof,
        "interval": list(stats.t.interval(0.95, dof, estimate, error)),
        "p": 2 * stats.t.sf(abs(estimate) / error, dof),
    }


def contrast(a, b):
    """
    Difference and relative difference of two arms.
    """
    ra, rb, va, vb = a["estimate"], b["estimate"], a["variance"], b["variance"]
    k_effs = a["k_eff"], b["k_eff"]
    log = welch(np.log(rb / ra), (va / ra**2, vb / rb**2), k_effs)
    return {
        "difference": welch(rb - ra, (va, vb), k_effs),
        "relative": {
            "relative": rb / ra - 1,
            "dof": log["dof"],
            "interval": [np.exp(bound) - 1 for bound in log["interval"]],
        },
    }


def simulated(rng, k, base):
    """
    Units with effects of their own and very different numbers of calls.
    """
    counts = np.ceil(rng.lognormal(1.0, 0.9, k)).astype(int)
    return [round(float(n * base * rng.lognormal(0, 0.3)), 6) for n in counts], counts.tolist()


def pairs(rng):
    """
    Pairs of arms with their units, small enough to be kept in the file.
    """
    made = []
    for ka, kb, base_a, base_b in ((5, 4, 1, 2), (8, 20, 0.004, 0.003), (40, 25, 900, 950)):
        (ta, ca), (tb, cb) = simulated(rng, ka, base_a), simulated(rng, kb, base_b)
        a, b = arm(ta, ca), arm(tb, cb)
        made.append(
            {
                "a": {"totals": ta, "counts": ca, **a},
                "b": {"totals": tb, "counts": cb, **b},
                **contrast(a, b),
            }
        )
    return made


def unit_is_call(rng):
    """
    One call per unit: then all of it is Welch's t test, as scipy has it.
    """
    a, b = rng.normal(5, 2, 30).round(4), rng.normal(6, 1, 18).round(4)
    found = stats.ttest_ind(b, a, equal_var=False)
    return {
        "a": a.tolist(),
        "b": b.tolist(),
        "difference": b.mean() - a.mean(),
        "t": found.statistic,
        "dof": found.df,
        "p": found.pvalue,
        "interval": list(found.confidence_interval(0.95)),
    }


def ab_mmlu():
    """
    The example of the documentation: 14,037 real outcomes of 682 users.
    """
    sums = defaultdict(lambda: np.zeros(3))
    with gzip.open(AB_MMLU, "rt") as file:
        for row in csv.DictReader(file):
            sums[row["variant"], row["user_id"]] += (
                float(row["correct"]),
                float(row["cost_usd"]),
                1,
            )
    found = {}
    for index, metric in enumerate(("correct", "cost_usd")):
        tables = [np.array([s for (v, _), s in sums.items() if v == name]) for name in "AB"]
        a, b = (arm(table[:, index], table[:, 2]) for table in tables)
        found[metric] = {"a": a, "b": b, **contrast(a, b)}
    return found


def sample_ratios():
    """
    Chi-squared by scipy; the e-value as a ratio of two likelihoods.
    """
    cases = (
        ([347, 335], [0.5, 0.5]),
        ([60, 40, 0], [0.5, 0.5, 0]),
        ([5_200, 4_800], [0.5, 0.5]),
        ([900, 100], [0.8, 0.2]),
        ([33, 30, 37], [0.3, 0.3, 0.4]),
        ([9, 1], [0.999, 0.001]),
        ([1, 0], [0.5, 0.5]),
    )
    made = []
    for counts, weights in cases:
        kept = [(c, w) for c, w in zip(counts, weights, strict=True) if w > 0]
        c, w = (np.array(side, float) for side in zip(*kept, strict=True))
        chi2 = stats.chisquare(c, w * c.sum())
        marginal = special.gammaln(K) - special.gammaln(K + c.sum())
        marginal += (special.gammaln(K * w + c) - special.gammaln(K * w)).sum()
        made.append(
            {
                "counts": counts,
                "weights": weights,
                "chi2": chi2.statistic,
                "dof": len(kept) - 1,
                "p": chi2.pvalue,
                "log_e_value": marginal - (c * np.log(w)).sum(),
            }
        )
    return made


def independences():
    """
    Arms against kinds of units: Pearson's chi-squared without a correction.
    """
    tables = ([[20, 15, 30], [25, 35, 10]], [[347, 12], [335, 9]], [[8, 8], [2, 9], [5, 5]])
    made = []
    for table in tables:
        found = stats.chi2_contingency(table, correction=False)
        made.append(
            {
                "table": table,
                "chi2": found.statistic,
                "dof": found.dof,
                "p": found.pvalue,
                "least_expected": found.expected_freq.min(),
            }
        )
    return made


def mixture_e_value(s, n, rho, one_sided):
    """
    The e-value of a sum s of n standard normal steps, by integrating over all effects.

    Each effect's likelihood against none, exp(x s - x^2 n / 2), is weighted with a
    normal density of standard deviation rho: both sides of it, or the upper half.
    """
    peak, width = s * rho**2 / (n * rho**2 + 1), rho / mpmath.sqrt(n * rho**2 + 1)
    least = mpmath.mpf(0) if one_sided else peak - 40 * width
    points = sorted({least, max(peak, least), max(peak, least) + 40 * width})
    density = lambda x: mpmath.exp(x * s - x**2 * n / 2 - (x / rho) ** 2 / 2)  # noqa: E731
    mass = rho * mpmath.sqrt(2 * mpmath.pi) / (2 if one_sided else 1)
    return mpmath.quad(density, points) / mass


def sequential_bounds():
    """
    Where the mixture's e-value reaches 1 / alpha, found by a root of the integral.
    """
    mpmath.mp.dps = 30
    cases = (
        (-0.14990, 0.016264, 682, 700, 0.05),
        (0.5, 0.2, 20, 100, 0.05),
        (0.01, 0.004, 5_000, 5_000, 0.01),
        (3.0, 1.0, 100_000, 500, 0.1),
    )
    made = []
    for estimate, error, n, plan, alpha in cases:
        two = mpmath.log(mpmath.mpf(alpha) ** -2)
        rho = mpmath.sqrt((two + mpmath.log(two + 1)) / plan)
        half_two = mpmath.log(mpmath.mpf(2 * alpha) ** -2)
        half_rho = mpmath.sqrt((half_two + mpmath.log(half_two + 1)) / plan)

        def reached(s, rho=rho, one_sided=False, n=n, alpha=alpha):
            return mpmath.log(mixture_e_value(s, n, rho, one_sided)) + mpmath.log(alpha)

        root = mpmath.sqrt(n)
        both = mpmath.findroot(reached, (2 * root, 4 * root), solver="anderson", tol=1e-20)
        one = mpmath.findroot(
            lambda s, r=half_rho, f=reached: f(s, r, True),
            (1.5 * root, 4 * root),
            solver="anderson",
            tol=1e-20,
        )
        e_value = mixture_e_value(mpmath.mpf(estimate) / error * root, n, rho, False)
        made.append(
            {
                "estimate": estimate,
                "standard_error": error,
                "n_units": n,
                "plan_units": plan,
                "alpha": alpha,
                "half_width": float(both / root * error),
                "one_sided": float(one / root * error),
                "p": float(min(1, 1 / e_value)),
            }
        )
    return made


def plain(value):
    """
    numpy's numbers as JSON knows them.
    """
    return value.item()


def main():
    rng = np.random.default_rng(20261123)
    expected = {
        "made_by": "tests/oracle/make_stats.py",
        "versions": {
            "python": platform.python_version(),
            "mpmath": mpmath.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        **tails(),
        "pairs": pairs(rng),
        "unit_is_call": unit_is_call(rng),
        "ab_mmlu": ab_mmlu(),
        "sample_ratio": sample_ratios(),
        "independence": independences(),
        "sequential": sequential_bounds(),
    }
    text = json.dumps(expected, indent=1, default=plain, allow_nan=False)
    (HERE / "stats.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
