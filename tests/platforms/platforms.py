#!/usr/bin/env python3
"""Builds weir for other processors and another C library, and runs its suites.

A PLATFORM is aarch64, aarch64-ucontext, riscv64, musl or emulated. The libraries
that weir needs are built by the platform's compiler into .deps/ (`tools/deps --for`),
weir and its tests into build-check/, without c-ares and the tools. Programs of another
processor run under qemu-user, which has no io_uring, so that the engine is epoll.

A row tells of each platform and engine: programs, tests passed, failed and skipped;
then the failed ones are named. Suites that play the machine (PLAYED) run once, with
the first engine. `emulated` is musl's build under qemu-user for x86-64:
what fails there, and on musl does not, fails because of the emulator, and LACKS is
what it does not do. Tests that stand there count as skipped where it is used, and
those of HANGS are not started. Exit status 77 where a compiler or an emulator is
missing.

  tests/platforms/platforms.py aarch64 musl
  tests/platforms/platforms.py --suites unit tasks -- riscv64
  tests/platforms/platforms.py --programs overflow stack -- aarch64
"""

import argparse
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
# What tests of TLS and of certificates read.
FILES = ["tests/unit/ca.pem", "tests/unit/tls-matrix"]
SUITES = ["unit", "trace", "sim", "streams", "tasks", "contract"]
# On a machine that the tests play, which is the same with each engine: run once.
PLAYED = {"trace", "sim", "streams", "tasks"}
# Of the simulation fewer seeds: an emulated processor takes ten times longer.
FEWER = {"WEIR_SIM_COUNT": "400", "WEIR_SIM_SWEEPS": "1"}
OPTIONS = ["-Dtests=enabled", "-Dtools=disabled", "-Dbench=disabled",
           "-Ddocs=disabled", "-Ddns=disabled", "-Dtls=enabled",
           "-Drsa=wolfssl", "--buildtype=release", "-Dwerror=true"]


class Platform(NamedTuple):
    target: str
    needs: dict  # command: Debian's package
    emulator: str = ""
    options: tuple = ()
    build: str = ""  # the platform whose build it is
    engines: tuple = ("poll",)


def cross(processor, *options):
    target = processor + "-linux-gnu"
    emulator = f"qemu-{processor}-static"
    return Platform(target, {target + "-gcc": "gcc-" + target,
                             emulator: "qemu-user-static"},
                    f"{emulator} -L /usr/{target}", options)


