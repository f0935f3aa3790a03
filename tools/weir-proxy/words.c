/*
 * The table of all words.
 *
 * They are found by their names, and the help is made of the table.
 * A word is one row here and is the same for a flag and for a line of a file.
 */
#include "words.h"

#include "words_set.h"

#include <string.h>

/* ---- the table ---- */

static const char *const balances[] = {"roundrobin", "leastconn", "random",
                                       "source",     "sni",       NULL};
static const char *const unchecked_ways[] = {"wait", "use", NULL};
static const char *const engines[] = {"auto", "uring", "poll", NULL};
static const char *const headers_out[] = {"off", "v1", "v2", NULL};
static const char *const headers_in[] = {"off", "v1", "v2", "any", NULL};

#define AT_PROGRAM(field)                                                      \
    .scope = SCOPE_PROGRAM, .offset = offsetof(struct config, field)
#define AT_SERVICE(field)                                                      \
    .scope = SCOPE_SERVICE, .offset = offsetof(struct config_service, field)
#define AT_ROUTE(field)                                                        \
    .scope = SCOPE_ROUTE, .offset = offsetof(struct config_route, field)
#define AT_TARGET(field)                                                       \
    .scope = SCOPE_TARGET, .offset = offsetof(struct config_target, field)

const struct word words[] = {
    {"threads", "N", "threads, or auto: one for each processor (auto)",
     .set = words_say_threads, AT_PROGRAM(thread_count)},
    {"max-conns-total", "N",
     "connections of all services at once; more are reset",
     .set = words_set_count, AT_PROGRAM(conn_limit)},
    {"memory-limit", "SIZE",
     "bytes that all connections together may hold, at least 4M for each "
     "thread (a quarter of the memory)",
     .least = CONFIG_MEMORY_LEAST, .most = UINT64_C(1) << 50,
     .set = words_say_memory_limit, AT_PROGRAM(memory_limit_bytes)},
    {"admin", "HOST:PORT",
     "serve /metrics, /status, /healthz and /readyz there",
     .set = words_say_admin, AT_PROGRAM(admin)},
    {"log", "FILE", "a line for each connection; - is standard output",
     .set = words_set_text, AT_PROGRAM(log_path)},
    {"log-format", "FORMAT", "text or json (text)", .scope = SCOPE_PROGRAM,
     .set = words_say_log_format},
    {"drain", "TIME", "for connections to end after SIGTERM (30s)", .least = 1,
     .set = words_set_time, AT_PROGRAM(drain_ns)},
    {"handover", "PATH",
     "take the listening sockets of the proxy that serves this Unix socket, "
     "and serve it for the next one",
     .set = words_say_handover, AT_PROGRAM(handover_path)},
    {"engine", "ENGINE", "uring, poll (epoll), or auto: uring if it is allowed",
     .set = words_set_chosen_text, .choices = engines, AT_PROGRAM(engine)},
    {"verbose", NULL, "what the library and the kernel do",
     .set = words_set_flag, AT_PROGRAM(is_verbose)},

    {"listen", "ADDRESS",
     "accept connections there: tcp://HOST:PORT, tls://HOST:PORT, unix:PATH "
     "or tls+unix:PATH; after a 'to' it begins the next service",
     .repeats = true, .scope = SCOPE_SERVICE, .set = words_say_listen},
    {"name", "TEXT", "of the service, in the log and the metrics",
     .set = words_set_text, AT_SERVICE(name)},
    {"cert", "FILE", "certificate and chain; again: another, by SNI and key",
     .repeats = true, .set = words_say_cert, AT_SERVICE(certs)},
    {"key", "FILE", "the key of the cert before (in its file)",
     .scope = SCOPE_SERVICE, .set = words_say_key},
    {"alpn", "LIST", "application protocols, as h2,http/1.1", .repeats = true,
     .set = words_add_texts, AT_SERVICE(alpn)},
    {"client-ca", "FILE", "authorities of the clients' certificates",
     .set = words_set_text, AT_SERVICE(client_ca)},
    {"require-client-cert", NULL, "refuse clients without a certificate",
     .set = words_set_flag, AT_SERVICE(needs_client_cert)},
    {"accept-proxy", "VERSION",
     "clients begin with a PROXY header: v1, v2 or any (off)",
     .set = words_set_choice, .choices = headers_in, AT_SERVICE(accept_header)},
    {"trust", "NETWORK",
     "whose PROXY headers are believed; others are refused (loopback, unix)",
     .repeats = true, .set = words_say_trust, AT_SERVICE(trusted)},
    {"max-conns", "N", "connections to each address at once; more wait",
     .set = words_set_count, AT_SERVICE(conn_limit)},
    {"handshake-timeout", "TIME", "for a TLS handshake (10s)", .least = 1,
     .set = words_set_time, AT_SERVICE(handshake_timeout_ns)},
    {"hello-timeout", "TIME", "for a PROXY header and a ClientHello (5s)",
     .least = 1, .set = words_set_time, AT_SERVICE(hello_timeout_ns)},
    {"idle-timeout", "TIME", "without a byte either way (5m; 0: none)",
     .set = words_set_time, AT_SERVICE(idle_timeout_ns)},
    {"half-closed-timeout", "TIME",
     "without a byte after the end of one direction (60s; 0: none)",
     .set = words_set_time, AT_SERVICE(half_closed_timeout_ns)},
    {"stall-timeout", "TIME", "for a side that takes no bytes (60s; 0: none)",
     .set = words_set_time, AT_SERVICE(stall_timeout_ns)},
    {"lifetime", "TIME", "of a connection (no limit)", .set = words_set_time,
     AT_SERVICE(lifetime_ns)},
    {"keepalive", "TIME[:TIME:N]",
     "ask a side that is silent so long whether it is still there, then after "
     "each second time; without N answers in a row the connection is broken "
     "(5m:30s:4; off: never)",
     .scope = SCOPE_SERVICE, .set = words_say_keepalive},
    {"buffer", "SIZE", "bytes that may wait in each direction (64K)",
     .least = 4096, .most = UINT64_C(1) << 30, .set = words_set_size,
     AT_SERVICE(buffer_bytes)},
    {"no-splice", NULL,
     "do not move bulk inside the kernel where both sides are plain sockets",
     .set = words_set_flag, AT_SERVICE(copies_bulk)},
    {"ignore-unexpected-eof", NULL,
     "take the end of a TLS connection without a close_notify for an end of "
     "the stream",
     .set = words_set_flag, AT_SERVICE(ignores_eof)},
    {"rate-in", "SIZE", "bytes a second from a client (no limit)",
     .most = UINT64_C(1) << 40, .set = words_set_size,
     AT_SERVICE(rate_in_bytes)},
    {"rate-out", "SIZE", "bytes a second to a client (no limit)",
     .most = UINT64_C(1) << 40, .set = words_set_size,
     AT_SERVICE(rate_out_bytes)},

    {"route", "NAME",
     "targets of its own for clients of TLS that ask for NAME, *.NAME or *",
     .repeats = true, .scope = SCOPE_ROUTE, .set = words_say_route},
    {"passthrough", NULL, "the TLS of this route goes through unopened",
     .set = words_set_flag, AT_ROUTE(passes_tls)},
    {"balance", "HOW",
     "roundrobin, leastconn, random (of two), source (hash of the client's "
     "address) or sni (hash of the server name) (roundrobin)",
     .set = words_set_choice, .choices = balances, AT_ROUTE(balance)},
    {"send-proxy", "VERSION", "begin with a PROXY header: v1 or v2 (off)",
     .set = words_set_choice, .choices = headers_out, AT_ROUTE(send_header)},
    {"tries", "N", "targets that are tried for a connection (3)", .least = 1,
     .most = 16, .set = words_set_count, AT_ROUTE(tries)},
    {"queue", "N[:TIME]",
     "connections that may wait for a target, of all threads together, and "
     "how long (0:5s)",
     .scope = SCOPE_ROUTE, .set = words_say_queue},
    {"abort-on-close", NULL,
     "reset a client that ends its stream before it has a target, instead of "
     "passing its bytes and its end on",
     .set = words_set_flag, AT_ROUTE(ends_waiting)},
    {"connect-timeout", "TIME", "for each try (10s)", .least = 1,
     .set = words_set_time, AT_ROUTE(connect_timeout_ns)},
    {"eject", "N", "failures in a row after which a target rests (3; 0: never)",
     .most = UINT32_MAX - 1, .set = words_set_count, AT_ROUTE(eject_failures)},
    {"eject-time", "TIME", "of the first rest; later ones are longer (10s)",
     .least = 1, .set = words_set_time, AT_ROUTE(eject_ns)},
    {"slow-start", "TIME", "until a target that came back has its weight (0)",
     .set = words_set_time, AT_ROUTE(slow_start_ns)},
    {"resolve", "TIME", "between two lookups of a target's name (30s)",
     .set = words_set_time, AT_ROUTE(resolve_ns)},
    {"check", "KIND|TIME",
     "look at targets: off, tcp, tls, text or http, and how often (off, 2s)",
     .scope = SCOPE_ROUTE, .set = words_say_check},
    {"check-timeout", "TIME", "for a check (2s)", .least = 1,
     .set = words_set_time, AT_ROUTE(check_timeout_ns)},
    {"check-rise", "N", "good checks until a target is up (2)", .least = 1,
     .most = UINT32_MAX, .set = words_set_count, AT_ROUTE(check_rise)},
    {"check-fall", "N", "bad checks until a target is down (3)", .least = 1,
     .most = UINT32_MAX, .set = words_set_count, AT_ROUTE(check_fall)},
    {"check-send", "TEXT",
     "sent by a text check, with \\r, \\n, \\t, \\\\ and \\xHH",
     .set = words_set_escaped, AT_ROUTE(check_send)},
    {"check-expect", "TEXT", "in the answer to a text check, likewise",
     .set = words_set_escaped, AT_ROUTE(check_expect)},
    {"check-path", "PATH", "that an http check asks for (/)",
     .set = words_set_path, AT_ROUTE(check_path)},
    {"check-host", "NAME", "the Host of an http check (the target's)",
     .set = words_set_host, AT_ROUTE(check_host)},
    {"unchecked", "HOW",
     "what a client does that finds only targets whose first check has not "
     "ended: wait for it, at most check-timeout, or use them (wait)",
     .set = words_set_choice, .choices = unchecked_ways, AT_ROUTE(unchecked)},
    {"to-ca", "FILE", "authorities of the targets' certificates (the system's)",
     .set = words_set_text, AT_ROUTE(to_ca)},
    {"to-name", "NAME", "of the targets' certificates (the target's host)",
     .set = words_set_text, AT_ROUTE(to_name)},
    {"to-cert", "FILE", "certificate that is shown to targets",
     .set = words_set_text, AT_ROUTE(to_cert)},
    {"to-key", "FILE", "its key (in its file)", .set = words_set_text,
     AT_ROUTE(to_key)},
    {"to-insecure", NULL, "do not verify the targets' certificates",
     .set = words_set_flag, AT_ROUTE(to_insecure)},

    {"to", "TARGET[,TARGET]",
     "connect there: tcp://HOST:PORT, tls://HOST:PORT, unix:PATH or "
     "tls+unix:PATH",
     .repeats = true, .scope = SCOPE_TARGET, .set = words_say_to},
    {"weight", "N", "share of the connections, 0 to 256 (1)", .most = 256,
     .set = words_set_count, AT_TARGET(weight)},
    {"limit", "N", "connections to the target at once, of all threads together",
     .most = UINT32_MAX, .set = words_set_count, AT_TARGET(limit)},
    {"backup", NULL, "used only when no other target can be",
     .set = words_set_flag, AT_TARGET(is_backup)},
};

