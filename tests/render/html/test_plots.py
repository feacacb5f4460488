"""
Figures, measured: what an axis says of a place is the number that was drawn there.
"""

from itertools import combinations, pairwise
from xml.etree.ElementTree import Element, fromstring

import pytest
from drawn import across, lines, of_kind, place, points, upwards
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.render.html import band, course, intervals, scatter
from modeltrail.render.html.intervals import Bar, Intervals, Span

START_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000


def write(value: float, decimals: int) -> str:
    """Write a number as an axis of money does."""
    return f"{'-' if value < 0 else ''}${abs(value):,.{decimals}f}"


def read(drawn: str) -> Element:
    """Read a figure; it has names for who cannot see it."""
    figure = fromstring(drawn)
    title, told = figure[0], figure[1]
    assert (figure.get("role"), title.tag, told.tag) == ("img", "title", "desc")
    assert figure.get("aria-labelledby") == f"{title.get('id')} {told.get('id')}"
    assert title.text
    assert told.text
    return figure


BARS = [
    Bar("A", 2.0, Span(-1.0, 5.0), Span(0.5, 3.5)),
    Bar("B", -4.0, Span(-9.25, 1.25), None, firm=False),
    Bar("C", 0.5, None),
]


def test_intervals() -> None:
    """Ends of thin and thick lines, dots and the reference by the axis, row below row."""
    plot = Intervals("t", "loss", BARS, write, (0.0, "none"), ("better", "worse"))
    figure = read(intervals.draw(plot, "k"))
    at = across(figure)
    level = [each for each in lines(figure, "outer") if each[1] == each[3]]
    assert [at(x) for x1, _, x2, _ in level for x in (x1, x2)] == pytest.approx(
        [-1, 5, -9.25, 1.25], abs=0.02
    )
    ((x1, y, x2, _),) = lines(figure, "inner")
    assert (at(x1), at(x2), y) == (
        pytest.approx(0.5, abs=0.02),
        pytest.approx(3.5, abs=0.02),
        level[0][1],
    )
    dots = [*of_kind(figure, "circle", "firm"), *of_kind(figure, "circle", "open")]
    assert [at(place(each, "cx")) for each in dots] == pytest.approx([2, 0.5, -4], abs=0.02)
    heights = [place(each, "cy") for each in dots]
    assert heights[0] < heights[2] < heights[1]
    ((zero, *_),) = lines(figure, "reference")
    assert at(zero) == pytest.approx(0, abs=0.02)
    told = str(figure[1].text)
    assert told.startswith("loss. A: $2.0, interval -$1.0 to $5.0. B: -$4.0,")
    assert told.endswith("C: $0.500.")
    sides = [each.text for each in of_kind(figure, "text", "side")]
    assert sides == ["none", "← better", "worse →"]


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.text(max_size=30)),
        min_size=1,
        max_size=5,
    )
)
def test_nothing_leaves_the_figure(bars: list[tuple[float, float, str]]) -> None:
    """Whatever the numbers and names, every line is within, in the right order."""
    plot = Intervals("t", "x", [Bar(n, e, Span(e - h, e + h)) for e, h, n in bars], write)
    figure = fromstring(intervals.draw(plot, "k"))
    for x1, y1, x2, y2 in lines(figure, "outer"):
        assert 0 <= x1 <= x2 <= 420
        assert 0 <= y1 <= y2


def moments(count: int) -> list[band.Moment]:
    """Give an estimate of .5 whose interval becomes narrow."""
    return [
        band.Moment(START_US + n * HOUR_US, 0.5, 0.5 - 4 / n, 0.5 + 4 / n) for n in range(3, count)
    ]


def test_band() -> None:
    """Forth along the upper ends and back along the lower ones; the estimate between."""
    plot = band.Band("t", "difference", moments(10), write, 0.0)
    figure = read(band.draw(plot, "k"))
    at = upwards(figure)
    corners = points(figure, "polygon", "band")
    ends = [0.5 + 4 / n for n in range(3, 10)] + [0.5 - 4 / n for n in range(9, 2, -1)]
    assert [at(y) for _, y in corners] == pytest.approx(ends, abs=0.02)
    times = [x for x, _ in corners[:7]]
    assert times == [x for x, _ in reversed(corners[7:])]
    steps = [b - a for a, b in pairwise(times)]
    assert steps == pytest.approx([steps[0]] * 6, abs=0.02)
    assert [at(y) for _, y in points(figure, "polyline", "course")] == pytest.approx(
        [0.5] * 7, abs=0.02
    )
    assert not band.runs_out(plot)