PLATFORMS = {
    "aarch64": cross("aarch64"),
    "aarch64-ucontext": cross("aarch64", "-Dfiber=ucontext"),
    "riscv64": cross("riscv64"),
    "musl": Platform("x86_64-linux-musl", {"musl-gcc": "musl-tools"},
                     engines=("auto", "poll")),
    "emulated": Platform("x86_64-linux-musl",
                         {"musl-gcc": "musl-tools",
                          "qemu-x86_64-static": "qemu-user-static"},
                         "qemu-x86_64-static", build="musl"),
}
# Tests that fail under qemu-user for what it does not do.
LACKS = {
    # madvise() with MADV_GUARD_INSTALL does nothing, and succeeds, which is seen
    # when a loop on the kernel is made; these tests take it for granted. Pages and
    # mappings are those of the emulator, which has some of its own.
    "stack/writing_below_it_faults": "guards",
    "stack/a_guard_outlives_the_return_of_the_pages": "guards",
    "stack/trimming_leaves_what_is_in_use": "guards",
    "overflow/names_the_task_and_its_stack": "guards",
    "overflow/tells_the_default_size_of_a_task_without_a_name": "guards",
    "overflow/a_frame_*_is_reported*": "guards",
    "overflow/finds_the_task_whose_stack_a_callback_runs_on": "guards",
    "overflow/an_earlier_handler_*": "guards",
    "stack/a_storm_gives_its_pages_back": "pages",
    "stack/trimming_gives_back_all_that_is_free": "pages",
    "stack/all_addresses_go_back": "pages",
    "stack/without_addresses_nothing_is_left": "pages",
    "threads_run_each/the_mark_of_stacks_is_the_highest_and_not_the_sum": "pages",
    "threads_share/statistics_are_the_sum_over_all_loops": "pages",
    "stack/without_guard_install_the_number_of_mappings_is_the_limit": "pages",
    # preadv2(), pwritev2(), cachestat() and openat2() are -ENOSYS.
    "file_openat/*": "calls",
    "hung_files/a_file_is_opened_by_a_worker": "calls",
    "seam_files/a_file_is_made_written_and_read": "calls",
    "seam_files/an_open_that_cannot_be_says_why": "calls",
    "seam_files/an_operation_of_a_wrong_kind_of_descriptor_fails": "calls",
    "sys_cache/tells_how_many_bytes_are_ready": "calls",
    "sys_cache/reads_what_is_there_and_waits_for_nothing": "calls",
    # SO_PEERNAME is -EOPNOTSUPP, and an unknown type of socket not -EINVAL.
    "sys/a_peer_is_named_after_its_reset_but_not_after_ours": "options",
    "sys/errors_are_negative_numbers": "options",
    "server/a_connection_that_was_reset_before_the_accept_has_its_life": "options",
    # TCP_INFO tells the state alone: no backlog, no segments that are under way, and
    # no bytes of a SYN.
    "fast_open/the_first_bytes_go_with_the_SYN_of_a_second_connection": "options",
    "fast_open/a_server_takes_the_bytes_of_a_SYN": "options",
    "server/backlog_is_as_asked_for_and_4096_by_default": "options",
    "stream_start_tls/a_close_that_is_aborted_has_not_sent_what_was_sealed":
        "options",
    # SO_TIMESTAMPNS, SO_TIMESTAMPING, SO_RXQ_OVFL and MCAST_JOIN_GROUP are
    # -ENOPROTOOPT.
    "datagram/those_of_every_length_arrive_with_ancillary_data": "options",
    "datagram_facts/complaint_66__those_asked_for_come_with_each": "options",
    "datagram_facts/they_stay_with_one_that_is_kept_by_a_pause": "options",
    "datagram_facts/descriptors_that_come_along_are_closed": "options",
    "datagram_errors/a_time_stamp_that_the_kernel_keeps_is_none": "options",
    "close_fds/those_beside_facts_do_not_hold_up_the_loop": "options",
    "close_fds/as_many_as_a_datagram_carries_have_room": "options",
    "datagram_facts/a_group_is_joined_and_left": "options",
    "datagram_facts/what_is_sent_to_a_group_arrives": "options",
    "datagram_facts/a_source_can_be_chosen": "options",
    # Filters of system calls are refused.
    "datagram_errors/a_kernel_without_memory_is_not_asked_*": "filters",
    "sock_sendfile/a_file_is_read_where_the_cache_cannot_be_asked": "filters",
    "sys/a_peer_is_named_where_the_kernel_lacks_the_option": "filters",
    "sys/descriptors_are_passed_on_where_io_uring_is_refused": "filters",
    "seam_closed/what_the_next_set_has_no_room_for_ends": "filters",
    "seam_closed/waits_rest_while_there_is_no_memory_for_another_set": "filters",
    # clone() with CLONE_PIDFD is -EINVAL, so that no child is started.
    "spawn/*": "children",
    "spawn_errors/*": "children",
    "process/*": "children",
    "subprocess*/*": "children",
    "child_memory/*process*": "children",
    # madvise() with MADV_WIPEONFORK does nothing, too.
    "task_unseen/child_that_returns_into_the_loop_ends": "fork",
    "running/a_forked_child_is_in_none_but_its_own": "fork",
    "threads/a_forked_child_reaches_none_of_them": "fork",
    "move_back/a_forked_child_moves_nothing": "fork",
    "fork/in_any_callback_ends_a_child_*": "fork",
    "post_end/a_forked_child_cannot_post_to_its_parents_loop": "fork",
    # A fault of a thread whose alternate stack another thread's end took away.
    "overflow_loops/a_thread_that_ends_takes_nothing_from_the_others": "threads",
}
# Tests that do not end there, or keep their program from its end.
HANGS = {
    # The children of these do not end.
    "remote/r67__a_forked_child_gets_ECHILD_and_changes_nothing": "fork",
    "references/r67__a_forked_child_gets_echild_and_changes_nothing": "fork",
    # SO_MEMINFO tells nothing: no drops, and no room that a relay could splice into.
    "datagram_facts/drops_of_the_kernel_are_counted": "options",
    "relay_splice/[!t]*": "options",
    # It waits until TCP_INFO tells of a client.
    "server_limits/a_full_server_sleeps_*": "options",
}


