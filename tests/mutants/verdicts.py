"""What was found of each fault: the choice, the journal, the report.

The journal has a line of JSON for each verdict, and is written as they come. A fault
is known by its key, which is its text and not its number, so that a journal outlives
changes elsewhere. In `equivalent` are the faults that no test can notice:

    lib/net/move.c move_begin compare
    - if (count < limit) {
    + if (count <= limit) {
    = The caller has refused a count of limit.
"""

import collections
import hashlib
import json
import re

from plant import is_in

HOWS = ("assertion", "wrong result", "crash", "time-out")
# Of the faults chosen in a room so many per cent at most may be declared equivalent;
# fewer than these are too few to say.
EQUIVALENT_PERCENT = 8
ENOUGH = 50
ENTRY = re.compile(r"(\S+) (\S+) (\w+)(?: (\d+))?\n- (.*)\n\+ (.*)\n((?:= .*\n)+)")


def key_of(row):
    return json.dumps([row["file"], row["function"], row["kind"], row["before"],
                       row["after"], row["nth"]])


def room_of(row):
    return row["file"].rsplit("/", 1)[0]


def show(row):
    """A fault as `equivalent` has it; the reason is added by hand."""
    nth = f" {row['nth']}" if row["nth"] > 1 else ""
    return (f"{row['file']} {row['function']} {row['kind']}{nth}\n"
            f"- {row['before']}\n+ {row['after']}\n")


def choose(table, rooms, count, seed):
    """So many faults of each room, or, without rooms, of all together. A change of
    the sources changes the choice as little as it can."""
    chosen = []
    for room in rooms or [""]:
        rows = [row for row in table if not room or is_in(row["file"], [room])]
        if not rows:
            raise SystemExit(f"no fault is in {room}")
        rows.sort(key=lambda row: hashlib.sha1(
            f"{seed} {key_of(row)}".encode()).digest())
        chosen += [{**row, "room": room or room_of(row)} for row in rows[:count]]
    return chosen


class Equivalent:
    """The faults that are declared equivalent, with the reasons. Those of files that
    are in none of the @rooms may be missing."""

    def __init__(self, path, table, rooms):
        self.path = path
        self.reasons = {}
        self.complaints = []
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        text = re.sub(r"^#.*\n|^\s*\n", "", text, flags=re.M)
        at = 0
        while at < len(text):
            match = ENTRY.match(text, at)
            if not match:
                raise SystemExit(f"{path}: not an entry: {text[at:at + 80]!r}")
            at = match.end()
            row = {"file": match[1], "function": match[2], "kind": match[3],
                   "nth": int(match[4] or 1), "before": match[5], "after": match[6]}
            self.reasons[key_of(row)] = re.sub(r"\n?= ", " ", match[7]).strip()
        found = {key_of(row) for row in table}
        for key in self.reasons:
            if key not in found and is_in(json.loads(key)[0], rooms):
                self.complaints.append(f"{path}: matches no fault any more: {key}")

    def has_survived(self, row):
        """Is not killed, and not declared either."""
        return row["verdict"] != "killed" and key_of(row) not in self.reasons

    def check(self, verdicts):
        """Not too many of a room, and none that a test has noticed."""
        chosen, declared = collections.Counter(), collections.Counter()
        for row in verdicts:
            chosen[row["room"]] += 1
            if key_of(row) in self.reasons:
                declared[row["room"]] += 1
                if row["verdict"] == "killed":
                    self.complaints.append(f"{self.path}: {row['by']} notices "
                                           f"{key_of(row)}")
        for room, count in declared.items():
            if chosen[room] >= ENOUGH and (
                    100 * count > EQUIVALENT_PERCENT * chosen[room]):
                self.complaints.append(
                    f"{self.path}: {count} of {chosen[room]} faults in {room} are "
                    f"declared equivalent, more than {EQUIVALENT_PERCENT} %")


class Journal:
    """The verdicts on disk, by key: the last of a key counts."""

    def __init__(self, path, is_resumed):
        self.rows = {}
        if is_resumed and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    continue  # the end of a run that was killed
                self.rows[key_of(row)] = row
        elif path.exists():
            path.replace(path.with_suffix(".old"))
        self.file = open(path, "a", encoding="utf-8")
        self.file.write("\n" if is_resumed and self.file.tell() else "")

    def add(self, row):
        self.rows[key_of(row)] = row
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()


def table_of(verdicts, table, equivalent):
    """A line for each room."""
    rooms = collections.defaultdict(collections.Counter)
    for row in verdicts:
        counts = rooms[row["room"]]
        counts["chosen"] += 1
        if row["verdict"] == "killed":
            counts[row["how"]] += 1
            counts["killed"] += 1
        elif key_of(row) in equivalent.reasons:
            counts["equivalent"] += 1
        else:
            counts[row["verdict"]] += 1
    found = collections.Counter()
    for row in table:
        for room in rooms:
            if is_in(row["file"], [room]):
                found[room] += 1
    lines = [f"{'room':22}   found chosen killed (" + ", ".join(HOWS) +
             ") survived unreached equivalent   rate"]
    total = sum(rooms.values(), collections.Counter())
    everything = {**dict(sorted(rooms.items())), **(
        {"all": total} if len(rooms) > 1 else {})}
    found["all"] = len(table)
    for room, counts in everything.items():
        judged = max(1, counts["chosen"] - counts["equivalent"])
        lines.append(
            f"{room:22} {found[room]:7} {counts['chosen']:6} {counts['killed']:6} "
            f"({', '.join(str(counts[how]) for how in HOWS)}) "
            f"{counts['survived']} {counts['unreached']} {counts['equivalent']}  "
            f"{100 * counts['killed'] / judged:.1f} %")
    return "\n".join(lines)


def survivor(row):
    """A fault that was not noticed, with its line and the tests that reached it."""
    tests = [f"{name}: {' '.join(names)}" for name, names in row["reached"].items()]
    return (f"# line {row['line']}, {row['verdict']}"
            + (f", {row['left']} programs not run" if row.get("left") else "")
            + f"\n{show(row)}" + "".join(f"#   {line}\n" for line in tests))
