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


def fold_naive(kpi, columns, step_s, start, stop):
    """A KPI over the steps ``start`` to ``stop``, from columns of numbers with None for a missing one, as (value, its
    numerator, its denominator); None for what is not known. For all kinds but costs."""
    steps = max(map(len, columns.values()))

    def column(name):
        return columns.get(str(name), [None] * steps)

    is_unknown = [any(column(f"{name}.unknown")[k] for name in kpi.operands) for k in range(steps)]
    values = [None if value is None else value * kpi.scale for value in column(kpi.query)]
    if kpi.kind == "ratio":
        total = [None if unknown else n for n, unknown in zip(column(kpi.denominator), is_unknown, strict=True)]
        events = [None if all_ is None else n or 0 for n, all_ in zip(column(kpi.numerator), total, strict=True)]
        numerator, denominator = (_sum_naive(counts[start:stop]) for counts in (events, total))
        return _share_naive(kpi, numerator, denominator), numerator, denominator
    if kpi.kind == "rate":
        earlier = column(f"{kpi.query}.earlier") if f"{kpi.query}.earlier" in columns else [0] * steps
        count, seconds = _rate_counts_naive(column(kpi.query), earlier, step_s, start, stop)
        return (kpi.scale * count / seconds if seconds else None), count, seconds
    if kpi.kind == "quantile":
        buckets = _buckets_naive(kpi, columns)
        value = _quantile_naive(kpi, buckets, start, stop)
        if kpi.fold == "mean":
            value = _mean_naive([_quantile_naive(kpi, buckets, step, step + 1) for step in range(start, stop)])
        return value, None, _sum_naive([row[-1][1] for row in buckets[start:stop] if row])
    if kpi.kind == "utilisation":
        values = [_share_naive(kpi, a, b) for a, b in zip(column(kpi.numerator), column(kpi.denominator), strict=True)]
    if kpi.kind == "incidents":
        known = [up is not None and not unknown for up, unknown in zip(column("targets"), is_unknown, strict=True)]
        return _runs_naive(column(kpi.query)[start:stop], column(f"{kpi.query}.started")[start:stop], known[start:stop])
    seen = [value for value in values[start:stop] if value is not None]
    return (max(seen, default=None) if kpi.fold == "max" else _mean_naive(seen)), None, None


def _sum_naive(values):
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def _mean_naive(values):
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _share_naive(kpi, part, whole):
    if part is None or not whole:
        return None
    return kpi.scale * (1 - part / whole if kpi.complement else part / whole)


def _rate_counts_naive(counts, earlier, step_s, start, stop):
    """What was counted, and the seconds that it took: a count of which a part is from earlier took the steps without a
    count before it, too."""
    total, took = [], []
    for step in range(start, stop):
        if counts[step] is None or earlier[step] is None:
            continue
        first = step
        while earlier[step] > 0 and first > 0 and counts[first - 1] is None and earlier[first - 1] is not None:
            first -= 1
        total.append(counts[step])
        took.append((step + 1 - first) * step_s)
    return _sum_naive(total), _sum_naive(took)


def _buckets_naive(kpi, columns):
    """Per step a list of (upper bound, cumulative count), never falling; an empty one where nothing was seen."""
    names = {float(name.partition(".le.")[2]): name for name in columns if name.startswith(f"{kpi.query}.le.")}
    steps = max(map(len, columns.values()))
    if math.inf not in names:
        return [[] for _ in range(steps)]
    rows = []
    for step in range(steps):
        highest, row = 0, []
        for bound in sorted(names):
            highest = max(highest, columns[names[bound]][step] or 0)
            row.append((bound, highest))
        rows.append([] if columns[names[math.inf]][step] is None else row)
    return rows


def _quantile_naive(kpi, buckets, start, stop):
    rows = [row for row in buckets[start:stop] if row]
    if not rows:
        return None
    added = [(row[0][0], math.fsum(count for _, count in row)) for row in zip(*rows, strict=True)]
    value = bucket_quantile_naive(kpi.quantile, added)
    return None if value is None else kpi.scale * value


