"""Every option, used wrongly and correctly.

A mistake gives one line on standard error that names it, exit code 2, and nothing on
standard output.
"""

import json
import os
import pathlib
import re
import resource
import tempfile

from harness import (PATIENT, WEIR_LOAD, Serve, Skip, command, command_apart,
                     equal, fails, load, matches, one_line, read_json)
from harness import run as run_tests
from http_client import Answering
import manual

COMMANDS = ("run", "serve", "search", "sweep", "ab", "compare", "report")
TARGET = "tcp://127.0.0.1:9"
UDP = "udp://127.0.0.1:9"
TLS = "tls://127.0.0.1:9"
HTTP = "http://127.0.0.1:9/"

# Arguments after `run`, and text that the line must contain.
BAD_RUN = (
    ([], r"no target"),
    (["-c", "10"], r"no target"),
    (["-Y", TARGET], r"unknown flag -Y \(see"),
    (["--zero", TARGET], r"unknown flag --zero"),
    ([TARGET, "-c"], r"-c needs a value"),
    ([TARGET, "--send"], r"--send needs a value"),
    (["-c", "0", TARGET], r"-c: 0 is out of range, 1 to 1000000"),
    (["-c", "many", TARGET], r"-c: 'many' is not a count"),
    (["-d", "0", TARGET], r"-d: 0 is out of range"),
    (["-d", "10x", TARGET], r"-d: '10x' is not a time"),
    (["-n", "0", TARGET], r"-n: 0 is out of range"),
    (["-p", "0", TARGET], r"-p: 0 is out of range, 1 to 65536"),
    (["--send", "0", TARGET], r"--send: at 1, '0': out of range, 1 to"),
    (["--mode", "stream", "--send", "exp:1k", TARGET], r"blocks .* one size"),
    (["--mode", "rr", "--send", "uniform:1:9", TARGET],
     r"--send: a request that contains its sizes has at least 8 bytes"),
    (["--mode", "rr", "--send", "exp:1k", UDP], r"always the same"),
    (["-p", "65536", "--send", "64M", TARGET], r"more than 1G"),
    (["-p", "65536", "-c", "10000", TARGET], r"more than 128M requests"),
    (["-w", "soon", TARGET], r"-w: 'soon' is not a time"),
    (["-i", "1ms", TARGET], r"-i: 1ms is out of range"),
    (["-i", "10ms", "-d", "1h", TARGET], r"-i: too short for this -d"),
    (["--timeout", "0", TARGET], r"--timeout: 0 is out of range"),
    (["--connect-timeout", "x", TARGET], r"--connect-timeout: 'x' is not"),
    (["--wait", "1s", UDP], r"--wait: udp:// does not connect"),
    (["--wait", "0", TARGET], r"--wait: 0 is out of range"),
    (["--slo", "status.5xx<1", TARGET], r"--slo: status.5xx<1: only HTTP has"),
    (["--preamble", "G(T /", HTTP], r"--preamble: a method is one word such"),
    (["--preamble", "x", TARGET], r"--preamble: 'x': at byte 1: write delim:"),
    (["--preamble", "@/nonexistent/x", HTTP], r"--preamble: /nonexistent/x: No"),
    (["--preamble", "@/dev/null", HTTP], r"--preamble: there is no request$"),
    (["--preamble", "/"] * 49 + [HTTP], r"--preamble: more than 48"),
    (["--preamble", "/"] * 17 + [HTTP], r"--preamble: more than 16 requests"),
    (["--preamble", "/", "--http2", HTTP],
     r"--preamble: it is not supported over HTTP/2; write --http 1\.1"),
    (["--preamble", "len:1 x", "-b", "PING", "redis://127.0.0.1"],
     r"--preamble: redis:// logs in by its URL, as redis://:PASSWORD@HOST"),
    (["--preamble", "GET /", "ws://127.0.0.1:9/"],
     r"--preamble: ws:// begins with a handshake; -H sets its headers"),
    (["--preamble", "len:1 x", UDP], r"--preamble: udp:// does not connect"),
    (["--preamble", "len:1 x", "--mode", "idle", TARGET],
     r"--preamble: this mode has no requests"),
    (["--capture", "a", HTTP], r"--capture: 'a': write NAME=json:PATH, NAME=h"),
    (["--capture", "seq=json:a", HTTP], r"--capture: 'seq=json:a': a name is a"),
    (["--capture", "a=json:b", HTTP],
     r"--capture: 'a=json:b': there is no --preamble before it"),
    (["--preamble", "/", "--capture", "a=header:b", HTTP],
     r"--capture: no request uses \{a\}"),
    (["--preamble", "/{a}", "--capture", "a=header:b", HTTP],
     r"--preamble: request 1: \{a\} is used before it is captured"),
    (["-b", "{b}", "--preamble", "/", "--capture", "a=header:b", HTTP],
     r"-b: at byte 1, '\{b\}': write \{seq\}"),
    (["--urls", "/nonexistent/x", HTTP], r"--urls: /nonexistent/x: No such"),
    (["--urls", "/dev/null", HTTP], r"--urls: /dev/null: there is no request"),
    (["--urls", "/dev/null", "--mix", "/dev/null", HTTP],
     r"--urls: --mix has the requests"),
    (["--urls", "/dev/null", "-X", "PUT", HTTP], r"--urls: --method belongs in its lines"),
    (["--data", "/dev/null", HTTP], r"--data: /dev/null: there is no row in it"),
    (["--data", "/nonexistent/x.csv", HTTP], r"--data: /nonexistent/x.csv: No such"),
    (["--data", "/dev/null", "--data-order", "x", HTTP],
     r"--data-order: 'x' is not turn, random or once"),
    (["--log", "/nonexistent/x", TARGET], r"--log: /nonexistent/x: No such"),
    (["--log", "/tmp/x", UDP], r"--log: it is not for udp://"),
    (["--log", "/tmp/x", "--mode", "idle", TARGET], r"--log: it is not for mode"),
    (["--max-errors", "x", TARGET], r"--max-errors: 'x' is not a count"),
    (["--max-errors", "101%", TARGET], r"--max-errors: '101%' is not"),
    (["--seed", "x", TARGET], r"--seed: 'x' is not a number"),
    (["--http", "3", HTTP], r"--http: '3' is not .*1\.1.*2"),
    (["--http2", TARGET], r"--http2: it is for HTTP; write http://"),
    (["--window", "1M", HTTP], r"--window: it is for HTTP/2; see --http2"),
    (["--http2", "--window", "1k", HTTP], r"--window: 1k is out of range"),
    (["--http2", "--conn-window", "3G", HTTP],
     r"--conn-window: 3G is out of range"),
    (["--http2", "--max-frame", "16M", HTTP],
     r"--max-frame: 16M is out of range"),
    (["--header-table", "0", HTTP], r"--header-table: it is for HTTP/2"),
    (["--http2", "--header-table", "2M", HTTP],
     r"--header-table: 2M is out of range"),
    (["--http2", "-X", "CONNECT", HTTP], r"--http: CONNECT is not supported"),
    (["--http", "auto", "-X", "CONNECT", HTTP],
     r"--http: CONNECT is not supported"),
    (["--http", "auto", "--alpn", "http/1.1", "-k", "https://127.0.0.1:9/"],
     r"--alpn: it does not list h2"),
    (["--http2", "--alpn", "http/1.1", "-k", "https://127.0.0.1:9/"],
     r"--alpn: it does not list h2, which HTTP/2 needs"),
    (["--json=", TARGET], r"--json: '' is not a file name"),
    (["--markdown", "/nonexistent/f", TARGET], r"--markdown: /nonexistent/f: "),
    (["--junit", "/tmp", TARGET], r"--junit: /tmp: Is a directory"),
    (["--prometheus", "", TARGET], r"--prometheus: it is empty"),
    (["--markdown", "-", "--junit", "-", TARGET],
     r"--junit: --markdown already uses standard output"),
    (["--json", "--prometheus", "-", TARGET],
     r"--prometheus: --json already uses standard output"),
    (["--json-stream", "--markdown", "-", TARGET],
     r"--markdown: --json-stream already uses standard output"),
    (["--json=/nonexistent/file", TARGET], r"--json: /nonexistent/file: No "),
    (["-q=1", TARGET], r"-q takes no value"),
    (["/x"], r"'/x' is not a target; for HTTP write http:///x, else tcp"),
    (["gopher://h/"], r"'gopher://h/' is not .*; write http://HOST.*, https://"),
    (["gopher://h/"], r"https://, ws://, wss://, redis://, rediss://, tcp://HOST:PORT"),
    (["tcp://127.0.0.1"], r"has no port"),
    (["http:///x"], r"has no host"),
    (["http://127.0.0.1/{sec}"], r"at byte 2, '\{sec\}': write \{seq\}"),
    (["http://127.0.0.1/", TARGET], r"http:// and other targets cannot"),
    (["--mode", "rr", "http://127.0.0.1/"], r"--mode: rr is not for http://"),
    (["--mode", "http", UDP], r"--mode: udp:// has only the modes echo and rr"),
    (["--request", "PING", TARGET], r"it needs --request and --expect"),
    (["--mode", "script", TARGET], r"it needs --request and --expect"),
    (["--expect", "200", TARGET], r"--expect: it is for HTTP and --request"),
    (["--expect", "echo", TARGET], r"--expect: it is for HTTP and --request"),
    (["--request", "a", "--expect", "echo", TARGET],
     r"--expect: 'echo': at byte 1: write delim:"),
    (["--request", "a", "--expect", "len:1", "--expect", "delim:x", TARGET],
     r"--expect: only one rule can set the end"),
    (["--expect-begin", "x", "http://h/"], r"--expect-begin: it is for"),
    (["--request", "", TARGET], r"--request: it is empty"),
    (["--request", "a\\q", TARGET], r"--request: at byte 2, '\\q': write"),
    (["--request", "{file:/dev/null}", TARGET], r"--request: it is empty"),
    (["--request", "a", "--expect", "200", TARGET],
     r"--expect: '200': at byte 1: write delim:"),
    (["--request", "a", "--expect", "len:1", "--expect-begin", "", TARGET],
     r"--expect-begin: it is empty"),
    (["--request", "a", "--expect", "len:1", "http://h/"], r"not for mode http"),
    (["--request", "a", "--mode", "rr", TARGET], r"--request: .* for mode rr"),
    (["--request", "a", "--expect", "len:1", UDP], r"is not for udp://"),
    (["-X", "GET", TARGET], r"-X: it is for HTTP; write http://HOST"),
    (["-X", "G T", "http://h/"], r"-X: a method is one word such as GET"),
    (["-H", "nothing", "http://h/"], r"-H: a header is written 'Name: value'"),
    (["-H", "A : b", "http://h/"], r"-H: a header is written 'Name: value'"),
    (["-H", "A: b"] * 65 + ["http://h/"], r"-H: more than 64 headers"),
    (["-b", "@/nonexistent/x", "http://h/"], r"-b: /nonexistent/x: No such"),
    (["--chunked", "http://h/"], r"--chunked: there is no body; see -b"),
    (["--path", "x", "--mode", "http", TARGET], r"--path: a path begins with"),
    (["--path", "/a b", "--mode", "http", TARGET], r"--path: it has a blank"),
    (["--expect", "200,2x", "http://h/"], r"'200,2x': no status at byte 5"),
    (["--expect", "delim:x", "http://h/"], r"byte 1; write 200 or .* or echo"),
    (["--expect", "echo", "http://h/"], r"--expect echo: there is no body"),
    (["-X", "HEAD", "--expect", "len:1", "http://h/"], r"to HEAD have no bodie"),
    (["--requests-per-conn", "x", TARGET], r"'x' is not a count such as 100"),
    (["--requests-per-conn", "0", TARGET], r"0 is out of range, 1 to 4G"),
    (["--requests-per-conn", "9:3", TARGET], r"9:3 is out of range, 1 to 4G"),
    (["--requests-per-conn", "1:", TARGET], r"'1:' is not a count"),
    (["--requests-per-conn", "3", UDP], r"udp:// does not connect"),
    ([UDP, TARGET], r"udp:// and other targets cannot be loaded together"),
    (["--send", "15", UDP], r"--send: over udp:// .* 16 to 65507 bytes"),
    (["--send", "65508", UDP], r"--send: over udp:// .* 16 to 65507 bytes"),
    (["--connect-timeout", "1s", UDP], r"--connect-timeout: udp:// does not"),
    (["-p", "1000", "-c", "100000", UDP], r"more than 22M datagrams"),
    ([TARGET] * 65, r"more than 64 targets"),
    (["--mode", "sideways", TARGET], r"--mode: 'sideways' is not echo, crr,"),
    (["--bind", "localhost", TARGET], r"'localhost', at character 1: "),
    (["--bind", "127.0.0.1,,::1", TARGET], r"--bind: .* at character 11: "),
    (["--bind", "127.0.0.1,::1", TARGET], r"address 2 is of another family"),
    (["--bind", "127.0.0.1", "unix:/x"], r"--bind: unix:/x has no addresses"),
    (["--connect-to", "h", TARGET], r"--connect-to: .*has no port"),
    (["--connect-to", "udp://h:1", TARGET], r"is not HOST:PORT or unix:PATH"),
    (["--connect-to", "unix:/x", UDP], r"cannot be reached by a path"),
    (["--unix", "", TARGET], r"--unix: 'unix:' has no path"),
    (["--proxy-protocol", "v3", TARGET], r"'v3' is not off, v1 or v2"),
    (["--proxy-protocol", "v1", UDP], r"--proxy-protocol: udp:// does"),
    (["--proxy-protocol", "v1", TLS], r"has TLS, which starts at once"),
    (["-4", "tcp://[::1]:9"], r"-4: tcp://\[::1\]:9 is not an IPv4 address"),
    (["-4", "-6", "tcp://h:9"], r"-6: -4 and -6 exclude each other"),
    (["-6", "--bind", "127.0.0.1", "tcp://h:9"], r"-6: 127.0.0.1:0 is not an IPv6"),
    (["-4", "unix:/x"], r"-4: unix:/x is not an IPv4 address"),
    (["--weights", "1,2", TARGET], r"--weights was removed; use a run for each"),
    (["search", "--weights=1,2", TARGET], r"--weights was removed; use a run"),
    (["--nodelay", "no", TARGET], r"--nodelay: 'no' is not on or off"),
    (["--nodelay", "on", UDP], r"--nodelay: a target has no TCP"),
    (["--keepalive", "unix:/x"], r"--keepalive: a target has no TCP"),
    (["--fast-open", UDP], r"--fast-open: a target has no TCP"),
    (["--fast-open", "unix:/x"], r"--fast-open: a target has no TCP"),
    (["--fast-open", "--mode", "idle", TARGET], r"it is not for mode idle"),
    (["--fast-open", "--mode", "stream", TARGET], r"it is not for mode stream"),
    (["--fast-open", "--mode", "connect", TARGET],
     r"--fast-open: in mode connect only TLS sends bytes"),
    (["--sndbuf", "0", TARGET], r"--sndbuf: 0 is out of range, 1 to 1G"),
    (["--rcvbuf", "2G", TARGET], r"--rcvbuf: 2G is out of range, 1 to 1G"),
    (["--tos", "256", TARGET], r"--tos: '256' is not a number from 0 to 255"),
    (["--tos", "x", TARGET], r"--tos: 'x' is not a number from 0 to 255"),
    (["--tos", "8", "unix:/x"], r"--tos: it is not for Unix sockets"),
    (["--busy-poll", "1ms", TARGET], r"--busy-poll was removed; use sysctl net"),
    (["--percentiles", "50,x", TARGET], r"--percentiles: .* at character 4: "),
    (["--percentiles", "100", TARGET], r"--percentiles: .* at character 1: "),
    (["--percentiles", "1,2,3,4,5,6,7,8,9", TARGET], r"more than 8"),
    (["--label", "x", TARGET], r"--label: 'x' is not NAME=VALUE"),
    (["--label", "=x", TARGET], r"--label: '=x' is not NAME=VALUE"),
    (["--mode", "stream", UDP], r"--mode: udp:// has only the modes echo and"),
    (["--mode", "idle", UDP], r"--mode: udp:// has only the modes echo and rr"),
    (["--mode", "connect", UDP], r"--mode: udp:// has only the modes echo and"),
    (["--mode", "rr", "-p", "2", UDP], r"-p: .* one request at a time"),
    (["--mode", "rr", "--recv", "65508", UDP], r"--recv: .* at most 65507"),
    (["--mode", "stream", "--send", "257K", TARGET], r"--send: .* most 256K"),
    (["--mode", "stream", "--direction", "left", TARGET],
     r"--direction: 'left' is not up, down or both"),
    (["--direction", "up", TARGET], r"--direction: it is only for --mode stream"),
    (["--mode", "stream", "-R", "5", TARGET], r"this mode has no schedule"),
    (["--mode", "connect", "-R", "5", TARGET], r"no schedule .* see --conn-rate"),
    (["--mode", "connect", "-p", "2", TARGET], r"-p: it is not for mode conn"),
    (["--mode", "idle", "-n", "5", TARGET], r"-n: it is not for mode idle"),
    (["--mode", "idle", "-w", "1s", TARGET], r"-w: it is not for mode idle"),
    (["--mode", "stream", "--think", "1s", TARGET], r"--think: it is not for"),
    (["--mode", "idle", "--requests-per-conn", "2", TARGET],
     r"--requests-per-conn: it is not for mode idle"),
    (["--mode", "idle", "http://h/"], r"--mode: idle is not for http://"),
    (["-R", "0", TARGET], r"-R: '0' is not a rate"),
    (["--rate", "fast", TARGET], r"--rate: 'fast' is not a rate"),
    (["--late", "skip", TARGET], r"--late: there is no schedule; add"),
    (["--late", "never", "-R", "1", TARGET], r"--late: 'never' is not queue"),
    (["--arrival", "odd", "-R", "1", TARGET], r"--arrival: 'odd' is not const"),
    (["--stages", "1s@5,x", TARGET], r"--stages: at 6, 'x': a stage is"),
    (["--stages", "1s@5", "-R", "5", TARGET], r"-R: --stages has the rates"),
    (["--stages", "1s@5", "-d", "5", TARGET], r"-d: --stages sets the length"),
    (["--conn-stages", "1s@5,x", TARGET], r"--conn-stages: at 6, 'x': a stage is"),
    (["--conn-stages", "1s@5", "-c", "5", TARGET], r"-c: --conn-stages has the n"),
    (["--conn-stages", "1s@5", "-d", "5", TARGET], r"-d: --conn-stages sets the"),
    (["--conn-stages", "1s@5", "-n", "5", TARGET], r"-n: --conn-stages sets the"),
    (["--conn-stages", "1s@5", "--stages", "2s@9", TARGET],
     r"--conn-stages: its stages last 1s in total, and those of --stages 2s"),
    (["--conn-stages", "1s@5", "--mode", "stream", TARGET],
     r"--conn-stages: it is not for mode stream"),
    (["--conn-stages", "1s@5", UDP], r"--conn-stages: udp:// does not"),
    (["--conn-stages", "1s@5..2", "-R", "9", "-t", "3", TARGET],
     r"--conn-stages: with a schedule every thread .* never go below 5$"),
    (["--conn-stages", "1s@0..10", "-R", "9", "-t", "3", "--part=2/4", TARGET],
     r"--conn-stages: with a schedule every thread .* never go below 10$"),
    (["--replay", "x", TARGET], r"--replay was removed; use --urls for the requ"),
    (["--replay-speed", "2", TARGET], r"--replay-speed was removed; use --stages"),
    (["--think", "1s", "-p", "2", TARGET], r"--think: with -p answers arrive"),
    (["--think", "1s", "-R", "5", TARGET], r"--think: the schedule sets the"),
    (["--lateness-limit", "x", "-R", "5", TARGET],
     r"--lateness-limit: 'x' is not a time such as"),
    (["--lateness-limit", "1ms,", "-R", "5", TARGET], r"'1ms,' is not a time"),
    (["--lateness-limit", "5%,1ms", "-R", "5", TARGET], r"'5%,1ms' is not a time"),
    (["--lateness-limit", "101%", "-R", "5", TARGET], r"'101%' is not a time"),
    (["-t", "3", "-c", "2", TARGET], r"-t: 3 threads for 2 connections"),
    (["--cpu", "3-2", TARGET], r"--cpu: '3-2' is not a list of CPUs"),
    (["--cpu", "0-1023,0", TARGET], r"--cpu: '0-1023,0' is not a list of CPUs"),
    (["--server-cpu", "1024", TARGET], r"--server-cpu: '1024' is not a list"),
    (["--server-cpu", "0,", TARGET], r"--server-cpu: '0,' is not a list of"),
    (["--cpu", "3,7-9", "--server-cpu", "5,9", TARGET],
     r"--server-cpu: CPU 9 is one of the client's; --force runs anyway"),
    (["--start-at", "noon", TARGET], r"--start-at: 'noon' is not a time"),
    (["--start-at", "next:soon", TARGET], r"'next:soon' is not a time such as"),
    (["--start-at", "next:10ms", TARGET], r"'next:10ms' .* of 1s at least"),
    (["--part", "3", TARGET], r"--part: '3' is not a part such as 2/8"),
    (["--part", "auto", TARGET], r"--part: auto: none of JOB_COMPLETION_INDEX"),
    (["--part", "1/8", "-c", "7", TARGET], r"--part: -c 7 is less than one"),
    (["--max-inflight", "4", "-R", "9", "--part", "5/8", TARGET],
     r"--max-inflight: 4 is less than one request for each of 8 threads of all"),
    (["--max-inflight", "1", "-R", "9", "-t", "2", TARGET],
     r"--max-inflight: 1 is less than one request for each of 2 threads$"),
    (["--part", "1/8", "-n", "7", TARGET], r"--part: 7 requests are less than"),
    (["--recv", "64", TARGET], r"--recv: it is only for --mode rr"),
    (["--mode", "crr", UDP], r"--mode: udp:// has only the modes echo and rr"),
    (["--mode", "crr", "-p", "2", TARGET], r"-p: mode crr has one"),
    (["--insecure", TARGET], r"--insecure: no target has TLS"),
    (["--sni", "x", "--ca", "y", UDP], r"--ca: no target has TLS"),
    (["-k", "--sni", "x", HTTP], r"--sni: no target has TLS; write https://$"),
    (["--ca", "", TLS], r"--ca: it is empty"),
    (["--key-passphrase-file", "", TLS], r"--key-passphrase-file: it is empty"),
    (["--key-passphrase-file", "x", TLS], r"--key-passphrase-file needs --cert$"),
    (["--key-log", "", TLS], r"--key-log: it is empty"),
    (["--ciphers", "", TLS], r"--ciphers: it is empty"),
    (["--ciphers", "x", TARGET], r"--ciphers: no target has TLS"),
    (["--groups", "", TLS], r"--groups: it is empty"),
    (["--groups", "x", TARGET], r"--groups: no target has TLS"),
    (["--groups", "X25519:p256", TLS],
     r"\"p256\" is none of X25519:P-256:P-384.*\(WEIR_ETLSGROUPS\)"),
    (["--ciphers", "AES128-SHA", TLS],
     r"\"AES128-SHA\" is none of .*:TLS_ECDHE_RSA_.*\(WEIR_ETLSCIPHERS\)"),
    (["--tls-min", "1.1", TLS], r"--tls-min: '1\.1' is not 1\.2 or 1\.3"),
    (["--tls-max", "3", TLS], r"--tls-max: '3' is not 1\.2 or 1\.3"),
    (["--tls-min", "1.3", "--tls-max", "1.2", TLS], r"--tls-min is above"),
    (["--key", "x", TLS], r"--key: 'x' needs a --cert of its own before it"),
    (["--cert", "a", "--cert", "b", TLS], r"--cert: a client has only"),
    (["--insecure", "--ca", "x", TLS], r"--insecure: .* --ca has no effect"),
    (["--insecure", "--crl", "x", TLS], r"--insecure: .* --crl has no effect"),
    (["--tickets", "off", TLS], r"unknown flag --tickets"),
    (["--resume", "2", "--mode", "crr", TLS], r"--resume: '2' is not off,"),
    (["--resume", "nan", "--mode", "crr", TLS], r"--resume: 'nan' is not"),
    (["--resume", "0.5", TLS], r"--resume: .* in --mode crr and connect"),
    (["--resume", "0.5", TARGET], r"--resume: "),
    (["--resume", "ticket", "--mode", "crr", "--tls-max", "1.2", TLS],
     r"--resume: sessions of TLS 1\.2"),
    (["--engine", "fast", TARGET], r"--engine: 'fast' is not auto, uring or"),
    (["--tls-library", "gnutls", TARGET],
     r"--tls-library: ('gnutls' is not openssl, wolfssl|there is no TLS)"),
    (["--mix", "/nonexistent/x", TARGET], r"--mix: /nonexistent/x: No such"),
    (["--max-inflight", "0", TARGET], r"--max-inflight: 0 is out of range, 1"),
    (["--conn-rate", "x", TARGET], r"--conn-rate: 'x' is not a rate such as"),
    (["--hgrm", "/nonexistent/x", TARGET], r"--hgrm: /nonexistent/x: No such"),
    (["--hdr-log", "x", TARGET], r"--hdr-log was removed; use --hgrm for the"),
    (["--csv", "/nonexistent/x", TARGET], r"--csv: /nonexistent/x: No such"),
    (["--slo", "", TARGET], r"--slo: .*at character 1"),
    (["--hgrm=", TARGET], r"--hgrm: it is empty"),
    (["--json-stream", "--json", TARGET], r"--json needs a file"),
    (["--slo", "p99<5xs", TARGET], r"--slo: 'p99<5xs', at character 5: '5xs'"),
    (["--alpn", "", TLS], r"--alpn: it is empty"),
    (["tls+unix:/nowhere"], r"no host name to verify; .* --sni or --insecure"),
)

