#!/usr/bin/env python3
"""The picture of a message's way, docs/images/message-path.svg: where records are, and when a PUBACK may leave.

Usage: picture.py

Prints it; dev/docs writes the file. Needs Python's standard library only. The picture brings its own background, and follows the
reader's light or dark theme.
"""

from __future__ import annotations

import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 980, 456
LIGHT = {
    "page": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "line": "#59636e", "frame": "#f3f5f7", "edge": "#c4cbd3", "box": "#ffffff",
    "async": "#b35900", "durable": "#1a7f37", "sync": "#0969da",
}  # fmt: skip
DARK = {
    "page": "#0d1117", "ink": "#e6edf3", "soft": "#9da7b1", "line": "#9da7b1", "frame": "#161b22", "edge": "#3d444d", "box": "#0d1117",
    "async": "#f0a04b", "durable": "#4cc764", "sync": "#6cb0ff",
}  # fmt: skip


def style(colours: dict[str, str]) -> str:
    modes = "".join(
        f".{mode}{{stroke:{colours[mode]}}}text.{mode},.{mode} text,.dot.{mode},.tip.{mode}{{fill:{colours[mode]};stroke:none}}"
        for mode in ("async", "durable", "sync")
    )
    return (
        f".page{{fill:{colours['page']}}}.frame{{fill:{colours['frame']};stroke:{colours['edge']}}}"
        f".box{{fill:{colours['box']};stroke:{colours['line']};stroke-width:1.5}}"
        f"text{{fill:{colours['ink']}}}.soft{{fill:{colours['soft']}}}"
        f".way{{fill:none;stroke:{colours['line']};stroke-width:1.8}}.way.tip{{fill:{colours['line']};stroke:none}}"
        f".ack{{fill:none;stroke-width:2.2;stroke-dasharray:6 4}}{modes}text.number{{fill:{colours['page']}}}"
    )


def text(x: float, y: float, words: str, classes: str = "", anchor: str = "middle") -> str:
    named = f' class="{classes}"' if classes else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, name: str, *what: str) -> str:
    """A box with a bold name, and lines below it that say what is in it."""
    middle, first = x + width / 2, y + height / 2 + 5 - 9 * len(what)
    lines = [text(middle, first, name, "name")] + [text(middle, first + 18 * (n + 1), words, "soft") for n, words in enumerate(what)]
    return f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>' + "".join(lines)


def arrow(classes: str, *points: tuple[float, float]) -> str:
    """A line through the points, with a tip at the last one."""
    (x0, y0), (x, y) = points[-2:]
    dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    back, side = 10, 5
    corners = [(x, y), (x - back * dx + side * dy, y - back * dy + side * dx), (x - back * dx - side * dy, y - back * dy - side * dx)]
    line = [*points[:-1], (x - back * dx, y - back * dy)]
    joined = [" ".join(f"{a:g},{b:g}" for a, b in each) for each in (line, corners)]
    return f'<polyline class="{classes}" points="{joined[0]}"/><polygon class="{classes} tip" points="{joined[1]}"/>'


def dot(mode: str, number: int, x: float, y: float) -> str:
    """Where the PUBACK of a mode begins."""
    return f'<circle class="dot {mode}" cx="{x}" cy="{y}" r="11"/>' + text(x, y + 5, str(number), "number")


def picture() -> str:
    parts = [
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        '<rect class="frame" x="194" y="106" width="464" height="286" rx="8"/>',
        text(204, 382, "EMQ or EMQX, with the plugin", "soft", "start"),
        # Records.
        arrow("way", (124, 185), (222, 185)),
        text(160, 175, "PUBLISH", "soft"),
        arrow("way", (342, 185), (480, 185)),
        text(411, 175, "record", "soft"),
        arrow("way", (630, 185), (790, 185)),
        text(719, 175, "batches", "soft"),
        arrow("way", (300, 220), (300, 315), (370, 315)),
        text(308, 252, "durable, always,", "soft", "start"),
        text(308, 270, "or memory is full", "soft", "start"),
        arrow("way", (490, 315), (530, 315), (530, 220)),
        text(538, 258, "in", "soft", "start"),
        text(538, 276, "order", "soft", "start"),
        arrow("way", (600, 220), (600, 315), (790, 315)),
        text(719, 305, "copy of a", "soft"),
        text(719, 334, "refused record", "soft"),
        # What holds them.
        box(14, 150, 110, 70, "MQTT client", "publishes"),
        box(222, 150, 120, 70, "hook", "rules, record"),
        box(480, 150, 150, 70, "memory queue", "librdkafka"),
        box(370, 280, 120, 70, "spool", "files on disk"),
        box(790, 150, 170, 70, "Kafka", "your topics"),
        box(790, 280, 170, 70, "Kafka", "dead letter topic"),
        # Acknowledgements.
        arrow("ack async", (282, 150), (282, 84), (100, 84), (100, 150)),
        dot("async", 1, 282, 150),
        text(110, 76, "async: after the hook", "async", "start"),
        arrow("ack sync", (875, 150), (875, 40), (50, 40), (50, 150)),
        dot("sync", 3, 875, 150),
        text(60, 32, "sync: after Kafka's acknowledgement", "sync", "start"),
        arrow("ack durable", (430, 350), (430, 427), (75, 427), (75, 220)),
        dot("durable", 2, 430, 350),
        text(85, 419, "durable: after fsync", "durable", "start"),
        # The key.
        text(960, 432, "Dashed: the PUBACK of each mode. Solid: records.", "soft", "end"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        ' aria-labelledby="title description">\n'
        '<title id="title">The way of a message, and three points at which its PUBACK may leave</title>\n'
        '<desc id="description">A client publishes. The hook makes a record. The record goes to the memory queue and from there to Kafka.'
        " It goes to the spool first if its rule is durable, if spool is always, or if memory is full. A copy of a record that Kafka"
        " refuses goes to the dead letter topic. async sends the PUBACK after the hook, durable after fsync, sync after Kafka's"
        " acknowledgement.</desc>\n"
        "<style>text{font:14px -apple-system,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif}.name,.number{font-weight:600}"
        f"{style(LIGHT)}@media(prefers-color-scheme:dark){{{style(DARK)}}}</style>\n" + "\n".join(parts) + "\n</svg>"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    print(picture())
