"""Compares lookups of names by glibc and by weir: with the same name server both
must have the same results, and must ask for the same names in the same order.

The name server (scripted_dns.py) and both libraries are in separate namespaces,
with a loopback, and with a resolv.conf and a hosts file of the test.

Intended differences:
 - weir distinguishes a broken answer from a name that does not exist, and a name
   without addresses from one that does not exist;
 - for IPv4 alone glibc says "no such name" in cases where it says "try again"
   for IPv6 alone, or for both;
 - if a server refuses to answer over TCP, glibc says that the name is unknown;
 - weir answers "localhost" without the hosts file, and ignores names of more
   than 253 bytes in that file;
 - for IPv4 alone, without the canonical name, glibc does not look up names that
   resemble an address: "300.1.1.1";
 - weir's canonical name has no dot at its end;
 - if IPv4-mapped addresses are requested in addition to IPv6, glibc returns
   "::ffff:127.0.0.1" for the hosts file's "::1", too;
 - glibc finds an empty name for an address without a name in its line, and does
   not find "::ffff:192.0.2.1" if mapped addresses of IPv4 are requested.
"""

import itertools
import os
import tempfile

from harness import EXAMPLES, Program, Skip, equal, run
from networks import Machine

HERE = os.path.dirname(os.path.abspath(__file__))

# Endings of a name: without a dot, with one, with two, and with one at the end.
SUFFIXES = ["", ".a", ".a.b", ".a."]
FAMILIES = "046"


def program():
    if "beside_glibc" not in EXAMPLES:
        raise Skip("the test program was not built")
    return EXAMPLES["beside_glibc"]


class Names(Machine):
    """A machine with a name server and files of the test."""

    def __init__(self, resolv_conf="", hosts="", addresses=("127.0.0.1",),
                 commands=(), environment=()):
        self.folder = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.folder.name, "log")
        files = {"hosts": hosts, "host.conf": "multi on\n",
                 "nsswitch.conf": "hosts: files dns\n"}
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
        """Returns the results of the lookups, pairs of a family and a name, and the
        queries that the server has logged."""
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
    """Pairs of a family and a name; each kind of response is the first, a middle and
    the last of the search, with addresses at each other position, and at none. Each
    name has its own first label."""
    for kind, place, found, number, family in itertools.product(
            kinds, "0123", "x013", range(len(suffixes)), families):
        if place != found:
            yield family, (f"{kind}-{place}-{found}-{number}-{family}"
                           + suffixes[number])


def label(name):
    return name.split(".")[0]


def base(name):
    """Returns a first label without its family."""
    return label(name).rsplit("-", 1)[0]


def group(noted):
    """Returns for each first label the queried names, each once, in order."""
    asked = {}
    for _, _, name in noted:
        names = asked.setdefault(label(name), [])
        if name not in names:
            names.append(name)
    return asked


def expected(results, family, name, by_tcp):
    """Returns what weir may return where glibc returns this."""
    said = results[family, name]
    kind = name.split("-")[0].removeprefix("tcp")
    if family == "C":
        return [said.rstrip(".")]
    if family == "4" and said == "no name":
        other = results.get(("6", name.replace(label(name),
                                               base(name) + "-6")))
        said = other if other == "again" else said
    if by_tcp and said == "no name" and kind in ("refused", "notimp"):
        return [said, "again"]
    if said in ("no name", "no data") and kind.split("_")[0] in ("loop",
                                                                 "nowhere"):
        return ["no data", "no name"]
    return [said, "bad"] if said == "no name" and kind == "formerr" else [said]


def differences(machine, lookups, by_tcp=False):
    """Returns pairs of a lookup and of the libraries' results."""
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
            if said not in expected(results, *pair, by_tcp)
            or wanted.get(label(pair[1])) != found.get(label(pair[1]))]


def compare(resolv_conf, lookups, **options):
    """Both libraries have the same results with the same queries. Lookups that differ
    are repeated alone: on a busy machine a response may have been late."""
    lookups = list(lookups)
    by_tcp = "use-vc" in resolv_conf
    with Names("nameserver 127.0.0.1\n" + resolv_conf, **options) as machine:
        odd = differences(machine, lookups, by_tcp)
        if odd:
            bases = {base(name) for (_, name), _ in odd}
            odd = differences(machine, [pair for pair in lookups
                                        if base(pair[1]) in bases], by_tcp)
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


