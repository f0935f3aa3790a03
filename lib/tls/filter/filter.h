/*
 * The TLS filter: what the makers of connections need to know.
 *
 * A filter is a protocol to a stream transport, the one below, and a transport
 * to the program. wr_tls_open() makes both of a connected descriptor, and
 * returns before the handshake; its end is told by a callback. How a filter
 * lives is told in filter_impl.h.
 */
#ifndef WEIR_LIB_TLS_FILTER_FILTER_H
#define WEIR_LIB_TLS_FILTER_FILTER_H

#include "lib/transport/sock/sock.h"
#include "weir/tls_connection.h"

/* A name of 253 bytes, or a literal address with a zone. */
#define WR_TLS_HOSTNAME_MAX 256u

/* A copy of struct weir_tls_settings, which a maker keeps until it has a
 * descriptor. */
struct wr_tls_settings {
    weir_tls_context *context; /* a reference; NULL: no TLS */
    weir_tls_session *session; /* a reference, or NULL */
    uint64_t handshake_timeout_ns;
    uint64_t shutdown_timeout_ns;
    bool no_hostname_check;
    bool can_export;
    bool ignore_unexpected_eof;
    char server_hostname[WR_TLS_HOSTNAME_MAX]; /* "": none */
};

/* The handshake has ended: @err is 0, after connection_made; or an error, and
 * then @t is for inspection only. Called once, from the loop. */
typedef void wr_tls_opened_fn(void *arg, int err, weir_transport *t);

/* The maker of a connection, which is told how the handshake went. */
struct wr_tls_opener {
    struct weir_factory factory; /* not asked where there is a protocol */
    wr_tls_opened_fn *opened;
    void *arg;
};

/* Which side a context may be for. */
enum wr_tls_side {
    WR_TLS_CLIENT,
    WR_TLS_SERVER,
    WR_TLS_EITHER, /* a socket that the program brings is either */
};

/* Copies the program's @settings (NULL: no TLS). A client asks for @host unless
 * they name another host. 0, or
 * -EINVAL  the context is for the other side, or a client has no name to check
 * WEIR_ENOTLS  the library was built without TLS. */
WEIR_MUST_USE int wr_tls_settings_read(struct wr_tls_settings *ret,
                                       const struct weir_tls_settings *settings,
                                       enum wr_tls_side side, const char *host);

/* Another copy, with a reference of its own. */
void wr_tls_settings_copy(struct wr_tls_settings *ret,
                          const struct wr_tls_settings *settings);

/* Gives back what the copy refers to. */
void wr_tls_settings_drop(struct wr_tls_settings *settings);

static inline bool
wr_tls_settings_are_set(const struct wr_tls_settings *settings)
{
    return settings->context != NULL;
}

/* Makes a socket's transport of a connected descriptor, and a filter on it,
 * which begins the handshake; see wr_sock_open(). Takes @fd, also when it
 * fails; then the opener is not called. *ret is borrowed, for
 * weir_transport_abort().
 */
WEIR_MUST_USE int wr_tls_open(weir_loop *loop, int fd,
                              const struct wr_sock_options *options,
                              const struct wr_tls_settings *settings,
                              const struct wr_tls_opener *opener,
                              weir_transport **ret);

#endif