BAD_SERVE = (
    ([], r"no address"),
    (["--zero", TARGET], r"unknown flag --zero"),
    (["--api", "stream", TARGET], r"unknown flag --api"),
    (["--mode", "htpt", TARGET], r"--mode: 'htpt' is not echo, discard"),
    (["http://127.0.0.1:0/x"], r"an address to listen on has no path"),
    (["--mode", "echo", "http://127.0.0.1:0"], r"echo is not for http://"),
    (["--mode", "http", UDP], r"--mode: http is not for udp://"),
    (["--grace", "x", TARGET], r"--grace: 'x' is not a time"),
    (["--threads", "1025", TARGET], r"--threads: 1025 is out of range, 0 to"),
    (["--threads", "all", TARGET], r"--threads: 'all' is not a count or auto"),
    ([TARGET, "--mode"], r"--mode needs a value"),
    (["--delay", "x", TARGET], r"--delay: 'x' is not a time"),
    (["--delay", "169h", TARGET], r"--delay: 169h is out of range, 0 to 168h"),
    (["--freeze", "2s", TARGET], r"--freeze: '2s' is not a time and its per"),
    (["--limit-rate", "x", TARGET], r"--limit-rate: 'x' is not a count"),
    (["--limit-rate", "0", TARGET], r"--limit-rate: 0 is out of range, 1 to"),
    (["--limit-rate", "5", TARGET], r"--limit-rate: mode echo cannot"),
    (["--limit-rate", "5", "--mode", "rr", "--threads", "2", TARGET],
     r"--limit-rate: it needs one thread, not 2"),
    (["--mode", "discard", "--delay", "1s", TARGET],
     r"--mode: discard has no --delay"),
    (["--mode", "rr", UDP], r"--mode: rr is not for udp://"),
    (["--mode", "ws", TARGET], r"--mode: ws was removed; use another server"),
    (["ws://127.0.0.1:0"], r"ws://127.0.0.1:0: it was removed; use another ser"),
    (["--delay", "1s", UDP], r"--delay, .* are not for udp://"),
    (["--recv", "0", TARGET], r"--recv: at 1, '0': out of range, 1 to 64M"),
    (["--send", "x", TARGET], r"--send: at 1, 'x': not a size"),
    (["--mode", "rr", "--recv", "exp:1k", TARGET], r"mode rr has fixed sizes"),
    (["tcp://127.0.0.1:x"], r"port must be a number from 0"),
    (["--mode", "chargen", TARGET, UDP], r"--mode: chargen is not for udp://"),
    (["udp://192.0.2.1:0"], r"udp://192\.0\.2\.1:0: .*\(EADDRNOTAVAIL\)"),
    (["tcp://192.0.2.1:0"], r"tcp://192\.0\.2\.1:0: .*\(EADDRNOTAVAIL\)"),
    ([TARGET] * 17, r"more than 16 addresses"),
    (["--cert", "x", TARGET], r"--cert: no target has TLS"),
    ([TLS], r"needs a certificate: --cert and --key"),
    (["--key", "x", TLS], r"--key: 'x' needs a --cert of its own before it"),
    (["--cert", "x", "--key", "y", "--key", "z", TLS], r"--key: 'z' needs a --c"),
    (["--cert", "x"] * 33 + [TLS], r"--cert: more than 32 certificates"),
    (["--cert", "x", "--client-auth", "required", TLS], r"--ca is required"),
    (["--cert", "x", "--crl", "y", TLS], r"--crl: --ca is required"),
    (["--tickets", "yes", TLS], r"--tickets: 'yes' is not on or off"),
    (["--fast-open", UDP], r"--fast-open: no target has TCP"),
    (["--fast-open", "unix:/x"], r"--fast-open: no target has TCP"),
    (["--groups", "P-384", TARGET], r"--groups: no target has TLS"),
    (["--groups", "P-384", "--cert", "x", TLS],
     r"TLS: groups: .*TLS 1\.3.*\(WEIR_ETLSGROUPS\)"),
    (["--sni", "x", TLS], r"unknown flag --sni"),
    (["--engine", "fast", TARGET], r"--engine: 'fast' is not auto, uring or"),
    (["--tls-library", "gnutls", TARGET],
     r"--tls-library: ('gnutls' is not openssl, wolfssl|there is no TLS)"),
    (["--ca", "", TLS], r"--ca: it is empty"),
    (["--key-passphrase-file", "", TLS], r"--key-passphrase-file: it is empty"),
    (["--key-log", "", TLS], r"--key-log: it is empty"),
    (["--client-auth", "no", TLS], r"--client-auth: 'no' is not optional or"),
    (["--alpn", "", TLS], r"--alpn: it is empty"),
    (["--ciphers", "", TLS], r"--ciphers: it is empty"),
    (["--tls-min", "1.1", TLS], r"--tls-min: '1\.1' is not 1\.2 or 1\.3"),
    (["--tls-max", "1.4", TLS], r"--tls-max: '1\.4' is not 1\.2 or 1\.3"),
)

