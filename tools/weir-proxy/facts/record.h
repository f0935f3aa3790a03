/*
 * Facts about a connection that has ended, and the reason of its end.
 *
 * A record becomes a line of the log and a part of the metrics. Each accepted
 * connection has exactly one record with one reason.
 */
#ifndef WEIR_PROXY_RECORD_H
#define WEIR_PROXY_RECORD_H

#include "weir/relay.h"
#include "weir/upstream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum end_reason {
    END_DONE,
    END_CLIENT_RESET, /* the client's connection was reset or failed */
    END_CLIENT_GONE,  /* the client closed before relaying began */
    END_TARGET_RESET, /* the target's connection was reset or failed */
    END_CLIENT_CUT,   /* the client's TLS was truncated */
    END_TARGET_CUT,   /* the target's TLS was truncated */
    END_TARGET_DOWN,  /* the target is down, a better one is up, or an operator
                       * reset it */
    END_CLIENT_ALERT, /* the client refused TLS with an alert */
    END_TARGET_ALERT, /* the target refused TLS with an alert */
    END_CLIENT_STALL,
    END_TARGET_STALL,
    END_IDLE,        /* no byte moved for the idle timeout */
    END_HALF_CLOSED, /* no byte moved after one direction had ended */
    END_LIFETIME,
    END_DRAIN,
    END_NO_TARGET,     /* every target is down */
    END_CONNECT,       /* connecting failed for another reason */
    END_REFUSED,       /* the last target refused the connection */
    END_TIMEOUT,       /* the last target did not answer in time */
    END_UNREACHABLE,   /* the last target or its network is unreachable */
    END_LOOKUP,        /* the last target's name was not found */
    END_TARGET_TLS,    /* the last target's TLS handshake failed */
    END_QUEUE_FULL,    /* too many connections wait */
    END_QUEUE_TIMEOUT, /* no target was free in time */
    END_LIMIT,         /* too many connections of the program */
    END_HANDSHAKE,     /* the client's TLS handshake has failed */
    END_HELLO,         /* no ClientHello, or an invalid one */
    END_HEADER,        /* no PROXY header, or an invalid one */
    END_CLIENT_NAME,   /* the client's certificate has no accepted name */
    END_UNTRUSTED,     /* PROXY headers of this client are not accepted */
    END_CLIENT_DENIED, /* clients of this client's network are refused */
    END_CLIENT_LIMIT,  /* the client has too many connections */
    END_CLIENT_RATE,   /* the client made too many connections in a period */
    END_NAME_DENIED,   /* clients may not request this server name */
    END_NO_ROUTE,
    END_INTERNAL, /* out of memory, or an internal error */
    END_REASONS,
};

extern const char *const end_reason_names[END_REASONS];
enum end_reason end_reason_of_relay(const struct weir_relay_record *end,
                                    bool is_draining);
/* Returns the result that a relay reports for its target: 0 if the target has
 * responded or both sides have ended their streams, else -ECANCELED. An error
 * of a relay never counts against the target, because the client may have
 * caused it, for example by not reading or by bytes to which the target
 * responds with a reset. Broken targets are found by failed connects and
 * checks. */
int end_verdict_of_relay(const struct weir_relay_record *end);
/* Returns the result to report for the target after a failed TLS handshake that
 * followed a PROXY header. Returns the error, or -ECANCELED if the target may
 * have closed or reset the connection because of the header. */
int end_verdict_of_tls(int err);
enum end_reason
end_reason_of_connect(int err, const struct weir_upstreams_result *result,
                      uint64_t queue_timeout_ns);

/* Times are in nanoseconds; 0 means none. */
struct record {
    uint64_t time_ns; /* wall-clock time of the accept */
    struct weir_address client;
    struct weir_address target;
    const char *service;
    uint64_t queue_ns;
    uint64_t connect_ns;
    uint64_t tls_ns;
    uint64_t first_byte_ns; /* first byte of the target's answer */
    uint64_t total_ns;
    uint64_t in_bytes;
    uint64_t out_bytes;
    uint32_t tries;
    uint32_t left_out; /* refusals since this client's last log line */
    enum end_reason reason;
    const char *tls_version; /* NULL unless the proxy terminates TLS */
    const char *tls_group;   /* of the key exchange; may be NULL */
    const char *server_name;
    const char *alert;       /* name of a TLS alert, or NULL */
    const char *tried;       /* addresses that failed, with errors, or NULL */
    const char *client_cn;   /* from its certificate or PROXY header, or NULL */
    const char *route;       /* its label; NULL if none was chosen */
    const char *target_name; /* as configured; NULL for an address or none */
    const char *state;       /* if it has not ended (status.h) */
};

/* Returns a text of weir_transport_get_extra_info(), such as "tls_alert", or
 * NULL if the transport has none of this name. */
const char *record_ask(const weir_transport *t, const char *name);

/* Writes a line with a newline but no NUL. Returns its length. */
#define RECORD_TEXT_SIZE 3968
size_t record_write_text(const struct record *record, char *buf);
size_t record_write_json(const struct record *record, char *buf);
/* Writes a line by a format with names of fields in braces; "{{" and "}}" are
 * written as single braces. record_check_names() must have accepted the
 * format. */
size_t record_write_names(const struct record *record, const char *format,
                          char *buf);
/* Checks a format. If it is wrong, sets @ret_wrong and returns false. */
bool record_check_names(const char *format, const char **ret_wrong);

/* Formats a time like "2026-01-31T23:59:59.123Z". */
#define RECORD_TIME_SIZE 48
void record_format_time(uint64_t time_ns, char *ret_text);

#endif
