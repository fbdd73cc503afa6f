"""How numbers are written for people."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence


def shape_text(shape: tuple[int, ...]) -> str:
    """The shape of one image's values, without N, in words."""
    if len(shape) == 3:
        return f"{shape[0]} maps of {shape[1]}x{shape[2]}"
    return f"{shape[0]} numbers" if len(shape) == 1 else f"shape {tuple(shape)}"


def percent(share: float | None, *, places: int = 2) -> str:
    """A share of one in percent: 0.0123 is `1.23 %`; `-` for None."""
    return "-" if share is None else f"{100 * share:.{places}f} %"


def quantity(number: float) -> str:
    """A count or a rate with thousands apart: `12,345`; small ones with a digit: `7.5`."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def counted(number: int, one: str, more: str | None = None) -> str:
    """A number of things: `1 epoch`, `1,438 images`; `more` is a plural that is not just an s."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def clock_time(seconds: float) -> str:
    """A duration: `5.2 s`, `3:07 min`, `2:03:07 h`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def about_time(seconds: float) -> str:
    """An estimate, no more exact than it is: `8 s`, `45 s`, `1.5 min`, `7 min`, `2.5 h`."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s" if seconds < 10 else f"{5 * round(seconds / 5)} s"
    minutes = seconds / 60
    if minutes < 4.75:
        return f"{round(2 * minutes) / 2:g} min"
    if minutes < 90:
        return f"{round(minutes) if minutes < 20 else 5 * round(minutes / 5)} min"
    hours = minutes / 60
    return f"{round(2 * hours) / 2:g} h" if hours < 48 else f"{round(hours / 24)} days"


def listed(names: Sequence[object], *, most: int = 3) -> str:
    """The first ones: `conv1, conv2 and 4 more`; `none` where there are none."""
    shown, more = ", ".join(map(str, names[:most])), len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def shortened(text: str, width: float, *, measure: Callable[[str], float]) -> str:
    """The text; where `measure` finds it wider than `width`, its middle is cut out."""

    def cut(keep: int) -> str:
        return text[: keep - keep // 2] + "…" + text[len(text) - keep // 2 :]

    if measure(text) <= width:
        return text
    return cut(bisect_right(range(1, len(text)), width, key=lambda keep: measure(cut(keep))))