def test_an_answer_that_comes_by_TCP_as_it_is_too_long():
    kinds = ["tcpnxdomain", "tcpnodata", "tcpservfail", "tcploop", "tcpnowhere",
             "tcpalias"]
    for ndots in ("1", "5"):
        compare(f"{SEARCH}{PATIENCE}options ndots:{ndots}\n", cells(kinds))


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
    # Two simultaneous lookups whose names begin alike would be mixed up.
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


def test_each_answer_by_TCP_at_each_place_of_the_search():
    kinds = ["nxdomain", "nodata", "servfail", "refused", "notimp", "formerr",
             "loop", "nowhere", "alias"]
    mixed = ["servfail_found", "found_servfail", "refused_found", "nodata_found",
             "nxdomain_found", "nowhere_nodata", "nowhere_found"]
    for ndots in ("1", "5"):
        options = f"{SEARCH}{PATIENCE}options use-vc ndots:{ndots}\n"
        compare(options, cells(kinds))
        compare(options, cells(mixed, families="0"))


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


# ---- the hosts file ----

LONG = ".".join(["x" * 63] * 3 + ["y" * 61])  # 253 bytes

# Lines that count, and lines that do not, each for different names.
LINES = """192.0.2.1 inet
2001:db8::1 inet6
192.0.2.2 both
2001:db8::2 both
::1 loop6
127.0.0.1 loop
127.0.0.1 loops
::1 loops
::ffff:192.0.2.3 mapped
::ffff:192.0.2.3 mappeds
192.0.2.3 mappeds
0::0001 loop6long
::0.0.0.1 loop6dotted
2001:DB8:0:0::9 upper6
127.1 short
127.0.1 shorter
0x7f.0.0.1 hex
127.0.0.01 octal
010.0.0.1 octalfirst
2130706433 whole
256.0.0.1 toolarge
1.2.3.4.5 toomany
1.2.3.4. dotted
1.2.3.4:80 withport
[::1] brackets
::1:: twice
::g nohex
fe80::1 link
fe80::2%lo zone
fe80::3%1 zonenumber
name address
192.0.2.4
192.0.2.5 # alone
#192.0.2.6 commented
 # 192.0.2.6 commentedtoo
192.0.2.7 before#after
192.0.2.8 before2 #after2
192.0.2.9 x#y
  192.0.2.10 indented
\t192.0.2.11\ttabbed\talias-of-tabbed\t
192.0.2.12\vvertical\vverticaltoo
192.0.2.13\fform\fformtoo
192.0.2.14 return\r
192.0.2.15 \r returns \r another\r
192.0.2.16   blanks     many
192.0.2.17,comma
192.0.2.20 canon alias1 alias2
192.0.2.21 other alias1
2001:db8::20 alias2 canon
192.0.2.22 several
192.0.2.23 several
192.0.2.24 several
192.0.2.22 several
192.0.2.25 again again
192.0.2.26 UPPER MiXed
192.0.2.27 upper
192.0.2.28 under_score
192.0.2.29 _under
192.0.2.30 foo.onion
2001:db8::30 foo.onion
192.0.2.31 p.local
192.0.2.32 q.invalid
192.0.2.33 r.test
192.0.2.34 dot.
192.0.2.46 web.1
;192.0.2.55 semicolon
192.0.2.56 nul\0behind
192.0.2.57 xn--bcher-kva
"""

NAMES = """inet inet6 both loop6 loop loops mapped mappeds loop6long loop6dotted
upper6 short shorter hex octal octalfirst whole toolarge toomany dotted withport
brackets twice nohex link zone zonenumber address commented commentedtoo before
after before2 after2 x y indented tabbed alias-of-tabbed vertical verticaltoo
form formtoo return returns another blanks many comma canon alias1
alias2 several again upper UPPER mixed under_score _under foo.onion p.local
q.invalid r.test dot. nul behind xn--bcher-kva web.1 semicolon alone INET Both
FOO.Onion R.TEST dot r.test.""".split()

# Names that are not sent to a server.
ODD = r"""-hyphen- dots..two .first odd!name slash/name x:name per%cent back\slash
st*r b\xfccher B\xfcCHER \xe4\xf6\xfc with,comma a@b "quoted" semi;colon .a.
%lo [x] <x> 'x' (x) x= x+y ~x""".encode().decode("unicode-escape").split()
NUMBERS = ["1.2.3.4.5.6", "300.1.1.1", "0.0.0.256"]

