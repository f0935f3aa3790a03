/*
 * TLS of weir-load: the flags that `run` and `serve` share, the context that is
 * made of them, and what a run finds out about its handshakes.
 *
 * There is one context for all tls:// and tls+unix: targets of a command.
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

/* A resume_share of all. */
#define TLS_RESUME_ALL 1000000U

/* As they were given; texts point into the command line. */
struct tls_flags {
    /* The last of these options on the command line but --insecure; NULL: none
     * was given. */
    const struct option *given;
    /* Name to ask for and to verify; NULL: the host of the target. */
    const char *sni;
    /* The file of the key log; NULL: there is none. */
    const char *key_log;
    struct weir_tls_options options;
    struct weir_tls_identity identities[TLS_IDENTITIES_MAX];
    size_t identity_count;
    bool has_client_auth;
    /* Of the handshakes that could resume a session, so many do, in millionths.
     */
    uint32_t resume_share;
};

/* What the connections of a run have in common, and their handshakes. */
struct tls_facts {
    /* Of the first connection; empty: there was none. */
    char version[16];
    char cipher[64];
    /* Empty: the library names none. */
    char group[24];
    /* Empty: no protocol was agreed on. */
    char alpn[64];
    /* Handshakes done in the window; of a whole run alone. */
    uint64_t in_window;
    uint64_t full;
    uint64_t resumed;
    uint64_t failed;
};

/* Read values into the struct tls_flags at the option's offset;
 * tls_read_version into the enum weir_tls_version there. */
option_read_fn tls_read_cert;
option_read_fn tls_read_key;
option_read_fn tls_read_client_auth;
option_read_fn tls_read_resume;
option_read_fn tls_read_version;

/* Do the flags fit each other and the targets? Says why not. */
bool tls_check_run(const struct tls_flags *flags, const struct target *targets,
                   size_t count);
bool tls_check_serve(struct tls_flags *flags, const struct target *targets,
                     size_t count);

/* The context that the flags describe, given; NULL in *ret where no target has
 * TLS. Says why when it fails. */
int tls_make_context(const struct tls_flags *flags, bool is_server,
                     const struct target *targets, size_t count,
                     weir_tls_context **ret);

/* Give it back; or NULL. */
void tls_drop_context(weir_tls_context *context);

/* The newest session of a client's connection, given; NULL: there is none. */
weir_tls_session *tls_take_session(weir_transport *t);

/* Give one back; or NULL. */
void tls_drop_session(weir_tls_session *session);

/* Is any target one with TLS? */
bool tls_is_meant(const struct target *targets, size_t count);

/* Count the handshake of a new connection, and return how long it took in
 * nanoseconds. */
uint64_t tls_note_handshake(struct tls_facts *facts, const weir_transport *t);

/* Does an error of a connection that was never made come from its handshake? */
bool tls_is_handshake_error(int err);

/* "1.2", "1.3", or "default". */
const char *tls_version_name(enum weir_tls_version version);

#endif