# Arguments of both commands that compare.
BAD_COMPARISON = (
    (["--margin", "x"], r"--margin: 'x' is not a share such as 2%"),
    (["--metric", "p5"], r"--metric: 'p5' is not rate, p50, p90, p99,"),
    (["--undecided", "maybe"], r"--undecided: 'maybe' is not pass"),
    (["--markdown="], r"--markdown: it is empty"),
    (["--junit="], r"--junit: it is empty"),
    (["--prometheus="], r"--prometheus: it is empty"),
    (["--json="], r"--json: '' is not a file name"),
)

BAD = {
    "run": BAD_RUN,
    "serve": BAD_SERVE,
    "search": (
        (["--slo", "p99", TARGET], r"--slo: 'p99', at character 4"),
        ([TARGET], r"--slo is required"),
        (["--slo", "p99<1s"], r"no target"),
        (["--slo", "p99<1s", "zzz"], r"'zzz' is not a target"),
        (["--slo", "p99<1s", "-R", "5", TARGET], r"-R: search"),
        (["--slo", "p99<1s", "-d", "1h", TARGET], r"-d: 1h is out of"),
        (["--from", "x", TARGET], r"--from: 'x' is not a count such as 50"),
        (["--to", "x", TARGET], r"--to: 'x' is not a count such as 50"),
        (["--precision", "0%", TARGET], r"--precision: 0% is out of range, 0.1"),
        (["-d", "0", TARGET], r"-d: 0 is out of range"),
        (["--save=", TARGET], r"--save: it is empty"),
        (["--json=", TARGET], r"--json: '' is not a file name"),
    ),
    "sweep": (
        ([TARGET], r"--rates or --conns"),
        (["--conns", "1"], r"no target"),
        (["--conns", "1", "--zero", TARGET], r"unknown flag --zero"),
        (["--rates", "5..x", TARGET], r"--rates: at character 1: expected a number or"),
        (["--conns", "0", TARGET], r"--conns: at character 1: expected a number or LOW"),
        (["--slo", "p99", TARGET], r"--slo: 'p99', at character 4"),
        (["--save=", TARGET], r"--save: it is empty"),
        (["--json=", TARGET], r"--json: '' is not a file name"),
        (["--seed", "x", TARGET], r"--seed: 'x' is not a count such as"),
    ),
    "ab": (
        (["--runs", "5", TARGET, TARGET], r"--runs: 5 is out of range, 6 to 200; "
         "fewer than 6 pairs have no 95 % interval: write --runs 6$"),
        (["--a-flags", "'", TARGET, TARGET], r"--a-flags: a quote or a "),
        (["--b-flags", "-p '4", TARGET], r"--b-flags: a quote or a .* at its end"),
        (["--b-flags", "--zero", TARGET], r"unknown flag --zero"),
        (["--b-flags", "-p 4", TARGET, TARGET, TARGET], r"write two"),
        (["--b-flags", "-p 4"], r"write two targets"),
        (["--a-flags", "tcp://h:1", TARGET], r"'tcp://h:1' is not a flag"),
        (["--a-flags", "-p", TARGET], r"-p needs a value"),
        (["-c", "10", TARGET], r"write two targets, A and B"),
        (["a", "b"], r"'[ab]' is not a target"),  # by lot, which is first
        (["--save"], r"--save needs a value"),
        (["--save=", TARGET, TARGET], r"--save: it is empty"),
        (["--seed", "5", TARGET, TARGET], r"--seed: it was removed; use --a-flags"),
        *(([*words, TARGET, TARGET], line) for words, line in BAD_COMPARISON),
    ),
    "compare": tuple(([*words, "a", "--", "b"], line)
                     for words, line in BAD_COMPARISON),
    "report": (
        (["-o", "", "a"], r"(-o|--output): it is empty"),
        (["--title=", "a"], r"--title: it is empty"),
        (["--svg=x", "a"], r"--svg: it was removed; use report -o PAGE.html;"),
        (["--json=", "a"], r"--json: '' is not a file name"),
    ),
}