def _runs_naive(firing, started, known):
    """Those that fired when first seen, and those that began later."""
    if not any(known):
        return None, None, None
    seen = [(now, new) for now, new in zip(firing, started, strict=True) if now is not None]
    return (seen[0][0] + sum(new for _, new in seen[1:]) if seen else 0), None, None


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


class NoveltyNaive:
    """The novelty channel of one series, from the formulas of its docstring."""

    HOUR, WEEK = 24, 168

    def __init__(
        self,
        fast_h=0.8,
        level_h=48.0,
        hour_rate=0.35,
        week_rate=0.6,
        common=0.1,
        clip=10.0,
        unit=0.075,
        warm_up_h=2.0,
        rest_h=8.5,
        again=2.5,
        tire=0.2,
        recover_h=168.0,
        threshold=0.055,
    ):
        self.fast_s, self.level_s = 3600 * fast_h, 3600 * level_h
        self.hour_rate, self.week_rate = min(hour_rate, 0.999), min(week_rate, 0.999)
        self.common, self.clip, self.unit, self.again, self.tire = common, clip, unit, again, tire
        self.warm_up, self.rest, self.recover = 12 * warm_up_h, 12 * rest_h, 12 * recover_h
        self.last, self.age = -math.inf, 0.0
        self.mean = self.deviation = self.magnitude = self.spread = 0.0
        self.hours, self.weeks, self.smooth, self.ranges = {}, {}, {}, {}
        self.fatigue, self.told, self.told_at = 0.0, 0.0, -math.inf

    def read(self, t, value):
        if not self._is_new(t, value) or self.age < self.warm_up:
            return False, 0.0, None, None, None
        expected = self.hours[self._hour(t)][0] if self._hour(t) in self.hours else self.mean
        return True, self._told(t, value)[0], expected, *self.ranges["value"]

    def learn(self, t, value):
        if not self._is_new(t, value):
            return
        ticks = min((t - self.last) / 300, 1.0)
        told = self._told(t, value)
        if told[0] > 0:
            _, found, before, fatigue = told
            self.fatigue, self.told, self.told_at = fatigue + found - before, found, self.age + ticks
        signals = self._signals(t, value)
        for name, signal in signals.items():
            low, high = self.ranges.get(name, (math.inf, -math.inf))
            self.ranges[name] = min(low, signal), max(high, signal)
            self.smooth[name] = signal
        self._learn_bins(t, value)
        level = max(self._weight(t, self.level_s), ticks / (self.age + ticks))
        away = value - self.mean if self.age else 0.0
        magnitude = self.magnitude if self.age else abs(value)
        self.mean = self.mean + level * away if self.age else value
        self.deviation += level * (abs(away) - self.deviation)
        self.magnitude = magnitude + level * (abs(value) - magnitude)
        self.age, self.last = self.age + ticks, t

    def _is_new(self, t, value):
        return math.isfinite(t) and abs(value) <= 1e300 and t > self.last

    def _hour(self, t):
        return math.floor(t / 3600) % self.HOUR

    def _week(self, t):
        return math.floor(t / 3600) % self.WEEK

    def _weight(self, t, memory_s):
        return 1 - math.exp(-min(t - self.last, 300) / memory_s)

    def _bin_weight(self, t, share):
        return 1 - (1 - share) ** (min(t - self.last, 3600) / 3600)

    def _floor(self):
        low, high = self.ranges.get("value", (0.0, 0.0))
        return 1e-3 * (high - low) + 1e-300

    def _clipped(self, z):
        return max(min(z, self.clip), -self.clip)

    def _signals(self, t, value):
        away = value - self.mean if self.age else 0.0
        magnitude = self.magnitude if self.age else abs(value)
        mean, spread = self.hours.get(self._hour(t), (value, 0.0))
        by_hour = self._clipped((value - mean) / (spread + self.common * self.spread + self._floor()))
        unusual = self._clipped(away / (self.deviation + self._floor()))
        by_week = value - self.weeks.get(self._week(t), value)
        return {
            "value": value,
            "size": value / max(magnitude + self._floor(), abs(value) / 1000, 1e-300),
            "away": away,
            "fast": self._smoothed("fast", unusual, t, self.fast_s),
            "middle": self._smoothed("middle", by_hour, t, 3 * self.fast_s),
            "slow": self._smoothed("slow", by_hour, t, 9 * self.fast_s),
            "weekly": self._smoothed("weekly", by_week, t, self.fast_s),
        }

    def _smoothed(self, name, z, t, memory_s):
        before = self.smooth.get(name, 0.0)
        return before + self._weight(t, memory_s) * (z - before)

    def _learn_bins(self, t, value):
        ticks, hour, week = min((t - self.last) / 300, 1.0), self._hour(t), self._week(t)
        if hour in self.hours:
            mean, spread = self.hours[hour]
            size, weight = abs(value - mean), self._bin_weight(t, self.hour_rate)
            self.hours[hour] = mean + weight * (value - mean), spread + weight * (size - spread)
            common = max(self._weight(t, 9 * self.fast_s), ticks / (self.age + ticks))
            self.spread += common * (size - self.spread)
        else:
            self.hours[hour] = value, self.spread
        mean = self.weeks.get(week, value)
        self.weeks[week] = mean + self._bin_weight(t, self.week_rate) * (value - mean)

    def _told(self, t, value):
        """The score, the evidence, what of it was told before, and the fatigue."""
        found = 0.0
        for name, signal in self._signals(t, value).items():
            low, high = self.ranges.get(name, (math.inf, -math.inf))
            if signal < low or signal > high:
                found += self._surprise(name, signal, low, high)
        clock = self.age + min((t - self.last) / 300, 1.0)
        if not found or self.age < self.warm_up:
            return 0.0, 0.0, 0.0, 0.0
        since = clock - self.told_at
        fatigue = self.fatigue * 0.5 ** (since / self.recover)
        before = 0.0 if since > self.rest else self.told
        left = found - self.tire * math.log1p(fatigue)
        return (left, found, before, fatigue) if left > 0 and found > self.again * before else (0.0, 0.0, 0.0, 0.0)

    def _surprise(self, name, signal, low, high):
        if name == "size":
            signal, low, high = math.asinh(signal), math.asinh(low), math.asinh(high)
        excess = max(signal - high, low - signal)
        if not excess > 1e-9 * max(abs(low), abs(high)):
            return 0.0
        width = high - low
        return math.log1p(min(excess / width if width > 0 else 10.0, 10.0) / self.unit)


