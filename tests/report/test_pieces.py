"""The pieces of a page: what is escaped, what is drawn, what is rounded."""

import math
from xml.etree import ElementTree

import pytest
from pages import require_no_cut_label, require_whole_page

from mocovit_deploy.report import bars, curves, digits, markup
from mocovit_deploy.report.bars import Bar
from mocovit_deploy.report.curves import Curve, Point, errors_over_depth, pareto, pareto_plot
from mocovit_deploy.report.digits import share
from mocovit_deploy.report.order import share_bounds
from mocovit_deploy.report.page import Part, page
from mocovit_deploy.report.svg import plot, text_element, tick_label

EVIL = "<script>alert(1)</script>\"' onload=x &amp; \x00\x1b[2J\u202e"


def test_no_words_become_markup():
    body = markup.join(
        (
            markup.tag("p", EVIL, title=EVIL),
            markup.table((EVIL, EVIL), [(EVIL, EVIL)], stacked=True),
            markup.note(EVIL),
            markup.figures([(EVIL, EVIL)]),
            markup.folded(EVIL, EVIL),
            curves.legend([EVIL]),
            bars.bars([Bar(EVIL, EVIL, 1.0, EVIL)], kind="a"),
            markup.listed([EVIL]),
            pareto_plot([Point(EVIL, 1, 1)], across_title=EVIL[:24], down_title="</svg>\x1b"),
        )
    )
    text = page(EVIL, body, [Part("a", EVIL, markup.text(EVIL))])
    require_whole_page(text)
    assert "<script" not in text
    assert not set("\x00\x1b\u202e") & set(text)
    joined = f"{markup.tag('b', 'x')}"
    assert markup.tag("p", joined + "<i>") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;i&gt;</p>"


def test_names_break_behind_their_own_marks_alone():
    assert markup.breakable("net_1.0/a b.<i>") == "net_<wbr>1.<wbr>0/<wbr>a b.&lt;i&gt;"
    assert markup.breakable(markup.Html("a_b")) == "a_b"


def test_a_share_that_is_not_nothing_is_not_called_so():
    assert [share(part, 1000) for part in (0, 0.4, 0.6, 1000)] == ["0.0 %", "<0.1 %", "0.1 %", "100.0 %"]
    assert share(4, 1000, digits=0) == "<1 %"


def test_a_difference_is_no_finer_than_its_interval():
    assert [digits.signed(one, -1.06, 1.06) for one in (0.31, -0.31, 1.6, -1.6)] == ["0", "0", "+2", "-2"]
    assert digits.signed(0.314, 0.252, 0.378) == "+0.3"
    assert digits.signed_between(-1.063, 1.063) == "-1.1 to +1.1"
    assert digits.signed_between(0.252, 0.378) == "+0.25 to +0.38"


def test_the_interval_of_a_share():
    assert share_bounds(345, 360) == pytest.approx((0.93236, 0.97458), abs=5e-5)
    assert share_bounds(0, 10)[0] == 0.0
    assert share_bounds(10, 10) == pytest.approx((0.72247, 1.0), abs=5e-5)


@pytest.mark.parametrize("x", [0, 2, 30, 240, 450, 478, 480])
def test_a_number_under_an_axis_is_not_cut(x):
    require_no_cut_label(plot(40, [tick_label(x, 20, "20,000")], ""))


def test_a_cut_label_is_found():
    for x, y, said in ((478, 20, "right"), (2, 20, "left"), (240, 5, "above")):
        drawing = plot(40, [text_element(x, y, "0.25", anchor="middle")], "")
        with pytest.raises(AssertionError, match=f"'0.25' is cut .*{said}"):
            require_no_cut_label(drawing)


def test_numbers_of_points_that_touch_stand_beside_each_other():
    points = [Point("a", 1, 1e-2), Point("b", 1.01, 9.9e-3), Point("c", 10, 1e-6), Point("d", 11, 1)]
    drawn = pareto_plot(points, across_title="ms", down_title="error")
    require_no_cut_label(drawn)
    assert [one for one in ("1, 2", "3", "4") if f">{one}</text>" in drawn] == ["1, 2", "3"]
    assert drawn.rindex("</circle>") < drawn.index(">1, 2</text>")


def test_a_curve_with_nan_is_drawn_and_marked():
    drawn = errors_over_depth([Curve("a", (1e-7, None, 0.0, 3.0), bound=1e-5), Curve("b", (1e-3,))])
    ElementTree.fromstring(drawn)  # noqa: S314 - our own output
    assert drawn.count('class="out"') == 1
    assert drawn.count("<polyline") >= 2


def test_the_front_is_what_nothing_beats():
    points = [Point("a", 1, 5), Point("b", 2, 5), Point("c", 3, 1), Point("d", 3, 2), Point("e", 4, 0.5)]
    assert [one.name for one in pareto(points)] == ["a", "c", "e"]
    assert [one.name for one in pareto([Point("a", 1, 1), Point("b", 1, 1)])] == ["a", "b"]


@pytest.mark.parametrize("width", [1e-6, 0.003, 0.15, 40.0])
def test_digits_are_as_fine_as_the_interval_and_no_finer(width):
    shown = digits.within(12.3456789, 12.0, 12.0 + width)
    unit = 10.0 ** -len(shown.partition(".")[2])
    assert unit >= width / 10 or unit >= 1e-3
    low, high = map(float, digits.between(12.0, 12.0 + width).split(" to "))
    assert low <= 12.0
    assert high >= 12.0 + width - 1e-9
    assert math.isclose(float(digits.within(1.0, 1.0, 1.0)), 1.0)
