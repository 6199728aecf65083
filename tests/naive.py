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


def bucket_quantile_naive(q, buckets):
    """Prometheus' ``bucketQuantile`` (promql/quantile.go) of one list of (upper bound, cumulative count)."""
    buckets = sorted(buckets)
    if buckets[-1][0] != math.inf or len(buckets) < 2 or buckets[-1][1] == 0:
        return None
    rank = q * buckets[-1][1]
    before, lower = 0.0, 0.0
    for upper, count in buckets:
        if count >= rank:
            if upper == math.inf:
                return buckets[-2][0]
            if before == 0 and lower == 0 and upper <= 0:
                return upper
            return lower + (upper - lower) * (rank - before) / (count - before)
        before, lower = count, upper
    raise AssertionError("the last bucket holds everything")


def ratio_naive(numerator, denominator):
    """The share at each step; None for a missing number, and for a step without any events."""
    shares = []
    for part, whole in zip(numerator, denominator, strict=True):
        if whole is None or whole == 0:
            shares.append(None)
        else:
            shares.append((0 if part is None else part) / whole)
    return shares


def rate_naive(counts, earlier, step_s):
    """Events per second: everything counted over the time that it took; None if nothing was observed.

    A count of which a part is from earlier took the steps without a count before it, too, up to one of which nothing
    is known at all.
    """
    total, steps = 0.0, 0
    for step, (count, part) in enumerate(zip(counts, earlier, strict=True)):
        if count is None or part is None:
            continue
        total, steps = total + count, steps + 1
        while part > 0 and step > 0 and counts[step - 1] is None and earlier[step - 1] is not None:
            step, steps = step - 1, steps + 1
    return total / (steps * step_s) if steps else None


def ewma_naive(values, alpha):
    """Weighted mean and variance of the values, with the weight of each written out. None is no value.

    The k-th value comes in with weight max(α, 1/k), and everything before it keeps the rest.
    """
    known = [value for value in values if value is not None]
    weights = []
    for k in range(1, len(known) + 1):
        newest = max(alpha, 1 / k)
        weights = [weight * (1 - newest) for weight in weights] + [newest]
    mean = math.fsum(w * v for w, v in zip(weights, known, strict=True))
    variance = math.fsum(w * (v - mean) ** 2 for w, v in zip(weights, known, strict=True))
    return mean, variance


def episodes_naive(crossings, apart):
    """Lists of steps that belong together: from one to the next at most ``apart`` steps."""
    found = []
    for step in sorted(crossings):
        for episode in found:
            if any(abs(step - other) <= apart for other in episode):
                episode.append(step)
                break
        else:
            found.append([step])
    return found


def scrapes_naive(samples, before, window, step_s):
    """Increase per step of one counter whose past is ``before`` (a number), from its scrapes, (second, value) in order;
    and the steps in which it was reset.

    Every scrape counts from the one before it; a lower value counts whole. None where a step has no scrape.
    """
    start, end = window
    increments, resets = [None] * ((end - start) // step_s), set()
    last = before
    for second, value in samples:
        if not start <= second < end:
            continue
        step = int((second - start) // step_s)
        if value < last:
            resets.add(step)
        increments[step] = (increments[step] or 0) + (value if value < last else value - last)
        last = value
    return increments, resets


def counted_steps_naive(counts, step_s, windows):
    """Which steps count: those of which no second, and no second of the gap that their count came together in, lies in
    a window. ``counts``: None where nothing was seen; ``windows``: pairs of seconds, from the first step's start on."""
    counted = []
    gap = 0
    for step, count in enumerate(counts):
        seconds = range((step - (gap if count is not None else 0)) * step_s, (step + 1) * step_s)
        counted.append(not any(start <= second < end for second in seconds for start, end in windows))
        gap = gap + 1 if count is None else 0
    return counted


class EwmaNaive:
    """The EWMA z-score of one series, from everything that it has learned: the weights are written out at each step.

    ``read`` gives scored, score, expected, low and high; the last three are None where nothing is scored.
    """

    def __init__(self, alpha=0.3, warm_up=60, threshold=3.0):
        self.alpha, self.warm_up, self.threshold = alpha, warm_up, threshold
        self.learned, self.last = [], -math.inf

    def read(self, t, value):
        if not abs(value) <= 1e300 or t <= self.last or len(self.learned) < self.warm_up:
            return False, 0.0, None, None, None
        mean, variance = ewma_naive(self.learned, self.alpha)
        deviation = max(math.sqrt(variance), abs(mean) / 1000)
        if value == mean:
            score = 0.0
        elif abs(value - mean) >= 1000 * deviation:
            score = 1000.0
        else:
            score = abs(value - mean) / deviation
        return True, score, mean, mean - self.threshold * deviation, mean + self.threshold * deviation

    def learn(self, t, value):
        if abs(value) <= 1e300 and t > self.last:
            self.learned.append(value)
            self.last = t