class SignificanceNaive:
    """The significance channel of one series, from the formulas of its docstring."""

    DAY, HOUR = 86_400, 3600

    def __init__(
        self,
        level_h=2.0,
        level_samples=50.0,
        spread_h=4.0,
        spread_samples=240.0,
        season_days=5.0,
        limit=4.0,
        least=0.005,
        range_days=30.0,
        fatigue_days=30.0,
        settle_h=24.0,
        warm_up=24.0,
        threshold=5.0,
    ):
        self.level_s, self.level_samples = 3600 * level_h, level_samples
        self.spread_s, self.spread_samples = 3600 * spread_h, spread_samples
        self.season_days, self.limit, self.least = season_days, limit, least
        self.range_s, self.fatigue_s = self.DAY * range_days, self.DAY * fatigue_days
        self.settle_s, self.warm_up, self.threshold = 3600 * settle_h, warm_up, threshold
        self.n, self.last = 0, -math.inf
        self.level = self.spread = self.hours_spread = 0.0
        self.hours, self.visits, self.off, self.of_hours = {}, {}, {}, 0
        self.low = self.high = None
        self.fatigue, self.run, self.moved = 0.0, None, 0.0
        self.new_levels = []

    def read(self, t, value):
        if not self._is_new(t, value) or self.n < self.warm_up:
            return False, 0.0, None, None, None
        scales = self.threshold + math.log1p(self.fatigue)
        width = scales * self._scale(t) if scales <= 200 else math.inf
        low, high = sorted([self.level, self._of_hour(t)])
        score = max(self._scales(t, value) - math.log1p(self.fatigue), 0.0)
        return True, score, self._expected(t), low - width, high + width

    def learn(self, t, value):
        if not self._is_new(t, value):
            return
        is_held = self._is_held(t, value)
        if not is_held:
            self._learn_level(t, value)
            self._learn_hour(t, value)
        self._count_hour(t, value, is_held)
        self._widen(value)
        if t // self.HOUR > self.last // self.HOUR:
            self._forget(min(max(t - self.last, self.HOUR), self.DAY))
        self.n, self.last = self.n + 1, t

    def _is_new(self, t, value):
        return math.isfinite(t) and abs(value) <= 1e300 and t > self.last

    def _hour(self, t):
        return math.floor(t / self.HOUR) % 24

    def _is_daily(self, t):
        return self.visits.get(self._hour(t), 0.0) >= 2

    def _of_hour(self, t):
        return self.hours[self._hour(t)] if self._is_daily(t) else self.level

    def _expected(self, t):
        return self._of_hour(t) if self.hours_spread < self.spread else self.level

    def _floor(self):
        if self.low is None:
            return 1e-300
        return self.least * (self.high - self.low) + 1e-12 * max(abs(self.low), abs(self.high)) + 1e-300

    def _scale(self, t):
        return 1.2533 * (self.hours_spread if self._is_daily(t) else self.spread) + self._floor()

    def _scales(self, t, value):
        low, high = sorted([self.level, self._of_hour(t)])
        return min(max(low - value, value - high, 0.0) / self._scale(t), 200.0)

    def _limited(self, d, spread, is_free):
        most = math.inf if is_free else self.limit * (1.2533 * spread + self._floor())
        return max(-most, min(d, most))

    def _weight(self, t, memory_s, samples, n):
        elapsed = min(t - self.last, self.DAY)
        return max(min(elapsed / (elapsed + memory_s), 1 / samples), 1 / (n + 1))

    def _part(self, t):
        return min(t - self.last, self.HOUR) / self.HOUR

    def _learn_level(self, t, value):
        if self.n == 0:
            self.level = value
        d = self._limited(value - self.level, self.spread, self.n < 10)
        self.level += self._weight(t, self.level_s, self.level_samples, self.n) * d
        self.spread += self._weight(t, self.spread_s, self.spread_samples, self.n) * (abs(d) - self.spread)

    def _learn_hour(self, t, value):
        hour, part = self._hour(t), self._part(t)
        if hour not in self.hours:
            return
        visits = self.visits[hour]
        away = value - self.hours[hour]
        is_free = self.of_hours < 10
        self.hours[hour] += self._limited(away, self.hours_spread, is_free or visits < 2) * part / (visits + part)
        d = self._limited(away, self.hours_spread, is_free)
        if visits >= 1:
            weight = self._weight(t, self.spread_s, self.spread_samples, self.of_hours)
            self.hours_spread += weight * (abs(d) - self.hours_spread)

    def _count_hour(self, t, value, is_held):
        """An hour that is held on two days, with nothing as expected in between, is unknown again."""
        hour, part = self._hour(t), self._part(t)
        visits, off = self.visits.get(hour, 0.0), self.off.get(hour, 0.0)
        self.of_hours += visits >= 1
        if not is_held:
            self.hours.setdefault(hour, value)
            self.visits[hour] = min(visits + part, self.season_days)
        elif self.run is not None and self.run["s"] < self.settle_s:
            off += part
            if off >= 2 - 1e-9:
                self.visits[hour], off = 0.0, 0.0
                del self.hours[hour]
        self.off[hour] = 0.0 if self.run is None else off

    def _widen(self, value):
        if self.low is None:
            self.low = self.high = value
        width = self.high - self.low
        if self.n >= 10 and width > 0:
            value = max(self.low - width, min(value, self.high + width))
        self.low, self.high = min(self.low, value), max(self.high, value)

    def _forget(self, elapsed):
        share = min(elapsed / self.range_s, 1.0)
        self.low, self.high = self.low + share * (self.level - self.low), self.high + share * (self.level - self.high)
        self.fatigue /= 1 + elapsed / self.fatigue_s

    def _is_held(self, t, value):
        """The run goes on, ends, settles or begins; whether the sample is then not to be learned."""
        d, scale = value - self._expected(t), self._scale(t)
        if self.run is not None:
            self._follow(t, d, scale)
        if self.run is None and self.n >= self.warm_up and self._scales(t, value) >= self.threshold:
            self.fatigue += 1
            self.run = {
                "side": math.copysign(1, d),
                "n": 1,
                "missed": 0,
                "since": t,
                "s": 0.0,
                "mean": d,
                "spread": 0.0,
            }
        if self.run is None:
            return False
        if self._is_settled(scale):
            self._move(t, scale)
            return True
        return self.run["n"] >= 4 and self._is_daily(t)

    def _follow(self, t, d, scale):
        run, elapsed = self.run, min(t - self.last, self.HOUR)
        run["s"] += elapsed
        if d * run["side"] > 3 * scale:
            run["n"], run["missed"] = run["n"] + 1, 0
        elif run["missed"] == 1:
            self.run = None
        else:
            run["missed"] = 1
        weight = max(min(4 * elapsed / (4 * elapsed + self.settle_s), 1 / 24), 1 / run["n"])
        away = d - run["mean"]
        run["mean"] += weight * away
        run["spread"] += weight * (abs(away) - run["spread"])

    def _rests(self, scale):
        return 1.2533 * self.run["spread"] <= 2 * scale

    def _is_settled(self, scale):
        patience = (1 if self._rests(scale) else 3) * self.settle_s
        if self.moved and abs(self.run["mean"] + self.moved) <= 2 * scale:
            patience = 3600
        return self.run["n"] >= 24 and self.run["s"] >= patience

    def _move(self, t, scale):
        offset, spread = self.run["mean"], min(self.run["spread"], 2 * scale / 1.2533)
        before = sum(self.hours.values()) / len(self.hours) if self.hours else self.level
        self.new_levels.append((self.run["since"], t, before, before + offset, self._rests(scale)))
        self.level, self.moved = self.level + offset, offset
        self.hours = {hour: mean + offset for hour, mean in self.hours.items()}
        self.spread, self.hours_spread = max(self.spread, spread), max(self.hours_spread, spread)
        self.run = None


