/*
 * Targets of a load: URLs, addresses of names, and the PROXY header.
 *
 * The settings of sockets and of TLS are checked before a run, so that no
 * option fails at the first connection.
 */
#ifndef WEIR_LOAD_TARGET_H
#define WEIR_LOAD_TARGET_H

#include "tools/common/option.h"
#include "tools/common/target.h"
#include "tools/weir-load/base/base.h"

#include "weir/loop.h"
#include "weir/tls.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/transport.h>

/* ---- names ---- */

/*
 * Resolves the targets' host names once, before a run. The run therefore does
 * not measure name servers, and every connection to a target uses the same
 * addresses.
 */

/* Resolves all targets without an address, on a loop that is not running.
 * @family is AF_INET, AF_INET6, or 0 for both. Returns 0 or an error that was
 * printed. */
int names_find(weir_loop *loop, struct target *targets, size_t count,
               int family);

void names_forget(struct target *targets, size_t count);

/* ---- sockets ---- */

/*
 * Options of sockets for connections and datagrams.
 *
 * The options are set after a connection is established, because the library
 * creates the socket. They do not affect the TCP handshake: a larger receive
 * buffer does not change the window scale. Before the run a test socket shows
 * whether the kernel accepts the options.
 */

struct socket_flags {
    /* Nagle's algorithm is left on. */
    bool has_nagle;
    bool keeps_alive;
    /* The first bytes of a connection are sent with its SYN. */
    bool fast_open;
    /* Sizes of the buffers; 0 means the system's default. */
    uint64_t send_buffer_bytes;
    uint64_t receive_buffer_bytes;
    /* Type of service or traffic class; -1 means the system's default. */
    int tos;
};

/* Sets the options that weir_connection_options does not have. Returns 0, or a
 * negative error with one line in @why. */
int sockets_set(const struct socket_flags *flags, int fd, char *why);

/* Returns true if sockets_set() would set an option. */
bool sockets_has_any(const struct socket_flags *flags);

/* Returns true if sockets of the target's family and kind accept the options.
 * Otherwise prints the reason and returns false. */
bool sockets_try(const struct socket_flags *flags, const struct target *target);

/* ---- url ---- */

/*
 * Targets of weir-load: the forms of tools/common/target.h, and
 * http://HOST[:PORT][/PATH] and other URLs, which combine a transport, a mode
 * and a path.
 */

/* Returns true for HOST or HOST:PORT, optionally with a path, without a scheme.
 * A host without a port must have a dot or be localhost, because other texts
 * may mean anything. */
bool url_lacks_scheme(const char *text);

/* Returns true for HOST/PATH or HOST:PORT/PATH, which only HTTP has. */
bool url_is_http_place(const char *text);

/* Parses a target like target_parse(). */
int url_parse(const char *text, bool listening, struct target *ret, char *why);

/* ---- redis_url ---- */

/*
 * Parts of a Redis URL other than the host, as in redis-cli -u:
 *
 *     redis://[[USER:]PASSWORD@]HOST[:PORT][/[NUMBER]][?protocol=3].
 *
 * User and password may have %XX; an empty user means none, and if both are
 * empty there is no login. They are removed from the text before it is kept, so
 * that no report shows them.
 */

#define REDIS_LOGIN_MAX   256
#define REDIS_NUMBER_SIZE 8

/* The login of all connections: the same for all targets, or none. */
struct redis_options {
    /* "" if there is none. */
    char user[REDIS_LOGIN_MAX];
    char password[REDIS_LOGIN_MAX];
    bool has_login;
    /* Number of targets with a login. */
    size_t login_count;
};

/* The part after the host. */
struct redis_place {
    char number[REDIS_NUMBER_SIZE]; /* number of the database; "" for the first
                                     * one */
    bool is_resp3;
};

/* Returns the length of the login in a Redis URL, including the '@', or 0. Sets
 * *ret_at to the offset of the login. */
size_t redis_url_login_size(const char *text, size_t *ret_at);

#define REDIS_LOGIN_HINT                                                       \
    "in a user or password write %2F for /, %23 for #, %3F for ?, %40 for @"

/* Returns the number of bytes of a text that must be hidden, or 0. Sets *ret_at
 * to their offset. The text begins like a Redis URL, but may be invalid. */
size_t redis_url_hidden_size(const char *text, size_t *ret_at);

/* Writes any target without a login, cut to @size. Returns @out. */
const char *redis_url_show(const char *text, char *out, size_t size);

/* Moves the login of a URL into the options and writes the rest to @out.
 * Returns false, with one line in @why (OPTION_WHY_SIZE), if the login is
 * invalid or differs from an earlier target's. */
bool redis_url_take_login(const char *text, struct redis_options *options,
                          char *out, size_t size, char *why);

/* Parses the text after the host; @path may be NULL. Returns NULL, or a text
 * that describes an error. */
const char *redis_url_read_place(const char *path, struct redis_place *ret);

/* ---- tls ---- */

/*
 * TLS of weir-load: options that `run` and `serve` share, the context that is
 * made from them, and facts about a run's handshakes. All tls:// and tls+unix:
 * targets of a command share one context.
 */

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
    /* Facts about the first connection; empty if there was no connection. */
    char version[16];
    char cipher[64];
    /* Group of the key exchange; empty if the library has no name for it. */
    char group[24];
    /* Empty if no protocol was agreed on. */
    char alpn[64];
    /* Number of handshakes in the window. Set only in the facts of a whole
     * run. */
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

/* Check that the options fit each other and the targets. Otherwise print the
 * reason and return false. */
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

/* ---- proxy_header ---- */

/*
 * Writes the header of the PROXY protocol at the start of each connection, if
 * requested. It has the connection's real addresses. It is not available if
 * libweir was built with -Dproxy=disabled.
 */

bool proxy_header_is_built(void);

/* Writes a header of version 1 or 2. Returns 0 or a negative error. */
int proxy_header_write(weir_transport *t, int version);

#endif
