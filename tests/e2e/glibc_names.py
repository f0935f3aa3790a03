"""Names as the C library finds them: the same lookups by glibc and by weir, of
one name server, are to end alike and to ask for the same names in one order.

The name server (scripted_dns.py) and both libraries are in namespaces of their
own, with a loopback, a resolv.conf and a hosts file of the test's.

Where they differ, and are to:
 - weir tells a broken answer from a name that does not exist, and a name that
   leads to no address from one that does not exist;
 - asked for IPv4 alone glibc says "no such name" where it says "try again" if it
   is asked for IPv6 alone, or for both.
"""

import itertools
import os
import tempfile

from harness import EXAMPLES, Program, Skip, equal, run
from networks import Machine

HERE = os.path.dirname(os.path.abspath(__file__))

# Suffixes of a name: without a dot, with one, with two, and with one at the end.
SUFFIXES = ["", ".a", ".a.b", ".a."]
FAMILIES = "046"


def program():
    if "beside_glibc" not in EXAMPLES:
        raise Skip("the test program was not built")
    return EXAMPLES["beside_glibc"]


class Names(Machine):
    """A machine with a name server and files of the test's."""

    def __init__(self, resolv_conf="", hosts="", addresses=("127.0.0.1",),
                 commands=(), environment=()):
        self.folder = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.folder.name, "log")
        files = {"hosts": hosts, "nsswitch.conf": "hosts: files dns\n"}
        mounts = []
        for name, text in files.items():
            path = os.path.join(self.folder.name, name)
            with open(path, "w", encoding="latin-1") as file:
                file.write(text)
            mounts.append(f"mount --bind {path} /etc/{name}")
        super().__init__([*mounts, "ip link set lo up", *commands],
                         resolv_conf)
        self.environment = list(environment)
        self.addresses = addresses

    def __enter__(self):
        super().__enter__()
        open(self.log, "w").close()
        self.server = Program(*self.enter(
            "python3", os.path.join(HERE, "scripted_dns.py"), self.log,
            *self.addresses))
        self.server.__enter__()
        equal(self.server.process.stdout.readline(), b"ready\n", "the server")
        return self

    def __exit__(self, *exc):
        self.server.__exit__(*exc)
        super().__exit__(*exc)
        self.folder.cleanup()

    def ask(self, library, lookups):
        """The results of the lookups, pairs of a family and a name, and the
        lines that the server has noted."""
        open(self.log, "w").close()
        outcome = self.run("env", *self.environment, program(), library,
                           input="".join(f"{family} {name}\n" for family, name
                                         in lookups).encode("latin-1"))
        if outcome.status == 77:
            raise Skip(outcome.err.strip())
        equal((outcome.status, outcome.err), (0, ""), library)
        with open(self.log, encoding="latin-1") as file:
            return outcome.out.splitlines(), [line.split() for line in file]


# ---- tables ----

def cells(kinds, suffixes=SUFFIXES, families=FAMILIES):
    """Pairs of a family and a name; the answer of each kind as the first, a
    middle and the last of the search, with addresses at each other place, and
    at none. Each name has a first label of its own."""
    for kind, place, found, number, family in itertools.product(
            kinds, "0123", "x013", range(len(suffixes)), families):
        if place != found:
            yield family, (f"{kind}-{place}-{found}-{number}-{family}"
                           + suffixes[number])


def label(name):
    return name.split(".")[0]


def base(name):
    """A first label without its family."""
    return label(name).rsplit("-", 1)[0]


def group(noted):
    """For each first label the names asked for, each once, in their order."""
    asked = {}
    for _, _, name in noted:
        names = asked.setdefault(label(name), [])
        if name not in names:
            names.append(name)
    return asked


def expected(results, family, name):
    """What weir may say where glibc says what it does."""
    said = results[family, name]
    kind = name.split("-")[0]
    if family == "4" and said == "no name":
        other = results.get(("6", name.replace(label(name),
                                               base(name) + "-6")))
        said = other if other == "again" else said
    if said in ("no name", "no data") and kind in ("loop", "nowhere"):
        return ["no data", "no name"]
    return [said, "bad"] if said == "no name" and kind == "formerr" else [said]


def differences(machine, lookups):
    """Pairs of a lookup and of what the libraries say."""
    glibc, noted = machine.ask("glibc", lookups)
    wanted = group(noted)
    weir, noted = machine.ask("weir", lookups)
    found = group(noted)
    results = dict(zip(lookups, glibc))
    equal((len(glibc), len(weir)), (len(lookups), len(lookups)), "results")
    return [(pair, f"{pair}: glibc {results[pair]!r}, "
                   f"{wanted.get(label(pair[1]))}; "
                   f"weir {said!r}, {found.get(label(pair[1]))}")
            for pair, said in zip(lookups, weir)
            if said not in expected(results, *pair)
            or wanted.get(label(pair[1])) != found.get(label(pair[1]))]


def compare(resolv_conf, lookups, **options):
    """Both libraries find the same by the same questions. What differs is asked
    again by itself: on a busy machine an answer may have come too late."""
    lookups = list(lookups)
    with Names("nameserver 127.0.0.1\n" + resolv_conf, **options) as machine:
        odd = differences(machine, lookups)
        if odd:
            bases = {base(name) for (_, name), _ in odd}
            odd = differences(machine, [pair for pair in lookups
                                        if base(pair[1]) in bases])
        equal([text for _, text in odd], [], "lookups that differ")