def build(name):
    """Libraries, weir and its tests. Returns the folder."""
    platform = PLATFORMS[name]
    name = platform.build or name
    folder = os.path.join(TOP, "build-check", name)
    subprocess.run([os.path.join(TOP, "tools", "deps"), "--for",
                    platform.target], check=True)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        file = os.path.join(TOP, "tests", "platforms", "cross",
                            platform.target + ".ini")
        subprocess.run(["meson", "setup", folder, TOP, "--cross-file", file,
                        *OPTIONS, *platform.options],
                       check=True, stdout=subprocess.DEVNULL)
    return folder


def names_of(folder, suite, wanted):
    """The programs of a suite; of those wanted, if any are named. A test by Python
    is none."""
    text = subprocess.run(["meson", "introspect", folder, "--tests"],
                          stdout=subprocess.PIPE, check=True).stdout
    return [test["name"] for test in json.loads(text)
            if any(word.endswith("run_c_tests.py") for word in test["cmd"]) and
            test["suite"][0].split(":")[-1].split("+")[0] == suite and
            (not wanted or test["name"] in wanted)]


def run(folder, suite, names, env, jobs):
    """Builds and runs programs. Returns the lines of meson's log."""
    targets = [*FILES, "tests-" + suite]
    if subprocess.run(["ninja", "-C", folder, "--quiet", *targets],
                      check=False).returncode != 0:
        raise SystemExit(f"{suite} could not be built in {folder}")
    subprocess.run(["meson", "test", "-C", folder, "--no-rebuild", "-q",
                    "--suite", suite, "--num-processes", str(jobs),
                    "--logbase", suite, *names],
                   env=env, stdout=subprocess.DEVNULL, check=False)
    path = os.path.join(folder, "meson-logs", suite + ".json")
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Count:
    """Of the tests of a platform with an engine."""

    def __init__(self, is_emulated):
        self.is_emulated = is_emulated
        self.programs = self.passed = self.failed = self.skipped = 0
        self.told = []

    def add(self, suite, row):
        name = row["name"].split(" / ")[-1]
        self.programs += 1
        bad = 0
        for line in row.get("stdout", "").splitlines():
            found = re.match(r"(not )?ok \d+ - (\S+)(.*)", line)
            if not found:
                continue
            is_lack = self.is_emulated and any(
                fnmatch.fnmatch(found[2], pattern) for pattern in LACKS)
            if "# SKIP" in found[3] or (found[1] and is_lack):
                self.skipped += 1
            elif found[1]:
                self.told.append(f"  {suite}-{name}: {found[2]}")
                bad += 1
            else:
                self.passed += 1
        self.failed += bad
        if row["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and not bad and \
                "not ok" not in row.get("stdout", ""):
            self.failed += 1
            self.told.append(f"  {suite}-{name}: {row['result']}")


def report(name, options):
    """Builds, runs and prints. Returns whether all passed."""
    platform = PLATFORMS[name]
    folder = build(name)
    is_well = True
    for engine in platform.engines:
        count = Count(platform.emulator)
        env = dict(os.environ, WEIR_ENGINE=engine,
                   WEIR_TEST_WRAPPER=platform.emulator, **FEWER)
        if platform.emulator:
            env["WEIR_TEST_SKIP"] = " ".join(HANGS)
        for suite in options.suites:
            names = names_of(folder, suite, options.programs)
            if names and (engine == platform.engines[0] or suite not in PLAYED):
                for row in run(folder, suite, names, env, options.jobs):
                    count.add(suite, row)
        print(f"| {name} | {engine} | {count.programs} | {count.passed} | "
              f"{count.failed} | {count.skipped} |")
        for line in count.told:
            print(line)
        sys.stdout.flush()
        is_well &= count.failed == 0
    return is_well


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("platforms", nargs="+", choices=sorted(PLATFORMS))
    parser.add_argument("--suites", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--programs", nargs="+", default=[],
                        help="these alone, by the names of `meson test`")
    parser.add_argument("--jobs", type=int, default=2,
                        help="programs at the same time (2)")
    return parser.parse_args()


def main():
    options = parse()
    is_well = True
    for name in options.platforms:
        for command, package in PLATFORMS[name].needs.items():
            if not shutil.which(command):
                print(f"skipped: {command} is missing (package {package})")
                return 77
        is_well &= report(name, options)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
