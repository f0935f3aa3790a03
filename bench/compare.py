"""Measuring two in turn, and what comes of it: the lines of the table.

A start is a sample: both servers are started, loaded in short slices, A B B A, and
ended. Drift of the machine falls on both, and its ratio is the mean of the slices'.
Where memory lies is chosen anew by each start, so slices of one start are not
independent, and the interval is of the starts alone.
"""
import contextlib
import math
import statistics
import time

from harness import BEFORE, Absent, Failure, why_absent
from results import verdict_of

LEVEL = 0.95  # confidence level of an interval
STARTS_MIN = 6  # fewer starts give no interval of this level
NARROW = 0.015  # a comparison ends with an interval of median ± 1.5 %


def interval_of(ratios):
    """What holds the median of all starts, whatever their distribution: two of the
    sorted ratios, as far from both ends. Empty where they are too few."""
    count = len(ratios)
    left = outside = 0
    while True:
        outside += 2 * math.comb(count, left)
        if outside > (1 - LEVEL) * 2**count:
            break
        left += 1
    ordered = sorted(ratios)
    return [round(ordered[left - 1], 4), round(ordered[-left], 4)] if left else []


def is_narrow(ratios):
    low, high = interval_of(ratios) or (0, math.inf)
    return high - low <= 2 * NARROW * statistics.median(ratios)


class Result:
    """One line of the table: a figure, a ratio to a peer, a target."""

    def __init__(self, row, case, figure, values, **rest):
        self.row = row
        self.case = case
        self.figure = figure  # name of the compared figure, with its unit
        self.subject = values[0]
        self.peer = rest.get("peer", "")
        self.note = rest.get("note", "")  # about the peer
        self.peer_value = values[1]
        self.ratio = values[2]
        self.target = rest.get("target")
        self.ratios = rest.get("ratios", [])  # one for each start
        self.interval = rest.get("interval")  # None for a single number, without starts
        self.x = rest.get("x")  # number of objects, for a curve

    @property
    def verdict(self):
        return verdict_of(vars(self))


def is_chosen(settings, case):
    """Whether the command line asks for this case of a row."""
    is_asked = settings.case in case
    settings.has_case |= is_asked
    return is_asked


def ratios_of(starts, key="cpu_ns"):
    return [math.exp(statistics.fmean(math.log(a[key] / b[key])
                                      for a, b in slices))
            for slices in starts]


def of_subject(pairs):
    """The subject's reports of all slices, whoever was beside it."""
    return [own for starts in pairs.values() for slices in starts
            for own, _ in slices]


def _start(names, measure, number):
    """The slices of one start, A B B A or B A A B: what the first and what the
    second took; without a second, the first's alone."""
    with contextlib.ExitStack() as stack:
        try:
            take = [stack.enter_context(measure(names[0]))]
        except Absent as absent:
            raise Failure(str(absent)) from absent
        take += [stack.enter_context(measure(name)) for name in names[1:]]
        if len(take) == 1:
            return [(take[0](), None)]
        at = number % 2
        reports = [[], []]
        for place in (at, 1 - at, 1 - at, at):
            reports[place].append(take[place]())
        return list(zip(*reports))


class _Budget:
    """Time for a case: whether one more start would fit in it."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.longest = 0

    def has_place(self):
        return time.monotonic() + self.longest < self.end

    @contextlib.contextmanager
    def start(self):
        begin = time.monotonic()
        yield
        self.longest = max(self.longest, time.monotonic() - begin)


def _is_open(starts, keys):
    """Whether a comparison is to go on."""
    if len(starts) < STARTS_MIN:
        return True
    return keys is not None and not all(is_narrow(ratios_of(starts, key))
                                        for key in keys)


def alternate(settings, progress, title, names, measure, **rest):
    """Measure the first beside each of the others: the starts, by the other's name.
    measure() is a context manager that gives what measures a slice.

    A comparison whose name is in judged, or each where none is, ends when the
    intervals of all keys are narrow or the time is up, the others when they have
    an interval. A peer that does not start here, as one that wants a later kernel,
    is left out; of an interrupted case, what is there counts."""
    subject, *peers = names
    judged = set(rest.get("judged", ())) & set(peers) or set(peers)
    keys = {peer: rest.get("keys", ["cpu_ns"]) if peer in judged else None
            for peer in peers}
    pairs = {peer: [] for peer in peers or [""]}
    budget = _Budget(settings.case_s * rest.get("weight", 1) * len(pairs))
    try:
        while (todo := [peer for peer, starts in pairs.items()
                        if _is_open(starts, keys.get(peer))]) and (
                            budget.has_place() or not all(pairs.values())):
            for peer in todo:
                starts = pairs[peer]
                if starts and not budget.has_place():
                    break
                progress(f"{title}: {peer}, start {len(starts) + 1}")
                try:
                    with budget.start():
                        starts.append(_start([subject, peer] if peer else [subject],
                                             measure, len(starts)))
                except Absent as absent:
                    if starts or not peer:
                        raise Failure(str(absent)) from absent
                    del pairs[peer]
                    settings.left_out[peer] = str(absent)
    except KeyboardInterrupt:
        progress.is_interrupted = True
    if not pairs and not progress.is_interrupted:
        return alternate(settings, progress, title, [subject], measure, **rest)
    return {peer: starts for peer, starts in pairs.items() if starts}


def compare(row, case, pairs, targets, key="cpu_ns", figure="ns CPU/msg", scale=1,
            is_sampled=True):
    """Results for one case: the subject against its peers."""
    own = [report[key] / scale for report in of_subject(pairs)]
    for name, starts in pairs.items():
        if not name:  # no peer is available
            yield Result(row, case, figure, (statistics.median(own), None, None))
            continue
        ratios = ratios_of(starts, key)
        peer = [report[key] / scale for slices in starts for _, report in slices]
        yield Result(row, case, figure,
                     (statistics.median(own), statistics.median(peer),
                      statistics.median(ratios)),
                     peer=name, target=targets.get(name),
                     ratios=[round(ratio, 4) for ratio in ratios],
                     interval=interval_of(ratios) if is_sampled else None)


def once(memory):
    """Of figures that are taken once, the first beside each other one."""
    (_, own), *others = memory.items()
    return {name: [[(own, of)]] for name, of in others} or {"": [[(own, None)]]}


def contenders(settings, mode, names, subject=None):
    """The subject and those of its peers that were built; where another build
    is compared, that build's subject alone."""
    subject = settings.subject if subject is None else subject
    if settings.before:
        names = [BEFORE + subject]
    why = why_absent(settings, subject, mode)
    if why is not None:
        raise Failure(why)
    there = [subject]
    for name in names:
        if name == subject:
            continue
        why = why_absent(settings, name, mode)
        if why is None:
            there.append(name)
        else:
            settings.left_out.setdefault(name, why)
    return there


def better_of(pairs, names):
    """The peer that the subject is least ahead of; None if none was built."""
    there = [name for name in names if name in pairs]
    return max(there, default=None,
               key=lambda name: statistics.median(ratios_of(pairs[name])))
