"""Figures of the report as inline SVG, drawn for a width that only the reader's screen knows.

Positions across are percentages of the figure, sizes of dots and text are pixels: a figure fills its table
cell or column at any width without shrinking its labels. Colours are CSS classes, so that light, dark and
print come from one style sheet. Nothing here takes text from a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
from markupsafe import Markup, escape

from adhere.app.summary import KindScore, Slice, finite
from adhere.core.statistics import Interval

LOSS_POINTS = 480  # more points than pixels draw nothing more


class Scale(msgspec.Struct, frozen=True):
    """A linear axis from `low` to `high` with its tick values."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> str:
        """Where a value lies, as a percentage of the width; values outside lie on the edge."""
        place = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{100 * place:.2f}%"


SHARES = Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))


def nice_scale(low: float, high: float, wanted: int = 4) -> Scale:
    """A scale that holds `low` and `high`, with about `wanted` steps of 1, 2 or 5 times a power of ten."""
    if not (finite(low) and finite(high)) or high - low > 1e100:
        return SHARES
    spread = max(high - low, abs(high) * 1e-6, 1e-9)
    rough = spread / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return Scale(first * step, last * step, tuple(n * step for n in range(first, last + 1)))


def difference_scale(slices: Sequence[Slice]) -> Scale:
    """One scale for the differences of all slices that always shows zero."""
    ends = [value for one in slices for value in (*one.interval, one.difference) if finite(value)]
    return nice_scale(min([0.0, *ends]), max([0.0, *ends]))


def score_figure(one: Slice) -> Markup:
    """Base and tuned score of a slice on a scale from 0 to 100 %, with the floor as a tick and a dot per seed."""
    marks = []
    if one.floor is not None and finite(one.floor.score):
        x = SHARES.at(one.floor.score)
        marks.append(_line("floor", x, "22%", x, "78%"))
    marks.append(_pair(SHARES, one.base, one.tuned))
    marks += [_dot("seed", SHARES.at(value), "76%", 1.8) for value in one.by_seed if finite(value)]
    label = f"{one.name}: base {one.base:.3f}, tuned {one.tuned:.3f}"
    return _cell(label, SHARES, marks, _per_cent)


def difference_figure(one: Slice, scale: Scale) -> Markup:
    """The paired difference of a slice with its interval, around the zero line."""
    low, high = one.interval
    label = f"{one.name}: difference {one.difference:+.3f}, interval {low:+.3f} to {high:+.3f}"
    return _cell(label, scale, _around_zero(scale, one.difference, low, high), _signed_points)


def interval_figure(interval: Interval, scale: Scale, margins: Sequence[float] = (), points: bool = False) -> Markup:
    """A difference with its interval, around the zero line; dashed lines at the margins of a claim."""
    low, high = interval.low, interval.high
    marks = [_line("margin", scale.at(one), "0", scale.at(one), "100%") for one in margins if one]
    marks += _around_zero(scale, interval.difference, low, high)
    label = f"difference {interval.difference:+.3f}, interval {low:+.3f} to {high:+.3f}"
    return _cell(label, scale, marks, _signed_points if points else _plain_number)


def _around_zero(scale: Scale, difference: float, low: float, high: float) -> list[Markup]:
    zero = scale.at(0.0)
    marks = [_line("zero", zero, "0", zero, "100%")]
    sense = _sense(low, high)
    if finite(low) and finite(high):
        left, right = scale.at(low), scale.at(high)
        marks.append(_line(f"interval {sense}", left, "50%", right, "50%"))
        marks += [_line(f"cap {sense}", x, "38%", x, "62%") for x in (left, right)]
    if finite(difference):
        marks.append(_dot(f"difference {sense}", scale.at(difference), "50%", 5))
    return marks


def dumbbell_figure(pairs: Sequence[tuple[float, float]], scale: Scale, percent: bool = False) -> Markup:
    """A line for each (before, after), from the top down; a single pair is a cell of a table."""
    if len(pairs) == 1:
        words = _per_cent if percent else _plain_number
        return _cell(f"{pairs[0][0]:.3f}, {pairs[0][1]:.3f}", scale, [_pair(scale, *pairs[0])], words)
    marks = [_line("grid", scale.at(tick), "0", scale.at(tick), "100%") for tick in scale.ticks]
    radius = 4.0 if len(pairs) < 80 else 2.5
    for place, (before, after) in enumerate(pairs):
        y = f"{100 * (place + 0.5) / len(pairs):.2f}%"
        marks.append(_pair(scale, before, after, y, radius))
    return Markup('<svg class="whole" role="img" aria-label="{} pairs">{}</svg>').format(
        len(pairs), Markup("").join(marks)
    )