def test_wide_beginning_does_not_flatten_the_rest() -> None:
    """An interval far wider than the last one is clipped, and that can be told."""
    plot = band.Band("t", "difference", [*moments(60)], write, 0.0)
    low, high = band.domain(plot)
    # The last is 4/59 to either side; four times that is 0.27, and 0 belongs to it.
    assert -0.04 < low < 0
    assert 0.77 < high < 0.81
    assert band.runs_out(plot)
    figure = fromstring(band.draw(plot, "k"))
    (clip,) = figure.iter("clipPath")
    (group, _) = figure.iter("g")
    assert group.get("clip-path") == f"url(#{clip.get('id')})"


def test_one_look() -> None:
    """A single moment has a place, too."""
    figure = read(band.draw(band.Band("t", "difference", moments(4), write, 0.0), "k"))
    ((x, _),) = points(figure, "polyline", "course")
    assert 0 < x < 420
    # A band without a width is not to be seen: the interval is drawn as a line.
    y = upwards(figure)
    (upright,) = (each for each in lines(figure, "outer") if each[0] == each[2])
    only = moments(4)[0]
    assert upright[0] == pytest.approx(x)
    assert sorted((y(upright[1]), y(upright[3]))) == pytest.approx([only.low, only.high], abs=0.05)


def widths(figure: Element, kind: str, letter: float) -> list[tuple[float, float]]:
    """Return from where to where texts of a class reach, at so much a letter."""
    found = []
    for each in of_kind(figure, "text", kind):
        width = letter * len(str(each.text))
        part = {"start": 0.0, "middle": 0.5, "end": 1.0}[str(each.get("text-anchor"))]
        start = place(each, "x") - part * width
        found.append((start, start + width))
    return found


def test_names_of_an_axis_stay_within_the_figure() -> None:
    """Seconds, to the right of a course of two."""
    known = [band.Moment(START_US + n * 1_000_000, 1.0, 0.5, 1.5) for n in range(2)]
    figure = fromstring(band.draw(band.Band("t", "difference", known, write, 0.0), "k"))
    assert 400 < max(end for _, end in widths(figure, "tick", 6.0)) <= 420


def test_what_sides_mean_is_not_over_the_axis_name() -> None:
    """Long names leave little room for the axis: its name goes one line down."""
    for label, apart in (("A", False), ("customer-support-triage-v2", True)):
        bars = [Bar(label, 2.0, Span(-1.0, 5.0))]
        axis = "difference, percentage points"
        plot = Intervals("t", axis, bars, write, (0.0, "none"), ("better", "worse"))
        figure = read(intervals.draw(plot, "k"))
        (name,) = of_kind(figure, "text", "name")
        sides = [each for each in of_kind(figure, "text", "side") if each.text != "none"]
        assert {place(name, "y") - place(each, "y") > 12 for each in sides} == {apart}


def test_long_names_are_told_apart() -> None:
    """By their ends, where versions are; a letter of East Asia has the room of two."""
    names = [f"customer-support-triage-prompt-{end}" for end in ("short", "long")]
    figure = read(
        intervals.draw(Intervals("t", "loss", [Bar(each, 2.0, None) for each in names], write), "k")
    )
    short, long = (str(each.text) for each in of_kind(figure, "text", "label"))
    assert (short[:8], short[-5:], long[-4:]) == ("customer", "short", "long")
    assert len(short) == len(long) == 22
    wide = read(intervals.draw(Intervals("t", "l", [Bar("模" * 30, 2.0, None)], write), "k"))
    (name,) = of_kind(wide, "text", "label")
    assert len(str(name.text)) == 11
    (axis,) = lines(wide, "axis")
    assert 12.5 * len(str(name.text)) < axis[0]


DOTS = [
    scatter.Dot("small", 1.0, Span(0.5, 1.5), 0.6, Span(0.55, 0.65), "firm"),
    scatter.Dot("mid", 6.0, Span(5, 7), 0.5, None, "open"),
    scatter.Dot("large", 10.0, None, 0.9, Span(0.8, 1.0), "firm"),
    scatter.Dot("all", 2.0, None, 0.95, None, "other"),
]