class JointNaive:
    """The joint evidence of one service, from the formulas of its docstring: a dict of the KPIs' values in, the score
    and the KPIs' evidence and expected values out."""

    HOUR, DAY = 3600.0, 86_400.0

    def __init__(
        self,
        level_min=10.0,
        scale_days=1.0,
        hour_rate=0.7,
        clip=4.0,
        floor=0.01,
        range_days=30.0,
        power=1.5,
        most=100.0,
        smooth_s=60.0,
        rare=0.1,
        tail_days=14.0,
        least=0.07,
        strong=20.0,
        warm_up_h=24.0,
    ):
        self.level_s, self.scale_s, self.hour_rate, self.clip = 60 * level_min, self.DAY * scale_days, hour_rate, clip
        self.floor, self.range_s, self.power, self.most = floor, self.DAY * range_days, power, most
        self.smooth_s, self.rare, self.tail_s, self.least = smooth_s, rare, self.DAY * tail_days, least
        self.strong, self.warm_up_s = strong, self.HOUR * warm_up_h
        self.kpis = {}
        self.begun, self.last, self.steps = None, -math.inf, 0
        self.smooth = None
        self.quantile, self.excess, self.excesses = 0.0, least, 0
        self.most_there, self.seen = 0.0, None

    def _are_enough(self, t, number):
        if self.seen is not None:
            self.most_there *= 1 - self._share(t - self.seen, self.scale_s)
        self.seen, self.most_there = t, max(number, self.most_there)
        return number >= self.most_there / 2

    def step(self, t, values, holds=lambda name, level: True):
        there = {
            name: x
            for name, x in values.items()
            if abs(x) <= 1e300 and t > self.last and (name not in self.kpis or t > self.kpis[name]["t"])
        }
        expected = {name: self.kpis[name]["level"] if name in self.kpis else math.nan for name in values}
        deviations = {name: self._deviations(t, name, x) for name, x in there.items() if name in self.kpis}
        held = {n for n, z in deviations.items() if z >= 2 and not holds(n, self.kpis[n]["level"])}
        evidence = dict.fromkeys(values, 0.0)
        for name in deviations.keys() - held:
            evidence[name] = math.log1p(deviations[name]) ** self.power
        moving = [n for n, x in there.items() if n in self.kpis and (self._has_moved(n) or x != self.kpis[n]["level"])]
        strong = sorted([z for n, z in deviations.items() if n not in held and z >= 2], reverse=True)
        is_scored = moving and self._are_enough(t, len(moving))
        score = self._score(t, [evidence[name] for name in moving], strong) if is_scored else 0.0
        for name, x in there.items():
            self._learn(t, name, x)
        return score, evidence, expected

    def _has_moved(self, name):
        return self.kpis[name]["high"] > self.kpis[name]["low"]

    def _of_hour(self, t, kpi):
        return kpi["hours"].get(math.floor(t / self.HOUR) % 24, kpi["level"])

    def _scale(self, kpi, mean):
        low, high = kpi["low"], kpi["high"]
        return math.sqrt(math.pi / 2) * mean + self.floor * (high - low) + 1e-12 * max(abs(low), abs(high)) + 1e-300

    def _deviations(self, t, name, x):
        kpi = self.kpis[name]
        of_level = abs(x - kpi["level"]) / self._scale(kpi, kpi["of_level"])
        of_hour = abs(x - self._of_hour(t, kpi)) / self._scale(kpi, kpi["of_hour"])
        return min(of_level, of_hour, self.most)

    @staticmethod
    def _share(elapsed, memory_s):
        return 1 - math.exp(-min(elapsed, 3600) / memory_s)

    def _learn(self, t, name, x):
        if name not in self.kpis:
            hours = {math.floor(t / self.HOUR) % 24: x}
            self.kpis[name] = {"level": x, "hours": hours, "of_level": 0.0, "of_hour": 0.0}
            self.kpis[name] |= {"low": x, "high": x, "n": 1, "t": t}
            return
        kpi = self.kpis[name]
        elapsed, n, hour = t - kpi["t"], kpi["n"], self._of_hour(t, kpi)
        for key, away in (("of_level", abs(x - kpi["level"])), ("of_hour", abs(x - hour))):
            learned = min(away, self.clip * self._scale(kpi, kpi[key])) if n >= 10 else away
            self._move(kpi, key, learned, max(self._share(elapsed, self.scale_s), 1 / (n + 1)))
        way = 1 - (1 - self.hour_rate) ** (min(elapsed, self.HOUR) / self.HOUR)
        kpi["hours"][math.floor(t / self.HOUR) % 24] = hour + way * (x - hour)
        self._move(kpi, "level", x, max(self._share(elapsed, self.level_s), 1 / (n + 1)))
        middle = kpi["low"] / 2 + kpi["high"] / 2
        for key in ("low", "high"):
            self._move(kpi, key, middle, self._share(elapsed, self.range_s))
        kpi["low"], kpi["high"] = min(kpi["low"], x), max(kpi["high"], x)
        kpi["n"], kpi["t"] = n + 1, t

    @staticmethod
    def _move(kpi, key, to, way):
        kpi[key] += way * (to - kpi[key])

    def _score(self, t, evidence, strong):
        joint = (math.fsum(evidence) / len(evidence)) ** (1 / self.power)
        elapsed = t - self.last
        if self.begun is None:
            self.begun, self.smooth = t, joint
        else:
            self.smooth += self._share(elapsed, self.smooth_s) * (joint - self.smooth)
        base, over = math.log(1 / self.rare), self.smooth - self.quantile
        if over > 0:
            score = base + over / self.excess
        else:
            score = base * self.smooth / self.quantile if self.quantile > 0 else 0.0
        if len(strong) >= 3:
            score = max(score, 6.2 * strong[2] / self.strong)
        self._learn_tail(over, elapsed)
        self.last, self.steps = t, self.steps + 1
        return score if t - self.begun >= self.warm_up_s else 0.0

    def _learn_tail(self, over, elapsed):
        share = self._share(elapsed, self.tail_s)
        if over > 0:
            self.excesses += 1
            weight = min(max(share / self.rare, 1 / (self.excesses + 1)), 1)
            learned = min(over, 5 * self.excess)
            self.excess = max(self.excess + weight * (learned - self.excess), self.least)
        step = min(self.excess * max(share, 1 / (self.steps + 1)) / self.rare, 0.5)
        self.quantile = max(self.quantile + step * ((1 - self.rare) if over > 0 else -self.rare), 0.0)