def direction(one: Slice) -> str:
    """`gain` or `harm` where the interval excludes zero, else `unclear`."""
    return _sense(*one.interval)


def _sense(low: float, high: float) -> str:
    return "gain" if low > 0 else "harm" if high < 0 else "unclear"


def kind_figure(one: KindScore) -> Markup:
    """Base and tuned share of one constraint type, joined by a line."""
    label = f"{one.kind}: base {one.base:.3f}, tuned {one.tuned:.3f}"
    return _cell(label, SHARES, [_pair(SHARES, one.base, one.tuned)], _per_cent)


def axis_figure(scale: Scale, signed: bool = False, number: bool = False) -> Markup:
    """The tick labels of a scale, for the head of a column of figures: per cent, signed points, or plain numbers."""
    words = _plain_number if number else _signed_points if signed else _per_cent
    return Markup('<svg class="axis" aria-hidden="true">{}</svg>').format(_labels(scale, words))


def bar_figure(parts: Sequence[tuple[str, int]], whole: int) -> Markup:
    """A bar of stacked parts (class and count) on a scale from 0 to `whole`."""
    marks, done = [], 0
    for name, number in parts:
        if whole > 0 and number > 0:
            x, width = 100 * done / whole, 100 * number / whole
            marks.append(
                Markup('<rect class="{}" x="{:.3f}%" y="22%" width="{:.3f}%" height="56%"/>').format(name, x, width)
            )
        done += number
    return Markup('<svg class="cell" aria-hidden="true">{}</svg>').format(Markup("").join(marks))


def cost_figure(members: Sequence[tuple[str, int, float | None]]) -> Markup:
    """Score (a share) of each member against its tokens on a logarithmic axis, each dot with its name."""
    known = [(name, math.log10(max(1, tokens)), score) for name, tokens, score in members if score is not None]
    if not known:
        return Markup("")
    across = nice_scale(min(one[1] for one in known) - 0.1, max(one[1] for one in known) + 0.1, 4)
    up = nice_scale(min(one[2] for one in known) - 0.02, max(one[2] for one in known) + 0.02, 5)
    marks = []
    for tick in up.ticks:
        y = f"{100 * (up.high - tick) / (up.high - up.low):.2f}%"
        marks += [_line("grid", "0", y, "100%", y), _text("-8", y, f"{100 * tick:.3g}", "end", "0.32em")]
    decades = range(math.floor(across.low), math.ceil(across.high) + 1)
    round_ones = [lead * 10**power for power in decades for lead in (1, 3)]
    for tokens in (one for one in round_ones if across.low <= math.log10(one) <= across.high):
        marks.append(_text(across.at(math.log10(tokens)), "100%", f"{tokens:,}", "middle", "1.5em"))
    for place, (name, cost, score) in enumerate(known):
        y = f"{100 * (up.high - score) / (up.high - up.low):.2f}%"
        marks.append(_dot("tuned" if place else "base", across.at(cost), y, 5))
        marks.append(_text(across.at(cost), y, name, "middle", "-0.9em"))
    return Markup('<svg class="loss" role="img" aria-label="quality against cost">{}</svg>').format(
        Markup("").join(marks)
    )