const size_t word_count = sizeof(words) / sizeof(words[0]);

/* ---- the calls ---- */

const struct word *words_find(const char *name)
{
    for (size_t i = 0; i < word_count; i++) {
        if (strcmp(words[i].name, name) == 0) {
            return &words[i];
        }
    }
    return NULL;
}

/* Insertions, deletions and replacements between two short words. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    const size_t len = strlen(b);

    if (len >= sizeof(row) / sizeof(row[0])) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            const size_t above = row[j];
            const size_t least = above < row[j - 1] ? above : row[j - 1];
            row[j] = corner + (a[i - 1] != b[j - 1]);
            row[j] = row[j] < least + 1 ? row[j] : least + 1;
            corner = above;
        }
    }
    return row[len];
}

const char *words_suggest(const char *name)
{
    const char *best = NULL;
    size_t least = strlen(name) / 3 + 2;

    for (size_t i = 0; i < word_count; i++) {
        const size_t found = distance(name, words[i].name);
        if (found < least) {
            least = found;
            best = words[i].name;
        }
    }
    return best;
}

bool words_say(struct config *config, const char *name, const char *value,
               char *why)
{
    const struct word *word = words_find(name);

    if (word) {
        return word->set(config, word, value, why);
    }
    const char *like = words_suggest(name);
    snprintf(why, CONFIG_WHY_SIZE, "there is no word '%.60s'%s%s%s", name,
             like ? "; did you mean '" : "", like ? like : "",
             like ? "'?" : "");
    return false;
}

/* ---- the help ---- */

#define HELP_COLUMN 28
#define HELP_WIDTH  79

/* Breaks a text into lines that begin at the help's column. */
static void print_wrapped(FILE *out, const char *text)
{
    const size_t width = HELP_WIDTH - HELP_COLUMN;

    while (strlen(text) > width) {
        size_t len = width;
        while (len > 0 && text[len] != ' ') {
            len--;
        }
        fprintf(out, "%.*s\n%*s", (int)len, text, HELP_COLUMN, "");
        text += len + 1;
    }
    fprintf(out, "%s\n", text);
}

void words_print_help(FILE *out, enum word_scope scope)
{
    for (size_t i = 0; i < word_count; i++) {
        const struct word *word = &words[i];
        char flag[64];
        if (word->scope != scope) {
            continue;
        }
        snprintf(flag, sizeof(flag), "  --%s%s%s", word->name,
                 word->value ? " " : "", word->value ? word->value : "");
        if (strlen(flag) + 2 > HELP_COLUMN) {
            fprintf(out, "%s\n%*s", flag, HELP_COLUMN, "");
        } else {
            fprintf(out, "%-*s", HELP_COLUMN, flag);
        }
        print_wrapped(out, word->help);
    }
}
