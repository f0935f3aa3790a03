/*
 * TLS of weir-load: options that `run` and `serve` share, the context that is
 * made from them, and facts about a run's handshakes. All tls:// and tls+unix:
 * targets of a command share one context.
 */
#ifndef WEIR_LOAD_TLS_H
#define WEIR_LOAD_TLS_H

#include "tools/common/option.h"
#include "tools/common/target.h"

#include "weir/tls.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_IDENTITIES_MAX 32

/* resume_share for all handshakes. */
#define TLS_RESUME_ALL 1000000U

/* Options as given; texts point into the command line. */
struct tls_flags {
    /* The last TLS option on the command line except --insecure, or NULL. */
    const struct option *given;
    /* Server name to send and verify; NULL means the host of the target. */
    const char *sni;
    /* The file of the key log, or NULL. */
    const char *key_log;
    struct weir_tls_options options;
    struct weir_tls_identity identities[TLS_IDENTITIES_MAX];
    size_t identity_count;
    bool has_client_auth;
    /* Share, in millionths, of handshakes that resume a session if there is
     * one. */
    uint32_t resume_share;
};

/* Facts that all connections of a run have in common, and counters of
 * handshakes. */
struct tls_facts {
    /* From the first connection; empty if there was none. */
    char version[16];
    char cipher[64];
    /* Empty if the library does not name it. */
    char group[24];
    /* Empty if no protocol was agreed on. */
    char alpn[64];
    /* Handshakes in the window; for the whole run only. */
    uint64_t in_window;
    uint64_t full;
    uint64_t resumed;
    uint64_t failed;
};

/* Read a value into the struct tls_flags at the option's offset;
 * tls_read_version into the enum weir_tls_version there. */
option_read_fn tls_read_cert;
option_read_fn tls_read_key;
option_read_fn tls_read_client_auth;
option_read_fn tls_read_resume;
option_read_fn tls_read_version;

/* Check that the options fit each other and the targets. They return false
 * after printing why not. */
bool tls_check_run(const struct tls_flags *flags, const struct target *targets,
                   size_t count);
bool tls_check_serve(struct tls_flags *flags, const struct target *targets,
                     size_t count);

/* Creates the context; *ret is NULL if no target has TLS. The caller owns it.
 * Returns 0 or an error that was printed. */
int tls_make_context(const struct tls_flags *flags, bool is_server,
                     const struct target *targets, size_t count,
                     weir_tls_context **ret);

/* Releases a context. NULL is ignored. */
void tls_drop_context(weir_tls_context *context);

/* Returns the newest session of a client's connection, or NULL if there is
 * none. The caller releases it with tls_drop_session(). */
weir_tls_session *tls_take_session(weir_transport *t);

/* Releases a session. NULL is ignored. */
void tls_drop_session(weir_tls_session *session);

bool tls_is_meant(const struct target *targets, size_t count);

/* Counts a new connection's handshake. Returns its time in ns. */
uint64_t tls_note_handshake(struct tls_facts *facts, const weir_transport *t);

/* Returns true if a failed attempt failed in the TLS handshake. */
bool tls_is_handshake_error(int err);

const char *tls_version_name(enum weir_tls_version version);

#endif
