"""tests/mutants/run on a small project of its own, which knows what each fault does.

Every kind of fault is planted, compiles and is killed by what notices it; those of a
function of which nothing is asserted survive, those of one that is not called are not
reached. A second run goes on with the journal, and kills what a new test notices.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

SKIP = 77
TREE = pathlib.Path(__file__).resolve().parent.parent.parent
COPIED = ("uring/check.h", "uring/check.c", "tests/runner/own.h",
          "tests/checks/run_c_tests.py", "meson_options.txt")
MESON = """project('small', 'c')
python = import('python').find_installation()
small = static_library('small', 'lib/small/small.c', 'tools/small.c', 'uring/check.c',
  include_directories: '.', implicit_include_directories: false)
test('small', python, suite: 'unit', protocol: 'tap',
  args: [files('tests/checks/run_c_tests.py', 'tests/unit/small.c'),
    executable('small', 'tests/unit/small.c', link_with: small,
      include_directories: '.', implicit_include_directories: false)])
"""
HEADER = """#include "uring/check.h"
int small_is_below(int a, int b);
int small_sum(int a, int b);
int small_is_in(int a, int b);
int small_larger(int a, int b);
int small_next(int a);
int small_steps(int n);
int small_told(void);
int small_given(void);
int small_refuse(int a);
int small_half(int a);
int small_asserted(int a);
int small_at(const int *a, int n);
int small_unseen(int a);
int small_unreached(int a);
int small_nothing(void);
int small_tool(int a);
static inline int small_inline(int a) { return a > 3; }
"""
SOURCE = """#include "lib/small/small.h"
static int told, given;
static void small_tell(void) { told = 1; }
static void small_free(void) { given = 1; }
int small_is_below(int a, int b) { return a < b; }
int small_sum(int a, int b) { return a + b; }
int small_is_in(int a, int b) { return a && b; }
int small_larger(int a, int b) {
    if (WR_LIKELY(a > b)) { return 10; }
    return 20;
}
int small_next(int a) { const int step = 2; return a + step; }
int small_steps(int n) {
    int steps = 0;
    while (n != 0) { n--; steps++; }
    return steps;
}
int small_told(void) { small_tell(); return told; }
int small_given(void) { small_free(); return given; }
int small_refuse(int a) { wr_require(a != 1, -22); return a == 2 ? -5 : 0; }
int small_half(int a) { wr_require(a >= 0, -EINVAL); return a / 2; }
int small_asserted(int a) { int b = a; b = a + 1; wr_assert(b == a + 1); return 7; }
int small_at(const int *a, int n) {
    if (!a) { return -EIO; }
    return a[n];
}
int small_unseen(int a) { return a * 3; }
int small_unreached(int a) { return a * 3; }
int small_state_name(int a) { return a * 3; }
int small_nothing(void) { return 0; }
"""
TOOL = """#include "lib/small/small.h"
int small_tool(int a) { return a * 2 + 1; }
"""
TEST = """#include "tests/runner/own.h"
#include "lib/small/small.h"
#include <errno.h>
#include <sys/resource.h>
Test(small, compares) {
    cr_assert(small_is_below(1, 2) == 1 && small_is_below(2, 2) == 0);
    cr_assert(small_is_below(3, 2) == 0);
    cr_assert(small_larger(2, 1) == 10 && small_larger(1, 2) == 20);
    cr_assert(small_larger(2, 2) == 20);
    cr_assert(small_inline(4) && !small_inline(3) && !small_inline(2));
}
Test(small, counts) {
    cr_assert(small_sum(3, 2) == 5 && small_next(4) == 6 && small_half(7) == 3);
    cr_assert(small_is_in(1, 1) == 1 && small_is_in(1, 0) == 0);
}
Test(small, ends) { cr_assert(small_steps(3) == 3); }
Test(small, tells) { cr_assert(small_told() == 1 && small_given() == 1); }
Test(small, refuses) {
    cr_assert(small_refuse(1) == -22 && small_refuse(2) == -5);
    cr_assert(small_refuse(3) == 0 && small_half(-1) == -EINVAL);
}
Test(small, has_a_tool) { cr_assert(small_tool(4) == 9 && small_nothing() == 0); }
Test(small, asserts) { cr_assert(small_asserted(1) == 7); }
Test(small, reads) {
    const int values[] = {5, 6};
    cr_assert(small_at(NULL, 0) == -EIO && small_at(values, 1) == 6);
}
Test(small, has_bounds) {
    struct rlimit limit;
    cr_assert(getrlimit(RLIMIT_AS, &limit) == 0);
    cr_assert(limit.rlim_cur != RLIM_INFINITY);
}
/* Leaves a process behind. */
Test(small, leaves) {
    if (fork() == 0) {
        setsid();
        sleep(600);
        _exit(0);
    }
}
/* Waits until the child of a child that has ended is gone. Once is enough. */
Test(small, sees_an_orphan_go) {
    int ends[2];
    pid_t orphan = 0;
    if (!getenv("WEIR_MUTANTS_REACHED")) { return; }
    cr_assert(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        orphan = fork();
        _exit(orphan == 0 || write(ends[1], &orphan, sizeof(orphan)) > 0 ? 0 : 1);
    }
    cr_assert(read(ends[0], &orphan, sizeof(orphan)) == sizeof(orphan));
    cr_assert(waitpid(child, NULL, 0) == child);
    while (kill(orphan, 0) == 0) { usleep(1000); }
}
/* Fails by itself, or takes too long, once for each fault that it meets. */
Test(small, unsteady) {
    const char *number = getenv("WEIR_MUTANT");
    char path[64];
    small_unseen(1);
    snprintf(path, sizeof(path), "unsteady-%s", number ? number : "none");
    if (number && access(path, F_OK) != 0) {
        fclose(fopen(path, "w"));
        if (atoi(number) % 2) { pause(); }
        cr_assert(0);
    }
}
Test(small, needs_its_folder) { cr_assert(access("broken", F_OK) != 0); }
"""
BETTER = TEST + "Test(small, looks) { cr_assert(small_unseen(2) == 6); }\n"
CHANGED = (("lib/small/small.h", "int small_sum", "enum { SEVEN = 7 };\nint small_sum"),
           ("lib/small/small.c", "name(int a) { return a * 3", "name(int a) { return SEVEN"))
KINDS = {"compare", "arithmetic", "logic", "branch", "constant", "call", "release",
         "assign", "error", "result", "require"}
HOWS = {"small_asserted": "assertion", "small_at": "crash",
        "small_steps": "time-out", "small_is_below": "wrong result"}
NOT_KILLED = {"small_unseen": "survived", "small_unreached": "unreached"}
DECLARED = """lib/small/small.c small_unseen constant
- int small_unseen(int a) { return a * 3; }
+ int small_unseen(int a) { return a * 4; }
= The reason.
"""
STALE = DECLARED.replace("a * 4", "a * 5")


def write_project(folder):
    shutil.rmtree(folder, ignore_errors=True)
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TREE / name, folder / name)
    for name, text in (("meson.build", MESON), ("lib/small/small.h", HEADER),
                       ("lib/small/small.c", "#include <errno.h>\n" + SOURCE),
                       ("tools/small.c", TOOL),
                       ("tests/unit/small.c", TEST)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q", folder], check=True)


class Small:
    """The project, and what runs on it have found."""

    def __init__(self, folder):
        self.project = folder / "project"
        self.out = folder / "out"
        shutil.rmtree(self.out, ignore_errors=True)
        write_project(self.project)

    def command(self, *more):
        return [TREE / "tests/mutants/run", "--source", self.project, "--out",
                self.out, "--count", "1000", "--least", "10", "--seed", "1",
                "--suites", "unit", *more]

    def run(self, *more):
        done = subprocess.run(self.command(*more), text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        print(done.stdout)
        return done

    def verdicts(self):
        rows = [json.loads(line) for line in (self.out / "journal.jsonl")
                .read_text("utf-8").splitlines() if line]
        return {(row["function"], row["kind"], row["before"], row["after"]): row
                for row in rows if row["file"].startswith("lib/")}


def expect(condition, text):
    if not condition:
        sys.exit(f"not so: {text}")


def check_first(small):
    """Each fault has the verdict that it should have."""
    done = small.run()
    expect(done.returncode == 0, "the run ends well")
    verdicts = small.verdicts()
    killed = {row["kind"] for row in verdicts.values() if row["verdict"] == "killed"}
    expect(killed == KINDS, f"every kind is killed, not only {sorted(killed)}")
    for (function, _, before, after), row in verdicts.items():
        wanted = NOT_KILLED.get(function, "killed")
        expect(row["verdict"] == wanted, f"{before} -> {after} is {wanted}: {row}")
    for function in NOT_KILLED:
        expect(any(key[0] == function for key in verdicts), f"faults in {function}")
    expect(not any(key[0] == "small_state_name" for key in verdicts),
           "nothing is planted in what describes a state")
    expect(any(key[0] == "small_inline" for key in verdicts), "faults in headers")
    for function, how in HOWS.items():
        found = {row.get("how") for key, row in verdicts.items() if key[0] == function}
        expect(how in found, f"{function} is noticed by {how}: {found}")


def check_twins(small):
    """Two kinds make `return 1` of `return 0`: that is one fault."""
    texts = [(function, before, after) for function, _, before, after
             in small.verdicts()]
    expect(len(texts) == len(set(texts)), "no two faults are the same text")
    expect(any(key[0] == "small_nothing" for key in texts), "a fault in return 0")


def check_rooms(small):
    """A room may be a file, also of a tool. Only what is drawn is planted."""
    done = small.run("--count", "2", "--rooms", "tools/small.c")
    expect(done.returncode == 0, "the run of one room ends well")
    row = done.stdout.rsplit("tools/small.c ", 1)[1].split()
    expect(row[1:3] == ["2", "2"], f"two are drawn, and both are killed: {row}")
    planted = {name: (small.out / "tree" / name).read_text("utf-8").count("WR_MUTANT(")
               for name in ("tools/small.c", "lib/small/small.c")}
    expect(planted == {"tools/small.c": 2, "lib/small/small.c": 0},
           f"two faults are in the tree: {planted}")
    expect(small.run("--rooms", "bench").returncode == 2, "bench is no room")


def check_resumed(small):
    """A journal is taken up; new tests meet what survived, and nothing else. Sources
    are read with the headers as they are now."""
    before = small.verdicts()
    (small.project / "tests/unit/small.c").write_text(BETTER, encoding="utf-8")
    for name, old, new in CHANGED:
        path = small.project / name
        path.write_text(path.read_text("utf-8").replace(old, new), encoding="utf-8")
    done = small.run("--resume")
    expect(done.returncode == 0, "the second run ends well")
    lines = (small.out / "journal.jsonl").read_text("utf-8").split("\n\n")[-1]
    judged = {json.loads(line)["function"] for line in lines.splitlines() if line}
    expect(judged == {"small_unseen"}, f"only survivors are judged again: {judged}")
    after = small.verdicts()
    expect(before.keys() == after.keys(), "the same faults")
    expect(all(row["verdict"] == "killed" for key, row in after.items()
               if key[0] == "small_unseen"), "the new test kills")


def check_equivalent(small):
    """What is declared counts apart; what matches nothing, or is killed, fails."""
    path = small.project / "tests/mutants/equivalent"
    path.parent.mkdir(exist_ok=True)
    path.write_text(DECLARED, encoding="utf-8")
    done = small.run("--resume")
    expect(done.returncode == 1 and "notices" in done.stdout,
           "what a test notices cannot be declared")
    (small.project / "tests/unit/small.c").write_text(TEST, encoding="utf-8")
    path.write_text(DECLARED + STALE, encoding="utf-8")
    done = small.run()
    expect(done.returncode == 1 and "matches no fault any more" in done.stdout,
           "an entry that matches nothing is told")
    path.write_text(DECLARED, encoding="utf-8")
    done = small.run("--resume")
    expect(done.returncode == 0, "one may be declared")
    row = done.stdout.rsplit("lib/small ", 1)[1].split()
    expect("1" == row[row.index("%") - 2], f"one is equivalent: {row}")


def check_left_out(small):
    """A program that fails without a fault is left out, and is looked at again by the
    next run, as it may have failed by itself."""
    broken = small.out / "build/broken"
    (small.out / "map.json").unlink()
    broken.touch()
    done = small.run("--count", "12")
    expect("left out, as it fails without a fault: unit small" in done.stdout,
           "it says what it leaves out")
    expect({row["verdict"] for row in small.verdicts().values()} == {"unreached"},
           "nothing is reached without the program")
    broken.unlink()
    done = small.run("--count", "12", "--resume")
    expect(done.returncode == 0 and "left out" not in done.stdout,
           "nothing is left out any more")
    expect("killed" in {row["verdict"] for row in small.verdicts().values()},
           "the next run looks at the program")


def check_stopped(small):
    """SIGINT ends it soon, and the next run goes on."""
    journal = small.out / "journal.jsonl"
    journal.unlink()
    with subprocess.Popen(small.command(), text=True, stdout=subprocess.PIPE) as run:
        while not (journal.exists() and journal.stat().st_size > 0):
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        said = run.stdout.read()
        run.wait(60)
    expect("--resume goes on" in said, "it says how to go on")
    done = small.run("--resume")
    expect(done.returncode == 0, "the run after it ends well")


def check_nothing_left(word):
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            left = word.encode() in path.read_bytes()
        except OSError:
            continue
        expect(not left or path.parent.name == str(os.getpid()),
               f"no process is left: {path.parent.name}")


def main():
    if subprocess.run(["/usr/bin/python3", "-c", "import clang.cindex"],
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("no bindings of libclang for Python")
        sys.exit(SKIP)
    folder = pathlib.Path(sys.argv[1]).resolve()
    word = f"WEIR_MUTANTS_TESTED={folder}-{os.getpid()}"
    os.environ["WEIR_MUTANTS_TESTED"] = word.split("=")[1]
    small = Small(folder)
    check_first(small)
    check_twins(small)
    check_resumed(small)
    check_equivalent(small)
    check_left_out(small)
    check_stopped(small)
    check_rooms(small)
    check_nothing_left(word)


main()
