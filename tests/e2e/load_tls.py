"""weir-load over TLS: run and serve with each other and with other programs.

The certificates are those of tests/unit: WEIR_TLS_CERTIFICATES is their folder;
tls-matrix in it has certificates with one fault each. The other program is Python's
ssl, which uses OpenSSL.
"""

import os
import re
import socket
import ssl
import subprocess
import tempfile

from harness import (ENGINES, PATIENT, WEIR_LOAD, Program, Service, command,
                     command_apart, equal, load, load_json,
                     matches, one_line, read_line, run)
from servers import (Refusing, Server, drain, echo, free_port, read_exactly,
                     reset)
from tls_ends import wait_for_port

OK, NOTHING, ERRORS = 0, 3, 4

FOLDER = os.environ["WEIR_TLS_CERTIFICATES"]


def path(name):
    return os.path.join(FOLDER, name)


def matrix(name):
    return path(f"tls-matrix/{name}")


def identity(name):
    return ("--cert", path(f"{name}.pem"), "--key", path(f"{name}.key"))


ECDSA = identity("ecdsa")
TRUST = ("--ca", path("ca.pem"))


class Serving(Service):
    """weir-load serve with TLS; SIGTERM ends it. It may report clients that fail, and
    prints the number of handshakes."""

    may_complain = True

    def __init__(self, *flags, where="tls://127.0.0.1:0"):
        super().__init__(WEIR_LOAD, "serve", "--stats", *flags, where)
        self.url = read_line(self.process.stdout).split()[-1]

    @property
    def address(self):
        return ("127.0.0.1", int(self.url.rsplit(":", 1)[1]))


def loaded(*args, status=OK):
    """Runs with JSON. Returns the result, and standard error."""
    outcome, result = load_json(*args)
    equal(outcome.status, status, f"exit status; it said {outcome.err!r}")
    equal(result["exit_code"], status, "exit_code")
    return result, outcome.err


def fails(*args, phase, code, says=""):
    """Nothing succeeds, for this reason."""
    result, err = loaded("-c", "2", "-n", "10", *args, status=NOTHING)
    one_line(err, rf"not one request succeeded; {phase}: .*\({code}\).*{says}")
    equal([error["phase"] for error in result["errors"]], [phase], "the phases")
    matches(result["errors"][0]["code"], rf"^{code}\Z", "the code")
    matches(result["errors"][0]["first"], says)
    equal(result["requests"]["ok"], 0, "ok")
    return result


class Stranger(Server):
    """A server with Python's ssl; serve() gets the socket after the handshake, which
    runs in the connection's thread."""

    def __init__(self, serve, **versions):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path("ecdsa.pem"), path("ecdsa.key"))
        for name, value in versions.items():
            setattr(context, name, value)

        def wrap(connection, number):
            serve(context.wrap_socket(connection, server_side=True), number)

        super().__init__(wrap)
        self.url = self.url.replace("tcp:", "tls:")


# ---- good connections ----

def test_run_loads_serve_over_each_version_and_key():
    for name in ("ecdsa", "rsa"):
        with Serving(*identity(name)) as server:
            for version, text in (("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")):
                result, err = loaded("-c", "4", "-n", "2000", "-p", "2", *TRUST,
                                     "--tls-min", version, "--tls-max", version,
                                     server.url)
                equal(err, "", "standard error")
                equal(result["requests"]["ok"], 2000, "ok")
                tls = result["tls"]
                equal((tls["full"], tls["resumed"], tls["failed"]), (4, 0, 0),
                      "handshakes")
                equal((tls["version"], tls["alpn"]), (text, None), "facts")
                latency = result["latency"]
                equal(latency["tls"]["count"], 4, "handshakes that were timed")
                equal(latency["connect"]["count"], 4, "connects that were")
                equal(latency["tls"]["min"] > 0, True, "a handshake takes time")
                equal(latency["service"]["count"], 2000, "answers")
            stats = server.stop()
            matches(stats, r"^served_full_handshakes 8$")
            matches(stats, r"^served_resumed_handshakes 0$")


