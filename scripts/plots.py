"""Plots as SVG by hand: lines on two logarithmic axes, readable on light and on dark ground."""

import math
from html import escape

WIDTH, HEIGHT = 680, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 46, 46

STYLE = """
 .ground { fill: #ffffff } text { fill: #24292f; font: 13px system-ui, sans-serif }
 .title { font-weight: 600; font-size: 15px } .grid { stroke: #d0d7de; stroke-width: 1 }
 .line { fill: none; stroke-width: 2 } .goal { stroke-dasharray: 6 4; stroke-width: 1.5 }
 .s0 { stroke: #0969da; color: #0969da } .s1 { stroke: #bc4c00; color: #bc4c00 }
 .s2 { stroke: #1a7f37; color: #1a7f37 } .s3 { stroke: #8250df; color: #8250df }
 .dot { fill: currentColor; stroke: none }
 @media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d }
  .s0 { stroke: #58a6ff; color: #58a6ff } .s1 { stroke: #f0883e; color: #f0883e }
  .s2 { stroke: #56d364; color: #56d364 } .s3 { stroke: #bc8cff; color: #bc8cff }
 }
"""


def power(number):
    """A power of ten as people write it."""
    digits = "⁰¹²³⁴⁵⁶⁷⁸⁹"
    return "10" + ("⁻" if number < 0 else "") + "".join(digits[int(digit)] for digit in str(abs(number)))


def tick(exponent):
    return f"{10 ** exponent:g}" if -3 <= exponent <= 3 else power(exponent)


def decades(values):
    """The whole powers of ten around positive values, two at least."""
    least, most = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return least, max(most, least + 1)


def apart(places, least):
    """Moves places, in their order, so far that they are at least so far apart."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved, last = list(places), -math.inf
    for i in order:
        last = moved[i] = max(places[i], last + least)
    return moved


def plot(title, across, lines, goals=()):
    """An SVG of lines, each a name and points (size, value), and of goals, each a name, a value and
    the number of the line that it is for, or none where it is for all."""
    points = [point for _, line in lines for point in line if point[1] > 0]
    first, last = decades([x for x, _ in points])
    low, high = decades([y for _, y in points] + [value for _, value, _ in goals])
    along = lambda x: LEFT + (math.log10(x) - first) / (last - first) * (WIDTH - LEFT - RIGHT)
    up = lambda y: HEIGHT - BOTTOM - (math.log10(y) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>',
    ]
    for exponent in range(first, last + 1):
        x = along(10 ** exponent)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
                     f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{power(exponent)}</text>')
    for exponent in range(low, high + 1):
        y = up(10 ** exponent)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
                     f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick(exponent)}</text>')
    names = []
    for name, value, number in goals:
        kind = "grid" if number is None else f"s{number}"
        parts.append(f'<path class="{kind} goal" d="M{LEFT} {up(value):.1f}H{WIDTH - RIGHT}"/>')
        names.append((up(value), name))
    for number, (name, line) in enumerate(lines):
        drawn = [(along(x), up(y)) for x, y in line if y > 0]
        if not drawn:
            continue
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in drawn)
        parts.append(f'<g class="s{number}"><path class="line" d="M{path}"/>')
        parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in drawn]
        parts.append("</g>")
        names.append((drawn[-1][1], name))
    for place, (_, name) in zip(apart([place for place, _ in names], 16), names):
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{place + 4:.1f}">{escape(name)}</text>')
    return "\n".join(parts + ["</svg>", ""])