def refuses(word, arguments, pattern):
    outcome = command(WEIR_LOAD, *word, *arguments)
    try:
        equal((outcome.status, outcome.out), (2, ""), "exit code and output")
        one_line(outcome.err, pattern)
    except AssertionError as error:
        raise AssertionError(f"{word} {arguments}: {error}") from error


def test_each_mistake_with_run_costs_one_clear_line():
    for arguments, pattern in BAD_RUN:
        refuses(["run"], arguments, pattern)


def test_all_wrong_words_of_a_line_are_told():
    outcome = command(WEIR_LOAD, "-T", "a/b", "-q", "10", "-d", "data",
                      "--lateness", "2ms", "-c", "0", "nowhere", HTTP)
    equal((outcome.status, outcome.out), (2, ""), "exit code and output")
    lines = outcome.err.splitlines()
    equal(len(lines), 4, f"lines of {outcome.err}")
    for line, pattern in zip(lines, (
            r"unknown flag -T", r"-d: 'data' is not a time",
            r"unknown flag --lateness; did you mean --lateness-limit\?",
            r"-c: 0 is out of range"), strict=True):
        matches(line, pattern)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one():
    for typed, meant in (("--conections", "connections"),
                         ("--durration", "duration"), ("--pipe", "pipeline"),
                         ("--zzzzzzzzzz", None)):
        outcome = command(WEIR_LOAD, typed, "3", TARGET)
        equal(outcome.status, 2, "exit code")
        one_line(outcome.err, rf"did you mean --{meant}\?" if meant
                 else rf"unknown flag {typed} \(see weir-load run --help\)$")


