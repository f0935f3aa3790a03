"""weir-load --http auto: each connection uses the protocol agreed on in its handshake.

Servers are other programs, weir-load's own, and a server made by hand that chooses
differently for each connection.
"""

import contextlib
import os
import shutil
import ssl
import subprocess
import tempfile

from h2_peer import HEADERS, Peer
from harness import (WEIR_LOAD, Program, Skip, command, equal,
                     load_json, matches, read_line, run)
from http_client import FOLDER, nginx
from servers import Server

OK = 0
OPEN = ("-R", "1000", "-n", "200", "--lateness-limit", "60s")
OFFERS = {"h2": ["h2"], "http/1.1": ["http/1.1"], "nothing": []}


def secured():
    if not FOLDER:
        raise Skip("there are no certificates")
    return f"{FOLDER}/ecdsa"


def judged(*args):
    outcome, result = load_json("--http", "auto", "-k", *args)
    equal(outcome.status, OK, f"exit status; it said {outcome.err!r}")
    connections = result["connections"]
    equal(connections["http1"] + connections["http2"], connections["opened"],
          "connections by what they spoke")
    return result


def spoken(result):
    connections = result["connections"]
    return connections["http1"], connections["http2"]


def read_head(sock):
    """Returns the head of the next HTTP/1.1 request, or None if there are no more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            return None
        head += byte
    return head.decode()


def answer_http1(sock, paths, count=None):
    while count is None or count > 0:
        head = read_head(sock)
        if head is None:
            return
        paths.append(head.split()[1])
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        count = None if count is None else count - 1


@contextlib.contextmanager
def choosing(protocols, http1, http2):
    """A server whose connections agree on these protocols in turn, the last one for all
    further ones, and are served by these functions, which get a socket or a Peer, and
    the connection's number."""
    errors = []
    contexts = []
    for protocol in protocols:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(secured() + ".pem", secured() + ".key")
        if OFFERS[protocol]:
            context.set_alpn_protocols(OFFERS[protocol])
        contexts.append(context)

    def work(connection, number):
        place = min(number, len(protocols) - 1)
        with contexts[place].wrap_socket(connection,
                                         server_side=True) as sock:
            try:
                if protocols[place] == "h2":
                    http2(Peer(sock, number), number)
                else:
                    http1(sock, number)
            except AssertionError as error:
                errors.append(error)

    with Server(work) as server:
        server.https = f"https://127.0.0.1:{server.port}"
        yield server
    if errors:
        raise errors[0]


# ---- servers of others ----

def test_nginx_with_and_without_http2():
    for listen, wanted in (("ssl http2", (0, 3)), ("ssl", (3, 0))):
        with nginx(listen=listen, certificate=secured()) as server:
            url = server.url.replace("http:", "https:")
            result = judged("-c", "3", "-p", "4", "-n", "600", f"{url}/small")
            equal(result["status"], {"200": 600}, "statuses")
            equal(spoken(result), wanted, f"connections of {listen!r}")
            equal(len(server.stop()), 600, "lines of the log")


def test_nginx_that_ends_connections():
    for listen, place in (("ssl http2", 1), ("ssl", 0)):
        with nginx(requests=20, listen=listen,
                   certificate=secured()) as server:
            url = server.url.replace("http:", "https:")
            result = judged("-c", "2", "-p", "8", "-n", "500", f"{url}/small")
            equal(result["requests"]["ok"], 500, "ok")
            equal(spoken(result)[place] >= 25, True, f"{spoken(result)}")
            equal(len(server.stop()), 500, "lines of the log")


def test_the_text_tells_how_many_spoke_what():
    with nginx(listen="ssl http2", certificate=secured()) as server:
        url = server.url.replace("http:", "https:")
        got = command(WEIR_LOAD, "--http", "auto", "-k", "-c", "3", "-n", "30",
                      f"{url}/small")
        matches(got.out, r"(?m)^Agreed +on HTTP/1\.1 0  on HTTP/2 3$")
    with nginx() as server:
        got = command(WEIR_LOAD, "--http", "1.1", "-n", "30",
                      f"{server.url}/small")
        equal("Agreed" in got.out, False, "without --http auto")