def loss_figure(losses: Sequence[float | None]) -> Markup:
    """Training loss by step: each step faint, a centred moving mean on top. Empty without two finite values."""
    known = [value for value in losses if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return Markup("")
    across = nice_scale(min(known), max(known), 5)
    digits = max(0, -math.floor(math.log10(across.ticks[1] - across.ticks[0]) + 1e-9))
    smooth = moving_mean(losses, max(3, len(losses) // 20))
    grid = []
    for tick in across.ticks:
        y = f"{100 * (across.high - tick) / (across.high - across.low):.2f}%"
        grid.append(_line("grid", "0", y, "100%", y))
        grid.append(_text("-8", y, f"{tick:.{digits}f}", "end", "0.32em"))
    steps = len(losses)
    for tick in nice_scale(0, steps, 5).ticks:
        if 0 < tick <= steps * 0.85:
            grid.append(_text(f"{100 * (tick - 1) / (steps - 1):.2f}%", "100%", f"{tick:,.0f}", "middle", "1.5em"))
    grid.append(_text("0", "100%", "step 1", "start", "1.5em"))
    grid.append(_text("100%", "100%", f"{steps:,}", "end", "1.5em"))
    return Markup(
        '<svg class="loss" role="img" aria-label="training loss from {:.3f} to {:.3f}">{}'
        '<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%">'
        '<path class="raw" d="{}"/><path class="smooth" d="{}"/></svg></svg>'
    ).format(
        next(value for value in smooth if value is not None),
        next(value for value in reversed(smooth) if value is not None),
        Markup("").join(grid),
        _path(losses, across),
        _path(smooth, across),
    )


def moving_mean(values: Sequence[float | None], width: int) -> list[float | None]:
    """Mean over a window of `width` centred on each value, narrower at the ends; None where nothing is finite."""
    sums, counts = [0.0], [0]
    for value in values:
        is_known = value is not None and math.isfinite(value)
        sums.append(sums[-1] + (value if value is not None and is_known else 0.0))
        counts.append(counts[-1] + is_known)
    means: list[float | None] = []
    for place in range(len(values)):
        edge = min(place, len(values) - 1 - place)
        reach = min(width // 2, max(edge, width // 4))  # narrower at the ends, so that they lean inwards less
        low, high = max(0, place - reach), min(len(values), place + reach + 1)
        known = counts[high] - counts[low]
        means.append((sums[high] - sums[low]) / known if known else None)
    return means


def _path(values: Sequence[float | None], scale: Scale) -> str:
    stride = max(1, math.ceil(len(values) / LOSS_POINTS))
    words, pen_is_down = [], False
    for place in [*range(0, len(values) - 1, stride), len(values) - 1]:
        value = values[place]
        if value is None or not math.isfinite(value):
            pen_is_down = False
            continue
        x = 1000 * place / (len(values) - 1)
        y = 1000 * (scale.high - value) / (scale.high - scale.low)
        words.append(f"{'L' if pen_is_down else 'M'}{x:.1f} {y:.1f}")
        pen_is_down = True
    return "".join(words)


def _pair(scale: Scale, base: float, tuned: float, y: str = "50%", radius: float = 4.0) -> Markup:
    marks = []
    if finite(base) and finite(tuned):
        sense = "gain" if tuned > base else "harm" if tuned < base else "unclear"
        marks.append(_line(f"link {sense}", scale.at(base), y, scale.at(tuned), y))
    if finite(base):
        marks.append(_dot("base", scale.at(base), y, radius + 1))
    if finite(tuned):
        marks.append(_dot("tuned", scale.at(tuned), y, radius))
    return Markup("").join(marks)


def _cell(label: str, scale: Scale, marks: Sequence[Markup], words: Callable[[float], str]) -> Markup:
    """A figure in a table cell. Its own tick labels show only where the column head does not."""
    grid = [_line("grid", scale.at(tick), "0", scale.at(tick), "100%") for tick in scale.ticks]
    own = Markup('<g class="own">{}</g>').format(_labels(scale, words, "100%", "1.1em"))
    return Markup('<svg class="cell" role="img" aria-label="{}">{}{}{}</svg>').format(
        label, Markup("").join(grid), Markup("").join(marks), own
    )


def _labels(scale: Scale, words: Callable[[float], str], y: str = "50%", dy: str = "0.35em") -> Markup:
    return Markup("").join(_text(scale.at(tick), y, words(tick), "middle", dy) for tick in scale.ticks)


def _line(name: str, *ends: str) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(name, *ends)


def _dot(name: str, x: str, y: str, radius: float) -> Markup:
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(name, x, y, radius)


def _text(x: str, y: str, words: str, anchor: str, dy: str) -> Markup:
    return Markup('<text x="{}" y="{}" dy="{}" text-anchor="{}">{}</text>').format(x, y, dy, anchor, escape(words))


def _per_cent(value: float) -> str:
    return f"{100 * value:.0f}"


def _plain_number(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def _signed_points(value: float) -> str:
    text = f"{100 * value:+.3g}"
    return "0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