def test_what_belongs_to_runs_is_passed_on_and_what_nobody_has_is_refused():
    for command_name in ("ab", "search", "sweep"):
        refuses([command_name], ["--conections", "3", TARGET, TARGET],
                r"unknown flag --conections; did you mean --connections\?")


def test_habits_that_mean_the_same_here_are_taken():
    with Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as server:
        for flags in (["--json=-"], ["-k", "--json"], ["-H", "Host:", "--json"],
                      ["-t", "2", "-c", "4", "--latency", "--json"]):
            outcome = load(*flags, "-n", "4", server.url.upper())
            equal(outcome.status, 0, outcome.err)
            equal(json.loads(outcome.out)["requests"]["ok"], 4, f"{flags}")


def test_a_long_value_is_read_like_any_other():
    """Longer than the suggested line of another tool."""
    outcome = command(WEIR_LOAD, "--dry-run", "-H", "A: " + "x" * 9000, HTTP)
    equal((outcome.status, outcome.err), (0, ""), "exit status and error")
    matches(outcome.out, r"^Command +longer than 4096 bytes$")
    outcome = command(WEIR_LOAD, "-H", "A: " + "x" * 9000, "-z", "1s", HTTP)
    one_line(outcome.err, r"unknown flag -z")


def test_run_is_the_default():
    refuses([], ["-c", "0", TARGET], r"-c: 0 is out of range, 1 to 1000000")


