"""Slow twins: the plainest way to say what a fast function does, to compare with it point by point."""

import math


def increments_naive(series, start_up):
    """The increase per step of each series, a dict of target, job, before and values; None for a missing number."""
    return [_increments_of_one(one, series, start_up) for one in series]


def _increments_of_one(one, series, start_up):
    last = one["before"]
    increments = []
    for step, value in enumerate(one["values"]):
        if value is None:
            increments.append(None)
            continue
        if last is None and _history_was_visible(one, series, step, start_up):
            last = 0
        if last is None:
            increments.append(None)
        elif value < last:
            increments.append(value)
        else:
            increments.append(value - last)
        last = value
    return increments


def _history_was_visible(one, series, step, start_up):
    for other in series:
        for earlier, value in enumerate([other["before"], *other["values"]], start=-1):
            if value is None or earlier >= step:
                continue
            if other["target"] == one["target"]:
                return True
            if other["job"] == one["job"] and earlier <= step - start_up:
                return True
    return False


def total_naive(increments):
    """The sum over the series of each step, None where no series has a number."""
    columns = [[value for value in column if value is not None] for column in zip(*increments, strict=True)]
    return [math.fsum(column) if column else None for column in columns]
