/*
 * The table of all directives.
 *
 * One row defines both the command-line option and the key of the file, with
 * the same values and errors.
 */
#include "words.h"

#include "changes.h"
#include "needs.h"
#include "tools/common/engine.h"
#include "tools/common/units.h"
#include "tools/common/version.h"
#include "words_set.h"

#include <string.h>

static const char *const balances[] = {
    "roundrobin", "leastconn", "random", "source", "sni", "first", NULL};
static const char *const kinds_of_clients[] = {"any", "tls", "plain", "silent",
                                               NULL};
static const char *const backup_uses[] = {"all", "first", NULL};
static const char *const address_uses[] = {"one", "all", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const unknown_names[] = {"default", "refuse", NULL};
static const char *const check_headers[] = {"auto", "off", "v1", "v2", NULL};
static const char *const unchecked_ways[] = {"wait", "use", NULL};
static const char *const headers_out[] = {"off", "v1", "v2", NULL};
static const char *const target_headers[] = {"as-route", "off", "v1", "v2",
                                             NULL};
static const char *const headers_in[] = {"off", "v1", "v2", "any", NULL};

static const char *name_check(int index)
{
    return index == 0 ? "off"
                      : weir_upstream_check_kind_get_name(
                            (enum weir_upstream_check_kind)(index - 1));
}

#define AT_PROGRAM(field)                                                      \
    .scope = SCOPE_PROGRAM, .offset = offsetof(struct config, field)
#define AT_SERVICE(field)                                                      \
    .scope = SCOPE_SERVICE, .offset = offsetof(struct config_service, field)
#define AT_ROUTE(field)                                                        \
    .scope = SCOPE_ROUTE, .offset = offsetof(struct config_route, field)
#define AT_TARGET(field)                                                       \
    .scope = SCOPE_TARGET, .offset = offsetof(struct config_target, field)
#define AT_EACH_TARGET(field)                                                  \
    .scope = SCOPE_EACH_TARGET, .offset = offsetof(struct config_target, field)

static const struct option rows[] = {
    {.kind = OPTION_TITLE, .help = "Program"},
    {"threads", 0, "N",
     "number of threads, or auto for one on each processor (auto)",
     .read = words_say_threads, .kind = OPTION_COUNT, .least = 1, .most = 1024,
     AT_PROGRAM(thread_count)},
    {"max-conns-total", 0, "N",
     "maximum connections of all services together; more are reset",
     .kind = OPTION_COUNT, AT_PROGRAM(conn_limit)},
    {"memory-limit", 0, "SIZE",
     "bytes that all connections together may hold, at least 4M for each "
     "thread (a quarter of the memory)",
     .least = CONFIG_MEMORY_LEAST, .most = UINT64_C(1) << 50,
     .kind = OPTION_SIZE, AT_PROGRAM(memory_limit_bytes), .need = NEED_LINE},
    {"client-table", 0, "N",
     "number of clients whose limits are remembered (100k)",
     .kind = OPTION_COUNT, .least = 1000, .most = 100000000,
     AT_PROGRAM(client_table), .need = NEED_CLIENT_LIMIT},
    {"admin", 0, "HOST:PORT",
     "serve /metrics, /status, /healthz and /readyz at this address",
     .read = words_say_text, AT_PROGRAM(admin), .need = NEED_LINE},
    {"include", 0, "GLOB",
     "read these files at this point; in a file, names are relative to its "
     "folder",
     .repeats = true, .says_where = true, .scope = SCOPE_PROGRAM,
     .read = words_read_include},
    {"log", 0, "FILE",
     "file that gets a line for each connection; - is standard output; syslog, "
     "syslog:PATH or syslog:udp://HOST:PORT is a syslog server",
     .read = words_say_log, AT_PROGRAM(log_path)},
    {"log-format", 0, "FORMAT",
     "format of the log: text, json, or names of fields in braces, such as "
     "'{client} {reason}' (text)",
     .read = words_say_log_format, AT_PROGRAM(log_format), .need = NEED_LOG},
    {"log-facility", 0, "NAME", "syslog facility: {} (daemon)",
     .kind = OPTION_CHOICE, .choices = sink_facilities,
     AT_PROGRAM(log_facility), .need = NEED_SYSLOG},
    {"drain", 0, "TIME",
     "time that connections get to finish after SIGTERM (30s)", .least = 1,
     .kind = OPTION_TIME, AT_PROGRAM(drain_ns)},
    {"drain-delay", 0, "TIME",
     "time after SIGTERM in which /readyz fails but connections are still "
     "accepted (0)",
     .kind = OPTION_TIME, AT_PROGRAM(drain_delay_ns)},
    {"ctl", 0, "PATH",
     "Unix socket to serve for commands; as the first option, the Unix socket "
     "to which the command after it is sent",
     .read = words_say_text, AT_PROGRAM(control_path), .need = NEED_LINE},
    {"handover", 0, "PATH",
     "take the listening sockets of the proxy that serves this Unix socket, "
     "then serve it for the next proxy",
     .read = words_say_text, AT_PROGRAM(handover_path), .need = NEED_LINE},
    {"user", 0, "NAME",
     "switch to this user when all files and sockets are open",
     .read = words_set_text, AT_PROGRAM(user), .need = NEED_LINE},
    {"group", 0, "NAME", "switch to this group (the user's)",
     .read = words_set_text, AT_PROGRAM(group), .need = NEED_LINE},
    {"chroot", 0, "DIR",
     "change the root directory to DIR when all files and sockets are open",
     .read = words_set_text, AT_PROGRAM(chroot), .need = NEED_LINE},
    {"sandbox", 0, NULL,
     "restrict file access to the files of the configuration, and system calls "
     "to the necessary ones",
     .kind = OPTION_SWITCH, AT_PROGRAM(has_sandbox)},
    {"resolver", 0, "ADDRESS[,ADDRESS]",
     "name servers for the names of targets, used instead of /etc/hosts and "
     "the servers in /etc/resolv.conf",
     .read = words_say_resolver, AT_PROGRAM(resolver), .need = NEED_LOOKUP},
    {"engine", 0, "ENGINE",
     "event engine: uring, poll (epoll), or auto, which is uring if the kernel "
     "allows it (auto)",
     .read = engine_read, .choices = engine_names, .scope = SCOPE_PROGRAM},
    OPTION_ROW_TLS_LIBRARY(SCOPE_PROGRAM),
    {"verbose", 0, NULL, "print details about the library and the kernel",
     .kind = OPTION_SWITCH, AT_PROGRAM(is_verbose)},

    {.kind = OPTION_TITLE, .help = "Service"},
    {"listen", 0, "ADDRESS",
     "accept connections at tcp://HOST:PORT, tls://HOST:PORT, any://HOST:PORT "
     "(TLS or not), unix:PATH or tls+unix:PATH; after a 'to' it starts the "
     "next service",
     .repeats = true, .scope = SCOPE_SERVICE, .read = words_say_listen,
     .need = NEED_LINE},
    {"name", 0, "TEXT", "name of the service in the log and the metrics",
     .read = words_set_text, AT_SERVICE(name), .need = NEED_LINE},
    {"cert", 0, "FILE",
     "file with a certificate and its chain, or a folder of such files; may be "
     "repeated: SNI and key type choose",
     .repeats = true, .read = words_say_cert, AT_SERVICE(certs),
     .need = NEED_OPENS_TLS},
    {"key", 0, "FILE", "private key of the preceding cert (in its file)",
     .scope = SCOPE_SERVICE, .read = words_say_key, .need = NEED_CERT},
    {"key-passphrase-file", 0, "FILE",
     "file whose first line is the passphrase of encrypted keys",
     .read = words_set_text, AT_SERVICE(key_words), .need = NEED_CERT},
    {"key-log", 0, "FILE",
     "append the TLS secrets of connections with clients to FILE, for "
     "Wireshark",
     .read = words_set_text, AT_SERVICE(key_log), .need = NEED_CERT},
    {"alpn", 0, "LIST",
     "application protocols that are accepted, such as h2,http/1.1",
     .repeats = true, .read = words_add_texts, AT_SERVICE(alpn),
     .need = NEED_CERT},
    {"tls-min", 0, "VERSION", "lowest TLS version for clients: {} (1.2)",
     .kind = OPTION_CHOICE, .choices = tls_versions, AT_SERVICE(min_tls),
     .need = NEED_CERT},
    {"ciphers", 0, "LIST",
     "cipher suites for clients by IANA names, separated by colons, most "
     "preferred first (all of TLS 1.3, and of 1.2 with ECDHE and AEAD)",
     .read = words_set_text, AT_SERVICE(ciphers), .need = NEED_CERT},
    {"groups", 0, "LIST",
     "groups of the key exchange with clients, separated by colons: "
     "X25519MLKEM768 (with OpenSSL 3.5), X25519, P-256, P-384 and P-521; needs "
     "tls-min 1.3 (all)",
     .read = words_set_text, AT_SERVICE(groups), .need = NEED_CERT},
    {"unknown-name", 0, "HOW",
     "client that requests a name for which there is no certificate: default "
     "uses the first certificate, refuse sends an alert (default)",
     .kind = OPTION_EITHER, .choices = unknown_names, AT_SERVICE(refuses_names),
     .need = NEED_CERT},
    {"client-ca", 0, "FILE",
     "certificate authorities that are trusted for client certificates",
     .read = words_set_text, AT_SERVICE(client_ca), .need = NEED_CERT},
    {"require-client-cert", 0, NULL, "refuse clients without a certificate",
     .kind = OPTION_SWITCH, AT_SERVICE(needs_client_cert),
     .need = NEED_CLIENT_CA},
    {"client-crl", 0, "FILE",
     "revocation lists for client certificates, one of each issuer; may be "
     "repeated",
     .repeats = true, .read = words_add_text, AT_SERVICE(client_crls),
     .need = NEED_CLIENT_CA},
    {"client-name", 0, "KIND:NAME",
     "accept only client certificates with this name: dns:NAME, uri:URI or "
     "cn:NAME; may be repeated: one name is enough",
     .repeats = true, .read = words_say_text, AT_SERVICE(client_names),
     .need = NEED_CLIENT_CERT},
    {"accept-proxy", 0, "VERSION",
     "expect a PROXY header at the start of connections: v1, v2 or any (off)",
     .kind = OPTION_CHOICE, .choices = headers_in, AT_SERVICE(accept_header)},
    {"trust", 0, "NETWORK",
     "networks from which PROXY headers are accepted; other peers are refused "
     "(loopback, unix)",
     .repeats = true, .read = words_say_text, AT_SERVICE(trusted),
     .need = NEED_HEADER},
    {"client-conns", 0, "N",
     "maximum connections of one client; more are reset", .kind = OPTION_COUNT,
     .least = 1, .most = UINT32_MAX, AT_SERVICE(client_conns),
     .need = NEED_CLIENT_ADDRESS},
    {"client-rate", 0, "N/TIME",
     "maximum new connections of one client per time, such as 100/10s",
     .scope = SCOPE_SERVICE, .read = words_say_form,
     .need = NEED_CLIENT_ADDRESS},
    {"client-ban", 0, "TIME",
     "refuse a client for this long after it exceeded client-conns or "
     "client-rate (0)",
     .kind = OPTION_TIME, AT_SERVICE(client_ban_ns), .need = NEED_CLIENT_LIMIT},
    {"client-prefix", 0, "BITS/BITS",
     "leading bits of an IPv4 address, and of an IPv6 address, that identify "
     "one client (32/64)",
     .scope = SCOPE_SERVICE, .read = words_say_form, .need = NEED_CLIENT_LIMIT},
    {"client-share", 0, "NAME",
     "count the clients of all services with the same NAME together",
     .read = words_set_text, AT_SERVICE(client_share),
     .need = NEED_CLIENT_LIMIT},
    {"client-allow", 0, "NETWORK|@FILE",
     "accept only clients in these networks; a file has one on each line",
     .repeats = true, .read = words_say_text, AT_SERVICE(client_allow),
     .need = NEED_CLIENT_ADDRESS},
    {"client-deny", 0, "NETWORK|@FILE",
     "refuse clients in these networks, even if client-allow has them",
     .repeats = true, .read = words_say_text, AT_SERVICE(client_deny),
     .need = NEED_CLIENT_ADDRESS},
    {"client-free", 0, "NETWORK|@FILE",
     "do not limit clients in these networks", .repeats = true,
     .read = words_say_text, AT_SERVICE(client_free),
     .need = NEED_CLIENT_LIMIT},
    {"max-conns", 0, "N",
     "maximum connections to each listening address; more wait",
     .kind = OPTION_COUNT, AT_SERVICE(conn_limit)},
    {"handshake-timeout", 0, "TIME",
     "time limit of a TLS handshake with a client (10s)", .least = 1,
     .kind = OPTION_TIME, AT_SERVICE(handshake_timeout_ns), .need = NEED_CERT},
    {"hello-timeout", 0, "TIME",
     "time limit for a client's PROXY header, its ClientHello, and the bytes "
     "that choose the route (5s)",
     .least = 1, .kind = OPTION_TIME, AT_SERVICE(hello_timeout_ns),
     .need = NEED_HELLO},
    {"silent-after", 0, "TIME",
     "time after which a client that has sent no byte is silent for route-as "
     "(300ms)",
     .least = 1, .kind = OPTION_TIME, AT_SERVICE(silent_after_ns),
     .need = NEED_SILENT},
    {"idle-timeout", 0, "TIME",
     "reset a connection if no byte moved in either direction for this time "
     "(5m; 0 disables it)",
     .kind = OPTION_TIME, AT_SERVICE(idle_timeout_ns)},
    {"half-closed-timeout", 0, "TIME",
     "after one direction has ended, reset a connection if no byte moved for "
     "this time (60s; 0 disables it)",
     .kind = OPTION_TIME, AT_SERVICE(half_closed_timeout_ns)},
    {"stall-timeout", 0, "TIME",
     "reset a connection if a side has pending bytes and reads none for this "
     "time (60s; 0 disables it)",
     .kind = OPTION_TIME, AT_SERVICE(stall_timeout_ns)},
    {"lifetime", 0, "TIME", "reset a connection after this time (no limit)",
     .kind = OPTION_TIME, AT_SERVICE(lifetime_ns)},
    {"keepalive", 0, "TIME[:TIME:N]",
     "probe a side that has been silent for the first TIME, and again after "
     "each second TIME; N probes without a reply break the connection "
     "(5m:30s:4; off disables it)",
     .scope = SCOPE_SERVICE, .read = words_say_keepalive,
     .need = NEED_KEEPALIVE},
    {"buffer", 0, "SIZE", "maximum bytes that wait in each direction (64K)",
     .least = 4096, .most = UINT64_C(1) << 30, .kind = OPTION_SIZE,
     AT_SERVICE(buffer_bytes)},
    {"no-splice", 0, NULL,
     "do not use splice(2) for large transfers between sockets without TLS",
     .kind = OPTION_SWITCH, AT_SERVICE(copies_bulk), .need = NEED_SPLICE},
    {"ignore-unexpected-eof", 0, NULL,
     "treat the end of a TLS connection without a close_notify as the end of "
     "the stream",
     .kind = OPTION_SWITCH, AT_SERVICE(ignores_eof), .need = NEED_TLS},
    {"rate-in", 0, "SIZE",
     "maximum bytes per second from each client (no limit)",
     .most = UINT64_C(1) << 40, .kind = OPTION_SIZE, AT_SERVICE(rate_in_bytes)},
    {"rate-out", 0, "SIZE",
     "maximum bytes per second to each client (no limit)",
     .most = UINT64_C(1) << 40, .kind = OPTION_SIZE,
     AT_SERVICE(rate_out_bytes)},

    {.kind = OPTION_TITLE, .help = "Route, and all of its targets"},
    {"route", 0, "NAME",
     "start a route with its own targets, for TLS clients that request NAME, "
     "*.NAME or *",
     .repeats = true, .scope = SCOPE_ROUTE, .read = words_say_route,
     .need = NEED_LINE},
    {"route-as", 0, "HOW",
     "kind of clients of the route, by their first bytes: any, tls, plain "
     "(without TLS) or silent (which send nothing first) (any)",
     .kind = OPTION_CHOICE, .choices = kinds_of_clients,
     .read = words_say_route_as, AT_ROUTE(as), .need = NEED_LINE},
    {"route-begin", 0, "TEXT",
     "first bytes of the route's clients, with \\r, \\n, \\t, \\\\ and \\xHH; "
     "may be repeated: one text is enough",
     .repeats = true, .scope = SCOPE_ROUTE, .read = words_say_route_begin,
     .need = NEED_LINE},
    {"route-alpn", 0, "LIST",
     "application protocols of the route's clients, such as h2,http/1.1; one "
     "of them is enough",
     .repeats = true, .read = words_say_route_alpn, AT_ROUTE(alpn),
     .need = NEED_LINE},
    {"passthrough", 0, NULL,
     "forward the TLS of this route without terminating it",
     .kind = OPTION_SWITCH, AT_ROUTE(passes_tls), .need = NEED_LINE},
    {"balance", 0, "HOW",
     "choice of the target: roundrobin, leastconn, random (the less loaded of "
     "two), source (hash of the client's address), sni (hash of the server "
     "name) or first (the first that is up) (roundrobin)",
     .kind = OPTION_CHOICE, .choices = balances, AT_ROUTE(balance),
     .need = NEED_CLIENT_ADDRESS},
    {"stay", 0, NULL,
     "with balance first: keep using the current target while it is up, even "
     "if an earlier one has recovered",
     .kind = OPTION_SWITCH, AT_ROUTE(stays), .need = NEED_FIRST},
    {"backup-use", 0, "HOW",
     "use all available backup targets, by the balance, or only the first: all "
     "or first (all)",
     .kind = OPTION_CHOICE, .choices = backup_uses, AT_ROUTE(backups),
     .need = NEED_BACKUP},
    {"send-proxy", 0, "VERSION",
     "send a PROXY header to targets: v1 or v2 (off)", .kind = OPTION_CHOICE,
     .choices = headers_out, AT_ROUTE(send_header)},
    {"send-proxy-tlv", 0, "LIST",
     "additional fields of a version 2 PROXY header: authority (the server "
     "name), alpn and ssl (version, suite, common name of a certificate) "
     "(nothing)",
     .scope = SCOPE_ROUTE, .repeats = true, .read = words_say_send_tlv,
     .need = NEED_HEADER_2},
    {"tries", 0, "N",
     "maximum number of targets that are tried for a connection (3)",
     .least = 1, .most = 16, .kind = OPTION_COUNT, AT_ROUTE(tries)},
    {"queue", 0, "N[:TIME]",
     "maximum connections that wait for a target, of all threads together, and "
     "how long each may wait (0:5s)",
     .scope = SCOPE_ROUTE, .read = words_say_form, .need = NEED_LIMIT},
    {"abort-on-close", 0, NULL,
     "reset a client that ends its stream before it has a target, instead of "
     "forwarding its bytes and the end",
     .kind = OPTION_SWITCH, AT_ROUTE(ends_waiting)},
    {"connect-timeout", 0, "TIME",
     "time limit of one attempt to connect to a target (10s)", .least = 1,
     .kind = OPTION_TIME, AT_ROUTE(connect_timeout_ns)},
    {"eject", 0, "N",
     "failed connects in a row after which a target is ejected (3; 0 disables "
     "it)",
     .most = UINT32_MAX - 1, .kind = OPTION_COUNT, AT_ROUTE(eject_failures)},
    {"eject-time", 0, "TIME",
     "duration of the first ejection of a target; later ones are longer (10s)",
     .least = 1, .kind = OPTION_TIME, AT_ROUTE(eject_ns), .need = NEED_EJECT},
    {"slow-start", 0, "TIME",
     "time over which a recovered target is raised to its full weight (0)",
     .kind = OPTION_TIME, AT_ROUTE(slow_start_ns), .need = NEED_RETURN},
    {"resolve", 0, "TIME", "time between two lookups of a target's name (30s)",
     .kind = OPTION_TIME, AT_ROUTE(resolve_ns), .need = NEED_NAME},
    {"to-addresses", 0, "HOW",
     "addresses of a target's name: one: the name is one target, whose "
     "addresses are tried in turn; all: each address is a target (one)",
     .kind = OPTION_CHOICE, .choices = address_uses, AT_ROUTE(addresses),
     .need = NEED_NAME},
    {"check", 0, "KIND|TIME",
     "kind of check: {}; or the interval of checks; a login has a user, as in "
     "mysql:weir (off, 2s)",
     .scope = SCOPE_ROUTE, .read = words_say_check, .name_choice = name_check,
     .need = NEED_CHECK},
    {"check-timeout", 0, "TIME", "time limit of a check (2s)", .least = 1,
     .kind = OPTION_TIME, AT_ROUTE(check_timeout_ns), .need = NEED_CHECK},
    {"check-fast", 0, "TIME",
     "time until the next check after a result that contradicts the target's "
     "state (the interval)",
     .least = 1, .kind = OPTION_TIME, AT_ROUTE(check_fast_ns),
     .need = NEED_CHECK},
    {"check-rise", 0, "N",
     "successful checks in a row until a target is up (2)", .least = 1,
     .most = UINT32_MAX, .kind = OPTION_COUNT, AT_ROUTE(check_rise),
     .need = NEED_CHECK},
    {"check-fall", 0, "N", "failed checks in a row until a target is down (3)",
     .least = 1, .most = UINT32_MAX, .kind = OPTION_COUNT, AT_ROUTE(check_fall),
     .need = NEED_CHECK},
    {"check-send", 0, "TEXT",
     "bytes that a text check sends, with \\r, \\n, \\t, \\\\ and \\xHH; may "
     "be repeated: each is sent after the preceding check-expect",
     .repeats = true, .read = words_add_step, AT_ROUTE(check_steps),
     .need = NEED_CHECK_TEXT},
    {"check-expect", 0, "TEXT",
     "bytes that the answer to a text check must contain, or begin with: "
     "^TEXT; may be repeated: each is searched after the preceding one",
     .repeats = true, .read = words_add_step, AT_ROUTE(check_steps),
     .need = NEED_CHECK_TEXT},
    {"check-path", 0, "PATH", "path that http checks request (/)",
     .read = words_say_text, AT_ROUTE(check_path), .need = NEED_CHECK_HTTP},
    {"check-status", 0, "N[-N]",
     "status codes of a successful http check (200-399)", .scope = SCOPE_ROUTE,
     .read = words_say_form, .need = NEED_CHECK_HTTP},
    {"check-port", 0, "PORT",
     "port for checks, at the target's address (the target's)",
     .kind = OPTION_COUNT, .least = 1, .most = 65535, AT_ROUTE(check_port),
     .need = NEED_CHECK_PLACE},
    {"check-tls", 0, "HOW",
     "use TLS for text and http checks: as-target, on or off (as-target)",
     .scope = SCOPE_ROUTE, .read = words_say_check_tls,
     .need = NEED_CHECK_DIALOGUE},
    {"check-ca", 0, "FILE",
     "certificate authorities that are trusted in checks (to-ca)",
     .read = words_set_text, AT_ROUTE(check_ca), .need = NEED_CHECK_CA},
    {"check-name", 0, "NAME",
     "name that the certificate must have in checks (to-name)",
     .read = words_set_text, AT_ROUTE(check_name), .need = NEED_CHECK_TLS},
    {"check-insecure", 0, NULL, "do not verify certificates in checks",
     .kind = OPTION_SWITCH, AT_ROUTE(check_insecure), .need = NEED_CHECK_TLS},
    {"check-proxy", 0, "VERSION",
     "send a PROXY header in checks: v1, v2, off, or auto, which is as "
     "send-proxy on the target's port (auto)",
     .kind = OPTION_CHOICE, .choices = check_headers, AT_ROUTE(check_proxy),
     .need = NEED_CHECK},
    {"check-host", 0, "NAME", "Host header of http checks (the target's)",
     .read = words_say_text, AT_ROUTE(check_host), .need = NEED_CHECK_HTTP},
    {"unchecked", 0, "HOW",
     "clients that find only targets whose first check has not finished: wait, "
     "at most check-timeout, or use them (wait)",
     .kind = OPTION_CHOICE, .choices = unchecked_ways, AT_ROUTE(unchecked),
     .need = NEED_CHECK},
    {"when-down", 0, "HOW",
     "connections to a target that its checks find down: keep, or cut[:TIME], "
     "which resets all of them within TIME (keep; 1s)",
     .read = words_say_fate, AT_ROUTE(when_down), .need = NEED_CHECK},
    {"when-back", 0, "HOW",
     "connections to backups when another target is up again: keep, or "
     "cut[:TIME] (keep; 1s)",
     .read = words_say_fate, AT_ROUTE(when_back), .need = NEED_BACK},
    {"to-ca", 0, "FILE",
     "certificate authorities that are trusted for targets' certificates (the "
     "system's)",
     .read = words_set_text, AT_ROUTE(to_ca), .need = NEED_TO_CA},
    {"to-name", 0, "NAME",
     "name that targets' certificates must have (the target's host)",
     .read = words_set_text, AT_ROUTE(to_name), .need = NEED_TLS_TARGET},
    {"to-cert", 0, "FILE", "client certificate for connections to targets",
     .read = words_set_text, AT_ROUTE(to_cert), .need = NEED_TLS_TARGET},
    {"to-key", 0, "FILE", "private key of to-cert (in its file)",
     .read = words_set_text, AT_ROUTE(to_key), .need = NEED_TO_CERT},
    {"to-key-passphrase-file", 0, "FILE",
     "file whose first line is the passphrase of an encrypted to-key",
     .read = words_set_text, AT_ROUTE(to_key_words), .need = NEED_TO_CERT},
    {"to-key-log", 0, "FILE",
     "append the TLS secrets of connections to targets to FILE, for Wireshark",
     .read = words_set_text, AT_ROUTE(to_key_log), .need = NEED_TLS_TARGET},
    {"to-crl", 0, "FILE",
     "revocation lists for targets' certificates, one of each issuer",
     .read = words_set_text, AT_ROUTE(to_crl), .need = NEED_TO_CA},
    {"to-tls-min", 0, "VERSION", "lowest TLS version for targets: {} (1.2)",
     .kind = OPTION_CHOICE, .choices = tls_versions, AT_ROUTE(to_min_tls),
     .need = NEED_TLS_TARGET},
    {"to-ciphers", 0, "LIST",
     "cipher suites for targets, written as for ciphers",
     .read = words_set_text, AT_ROUTE(to_ciphers), .need = NEED_TLS_TARGET},
    {"to-groups", 0, "LIST",
     "groups of the key exchange with targets, written as for groups (all)",
     .read = words_set_text, AT_ROUTE(to_groups), .need = NEED_TLS_TARGET},
    {"to-insecure", 0, NULL, "do not verify targets' certificates",
     .kind = OPTION_SWITCH, AT_ROUTE(to_insecure), .need = NEED_TLS_TARGET},

    {.kind = OPTION_TITLE, .help = "Target"},
    {"to", 0, "TARGET[,TARGET]",
     "connect to tcp://HOST:PORT, tls://HOST:PORT, unix:PATH, tls+unix:PATH, a "
     "DNS service (srv://NAME or tls+srv://NAME), or sni:PORT, the name that "
     "the client requests; in a file also @NAME, the group of [targets NAME]",
     .repeats = true, .scope = SCOPE_TARGET, .read = words_say_to},
    {"sni-allow", 0, "NAME[,NAME]",
     "names that clients of sni:PORT may request, with all names below them",
     .repeats = true, .read = words_say_sni_allow, AT_TARGET(allowed)},
    {"weight", 0, "N", "share of the target in new connections, 0 to 256 (1)",
     .most = 256, .kind = OPTION_COUNT, AT_EACH_TARGET(weight),
     .need = NEED_WEIGHTS},
    {"target-proxy", 0, "VERSION",
     "PROXY header for this target: v1, v2, off or as-route (send-proxy)",
     .kind = OPTION_CHOICE, .choices = target_headers,
     AT_EACH_TARGET(send_header)},
    {"target-tls-name", 0, "NAME",
     "name to request from this target and that its certificate must have "
     "(to-name)",
     .read = words_say_text, AT_TARGET(tls_name), .need = NEED_TLS_TARGET},
    {"target-tls-ca", 0, "FILE",
     "certificate authorities that are trusted for this target's certificate "
     "(to-ca)",
     .read = words_set_text, AT_TARGET(tls_ca), .need = NEED_TLS_TARGET},
    {"from", 0, "ADDRESS",
     "local address of connections to the target, and of its checks (any)",
     .scope = SCOPE_EACH_TARGET, .read = words_say_from, .need = NEED_FROM},
    {"limit", 0, "N",
     "maximum connections to the target, of all threads together",
     .most = UINT32_MAX, .kind = OPTION_COUNT, AT_EACH_TARGET(limit)},
    {"backup", 0, NULL, "use this target only if no other target can be used",
     .kind = OPTION_SWITCH, AT_TARGET(is_backup)},
    {"check-at", 0, "ADDRESS",
     "check this target at another address: tcp://HOST:PORT, tls://HOST:PORT, "
     "unix:PATH or tls+unix:PATH; without a HOST at the target's address",
     .scope = SCOPE_TARGET, .read = words_say_check_at, .need = NEED_CHECK},
    {"target-check", 0, "TIME",
     "interval of this target's checks, or off (check)",
     .scope = SCOPE_EACH_TARGET, .read = words_say_target_check},
    {"target-rise", 0, "N",
     "successful checks in a row until this target is up (check-rise)",
     .least = 1, .most = UINT32_MAX, .kind = OPTION_COUNT,
     AT_EACH_TARGET(check.rise), .need = NEED_CHECK},
    {"target-fall", 0, "N",
     "failed checks in a row until this target is down (check-fall)",
     .least = 1, .most = UINT32_MAX, .kind = OPTION_COUNT,
     AT_EACH_TARGET(check.fall), .need = NEED_CHECK},

    {.kind = OPTION_TITLE, .help = "General"},
    {"config", 0, "FILE", "read the configuration from FILE",
     .read = words_read_config, .scope = SCOPE_COMMAND, .repeats = true,
     .says_where = true},
    {"test", 't', NULL, "check the configuration, and exit",
     .kind = OPTION_SWITCH, .scope = SCOPE_COMMAND,
     .offset = offsetof(struct config, tests_only)},
    {"top", 0, "[[HOST:]PORT]",
     "show the state of the proxy whose --admin is this address",
     .read = words_read_top, .scope = SCOPE_COMMAND},
    OPTION_ROW_HELP,
    OPTION_ROW_VERSION,
};

static void print_this_version(void)
{
    print_version("weir-proxy");
}

/* A plain number could be milliseconds, as in HAProxy. */
static bool has_unit(const struct option *option, const char *value, char *why)
{
    return option->kind != OPTION_TIME || !value || !units_lacks_unit(value) ||
           option_refuse(why,
                         "'%.100s' has no unit; write %.100sms for "
                         "milliseconds, %.100ss for seconds",
                         value, value, value);
}

/* Returns true if there is a service, route or target to which a directive
 * applies. 'listen' and 'to' may begin one. */
static bool has_owner(struct config *config, const struct option *word,
                      char *why)
{
    return word->read == words_say_listen || word->read == words_say_to ||
           words_owner(config, word, why);
}

/* Options before the first address apply to the first service. */
static bool begin(void *options, const struct option *option, const char *value,
                  char *why)
{
    struct config *config = options;
    const bool has_service =
        (option->scope != SCOPE_SERVICE && option->scope != SCOPE_ROUTE) ||
        config_service(config);

    return has_unit(option, value, why) &&
           (((has_service || config_begin_service(config, NULL)) &&
             needs_note(config, option, value)) ||
            option_refuse(why, "no memory")) &&
           has_owner(config, option, why);
}

/* Reads an address to listen on, or, after the first, a target. */
static bool read_word(void *options, const char *text, char *why)
{
    struct config *config = options;
    const struct config_service *service = config_service(config);
    const bool listens = !service || service->listen_count == 0;
    const struct option *option = words_find(listens ? "listen" : "to");

    return option_read(&words, config, option, text, why);
}

/* Returns the replacement of a removed directive, or NULL. */
static const char *find_gone(const char *name, size_t len)
{
    static const char token[] = "admin-token";

    return len == sizeof(token) - 1 && memcmp(name, token, len) == 0
               ? "ctl for commands, over a Unix socket"
               : NULL;
}

const struct option_set words = {
    .command = "weir-proxy",
    .head =
        "Usage: weir-proxy [FLAGS] LISTEN TARGET...\n"
        "       weir-proxy [-t] --config FILE\n"
        "       weir-proxy --top [HOST:]PORT\n"
        "       weir-proxy --ctl PATH COMMAND\n"
        "       weir-proxy --completion bash|zsh|fish\n"
        "\n"
        "Relays connections that arrive at LISTEN to one of the targets.\n"
        "\n"
        "Examples:\n"
        "  weir-proxy tcp://:5432 tcp://10.0.0.1:5432,tcp://10.0.0.2:5432 \\\n"
        "      --balance leastconn --check 2s --limit 2000 --queue 500:2s\n"
        "  weir-proxy tls://:443 --cert site.pem unix:/run/app.sock "
        "--send-proxy v2\n"
        "  weir-proxy --listen tls://:443 \\\n"
        "      --route db.example --passthrough --to tcp://10.0.0.5:5432 \\\n"
        "      --route '*' --passthrough --to tcp://10.0.0.9:443\n"
        "\n"
        "In a file the options are keys, such as 'balance = leastconn', and\n"
        "[NAME] starts a service. Defaults are in parentheses.\n"
        "\n"
        "SIGHUP reads the configuration again. SIGTERM and SIGINT let "
        "connections\n"
        "finish within --drain; a second signal ends the proxy at once. "
        "SIGUSR1 opens\n"
        "the log again. SIGUSR2 prints the state of all connections.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .gone = find_gone,
    .owner = words_owner,
    .word = read_word,
    .begin = begin,
    .print_version = print_this_version,
    .is_ordered = true,
};

const struct option *words_find(const char *name)
{
    const struct option *option = option_find(&words, name, strlen(name));

    return option && option->scope != SCOPE_COMMAND ? option : NULL;
}

bool words_say(struct config *config, const char *name, const char *value,
               char *why)
{
    const struct option *word = words_find(name);
    char reason[OPTION_WHY_SIZE];

    if (word) {
        return (has_unit(word, value, reason) &&
                has_owner(config, word, reason) &&
                option_read(&words, config, word, value, reason) &&
                ((changes_note(config, word, value) &&
                  needs_note(config, word, value)) ||
                 option_refuse(reason, "no memory"))) ||
               option_refuse(why, "%s: %.400s", word->name, reason);
    }
    const char *instead = find_gone(name, strlen(name));
    if (instead) {
        return option_refuse(why, "'%s' was removed; use %s", name, instead);
    }
    const char *like = option_suggest(&words, name);
    if (like && !words_find(like)) {
        like = NULL; /* an option that exists only on the command line */
    }
    return option_refuse(why, "unknown directive '%.60s'%s%s%s", name,
                         like ? "; did you mean '" : "", like ? like : "",
                         like ? "'?" : "");
}