def test_each_mistake_with_another_command_costs_one_clear_line():
    for word, lines in BAD.items():
        for arguments, pattern in lines if word != "run" else ():
            refuses([word], arguments, pattern)


def test_each_option_with_a_value_has_a_mistake_here():
    for word in COMMANDS:
        for name, (_, letter, value) in manual.helps(WEIR_LOAD, word).items():
            flags = {f"--{name}", f"-{letter}"}
            equal(value == "" or any(
                flags & {argument.partition("=")[0] for argument in arguments}
                and any(flag in pattern for flag in flags)
                for arguments, pattern in BAD[word]), True,
                f"a line of a mistake with --{name} in BAD[{word!r}]")


# Values of the options of `run`, by their names in the help.
VALUES = {"N": "3", "COUNT": "3", "DEPTH": "3", "TIME": "3s", "RATE": "3",
          "SIZE": "3K"}
# Other values, and options that must accompany an option.
TRIED = {
    "ws-text": ("ws://127.0.0.1:1",),
    "max-errors": ("3%",),
    "ipv6": ("tcp://[::1]:9",), "bind": ("127.0.0.2",), "connect-to": ("127.0.0.1:1",),
    "unix": ("/nonexistent/x",), "proxy-protocol": ("v1",),
    "requests-per-conn": ("3:4",), "method": ("PUT", HTTP),
    "header": ("A: b", HTTP), "body": ("x", HTTP),
    "chunked": ("-b", "x", HTTP), "path": ("/x", "--mode", "http"),
    "expect": ("201", HTTP), "request": ("x", "--expect", "len:1"),
    "expect-begin": ("x", "--expect", "len:1", "--request", "x"),
    "mix": ("LINES", HTTP),
    "urls": ("LIST", HTTP), "preamble": ("GET /", HTTP),
    "data": ("DATA", HTTP + "{csv:a}"),
    "data-order": ("random", "--data", "DATA", HTTP + "{csv:a}"),
    "arrival": ("poisson", "-R", "3"), "stages": ("100ms@9",),
    "conn-stages": ("100ms@9",),
    "late": ("skip", "-R", "3"), "max-inflight": ("3", "-R", "3"),
    "lateness-limit": ("3ms", "-R", "3"), "recv": ("3K", "--mode", "rr"),
    "threads": ("2",), "mode": ("crr",),
    "direction": ("down", "--mode", "stream", "-d", "1s"),
    "insecure": (TLS,), "resume": ("0.5", "--mode", "crr", TLS),
    "sni": ("x", TLS), "alpn": ("x", TLS), "groups": ("X25519", TLS),
    "ciphers": ("TLS_AES_128_GCM_SHA256", TLS), "tls-min": ("1.3", TLS),
    "tls-max": ("1.2", TLS), "nodelay": ("off",), "tos": ("3",),
    "http": ("2", HTTP), "http2": (HTTP,),
    "window": ("3M", "--http2", HTTP),
    "conn-window": ("3M", "--http2", HTTP),
    "max-frame": ("30K", "--http2", HTTP),
    "header-table": ("0", "--http2", HTTP),
}
# They determine when and where a run is made, or what is shown of it, not the load, so
# results with and without them are comparable.
NO_LOAD = {"engine", "tls-library", "start-at", "wait", "part", "cpu", "server-cpu", "force",
           "key-passphrase-file", "key-log",
           "json", "json-stream", "hgrm", "csv", "log", "markdown", "junit",
           "prometheus", "slo", "percentiles", "label", "dry-run", "quiet",
           "verbose", "help"} | {"http1.1"}  # which is used anyway