def test_without_tls_it_is_http_1_1_and_says_so():
    with nginx() as server:
        outcome, result = load_json("--http", "auto", "-c", "2", "-n", "50",
                                    f"{server.url}/small")
        matches(outcome.err, "--http auto: without TLS nothing is "
                "negotiated, and HTTP/1.1 is used; --http 2 is HTTP/2 with prior "
                "knowledge")
        equal(spoken(result), (2, 0), "connections")
        equal(result["config"]["http2"]["version"], "auto", "asked for")


def test_targets_with_and_without_tls_beside_each_other():
    with nginx(listen="ssl http2", certificate=secured()) as first, \
            nginx() as second:
        url = first.url.replace("http:", "https:")
        result = judged("-c", "4", "-p", "3", "-n", "400", f"{url}/small",
                        f"{second.url}/small")
        equal(spoken(result), (2, 2), "connections")
        equal(result["requests"]["ok"], 400, "ok")


NODE = """
const http2 = require('http2'), fs = require('fs');
const server = http2.createSecureServer({
  allowHTTP1: true, cert: fs.readFileSync(process.argv[1] + '.pem'),
  key: fs.readFileSync(process.argv[1] + '.key')});
server.on('request', (request, response) => {
  response.writeHead(200);
  response.end(request.httpVersion);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


def test_node_speaks_both():
    if not shutil.which("node"):
        raise Skip("Node is not installed")
    with Program("node", "-e", NODE, secured()) as node:
        url = f"https://127.0.0.1:{int(read_line(node.process.stdout))}/"
        result = judged("-c", "2", "-p", "4", "-n", "100", "--expect", "200",
                        "--expect", "text:2.0", url)
        equal(spoken(result), (0, 2), "connections")
        outcome, result = load_json("--http", "1.1", "-k", "-c", "2", "-n",
                                    "100", "--expect", "200", "--expect",
                                    "text:1.1", url)
        equal(result["requests"]["ok"], 100, f"ok; it said {outcome.err!r}")


# ---- another choice for each connection ----

def test_each_connection_speaks_what_it_agreed_on():
    paths = []

    def http2(peer, _):
        peer.begin()
        with contextlib.suppress(OSError):
            peer.answer_all()

    with choosing(["h2", "http/1.1", "nothing", "h2"],
                  lambda sock, _: answer_http1(sock, paths), http2) as server:
        for model in (("-n", "200"), OPEN):
            server.accepted = 0
            result = judged("-c", "4", "-p", "2", "-t", "1", "--force",
                            *model, server.https + "/x")
            equal(spoken(result), (2, 2), "connections")
            equal(result["requests"]["ok"], 200, "ok")
            equal(len(paths) > 0, True, "requests of HTTP/1.1")


def test_refused_requests_are_sent_again_over_http_1_1():
    """HTTP/2 processes none of five; all are sent over HTTP/1.1."""
    paths = []

    def http2(peer, _):
        peer.begin()
        equal(len(peer.requests(5)), 5, "requests")
        peer.goaway(0)
        with contextlib.suppress(OSError):
            peer.read()

    with choosing(["h2", "http/1.1"],
                  lambda sock, _: answer_http1(sock, paths), http2) as server:
        result = judged("-c", "1", "-p", "5", "-n", "20",
                        server.https + "/{seq}")
        equal(sorted(paths, key=lambda path: int(path[1:])),
              [f"/{number}" for number in range(20)], "paths")
        equal((spoken(result), result["requests"]["ok"],
               result["http2"]["refused"]), ((1, 1), 20, 5),
              "connections, ok, refused")


def test_requests_that_http_1_1_left_are_sent_again_over_http2():
    """HTTP/1.1 answers three of the pipelined requests and closes."""
    paths, streams = [], []

    def http2(peer, _):
        peer.begin()
        with contextlib.suppress(OSError):
            while True:
                frame = peer.read()
                if frame[0] == HEADERS:
                    streams.append(frame[2])
                    peer.answer(frame[2])

    with choosing(["http/1.1", "h2"],
                  lambda sock, _: answer_http1(sock, paths, 3),
                  http2) as server:
        result = judged("-c", "1", "-p", "4", "-n", "20",
                        server.https + "/{seq}")
        equal((len(paths), len(streams)), (3, 17), "requests of each")
        equal((spoken(result), result["requests"]["ok"]), ((1, 1), 20),
              "connections, ok")


def test_what_waits_goes_to_and_fro_between_both():
    """Warm-up and measured requests; each connection ends after a few answers."""
    paths = []

    def http2(peer, number):
        peer.begin()
        with contextlib.suppress(OSError):
            streams = peer.requests(1)
            peer.answer(streams[0])
            peer.goaway(streams[0])
            while True:
                peer.read()

    protocols = 40 * ["h2", "http/1.1"]
    with choosing(protocols, lambda sock, _: answer_http1(sock, paths, 5),
                  http2) as server:
        result = judged("-c", "2", "-p", "4", "-w", "300ms", "-n", "30",
                        server.https + "/x")
        equal((result["requests"]["ok"], result["requests"]["failed"]),
              (30, 0), "ok, failed")
        equal(min(spoken(result)) >= 2, True, f"{spoken(result)}")


# ---- Go ----

GO = """
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
		w.Header().Set("X-Sum", "1")
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.Header.Get("X-Number"))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{}
	if len(os.Args) > 2 {
		if os.Args[2] == "1.1" {
			server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		}
		log.Fatal(server.ServeTLS(listener, os.Args[1]+".pem", os.Args[1]+".key"))
	}
	log.Fatal(server.Serve(listener))
}
"""


@contextlib.contextmanager
def go_server(*args):
    """Go's net/http: HTTP/2 over TLS, unless it is left out."""
    path = shutil.which("go")
    if not path:
        raise Skip("Go is not installed")
    with tempfile.TemporaryDirectory(prefix="weir-go-") as place:
        with open(f"{place}/main.go", "w", encoding="ascii") as file:
            file.write(GO)
        subprocess.run([path, "build", "-o", f"{place}/server",
                        f"{place}/main.go"], check=True, cwd=place,
                       env={**os.environ, "HOME": place, "GOFLAGS": "",
                            "GO111MODULE": "off", "GOPROXY": "off",
                            "GOCACHE": os.environ.get("GOCACHE",
                                                      f"{place}/cache")})
        with Program(f"{place}/server", *args) as program:
            yield int(read_line(program.process.stdout))


