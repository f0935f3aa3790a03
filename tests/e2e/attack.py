#!/usr/bin/env python3
"""Servers are attacked, and honest clients at the same time must notice nothing.

For a given time, processes attack a server in all ways of attacks.py, mixed by a seed,
while others use it honestly and check every byte and how long they wait (honest.py).
Afterwards the server must be as before: it serves, has no more descriptors, uses no
processor, and ends when asked, with nothing on standard error (where sanitizers
complain) and with the right status.

A failure is printed with the seed and the command that repeats it. One attacker's
actions have the same order with the same seed; how they coincide in the server is not
repeatable.
"""

import argparse
import collections
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import threading
import time
import traceback

from attacked import KINDS, die_with_parent, start
from attacks import ATTACKS, TO_PROCESSES, Place, attack
from honest import Fault, Late, client_of
from shortages import SHORTAGES, Shortage

ATTACKERS = 3
THREADS = 4
VICTIMS = 2  # of the attackers: how many are stopped and killed
REPORT_S = 10
SETTLE_S = 60
GRACE_S = 60


def options():
    attacks = [*ATTACKS, *TO_PROCESSES, *SHORTAGES]
    told = {name: function.__doc__ for name, function in
            (ATTACKS | SHORTAGES).items()}
    told.update(TO_PROCESSES)
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", maxsplit=1)[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="attacks:\n" + "".join(f"  {name:12} {told[name]}\n"
                                      for name in attacks)
        + "servers: " + ", ".join(KINDS))
    parser.add_argument("programs", nargs="+", metavar="PROGRAM",
                        help="the built ones: weir-load, weir-proxy, "
                        "example-*, keeper")
    parser.add_argument("--seconds", type=float, default=float(
        os.environ.get("WEIR_ATTACK_SECONDS") or 1.5), help="of attack for "
        "each server (%(default)s, or WEIR_ATTACK_SECONDS)")
    parser.add_argument("--seed", type=int, default=int(
        os.environ.get("WEIR_TEST_SEED") or random.randrange(1 << 32)),
        help="(by chance, or WEIR_TEST_SEED)")
    parser.add_argument("--servers", type=words_of(KINDS), default=[*KINDS],
                        help="names with commas (all that are given)")
    parser.add_argument("--attacks", type=words_of(attacks), default=attacks,
                        help="names with commas (all)")
    parser.add_argument("--without", type=words_of(attacks), default=[],
                        help="attacks to leave out")
    parser.add_argument("--honest", type=int, default=3,
                        help="honest clients (%(default)s)")
    parser.add_argument("--wait", type=float, default=20, help="seconds after "
                        "which an answer is late (%(default)s)")
    parser.add_argument("--files", type=int, default=1600, help="descriptors "
                        "that a server may have (%(default)s)")
    parser.add_argument("--connections", type=int, default=1200, help="that "
                        "attackers may hold at a time (%(default)s)")
    args = parser.parse_args()
    args.attacks = [name for name in args.attacks if name not in args.without]
    return args


def words_of(known):
    def words(text):
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}")
        return names
    return words


def note(text):
    print("".join(f"# {line}\n" for line in text.splitlines()), end="",
          flush=True)


# ---- processes that attack or talk ----

class Team:
    """Processes that are forked from here and report what they do, one line of JSON at
    a time, through one pipe."""

    def __init__(self):
        self.reading, self.writing = os.pipe()
        self.rest = b""
        self.pids = set()

    def fork(self, work, *args):
        """Runs work(tell, *args) in a child process."""
        pid = os.fork()
        if pid:
            self.pids.add(pid)
            return pid
        status = 0
        try:
            die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            work(self.tell, *args)
        except BaseException:  # pylint: disable=broad-except
            self.tell({"fault": traceback.format_exc()})
            status = 1
        os._exit(status)

    def tell(self, what):
        # As much as a pipe accepts atomically from several writers.
        text = json.dumps(what).encode()
        assert len(text) < select.PIPE_BUF, "too much for one line"
        os.write(self.writing, text + b"\n")

    def heard(self, limit_s):
        """Returns the reports, waiting at most this long."""
        if not select.select([self.reading], [], [], max(limit_s, 0))[0]:
            return []
        *lines, self.rest = (self.rest
                             + os.read(self.reading, 1 << 16)).split(b"\n")
        return [json.loads(line) for line in lines]

    def reap(self):
        """Forgets processes that have ended."""
        for pid in list(self.pids):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self.pids.remove(pid)

    def kill(self, pid):
        if pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.pids.remove(pid)

    def close(self):
        for pid in list(self.pids):
            self.kill(pid)
        os.close(self.reading)
        os.close(self.writing)


