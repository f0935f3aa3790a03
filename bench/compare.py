"""Measuring contenders in turn, and what comes of it: the lines of the table."""
import statistics

from harness import BEFORE, Absent, Failure, median_ratio, why_absent


class Result:
    """One line of the table: a figure, a ratio to a peer, a target."""

    def __init__(self, row, case, figure, values, **rest):
        self.row = row
        self.case = case
        self.figure = figure  # what is compared, with its unit
        self.subject = values[0]
        self.peer = rest.get("peer", "")
        self.note = rest.get("note", "")  # on the peer
        self.peer_value = values[1]
        self.ratio = values[2]
        self.target = rest.get("target")
        self.spread = rest.get("spread", "")
        self.ratios = rest.get("ratios", [])  # one for each round
        self.x = rest.get("x")  # of a curve: how many there are

    @property
    def met(self):
        if self.target is None:
            return None
        measured = self.ratio if self.ratio is not None else self.subject
        return measured <= self.target


def is_chosen(settings, case):
    """Whether the command line asks for this case of a row."""
    is_asked = settings.case in case
    settings.has_case |= is_asked
    return is_asked


def rounds(settings, progress, title, names, measure):
    """Measure A B C, C B A, ...; the reports of each contender by name. A peer
    that does not start here, as one that wants a later kernel, is left out."""
    reports = {name: [] for name in names}
    for number in range(settings.rounds):
        for name in list(reports)[::-1 if number % 2 else 1]:
            progress(f"{title}: round {number + 1}/{settings.rounds} {name}")
            try:
                reports[name].append(measure(name))
            except Absent as absent:
                if name == names[0] or reports[name]:
                    raise Failure(str(absent)) from absent
                del reports[name]
                settings.left_out[name] = str(absent)
    return reports


def compare(row, case, reports, targets, key="cpu_ns", figure="ns CPU/msg",
            scale=1):
    """Results for one case: the first, the subject, against its peers."""
    subject_name = next(iter(reports))
    subject = [r[key] / scale for r in reports[subject_name]]
    if len(reports) == 1:  # all others are left out
        yield Result(row, case, figure,
                     (statistics.median(subject), None, None))
    for name, values in reports.items():
        if name == subject_name:
            continue
        peer = [r[key] / scale for r in values]
        ratios = [a / b for a, b in zip(subject, peer)]
        yield Result(row, case, figure,
                     (statistics.median(subject), statistics.median(peer),
                      median_ratio(subject, peer)),
                     peer=name, target=targets.get(name),
                     spread=f"{min(ratios):.3g}..{max(ratios):.3g}",
                     ratios=[round(ratio, 4) for ratio in ratios])


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


def better_of(reports, names):
    """The contender of the smaller median; None if none was built."""
    there = [name for name in names if name in reports]
    return min(there, default=None, key=lambda name: statistics.median(
        r["cpu_ns"] for r in reports[name]))