SEARCH = "search d1.test d2.test d3.test\n"
PATIENCE = "options timeout:5 attempts:1\n"


def test_each_answer_at_each_place_of_the_search():
    kinds = ["nxdomain", "nodata", "servfail", "refused", "notimp", "formerr",
             "truncated", "loop", "nowhere", "alias"]
    for ndots in ("1", "5"):
        compare(f"{SEARCH}{PATIENCE}options ndots:{ndots}\n", cells(kinds))


def test_one_family_is_refused_and_the_other_has_an_answer():
    kinds = ["servfail_found", "found_servfail", "refused_found",
             "found_refused", "notimp_found", "found_notimp", "found_formerr",
             "formerr_found", "nodata_found", "nxdomain_found", "found_nodata"]
    compare(f"{SEARCH}{PATIENCE}", cells(kinds, families="0"))


def test_an_answer_that_is_cut_by_TCP_too():
    for ndots in ("1", "5"):
        compare(f"{SEARCH}{PATIENCE}options ndots:{ndots}\n", cells(["cut"]))


def test_a_server_that_is_silent_at_each_place_of_the_search():
    for ndots in ("1", "5"):
        compare(f"{SEARCH}options timeout:2 attempts:1 ndots:{ndots}\n",
                cells(["silent"]))


def test_no_server_is_there():
    compare(f"{SEARCH}{PATIENCE}", cells(["nodata"]), addresses=["127.0.0.2"])


# ---- resolv.conf ----

def lookups_of(*names, families=FAMILIES):
    return [(family, f"{name.split('.')[0]}-{family}"
                     + name[len(name.split(".")[0]):])
            for name in names for family in families]


def test_the_root_may_be_among_the_domains():
    for search in ("search .\n", "search d1.test . d2.test\n",
                   "search . d1.test\n"):
        compare(search + PATIENCE, cells(["nodata", "servfail"]))


def test_any_number_of_domains_is_searched():
    domains = " ".join(f"d{i}.test" for i in range(1, 41))
    compare(f"search {domains}\n{PATIENCE}",
            lookups_of("nodata-1-40", "nodata-1-9", "nodata-x-x"))


def test_a_line_may_be_long():
    blanks = " " * 70000
    compare(f"search d1.test{blanks}d2.test\n{PATIENCE}",
            lookups_of("nodata-1-2", "nodata-0-x"))


def test_the_last_line_of_domains_counts():
    compare(f"search d1.test\ndomain d2.test d3.test\n{PATIENCE}",
            lookups_of("a-x-1", "a-x-2", "a-x-3"))
    compare(f"domain d2.test\nsearch\nsearch d1.test\t\n{PATIENCE}",
            lookups_of("a-x-1", "a-x-2"))


def test_top_levels_are_left_out():
    # Two lookups at a time whose names begin alike would be mixed up.
    for names in (("a-x-0", "a-x-2", "a-1-x."), ("a-x-0.a",)):
        compare(f"{SEARCH}{PATIENCE}options no-tld-query\n",
                lookups_of(*names))


def test_no_server_is_asked_for_an_IPv6_address():
    compare(f"{SEARCH}{PATIENCE}options no-aaaa\n",
            lookups_of("a-x-0", "a-x-2", "nodata-1-x", "a-x-x.a",
                       families="04"))


def test_the_environment_says_otherwise():
    compare(f"{SEARCH}{PATIENCE}options ndots:3\n",
            lookups_of("nodata-1-2", "nodata-1-4", "nodata-2-0.a", "a-x-5.a"),
            environment=["LOCALDOMAIN=d4.test d5.test", "RES_OPTIONS=ndots:1"])
    compare(f"{SEARCH}{PATIENCE}", lookups_of("a-x-1", "a-x-0"),
            environment=["LOCALDOMAIN="])


def test_servers_are_asked_by_TCP():
    with Names(f"nameserver 127.0.0.1\n{SEARCH}options use-vc\n") as machine:
        for library in ("glibc", "weir"):
            results, noted = machine.ask(library, [("0", "nodata-1-2")])
            equal(results, [" 192.0.2.1 2001:db8::1"], library)
            equal({how for how, _, _ in noted}, {"tcp"}, library)


def test_families_are_asked_for_one_after_the_other():
    with Names(f"nameserver 127.0.0.1\n{SEARCH}options single-request\n"
               ) as machine:
        for library in ("glibc", "weir"):
            results, noted = machine.ask(library, [("0", "nodata-1-2")])
            equal(results, [" 192.0.2.1 2001:db8::1"], library)
            equal([" ".join(line[1:]) for line in noted],
                  ["A nodata-1-2.d1.test", "AAAA nodata-1-2.d1.test",
                   "A nodata-1-2.d2.test", "AAAA nodata-1-2.d2.test"], library)


def test_a_server_may_have_the_address_of_a_link():
    with Names(f"nameserver fe80::53%lo\n{SEARCH}",
               commands=["ip -6 address add fe80::53/64 dev lo nodad"],
               addresses=["fe80::53%lo"]) as machine:
        for library in ("glibc", "weir"):
            for name in ("nodata-1-2", "truncated-1-x"):
                results, noted = machine.ask(library, [("0", name)])
                equal(results, [" 192.0.2.1 2001:db8::1"], library)
                assert noted, library


if __name__ == "__main__":
    run(globals())