def attack_in_threads(tell, place, names, seed):
    """The work of an attacking process."""
    # The others should not wait for the processor that this one uses.
    os.nice(10)
    def work(number):
        try:
            attack(place, names, random.Random(f"{seed}-{number}"),
                   lambda name: tell({"attack": name}))
        except Exception:  # pylint: disable=broad-except
            tell({"fault": "the attack itself: " + traceback.format_exc()})

    threads = [threading.Thread(target=work, args=(number,), daemon=True)
               for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def talk_honestly(tell, place, doors, number, seed, limit_s):
    """The work of an honest client."""
    chance = random.Random(f"{seed}-honest-{number}")
    door = doors[number % len(doors)]
    client = client_of(door, place.dialect, number, chance, limit_s)
    waits = []

    def send_report(at_least):
        if len(waits) >= at_least:
            tell({"waits": waits, "bytes": client.byte_count})
            waits.clear()
            client.byte_count = 0

    def told(wait_s):
        waits.append(round(wait_s, 5))
        send_report(100)

    while place.left():
        try:
            while place.left():
                client.converse(chance.randint(1, 20), told)
                send_report(1)
            client.close()
        except Fault as fault:
            tell({"fault": f"honest client {number} of {door.url}: {fault}",
                  "late": isinstance(fault, Late)})
            if not isinstance(fault, Late):
                break
            # This need not be the server's fault; continues as another client.
            client = client_of(door, place.dialect, number, chance, limit_s)
    send_report(1)


# ---- one server ----

class Battle:
    """The attack on one server."""

    def __init__(self, server, args, lock_path):
        self.server = server
        self.args = args
        self.started = time.monotonic()
        self.place = Place(server.doors + server.rude_doors,
                           server.kind.dialect,
                           self.started + args.seconds,
                           max(args.connections // (ATTACKERS * THREADS), 1),
                           args.files, lock_path)
        self.seed = f"{args.seed}-{server.name}"
        self.chance = random.Random(self.seed)
        self.team = Team()
        self.victims = {}
        self.shortage = Shortage(server, [
            name for name in server.kind.lacks if name in args.attacks],
                                 random.Random(f"{self.seed}-shortages"))
        self.counts = collections.Counter()
        self.waits = []
        self.byte_count = 0
        self.late_count = 0
        self.faults = []

    def fight(self):
        """Runs all of it. Returns the faults that were found."""
        try:
            before = self.look()
            if not self.faults:
                self.go_through()
            if not self.faults:
                self.look_after(before)
            if not self.faults and self.server.kind.ends_attacked:
                self.attack_again()
            if not self.faults:
                self.end()
        finally:
            self.shortage.end()
            self.team.close()
        return self.faults

    def fault(self, text, is_late=False):
        """Records a fault; a late answer of a server that had to wait for a processor
        most of the time is not a fault."""
        took = time.monotonic() - self.started
        if is_late and self.server.queued() > took / 2:
            note(f"{self.server.name} after {took:.1f} s, of which it waited "
                 f"{self.server.queued():.1f} s for a processor: {text}")
            self.late_count += 1
            return
        self.faults.append(f"after {took:.1f} s: {text}")

    # ---- before and after ----

    def serves(self):
        """Makes honest exchanges without other clients, through every door."""
        for door in self.server.doors:
            client = client_of(door, self.server.kind.dialect, "main",
                               random.Random(self.seed), self.args.wait)
            try:
                for _ in range(3):
                    client.converse(3, lambda wait_s: None)
                client.close()
            except Fault as fault:
                self.fault(f"when nobody attacks {door.url}: {fault}")

    def look(self):
        """Returns the server's descriptors when it has served and has no clients."""
        self.server.idle = self.server.files()
        self.serves()
        self.settle(self.server.idle)
        note(f"{self.server.name}: {len(self.server.idle)} descriptors, RSS "
             f"{self.server.rss()} KiB before")
        return self.server.idle

    def settle(self, wanted):
        """Waits until it has exactly these descriptors."""
        deadline = time.monotonic() + SETTLE_S
        while self.server.files() != wanted and not self.server.has_ended():
            if time.monotonic() > deadline:
                counts = collections.Counter(self.server.files())
                counts.subtract(wanted)
                self.fault(f"descriptors are left {SETTLE_S} s after the last "
                           f"client: {+counts}{self.server.dump()}")
                return
            time.sleep(0.02)

    def look_after(self, before):
        self.serves()
        for wrong in self.server.look():
            self.fault(f"when nobody is there any more: {wrong}")
        self.settle(before)
        used = self.rest()
        note(f"{self.server.name}: {len(self.server.files())} descriptors, "
             f"RSS {self.server.rss()} KiB after, {used} ticks in 0.3 s idle")
        if used > 0.1 * os.sysconf("SC_CLK_TCK"):
            self.fault(f"{used} ticks of the processor in 0.3 s, {SETTLE_S} s "
                       "after the last client")

    def rest(self):
        """Returns the ticks that it uses in 0.3 s when it has nothing to do. A slow
        machine may have to wait for that."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            used = self.server.ticks()
            time.sleep(0.3)
            used = self.server.ticks() - used
            if (used <= 0.1 * os.sysconf("SC_CLK_TCK")
                    or time.monotonic() > deadline):
                return used

    def acts(self):
        """The attacks by connections."""
        return [name for name in self.args.attacks if name in ATTACKS]

    def attack_again(self):
        """Attacks again, so that it must end during the attacks."""
        acts = self.acts()
        self.place.until = time.monotonic() + GRACE_S
        for number in range(ATTACKERS if acts else 0):
            self.send_out(acts, f"last-{number}", False)
        time.sleep(self.chance.random())

    def end(self):
        self.server.signal(signal.SIGINT)
        try:
            status = self.server.process.wait(GRACE_S)
        except Exception:  # pylint: disable=broad-except
            self.fault(f"it has not ended {GRACE_S} s after SIGINT")
            return
        if status not in self.server.kind.statuses:
            self.fault(f"it ended with {status} after SIGINT")
        if self.server.said():
            self.fault("it complained")

    # ---- the attack ----

    def go_through(self):
        acts = self.acts()
        for number in range(ATTACKERS if acts else 0):
            self.send_out(acts, number, number < VICTIMS)
        for number in range(max(self.args.honest, len(self.server.doors))):
            self.team.fork(talk_honestly, self.place, self.server.doors,
                           number, self.seed, self.args.wait)
        self.watch(acts)
        self.shortage.end()
        for pid in self.victims:
            self.team.kill(pid)
        self.wait_for_honest()
        self.report("at the end")
        note(f"{self.server.name}: " + (", ".join(
            f"{name} {count}" for name, count in sorted(self.counts.items()))
            or "no attack was finished"))

    def send_out(self, acts, number, may_die):
        pid = self.team.fork(attack_in_threads, self.place, acts,
                             f"{self.seed}-{number}")
        self.victims[pid] = {"number": number, "may_die": may_die,
                             "stopped": False}

    def watch(self, acts):
        """Watches until the time has passed or something is wrong."""
        spite = [name for name in TO_PROCESSES if name in self.args.attacks]
        next_report = self.started + REPORT_S
        next_act = time.monotonic() + self.chance.random()
        while self.place.left() and not self.faults:
            self.hear(min(self.place.left(), 0.1))
            self.look_at_server()
            self.counts.update(self.shortage.turn())
            now = time.monotonic()
            if now > next_report:
                self.report(f"{now - self.started:.0f} s")
                next_report += REPORT_S
            if now > next_act and spite:
                self.hurt(spite, acts)
                next_act = now + self.chance.random() * 3

    def hurt(self, spite, acts):
        """Stops, wakes or kills one of the attackers."""
        pid = self.chance.choice([pid for pid, victim in self.victims.items()
                                  if victim["may_die"]] or [0])
        if not pid or pid not in self.team.pids:
            return
        victim = self.victims[pid]
        if "killed" in spite and self.chance.randrange(2):
            self.team.kill(pid)
            del self.victims[pid]
            self.counts["killed"] += 1
            self.send_out(acts, victim["number"] + ATTACKERS, True)
        elif "stopped" in spite:
            victim["stopped"] = not victim["stopped"]
            os.kill(pid, signal.SIGSTOP if victim["stopped"]
                    else signal.SIGCONT)
            self.counts["stopped"] += victim["stopped"]

    def wait_for_honest(self):
        deadline = time.monotonic() + 2 * self.args.wait
        while self.team.pids and time.monotonic() < deadline:
            self.hear(0.05)
            self.team.reap()
            self.look_at_server()
            if self.server.has_ended():
                break
        self.hear(0)
        if self.team.pids and not self.faults:
            self.fault("an honest client does not come to its end")

    def hear(self, limit_s):
        for what in self.team.heard(limit_s):
            if "fault" in what:
                self.fault(what["fault"], what.get("late", False))
            if "attack" in what:
                self.counts[what["attack"]] += 1
            self.waits += what.get("waits", ())
            self.byte_count += what.get("bytes", 0)

    def look_at_server(self):
        if self.server.has_ended() and not any("the server" in fault
                                               for fault in self.faults):
            self.fault("the server has ended with "
                       f"{self.server.process.returncode}")

    def report(self, when):
        waits = sorted(self.waits) or [0]
        p50, p99 = (waits[int(len(waits) * part)] for part in (0.5, 0.99))
        state = ("ended" if self.server.has_ended() else
                 f"{len(self.server.files())} descriptors, RSS "
                 f"{self.server.rss()} KiB, processor "
                 f"{self.server.ticks() / os.sysconf('SC_CLK_TCK'):.1f} s and "
                 f"{self.server.queued():.1f} s waited for")
        note(f"{self.server.name} {when}: {len(self.waits)} honest exchanges, "
             f"{self.byte_count >> 20} MiB, waited p50 {p50 * 1e3:.1f} p99 "
             f"{p99 * 1e3:.0f} max {waits[-1] * 1e3:.0f} ms; "
             f"{sum(self.counts.values())} attacks; {state}")


def run_battle(name, paths, args):
    """Attacks one server. Returns True if it withstood."""
    with (tempfile.TemporaryDirectory() as folder,
          start(name, paths, folder, args.files, args.seed) as server,
          tempfile.NamedTemporaryFile() as lock):
        faults = Battle(server, args, lock.name).fight()
        for fault in faults[:10]:
            note(f"FAULT {name} {fault}")
        if len(faults) > 10:
            note(f"and {len(faults) - 10} more")
        if server.said():
            note(f"{name} said:\n{server.said()}")
        if faults:
            note(f"seed {args.seed}; to repeat: tests/e2e/attack.py --seed "
                 f"{args.seed} --seconds {args.seconds:g} --servers {name} "
                 f"--attacks {','.join(args.attacks)} "
                 f"{' '.join(args.programs)}")
    return not faults


def main():
    args = options()
    paths = {os.path.basename(path).removeprefix("example-"):
             os.path.abspath(path) for path in args.programs}
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = [name for name in args.servers
             if KINDS[name].programs(name) <= paths.keys()]
    if "WEIR_SHORT" in os.environ:
        names = names[:1]
    note(f"WEIR_TEST_SEED={args.seed}, {args.seconds:g} s for each server")
    if not names:
        sys.exit("none of the servers is among the programs")
    print(f"1..{len(names)}", flush=True)
    good = True
    for number, name in enumerate(names, 1):
        held = run_battle(name, paths, args)
        good = good and held
        print(f"{'ok' if held else 'not ok'} {number} "
              f"{name}_serves_honest_clients_among_attackers", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