def test_the_text_report_has_the_handshakes():
    with Serving(*ECDSA) as server:
        outcome = load("-c", "2", "-n", "2000", *TRUST, server.url)
    equal((outcome.status, outcome.err), (OK, ""), "the outcome")
    matches(outcome.out, r"^Handshake +(\S+ +){8} of TLS$")
    matches(outcome.out, r"^TLS +handshakes full 2  resumed 0  failed 0  "
                         r"TLSv1\.3 TLS_AES_128_GCM_SHA256 X25519(MLKEM768)?$")
    matches(outcome.out, r"\nVALID\n\Z")


def test_without_tls_there_are_no_handshakes():
    with Serving(where="tcp://127.0.0.1:0") as server:
        result, _ = loaded("-n", "10", server.url)
        outcome = load("-n", "10", server.url)
    equal((result["tls"], result["config"]["tls"], result["latency"]["tls"]),
          (None, None, None), "TLS in the result")
    equal("Handshake" in outcome.out or "TLS" in outcome.out, False, "TLS")


def test_a_suite_is_chosen_by_either_end():
    for version, suite in (
            ("1.3", "TLS_CHACHA20_POLY1305_SHA256"),
            ("1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")):
        for here, there in ((("--ciphers", suite), ()),
                            ((), ("--ciphers", suite))):
            with Serving(*ECDSA, "--tls-max", version, *there) as server:
                result, _ = loaded("-c", "1", "-n", "10", *TRUST, *here,
                                   server.url)
            equal(result["tls"]["cipher"], suite, f"suite of {version}")
            equal(result["config"]["tls"]["ciphers"],
                  suite if here else None, "config")