# load_tls.py has their files and checks the configuration.
OF_FILES = {"ca", "crl", "cert", "key"}
# It follows another option; load_flows.py checks the configuration.
BEHIND = {"capture"}


def config_of(folder, words):
    """Returns the configuration of a run that reaches no server, or None if it was
    refused."""
    path = f"{folder}/result"
    with open(f"{folder}/lines", "w", encoding="utf-8") as file:
        file.write("1 GET /\n")
    with open(f"{folder}/list", "w", encoding="utf-8") as file:
        file.write("/\n")
    with open(f"{folder}/data", "w", encoding="utf-8") as file:
        file.write("a\n1\n")
    words = [word.replace("LINES", f"{folder}/lines").replace(
        "LIST", f"{folder}/list").replace("DATA", f"{folder}/data")
             for word in words]
    has_end = {"-d", "--requests", "--duration", "--stages",
               "--conn-stages"} & {
        word.partition("=")[0] for word in words}
    outcome = command(WEIR_LOAD, "run", "-q", "--seed=1", f"--json={path}",
                      *(() if has_end else ("-n", "4")), *words,
                      *(() if any("://" in word for word in words)
                        else (TARGET,)))
    if outcome.status == 2:
        return None
    return read_json(path)["config"]


def test_each_option_of_a_load_is_in_the_configuration_of_its_result():
    with tempfile.TemporaryDirectory() as folder:
        for name, (_, _, value) in manual.helps(WEIR_LOAD, "run").items():
            if name in NO_LOAD | OF_FILES | BEHIND:
                continue
            words = TRIED.get(name) or (VALUES.get(value.strip(), ""),)
            flag = [f"--{name}={words[0]}"] if value else [f"--{name}"]
            beside = words[1:] if value else words if words != ("",) else ()
            with_it = config_of(folder, [*flag, *beside])
            without = config_of(folder, beside) or config_of(folder, ())
            equal(with_it not in (None, without), True, f"{flag[0]} changes "
                  "the configuration: its row has a .json, or it is in NO_LOAD")


def test_each_field_of_an_option_is_read_somewhere():
    """Outside of its row and the configuration of results. The library reads the TLS
    fields as a whole."""
    folder = pathlib.Path(manual.TOOLS, "weir-load")
    text = {path.name: path.read_text(encoding="utf-8")
            for path in folder.rglob("*.c")}
    fields = re.findall(r"\b(?:AT|TEXT|SWITCH|NUMBER|CHOICE|EITHER)\("
                        r"(?:[^()]*,\s*)?([\w.]+)\)",
                        text.pop("options_rows.c"))
    del text["json_config.c"]
    equal(len(fields) > 50, True, f"{fields}")
    for field in fields:
        if field.startswith("tls.options."):
            continue
        used = re.compile(rf"(?:->|\.){field.rpartition('.')[2]}\b")
        equal(any(map(used.search, text.values())), True,
              f"a place that reads {field}")


def test_each_option_is_in_a_test_of_what_it_does():
    """Or in a page of the guide, whose commands are run."""
    here = pathlib.Path(__file__).parent
    tests = "".join(path.read_text(encoding="utf-8")
                    for folder in (here, here / "../guide", here / "../unit")
                    for path in folder.iterdir()
                    if path.suffix in (".py", ".c")
                    and path.name != os.path.basename(__file__))
    for word in COMMANDS:
        for name, (_, letter, _) in manual.helps(WEIR_LOAD, word).items():
            ways = rf"--{name}(?![\w-])" + (rf"|[\"' ]-{letter}\b" if letter
                                            else "")
            equal(bool(re.search(ways, tests)), True,
                  f"a test of --{name} of {word}")


def test_the_manual_has_the_defaults_of_the_help():
    text = manual.page("weir-load.1")
    count = sum(manual.compare_defaults(text, WEIR_LOAD, word)
                for word in COMMANDS)
    equal(count > 40, True, f"{count} defaults")


def test_an_address_in_use_is_said():
    with Serve() as server:
        refuses(["serve"], [server.url], r"\(EADDRINUSE\)")
        refuses(["serve"], ["tcp://127.0.0.1:0", server.url],
                r"\(EADDRINUSE\)")