def test_scatter() -> None:
    """Intervals both ways, the hull, and a name for each."""
    plot = scatter.Scatter("t", "cost", "quality", DOTS, [(1, 0.6), (10, 0.9)], write, write)
    figure = read(scatter.draw(plot, "k"))
    x, y = across(figure), upwards(figure)
    long = [
        each
        for each in lines(figure, "outer")
        if abs(each[0] - each[2]) + abs(each[1] - each[3]) > 9
    ]
    measured = [(x(a), y(b), x(c), y(d)) for a, b, c, d in long]
    expected = [
        *((0.5, 0.6, 1.5, 0.6), (1, 0.55, 1, 0.65)),
        (5, 0.5, 7, 0.5),
        (10, 0.8, 10, 1.0),
    ]
    for found, right in zip(measured, expected, strict=True):
        assert found == pytest.approx(right, abs=0.03)
    hull = [(x(a), y(b)) for a, b in points(figure, "polyline", "hull")]
    assert hull == [pytest.approx((1, 0.6), abs=0.03), pytest.approx((10, 0.9), abs=0.03)]
    assert [each.text for each in of_kind(figure, "text", "label")] == [
        "small",
        "mid",
        "large",
        "all",
    ]
    assert (len(of_kind(figure, "circle", "firm")), len(of_kind(figure, "circle", "open"))) == (
        2,
        1,
    )
    assert len(of_kind(figure, "polyline", "other")) == 1


def test_names_do_not_cover_each_other() -> None:
    """Three models at nearly the same place have names at three."""
    dots = [scatter.Dot(f"model-{n}", 1 + n / 1e3, None, 0.5, None, "firm") for n in range(3)]
    far = [scatter.Dot("far", at, None, at / 10, None, "firm") for at in (0.0, 9.0)]
    plot = scatter.Scatter("t", "cost", "quality", [*dots, *far], [], write, write)
    named = of_kind(fromstring(scatter.draw(plot, "k")), "text", "label")
    for one, other in combinations(named[:3], 2):
        beside = {one.get("text-anchor"), other.get("text-anchor")} == {"start", "end"}
        assert beside or abs(place(one, "y") - place(other, "y")) >= 14


def test_many_models_have_numbers() -> None:
    """Names that would cover each other stand below the figure, by number."""
    names = [f"provider/model-family-2026-{n:02d}-preview" for n in range(14)]
    dots = [
        scatter.Dot(name, 1 + n / 9, None, 0.5 + n / 99, None, "firm")
        for n, name in enumerate(names)
    ]
    plot = scatter.Scatter("t", "cost", "quality", dots, [], write, write)
    figure = read(scatter.draw(plot, "k"))
    numbers = [str(each.text) for each in of_kind(figure, "text", "halo")]
    assert numbers == [str(n) for n in range(1, 15)]
    below = [each for each in of_kind(figure, "text", "label") if "halo" not in str(each.attrib)]
    assert [str(each.text) for each in below] == [f"{n}  {each}" for n, each in enumerate(names, 1)]
    height = float(str(figure.get("viewBox")).split()[3])
    (name,) = (each for each in of_kind(figure, "text", "name") if each.text == "cost")
    assert place(name, "y") < place(below[0], "y") < place(below[-1], "y") < height


def test_course_of_a_late_gain() -> None:
    """Names at the end of the shares stand to the left of their marks."""
    places = [(0.0, 0.5), (0.9, 0.6), (1.0, 0.9)]
    marks = [("CPT 80%", (0.97, 0.8))]
    figure = read(
        course.draw(
            course.Course("t", "c", "q", places, marks, ("best possible", (0.95, 0.95)), write), "k"
        )
    )
    reach = widths(figure, "label", 7.4)
    assert len(reach) == 2
    assert max(end for _, end in reach) <= 420
    long = course.Course("t", f"calls that {'m' * 90} answers", "q", places, [], marks[0], write)
    (axis, *_) = widths(read(course.draw(long, "k")), "name", 6.9)
    assert axis[0] >= 0
    assert axis[1] <= 420


def test_course() -> None:
    """The line, lots from end to end, marks down to the axis, and what is beyond."""
    places = [(0.0, 0.5), (0.25, 0.7), (1.0, 0.9)]
    plot = course.Course(
        "t", "calls", "quality", places, [("CPT 50%", (0.25, 0.7))], ("best", (0.4, 0.95)), write
    )
    figure = read(course.draw(plot, "k"))
    x, y = across(figure), upwards(figure)
    drawn = [(x(a) / 100, y(b)) for a, b in points(figure, "polyline", "course")]
    assert drawn == [pytest.approx(each, abs=0.005) for each in places]
    lots = [(x(a) / 100, y(b)) for a, b in points(figure, "polyline", "reference")]
    assert lots == [pytest.approx((0, 0.5), abs=0.005), pytest.approx((1, 0.9), abs=0.005)]
    ((x1, _, x2, _),) = lines(figure, "reference")
    assert x(x1) == x(x2) == pytest.approx(25, abs=0.5)
    assert "CPT 50%: $0.700 at 25.0%. best: $0.950 at 40.0%." in str(figure[1].text)