def test_go_speaks_both():
    for flags, version, wanted in (((secured(),  "2"), "HTTP/2.0", (0, 2)),
                                   ((secured(), "1.1"), "HTTP/1.1", (2, 0))):
        with go_server(*flags) as port:
            url = f"https://127.0.0.1:{port}"
            result = judged("-c", "2", "-p", "5", "-n", "200", "-H",
                            "X-Number: 7", "--expect", "200", "--expect",
                            f"text:{version} 7", f"{url}/")
            equal((spoken(result), result["requests"]["ok"]), (wanted, 200),
                  "connections, ok")
            result = judged("-c", "2", "-p", "3", "-n", "60", "-b",
                            "{letters:60000}{seq}", "--expect", "200",
                            "--expect", "echo", f"{url}/echo")
            equal(result["requests"]["ok"], 60, "bodies that came back")


def test_go_without_tls():
    with go_server() as port:
        outcome, result = load_json("-c", "3", "-n", "300", "--expect", "200",
                                    "--expect", "text:HTTP/1.1 ",
                                    f"http://127.0.0.1:{port}/")
        equal(result["requests"]["ok"], 300, f"ok; it said {outcome.err!r}")
        result = load_json("-c", "2", "-n", "40", "-b", "{letters:60000}",
                           "--chunked", "--expect", "200", "--expect", "echo",
                           f"http://127.0.0.1:{port}/echo")[1]
        equal(result["requests"]["ok"], 40, "bodies that came back")


run(globals(), short="each_connection_speaks_what_it_agreed_on")
