/*
 * TLS for clients and servers. A weir_tls_context begins with a pointer to the
 * function table of the library that made it. Connect calls, servers and
 * start_tls use TLS only through this table, so libweir does not refer to
 * libweir-tls, and a program without TLS does not load libweir-tls.
 */
#ifndef WEIR_LIB_TRANSPORT_SECURE_H
#define WEIR_LIB_TRANSPORT_SECURE_H

#include "lib/transport/transport.h"
#include "weir/start_tls.h"
#include "weir/tls_connection.h"

struct wr_sock_options;

/* Size for a name of 253 bytes, or a literal address with a zone, and a NUL. */
#define WR_SECURE_HOSTNAME_MAX 256u

/* A copy of struct weir_tls_settings, kept until there is a descriptor. */
struct wr_secure_settings {
    weir_tls_context *context; /* reference; NULL without TLS */
    weir_tls_session *session;
    uint64_t handshake_timeout_ns;
    uint64_t shutdown_timeout_ns;
    bool no_hostname_check;
    bool can_export;
    bool ignore_unexpected_eof;
    char server_hostname[WR_SECURE_HOSTNAME_MAX];
};

/* Called once, from the loop, after the handshake. If @err is 0,
 * connection_made was called; after an error @t may only be inspected. */
typedef void wr_secure_opened_fn(void *arg, int err, weir_transport *t);

struct wr_secure_opener {
    struct weir_factory factory; /* not called if a protocol is set */
    wr_secure_opened_fn *opened;
    void *arg;
};

enum wr_secure_side {
    WR_SECURE_CLIENT,
    WR_SECURE_SERVER,
    WR_SECURE_EITHER, /* client or server, as the context is */
};

/* The functions below, in the context's library. `settings` have the size with
 * which libweir was built. */
struct wr_secure_ops {
    int (*read)(struct wr_secure_settings *ret,
                const struct weir_tls_settings *settings,
                enum wr_secure_side side, const char *host);
    void (*drop)(struct wr_secure_settings *settings);
    int (*open)(weir_loop *loop, int fd, const struct wr_sock_options *options,
                const struct wr_secure_settings *settings,
                const struct wr_secure_opener *opener, weir_transport **ret);
    int (*start)(weir_transport *t, const struct weir_tls_settings *settings,
                 const struct weir_start_tls_options *options,
                 const struct wr_secure_opener *opener, weir_transport **ret);
};

/* The first field of a weir_tls_context. */
struct wr_secure_context {
    const struct wr_secure_ops *ops;
};

/* Copies the program's @settings, which are NULL without TLS. A client verifies
 * the name @host unless @settings have another name. Returns 0, an error of
 * wr_options_read(), or -EINVAL if there is no context, the context is for the
 * other side, a client has no name to verify, or a name is too long. */
WEIR_MUST_USE int
wr_secure_settings_read(struct wr_secure_settings *ret,
                        const struct weir_tls_settings *settings,
                        enum wr_secure_side side, const char *host);

void wr_secure_settings_drop(struct wr_secure_settings *settings);

static inline bool
wr_secure_settings_are_set(const struct wr_secure_settings *settings)
{
    return settings->context != NULL;
}

/* Makes a socket transport from a connected descriptor, and on top a TLS
 * transport that starts the handshake. Takes @fd, even on failure, and does not
 * call the opener then. *ret is borrowed, for weir_transport_abort(). */
WEIR_MUST_USE int wr_secure_open(weir_loop *loop, int fd,
                                 const struct wr_sock_options *options,
                                 const struct wr_secure_settings *settings,
                                 const struct wr_secure_opener *opener,
                                 weir_transport **ret);

#endif
