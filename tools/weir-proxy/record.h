/*
 * What is known of a connection when it has ended, and why it has ended.
 *
 * A record becomes a line of the log and a part of the metrics. Every
 * connection that was accepted has one record, with one reason.
 */
#ifndef WEIR_PROXY_RECORD_H
#define WEIR_PROXY_RECORD_H

#include "weir/relay.h"
#include "weir/upstream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a connection has ended; each connection has one reason. */
enum end_reason {
    END_DONE,          /* both sides have ended their streams */
    END_CLIENT_RESET,  /* the client has reset the connection, or broke */
    END_CLIENT_GONE,   /* the client went before it was relayed */
    END_TARGET_RESET,  /* the target has reset the connection, or broke */
    END_CLIENT_CUT,    /* the client's TLS was cut off */
    END_TARGET_CUT,    /* the target's TLS was cut off */
    END_TARGET_DOWN,   /* its checks have failed, or a better one is back */
    END_CLIENT_ALERT,  /* the client's TLS has refused, by an alert */
    END_TARGET_ALERT,  /* the target's TLS has refused, by an alert */
    END_CLIENT_STALL,  /* the client took no bytes */
    END_TARGET_STALL,  /* the target took no bytes */
    END_IDLE,          /* no byte moved for the idle time-out */
    END_HALF_CLOSED,   /* ... after the end of one direction */
    END_LIFETIME,      /* the connection was too old */
    END_DRAIN,         /* the proxy has ended */
    END_NO_TARGET,     /* every target is down */
    END_CONNECT,       /* no target could be connected to: another error */
    END_REFUSED,       /* ... the last one refused */
    END_TIMEOUT,       /* ... did not answer in time */
    END_UNREACHABLE,   /* ... has no route, or is down */
    END_LOOKUP,        /* ... has a name that was not found */
    END_TARGET_TLS,    /* ... failed the TLS handshake */
    END_QUEUE_FULL,    /* as many connections wait as may */
    END_QUEUE_TIMEOUT, /* no target was free in time */
    END_LIMIT,         /* the service, or the program, has too many */
    END_HANDSHAKE,     /* the client's TLS handshake has failed */
    END_HELLO,         /* no ClientHello, or a wrong one */
    END_HEADER,        /* no PROXY header, or a wrong one */
    END_CLIENT_NAME,   /* the client's certificate has none of the names */
    END_UNTRUSTED,     /* a PROXY header of a client that is not trusted */
    END_CLIENT_DENIED, /* clients of its network may not come */
    END_CLIENT_LIMIT,  /* one client has as many connections as it may */
    END_CLIENT_RATE,   /* ... has made as many in a time as it may */
    END_NO_ROUTE,      /* no route for the server's name */
    END_INTERNAL,      /* no memory, or an error of the proxy */
    END_REASONS,
};

/* The word for a reason, in the log and the metrics. */
const char *end_reason_name(enum end_reason reason);
/* Of a relay that has ended. */
enum end_reason end_reason_of_relay(const struct weir_relay_record *end,
                                    bool is_draining);
/* The result of the slot at the target: 0 if the target has answered, or both
 * sides have ended their streams, else -ECANCELED. An error never counts
 * against the target, because its client may have caused it: by not reading, by
 * bytes or an end that the target answers with a reset, or by its address. A
 * target that is broken fails connects and checks. */
int end_verdict_of_relay(const struct weir_relay_record *end);
/* Likewise of a TLS handshake after a header: its error, or -ECANCELED if the
 * target may have closed or reset the connection because of the header. */
int end_verdict_of_tls(int err);
/* Of a connect that has failed. */
enum end_reason
end_reason_of_connect(int err, const struct weir_upstreams_result *result,
                      uint64_t queue_timeout_ns);

/* Times are nanoseconds; 0: there was none. */
struct record {
    uint64_t time_ns; /* of the clock, when the connection was accepted */
    struct weir_address client;
    struct weir_address target;
    const char *service;
    uint64_t queue_ns;
    uint64_t connect_ns;
    uint64_t tls_ns;
    uint64_t first_byte_ns; /* of the target's answer */
    uint64_t total_ns;
    uint64_t in_bytes;  /* from the client */
    uint64_t out_bytes; /* to the client */
    uint32_t tries;
    uint32_t left_out; /* refusals of the same client without a line */
    enum end_reason reason;
    const char *tls_version; /* NULL: no TLS, or not opened */
    const char *tls_group;   /* of the key exchange; NULL: likewise */
    const char *server_name; /* NULL: none */
    const char *alert;       /* of a side's TLS, by its name; NULL: none */
    const char *tried;       /* addresses that have failed, and why; NULL */
    const char *client_cn;   /* of its certificate, as a text; NULL: none */
    const char *route;       /* its label; NULL: none was chosen */
};

/* The alert by which the TLS of a connection's peer has refused: its name,
 * static; NULL: there was none. */
const char *record_alert_of(const weir_transport *t);

/* Writes a line with its newline: bytes written, without a NUL; at most
 * RECORD_TEXT_SIZE, which is enough for all fields. */
#define RECORD_TEXT_SIZE 3968
size_t record_write_text(const struct record *record, char *buf);
size_t record_write_json(const struct record *record, char *buf);
/* By a format with names of fields in braces, which record_check_names() has
 * found right; "{{" and "}}" are braces. */
size_t record_write_names(const struct record *record, const char *format,
                          char *buf);
/* False: @ret_wrong is where the format is none. */
bool record_check_names(const char *format, const char **ret_wrong);

/* The name of a field; NULL behind the last one. */
const char *record_name_field(size_t index);

/* "2026-01-31T23:59:59.123Z" */
#define RECORD_TIME_SIZE 48
void record_format_time(uint64_t time_ns, char *ret_text);

#endif