def test_a_group_is_chosen_by_either_end():
    only = ("--tls-min", "1.3", "--groups", "P-384")
    with Serving(*ECDSA, *only) as server:
        result, _ = loaded("-c", "1", "-n", "10", *TRUST, "--groups",
                           "X25519:P-384", server.url)
        equal(result["config"]["tls"]["groups"], "X25519:P-384", "config")
        fails(*TRUST, "--groups", "X25519:P-256", server.url, phase="tls",
              code="WEIR_ETLSALERT")
        process = subprocess.run(
            ["openssl", "s_client", "-connect",
             "%s:%d" % server.address, "-groups", "X25519:P-384"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False)
        matches(process.stdout, r"Server Temp Key: .*384")
    for word, flags, pattern in (
            ("run", ("--groups", "secp384r1"),
             r'"secp384r1" is none of X25519:P-256:P-384'),
            ("serve", (*ECDSA, "--groups", "P-384"), "TLS 1.3")):
        with Program(WEIR_LOAD, word, *flags, "tls://127.0.0.1:1") as program:
            status, out, err = program.finish()
        equal((status, out), (2, ""), f"the outcome of {word}")
        one_line(err, rf"TLS: groups: .*{pattern}.*\(WEIR_ETLSGROUPS\)")


def test_a_stranger_with_one_group_is_reached_with_it():
    port = free_port()
    page = ("-c", "1", "-n", "10", "--expect", "200", *TRUST,
            f"https://127.0.0.1:{port}/")
    with Program("openssl", "s_server", "-accept", f"127.0.0.1:{port}",
                 "-cert", path("rsa.pem"), "-key", path("rsa.key"), "-www",
                 "-quiet", "-groups", "P-384",
                 stdin=subprocess.DEVNULL) as server:
        wait_for_port(port, server)
        for flags in ((), ("--tls-max", "1.2"), ("--groups", "X25519:P-384"),
                      ("--groups", "P-384")):
            result, err = loaded(*flags, *page)
            equal((result["requests"]["ok"], err), (10, ""), f"with {flags}")
        fails("--groups", "X25519:P-256", page[-1], *TRUST, phase="tls",
              code="WEIR_ETLSALERT", says="handshake_failure")


def test_tls_over_a_path():
    with tempfile.TemporaryDirectory() as folder:
        url = f"tls+unix:{folder}/s"
        with Serving(*ECDSA, where=url) as server:
            equal(server.url, url, "what it serves on")
            loaded("-c", "4", "-n", "400", *TRUST, "--sni", "localhost", url)
            loaded("-c", "4", "-n", "400", "--insecure", url)
        equal(os.listdir(folder), [], "files that are left")


def test_connections_with_tls_and_without_are_loaded_together():
    with Serving(*ECDSA) as one, Serving(where="tcp://127.0.0.1:0") as two:
        result, _ = loaded("-c", "6", "-n", "600", *TRUST, one.url, two.url)
    equal(result["tls"]["full"], 3, "handshakes")
    equal(result["latency"]["connect"]["count"], 6, "connections")


# ---- connect, request, response, close ----

def crr(url, *flags):
    """Returns the result of 60 connections, 5 at a time."""
    result, err = loaded("-c", "5", "-n", "60", "--mode", "crr", *flags, url)
    equal(err, "", "standard error")
    equal((result["requests"]["ok"], result["requests"]["sent"]), (60, 60),
          "requests")
    equal(result["connections"]["lost"], 0, "lost")
    equal(result["connections"]["opened"] >= 60, True, "a connection for each")
    equal(result["config"]["mode"], "crr", "mode")
    return result


def test_crr_makes_a_connection_for_each_request():
    for scheme, flags in (("tcp", ()), ("tls", TRUST)):
        serve_flags = ECDSA if scheme == "tls" else ()
        with Serving(*serve_flags, where=f"{scheme}://127.0.0.1:0") as server:
            result = crr(server.url, *flags)
            stats = server.stop()
        opened = result["connections"]["opened"]
        # Connections in flight at the end may be served, too.
        served = int(re.search(r"served_connections (\d+)", stats)[1])
        equal(opened <= served <= opened + 5, True, f"{served} of {opened}")
        if scheme == "tls":
            equal(result["tls"]["full"], opened, "handshakes")
            equal(result["tls"]["per_second"] > 0, True, "their rate")
            matches(stats, rf"^served_full_handshakes {served}$")


def test_crr_goes_on_after_a_connection_that_failed():
    def reset_the_third(connection, number):
        data = read_exactly(connection, 128)
        if number == 2:
            reset(connection)
            return
        connection.sendall(data)
        drain(connection, number)

    with Server(reset_the_third) as server:
        result, err = loaded("-c", "1", "-n", "10", "--mode", "crr", server.url,
                             status=ERRORS)
    matches(err, r"transfer: .*\(ECONNRESET\)")
    equal((result["requests"]["ok"], result["requests"]["failed"]), (9, 1),
          "requests")
    equal(result["connections"]["lost"], 1, "lost")


def test_sessions_are_resumed_as_often_as_is_asked():
    with Serving(*ECDSA) as server:
        for word, least, most in (("off", 0, 0), ("ticket", 55, 60),
                                  ("0", 0, 0), ("0.5", 27, 30),
                                  ("1", 55, 60)):
            tls = crr(server.url, *TRUST, "--resume", word)["tls"]
            # The first of each of the 5 has nothing to resume, and the last may be made
            # for no request.
            equal(least <= tls["resumed"] <= (most + 5 if most else 0), True,
                  f"{tls['resumed']} were resumed with {word}")
            equal(tls["full"] >= 5, True, "the first ones are whole")
            equal(tls["failed"], 0, "failed")


def test_a_server_without_tickets_is_told():
    with Serving(*ECDSA, "--tickets", "off") as server:
        result = crr(server.url, *TRUST, "--resume", "ticket")
    equal(result["tls"]["resumed"], 0, "resumed")
    matches("\n".join(result["warnings"]), r"^no session was resumed")


# ---- TCP Fast Open ----

# A server and a client in their own network namespace, in which it is allowed, because
# the sysctl belongs to the namespace.
FAST_OPEN = """
ip link set lo up && echo $1 >/proc/sys/net/ipv4/tcp_fastopen || exit 77
mkfifo "$2/line" || exit 77
"$0" serve $3 $5 >"$2/line" &
read -r line <"$2/line"
"$0" run --json -c 1 -n 20 --mode crr --fast-open $4 $5
status=$?
grep ^TcpExt: /proc/net/netstat >"$2/counters"
kill $! && wait $! || exit 1
exit $status
"""


def fast_open(url, sysctl="3", serve="--fast-open", client=""):
    """Returns the outcome, and the numbers of connections whose bytes went with the
    SYN, as counted by the client's and the server's kernel."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = command_apart(FAST_OPEN, WEIR_LOAD, sysctl, folder, serve,
                                client, url, flags=("-n",))
        with open(f"{folder}/counters", encoding="ascii") as file:
            names, values = (line.split() for line in file)
    counters = dict(zip(names, values))
    return outcome, [int(counters[name]) for name in
                     ("TCPFastOpenActive", "TCPFastOpenPassive")]


def test_the_first_bytes_of_all_but_the_first_connection_go_with_the_syn():
    for engine in ENGINES:
        for scheme in ("tcp", "tls"):
            is_tls = scheme == "tls"
            outcome, counters = fast_open(
                f"{scheme}://127.0.0.1:7000",
                serve=f"--fast-open {' '.join(ECDSA) if is_tls else ''}",
                client=" ".join(("--engine", engine, *PATIENT,
                                 *(TRUST if is_tls else ()))))
            equal(outcome.status, OK, f"exit status, with {outcome.err!r}")
            result = outcome.json()
            equal((result["requests"]["ok"], result["connections"]["fast_open"],
                   result["config"]["sockets"]["fast_open"]), (20, 19, True),
                  f"of {engine} and {scheme}")
            equal(counters, [19, 19], "the kernel's counts")


def test_a_run_without_fast_open_is_told():
    outcome, counters = fast_open("tcp://127.0.0.1:7000", serve="")
    equal((outcome.status, outcome.json()["connections"]["fast_open"]), (OK, 0),
          "the outcome")
    equal(counters, [0, 0], "the kernel's counts")
    matches("\n".join(outcome.json()["warnings"]),
            r"^no connection sent bytes with its SYN")
    outcome, _ = fast_open("tcp://127.0.0.1:7000", sysctl="2")
    equal((outcome.status, outcome.out), (2, ""), "where it is not allowed")
    one_line(outcome.err, r"--fast-open: .*; net\.ipv4\.tcp_fastopen must have 1")


# ---- what is agreed on ----

def test_an_application_protocol_is_agreed_on():
    with Serving(*ECDSA, "--alpn", "echo/2,echo/1") as server:
        result, _ = loaded("-n", "10", *TRUST, "--alpn", "echo/1", server.url)
        equal(result["tls"]["alpn"], "echo/1", "the protocol")
        outcome = load("-n", "10", *TRUST, "--alpn", "echo/2", server.url)
        matches(outcome.out, r"^TLS .* ALPN echo/2$")
        fails(*TRUST, "--alpn", "h2", server.url, phase="tls",
              code="WEIR_ETLSALERT", says="no_application_protocol")


def test_the_alert_of_a_server_is_named():
    """In the line about the run, in JSON and in the text of a report."""
    for name in ("unknown_ca", "access_denied", "protocol_version",
                 "unrecognized_name"):
        number = getattr(ssl, f"ALERT_DESCRIPTION_{name.upper()}")
        with Stranger(echo, sni_callback=lambda *_: number) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            fails(*TRUST, url, phase="tls", code="WEIR_ETLSALERT", says=name)
            outcome = load("-n", "2", *TRUST, url)
            matches(outcome.out, rf"first: tls 127[^;]* \d+: {name}(;|$)")


def test_tickets_are_given_unless_they_are_off():
    context = ssl.create_default_context(cafile=path("ca.pem"))

    def connect(address, session=None):
        with socket.create_connection(address) as plain:
            with context.wrap_socket(plain, server_hostname="localhost",
                                     session=session) as tls:
                tls.sendall(b"x")
                equal(tls.recv(1), b"x", "the echo")
                return tls.session, tls.session_reused

    for word in ("on", "off"):
        with Serving(*ECDSA, "--tickets", word) as server:
            session, _ = connect(server.address)
            equal(bool(session.has_ticket), word == "on", "a ticket was given")
            equal(connect(server.address, session)[1], word == "on", "resumed")
            stats = server.stop()
        resumed = 1 if word == "on" else 0
        matches(stats, rf"^served_full_handshakes {2 - resumed}$")
        matches(stats, rf"^served_resumed_handshakes {resumed}$")


# ---- certificates ----

def test_a_wrong_authority_fails_the_run_by_name():
    with Serving(*ECDSA) as server:
        result = fails("--ca", matrix("stranger.pem"), server.url, phase="tls",
                       code="WEIR_ETLSISSUER", says="CN=localhost")
        equal(result["tls"]["full"], 0, "handshakes")
        equal(result["tls"]["failed"] >= 2, True, "those that failed")
        fails(server.url, phase="tls", code="WEIR_ETLSISSUER")
        loaded("-n", "10", "--insecure", server.url)
        outcome = load("-n", "10", server.url)
    equal(outcome.status, NOTHING, "exit status")
    matches(outcome.out, r"^Errors +\d+  tls: .*\(WEIR_ETLSISSUER\); first: ")


def matrix_own(name):
    return ("--cert", matrix(f"{name}.pem"), "--key", matrix(f"{name}.key"))


ALERT = "WEIR_ETLSALERT"
LISTS = ("--crl", matrix("with.listed.crl"))
MATRIX = ("--ca", matrix("trusted.pem"), "--sni", "localhost")
OLD = ("--tls-max", "1.2")
RSA = identity("rsa")

# The flags of a server, and of each run against it. A run that fails also has the code
# of its error, text that the message has, and the phase.
ENDS = (
    # wolfSSL's server does not notice that the client would not accept 1.2; OpenSSL's
    # does, and refuses.
    ((*ECDSA, *OLD),
     ((*TRUST, "--tls-min", "1.3"), f"(WEIR_ETLSVERSION|{ALERT})")),
    ((*ECDSA, "--tls-min", "1.3"), ((*TRUST, *OLD), ALERT, "protocol_version")),
    ((*ECDSA, *matrix_own("other-name")), ((*TRUST, "--sni", "localhost"),),
     (("--ca", matrix("trusted.pem"), "--sni", "example.org"),),
     ((*TRUST, "--sni", "example.org"), "WEIR_ETLSISSUER")),
    (ECDSA, ((*TRUST, "--sni", "elsewhere.example"), "WEIR_ETLSHOSTNAME",
             "elsewhere.example")),
    *((matrix_own(name), (MATRIX, f"WEIR_ETLS{code}")) for name, code in (
        ("expired", "EXPIRED"), ("not-yet", "NOTYET"), ("self-signed", "SELFSIGNED"),
        ("wrong-issuer", "ISSUER"), ("other-name", "HOSTNAME"),
        ("path-too-long", "PATHLEN"))),
    (matrix_own("listed"), ((*MATRIX, *LISTS),),
     ((*MATRIX, "--crl", matrix("authority.crl")), "WEIR_ETLSNOCRL")),
    (matrix_own("listed-revoked"), (MATRIX,), ((*MATRIX, *LISTS), "WEIR_ETLSREVOKED")),
    ((*matrix_own("listed"), *MATRIX[:2], *LISTS), ((*MATRIX, *matrix_own("listed")),),
     ((*MATRIX, *OLD, *matrix_own("listed-revoked")), ALERT)),
    # --ca alone requires a certificate. In TLS 1.3 the client learns that it was
    # refused after its handshake.
    *(((*ECDSA, *TRUST, *words), ((*TRUST, *RSA),), ((*TRUST, *OLD), ALERT),
       (TRUST, ALERT, "certificate_required", "transfer"))
      for words in ((), ("--client-auth", "required"))),
    ((*ECDSA, *TRUST, "--client-auth", "optional"), ((*TRUST, *RSA),), (TRUST,),
     ((*TRUST, *OLD, *matrix_own("wrong-issuer")), ALERT, "unknown_ca")),
)


def test_handshakes_succeed_or_fail_by_the_flags_of_both_ends():
    for serve, *runs in ENDS:
        with Serving(*serve) as server:
            for flags, *why in runs:
                if why:
                    code, says, phase = *why, *("", "tls")[len(why) - 1:]
                    fails(*flags, server.url, phase=phase, code=code, says=says)
                else:
                    loaded("-n", "10", *flags, server.url)


def test_serve_tells_of_a_certificate_that_cannot_serve():
    for name, words in (("expired", "the certificate has expired"),
                        ("orphan", "no certificate of its issuer follows"),
                        ("good-chain", None)):
        with Serving(*matrix_own(name)) as server:
            said = [line for line in server.stop().splitlines()
                    if "warning" in line]
        equal(len(said), 1 if words else 0, f"warnings in {said}")
        matches("".join(said), f"TLS: warning: .*{name}.pem: {words}"
                if words else "", "what it says")


def test_encrypted_keys_are_opened_on_both_ends():
    with tempfile.TemporaryDirectory() as folder:
        words, locked = f"{folder}/words", f"{folder}/key"
        with open(words, "w", encoding="ascii") as file:
            file.write("a phrase\n")
        equal(command("openssl", "ec", "-in", path("ecdsa.key"), "-aes256",
                      "-passout", f"file:{words}", "-out", locked).status, 0,
              "openssl")
        own = ("--cert", path("ecdsa.pem"), "--key", locked)
        with Serving(*own, "--key-passphrase-file", words, *TRUST) as server:
            loaded("-n", "10", *TRUST, *own, "--key-passphrase-file", words,
                   server.url)
            outcome = load(*TRUST, *own, server.url)
            equal(outcome.status, 2, "without the passphrase")
            one_line(outcome.err, r"TLS: key: .*\(WEIR_ETLSPASSWORD\)")


def secrets_in(name):
    """Returns the lines of a key log, by label and client."""
    equal(os.stat(name).st_mode & 0o777, 0o600, "the mode of the key log")
    with open(name, encoding="ascii") as file:
        lines = [line.split() for line in file]
    for line in lines:
        equal(len(line), 3, "words of a line")
    return {tuple(line[:2]): line[2] for line in lines}


def test_both_ends_log_the_same_secrets():
    for version, label in (("1.2", "CLIENT_RANDOM"),
                           ("1.3", "SERVER_TRAFFIC_SECRET_0")):
        with tempfile.TemporaryDirectory() as folder:
            ends = [f"{folder}/run", f"{folder}/serve"]
            with Serving(*ECDSA, "--key-log", ends[1]) as server:
                loaded("-n", "10", "-c", "3", *TRUST, "--tls-max", version,
                       "--key-log", ends[0], server.url)
            run_end, serve_end = (secrets_in(name) for name in ends)
            equal(len([1 for key in run_end if key[0] == label]), 3,
                  "connections in the log")
            # A wolfSSL that exports nothing logs no secret for that.
            for key, secret in run_end.items():
                if key[0] != "EXPORTER_SECRET":
                    equal(serve_end.get(key), secret, f"the server's {key[0]}")


def test_a_key_log_that_others_may_read_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        name = f"{folder}/log"
        with open(name, "w", encoding="ascii"):
            os.chmod(name, 0o640)
        os.symlink(name, f"{folder}/link")
        own = f"{folder}/own"
        with open(own, "w", encoding="ascii"):
            os.chmod(own, 0o600)
        os.link(own, f"{folder}/other name")
        if os.geteuid() == 0:
            stranger = f"{folder}/stranger"
            with open(stranger, "w", encoding="ascii"):
                os.chmod(stranger, 0o600)
            os.chown(stranger, 65534, 65534)
            refused = ((stranger, "owned by the user of this process"),)
        else:
            refused = ()
        for path_, says in (*refused, (name, "no other user may"),
                            (own, "a regular file with one name"),
                            (f"{folder}/link", "Too many levels|symbolic"),
                            (f"{folder}/none/log", "No such file")):
            outcome = load(*TRUST, "--key-log", path_, "tls://127.0.0.1:1")
            equal(outcome.status, 2, "exit status")
            one_line(outcome.err, rf"--key-log: .*({says})")


def test_files_that_are_not_what_they_should_be():
    with tempfile.NamedTemporaryFile() as empty:
        for word, flags, pattern in (
                ("run", ("--ca", "/nonexistent"), r"/nonexistent.*\(ENOENT\)"),
                ("run", ("--ca", empty.name), r"\(WEIR_ETLSFILE\)"),
                ("serve", ("--cert", path("ecdsa.pem")),
                 r"\(WEIR_ETLSNOKEY\)"),
                ("serve", ("--cert", path("ecdsa.pem"), "--key",
                           path("rsa.key")), r"\(WEIR_ETLSMISMATCH\)")):
            with Program(WEIR_LOAD, word, *flags,
                         "tls://127.0.0.1:1") as program:
                status, out, err = program.finish()
            equal((status, out), (2, ""), f"the outcome of {word} {flags}")
            one_line(err, rf"TLS: .*{pattern}")


# ---- bad servers ----

def test_servers_that_do_not_shake_hands():
    def answer_with_reset(connection, _number):
        connection.recv(1)
        reset(connection)

    for server, phase, code, *flags in (
            (Refusing(), "connect", "ECONNREFUSED"),
            (Server(drain), "tls", "WEIR_ETLSTIMEOUT", "--connect-timeout", "5s"),
            (Server(answer_with_reset), "tls", "ECONNRESET"),
            (Server(echo), "tls", "WEIR_ETLSPROTOCOL")):
        with server:
            fails(*TRUST, *flags, server.url.replace("tcp:", "tls:"), phase=phase,
                  code=code)


def test_a_server_that_cuts_the_connection():
    def cut(tls, _number):
        for _ in range(5):
            tls.sendall(read_exactly(tls, 128))
        read_exactly(tls, 128)
        tls.shutdown(socket.SHUT_RDWR)  # of the socket: no close_notify

    with Stranger(cut) as server:
        result, err = loaded("-c", "1", "-n", "20", *TRUST, server.url,
                             status=ERRORS)
    matches(err, r"transfer: .*\(WEIR_ETLSTRUNCATED\)")
    kinds = {(error["phase"], error["code"]) for error in result["errors"]}
    equal(kinds, {("transfer", "WEIR_ETLSTRUNCATED")}, "the errors")


def test_a_server_that_ends_the_stream():
    def end(tls, _number):
        for _ in range(5):
            tls.sendall(read_exactly(tls, 128))
        read_exactly(tls, 128)
        tls.unwrap()

    with Stranger(end) as server:
        result, err = loaded("-c", "1", "-n", "20", *TRUST, server.url,
                             status=ERRORS)
    matches(err, r"eof: .*\(EOF\)")
    kinds = {(error["phase"], error["code"]) for error in result["errors"]}
    equal(kinds, {("eof", "EOF")}, "the errors")


def test_a_tls_library_that_is_demanded_must_be_there():
    own = re.search(r"TLS by (\w+)", command(WEIR_LOAD, "--version").out)
    own = own and own[1].lower()
    for name in ("openssl", "wolfssl"):
        outcome = command(WEIR_LOAD, "run", "--tls-library", name, "--dry-run",
                          "tcp://127.0.0.1:9")
        if name == own:
            equal((outcome.status, outcome.err), (0, ""), name)
        else:
            equal((outcome.status, outcome.out), (2, ""), name)
            matches(outcome.err, r"\Aweir-load: --tls-library: (the TLS "
                    rf"library is (?i:{own}) \d\S*; install libweir-tls0-{name}, or "
                    rf"build weir with -Dtls_engine={name}|this program was built "
                    r"without TLS, .*)"
                    r"\n\Z")


def test_fips_mode_that_is_demanded_must_be_on():
    version = command(WEIR_LOAD, "--version").out
    outcome = command(WEIR_LOAD, "run", "--tls-library", "fips", "--dry-run",
                      "tcp://127.0.0.1:9")
    if "in FIPS mode" in version:
        equal(outcome.status, 0, outcome.err)
    else:
        equal((outcome.status, outcome.out), (2, ""), "the outcome")
        matches(outcome.err, r"\Aweir-load: --tls-library: "
                r"(OpenSSL \S+ is not in FIPS mode; .*|the TLS library "
                r"is wolfSSL \S+; .*|this program was built without TLS, .*)\n\Z")


run(globals(), short="run_loads_serve_over_each_version_and_key")
