"""Answers as a server gives them, from a table of samples."""

import msgspec
import numpy as np

from observability.model import Query
from observability.sources.answer import Answer, Grid, Series, Tally

STEP_S = 60
OFFSET_S = 15  # of a scrape after the start of its step


def answer(query: Query, lead: int, labels, values, before=None) -> Answer:
    """What ``query`` returned: ``values`` has one row per series and one number per step, NaN for none."""
    rows = np.array(values, dtype=float)
    tally = Tally(query, Grid(0.0, STEP_S, rows.shape[1], lead))
    last = np.full(len(rows), np.nan) if before is None else np.array(before, dtype=float)
    known = [row for row in range(len(rows)) if not np.isnan(last[row])]
    tally.look_back([Series(metric=labels[row], value=(-1.0, repr(float(last[row])))) for row in known])
    tally.add([scraped(labels[row], rows[row]) for row in range(len(rows))], 0, rows.shape[1], raw=True)
    return tally.answer(())


def scraped(labels, numbers) -> Series:
    """One series with a scrape in each step that has a number."""
    seen = [(step, float(number)) for step, number in enumerate(numbers) if number == number]
    return Series(metric=labels, values=points((STEP_S * step + OFFSET_S, number) for step, number in seen))


def points(samples) -> msgspec.Raw:
    """The HTTP API's JSON of (second, number) pairs."""
    return msgspec.Raw(msgspec.json.encode([(float(second), str(number)) for second, number in samples]))