ADDRESSES = """192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2 127.0.0.1 ::1
::ffff:192.0.2.3 192.0.2.3 ::ffff:192.0.2.1 ::ffff:127.0.0.1 192.0.2.6
192.0.2.7 192.0.2.10 192.0.2.11 192.0.2.14 192.0.2.15 192.0.2.20 192.0.2.21
2001:db8::20 192.0.2.22 192.0.2.26 192.0.2.28 192.0.2.30 192.0.2.38 192.0.2.44
192.0.2.34 192.0.2.36 192.0.2.56 192.0.2.99 2001:db8::99 fe80::1 fe80::1%lo
0.0.0.0""".split()


def compare_hosts(hosts, texts, kinds="046C", resolv_conf=SEARCH):
    """Compares the libraries' results for a hosts file. Each kind is queried alone,
    because all have the same names. Lookups that differ are repeated, as in
    compare()."""
    odd = []
    with Names(f"nameserver 127.0.0.1\n{resolv_conf}{PATIENCE}",
               hosts) as machine:
        for kind in kinds:
            found = differences(machine, [(kind, text) for text in texts])
            if found:
                bases = {base(text) for (_, text), _ in found}
                found = differences(machine, [(kind, text) for text in texts
                                              if base(text) in bases])
            odd += found
    equal([text for _, text in odd], [], "lookups that differ")


def test_lines_of_the_hosts_file():
    compare_hosts(LINES, NAMES)


def test_a_name_of_the_hosts_file_may_be_any_text():
    hosts = "".join(f"192.0.2.{i} {name}\n2001:db8::{i} other {name}\n"
                    for i, name in enumerate(ODD + NUMBERS, 1))
    compare_hosts(hosts, ODD)
    compare_hosts(hosts, NUMBERS, "06C")


def test_the_hosts_file_where_lines_end_with_a_carriage_return():
    compare_hosts(LINES.replace("\n", "\r\n"), NAMES)


def test_addresses_of_the_hosts_file_that_are_mapped():
    names = ["inet", "inet6", "both", "loop", "several", "none"]
    compare_hosts(LINES, names, "M")
    compare_hosts(LINES, [*names, "mapped", "mappeds"], "A")


def test_names_of_addresses_in_the_hosts_file():
    compare_hosts(LINES, ADDRESSES, "R")


def test_the_end_of_the_hosts_file():
    for end in ("192.0.2.1 last", "192.0.2.1 last #", "192.0.2.1 last\r",
                "\n192.0.2.1 last\n\n \n"):
        compare_hosts("192.0.2.2 other\n" + end, ["last", "other", "none"])
    for hosts in ("", "\n", "192.0.2.1", "#", "last"):
        compare_hosts(hosts, ["last", "none"])


def test_lines_and_names_of_the_hosts_file_may_be_long():
    many = " ".join(f"alias{i}" for i in range(20000))
    compare_hosts(f"192.0.2.1 first {many} {LONG} last\n"
                  f"192.0.2.2{' ' * 100000}far\n"
                  f"#{'x' * 100000}\n192.0.2.3 behind\n",
                  ["first", "alias0", "alias19999", "last", "far", "behind",
                   LONG, LONG.upper(), "alias20000"])


def test_the_hosts_file_may_have_many_lines():
    lines = [f"192.0.2.{i % 250} name{i}.example" for i in range(50000)]
    compare_hosts("\n".join(lines), ["name0.example", "name49999.example",
                                     "name25000.EXAMPLE", "name50000.example"])


def test_a_name_may_have_many_addresses():
    compare_hosts("".join(f"192.0.2.{i} many\n2001:db8::{i} many\n"
                          for i in range(1, 9)), ["many"], "046CMA")


def test_a_name_of_the_hosts_file_is_searched_for_in_no_domain():
    hosts = "192.0.2.1 a.d1.test\n192.0.2.2 b.d1.test\n192.0.2.3 a-x-1\n"
    compare_hosts(hosts, ["a", "b.d1.test", "a-x-1"])
    compare_hosts(hosts, ["b", "a.d1.test", "a-x-1."])


def test_the_hosts_file_has_one_family_and_a_server_the_other():
    hosts = "192.0.2.7 a-0-0.a\n2001:db8::7 b-0-0.a\n::1 c-0-0.a\n"
    for options in ("", "options no-aaaa\n", "options ndots:5\n",
                    "options single-request\n"):
        compare_hosts(hosts, ["a-0-0.a", "b-0-0.a", "c-0-0.a"],
                      "04C" if "no-aaaa" in options else "046C",
                      SEARCH + options)


if __name__ == "__main__":
    run(globals(), short="each_answer_at_each_place_of_the_search")