def test_of_the_addresses_of_a_name_the_one_in_use_is_said():
    with Serve() as server:
        for threads in ("1", "2"):
            refuses(["serve", "--threads", threads],
                    [server.url.replace("127.0.0.1", "localhost")],
                    r": 127\.0\.0\.1:\d+: Address already in use "
                    r"\(EADDRINUSE\)")
    refuses(["serve"], ["udp://192.0.2.1:7"],
            r": 192\.0\.2\.1:7: Cannot assign requested address ")


def test_no_arguments_at_all_are_a_mistake():
    fails(command(WEIR_LOAD), r"^Usage: weir-load", 2)


def test_help_has_an_example_and_fits_a_terminal():
    for word in ([], *([word] for word in COMMANDS)):
        for flag in ("--help", "-h"):
            outcome = command(WEIR_LOAD, *word, flag)
            equal((outcome.status, outcome.err), (0, ""), "the outcome")
            matches(outcome.out, r"^Usage: weir-load")
            matches(outcome.out, r"^Example: weir-load ")
            for line in outcome.out.splitlines():
                equal(len(line) <= 80, True, f"short: {line}")


def test_help_names_every_exit_code():
    text = " ".join(command(WEIR_LOAD, "run", "--help").out.split())
    listed = re.findall(r"\b(\d+) ", text[text.index("Exit codes:"):])
    equal(listed, ["0", "1", "2", "3", "4", "5", "99", "130"], "exit codes")


def test_the_short_help_fits_two_screens_with_a_line_for_each_option():
    text = command(WEIR_LOAD, "run", "--help").out
    rows = re.findall(r"^  (?:-\w, |    )--\S+(?: \S+)*  +\S", text, re.M)
    equal(len(text.splitlines()) <= 48, True, f"two screens: {text}")
    equal(25 <= len(rows) <= 32, True, f"common options: {rows}")
    equal(re.findall(r"^ {7,}\S.*$", text, re.M), [], "lines that go on")
    equal(text, command(WEIR_LOAD, "run", "-h").out, "-h")
    equal(command(WEIR_LOAD, "run", "-h", "all").out,
          command(WEIR_LOAD, "run", "--help", "all").out, "-h all")


def test_the_manual_names_every_flag_of_the_help():
    text = manual.page("weir-load.1")
    for word in ("HTTP", "TCP", "TLS", "UDP"):  # by which apropos(1) finds it
        matches(text, rf"^\.Nd .*\b{word}\b")
    for word in COMMANDS:
        flags = set(manual.helps(WEIR_LOAD, word))
        equal(len(flags) > 3, True, f"flags of {word}: {flags}")
        for flag in flags - ({"duration", "output"} if word not in
                             ("run", "serve") else set()):
            assert re.search(rf"^\.(It |Op )?Fl (\w , )?-{flag}\b", text,
                             re.M), (
                f"tools/man/weir-load.1 has no item for --{flag} of {word}: "
                f"write '.It Fl -{flag}' and what it does")


def test_version_is_one_line_and_names_the_tls_library():
    outcome = command(WEIR_LOAD, "--version")
    equal(outcome.status, 0, "exit status")
    matches(outcome.out, r"\Aweir-load \d+\.\d+\.\d+, "
            r"(without TLS|TLS by \w+ \d[\w.]* "
            r"\(([\w.+~:-]+|of the system)\)(, in FIPS mode)?)\n\Z")


def test_version_with_v_says_what_the_kernel_offers():
    for arguments in (["--version", "-v"], ["-v", "--version"]):
        outcome = command(WEIR_LOAD, *arguments)
        equal(outcome.status, 0, f"exit status ({outcome.err})")
        matches(outcome.out, r"^weir-load ")
        matches(outcome.out, r"^libweir \d")
        matches(outcome.out, r"^Linux \d")
        matches(outcome.out, r"^recv_credit +6\.17")


def test_a_result_that_cannot_be_written_is_no_success():
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with Serve() as server:
        outcome = command(WEIR_LOAD, "-n", "10", "--json=/dev/full",
                          server.url)
        equal(outcome.status, 1, "exit status")
        one_line(outcome.err, r"could not be written")


def limit_files():
    """For preexec_fn: no file may have any bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def test_a_file_that_may_not_grow_is_named_with_the_reason():
    with Serve() as server, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        for flag in ("--json", "--hgrm", "--csv"):
            outcome = command(WEIR_LOAD, *PATIENT, "-n", "10",
                              f"{flag}={path}", server.url,
                              preexec_fn=limit_files)
            equal(outcome.status, 1, f"exit status with {flag}")
            one_line(outcome.err, re.escape(path) + ".*: File too large$")
        good = command(WEIR_LOAD, *PATIENT, "-n", "10", "--json=" + path,
                       server.url)
        equal(good.status, 0, "exit status without the limit")
        page = os.path.join(folder, "page.html")
        outcome = command(WEIR_LOAD, "report", path, "-o", page,
                          preexec_fn=limit_files)
        equal(outcome.status, 1, "exit status of report")
        one_line(outcome.err, re.escape(page) + ".*: File too large$")


def test_help_and_version_that_cannot_be_written_are_no_success():
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    for words in ("--help", "run --help", "serve --help", "--version",
                  "--version -v"):
        for where in (">/dev/full", ">&-"):
            outcome = command("sh", "-c", f'"$0" {words} {where}', WEIR_LOAD)
            equal(outcome.status, 1, f"exit status of {words} {where}")
            one_line(outcome.err, r"standard output could not be written")


def test_descriptors_that_are_missing_are_not_taken_for_others():
    with Serve() as server:
        for where in (">&-", "<&- >&-"):
            outcome = command("sh", "-c", f'"$0" -n 10 "$1" {where}',
                              WEIR_LOAD, server.url)
            equal(outcome.status, 1, f"exit status with {where}")
            one_line(outcome.err, r"could not be written: Bad file descriptor")
        outcome = command("sh", "-c", '"$0" "$@" <&- 2>&-', WEIR_LOAD,
                          *PATIENT, "-n", "10", server.url)
        equal((outcome.status, outcome.err), (0, ""), "the outcome")
        matches(outcome.out, r"VALID")


def test_too_many_connections_for_the_ports_are_said():
    if os.geteuid() != 0:
        raise Skip("only root may have a network of its own")
    # The range of ports belongs to the network namespace.
    script = ("echo 60000 60009 >/proc/sys/net/ipv4/ip_local_port_range || "
              'exit 77; exec "$0" "$@"')
    outcome = command_apart(script, WEIR_LOAD, "-c", "11", TARGET,
                            flags=("-n",))
    equal((outcome.status, outcome.out), (2, ""), "the outcome")
    one_line(outcome.err, r"11 connections .* only 10 ephemeral ports")


run_tests(globals(), short="each_mistake_with_run_costs_one_clear_line")
