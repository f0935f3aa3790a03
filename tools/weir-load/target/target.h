/*
 * Targets of a load: URLs, addresses of names, the settings of sockets
 * and of TLS, and the PROXY header. All settings are checked before a
 * run.
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

/*
 * Resolves the targets' host names once, before a run. The run therefore does
 * not measure name servers, and every connection to a target uses the same
 * addresses.
 */

/* Resolves all targets that have no address yet. The loop must not be running.
 * @family is AF_INET, AF_INET6, or 0 for both. Returns 0 or an error that was
 * printed. */
int names_find(weir_loop *loop, struct target *targets, size_t count,
               int family);

void names_forget(struct target *targets, size_t count);

/*
 * Socket options. The library creates the sockets, so these options are set
 * after a connection is established and do not affect the TCP handshake: a
 * larger receive buffer does not change the window scale. Before the run, a
 * test socket shows whether the kernel accepts them.
 */

struct socket_flags {
    /* Leave Nagle's algorithm on. */
    bool has_nagle;
    bool keeps_alive;
    /* Send the first bytes of a connection with its SYN. */
    bool fast_open;
    /* Buffer sizes in bytes. 0 means the system's default. */
    uint64_t send_buffer_bytes;
    uint64_t receive_buffer_bytes;
    /* Type of service, or traffic class of IPv6. -1 means the system's
     * default. */
    int tos;
};

/* Sets the options that struct weir_connection_options does not have. Returns
 * 0, or a negative error with one line in @why. */
int sockets_set(const struct socket_flags *flags, int fd, char *why);

bool sockets_has_any(const struct socket_flags *flags);

/* Checks that the kernel accepts the options on a socket for the target.
 * Returns false after printing the reason. */
bool sockets_try(const struct socket_flags *flags, const struct target *target);

/* Parses targets: the forms of tools/common/target.h, and URLs such as
 * http://HOST[:PORT][/PATH], which combine a transport, a mode and a path. */

/* Returns true for HOST or HOST:PORT, optionally with a path. Without a port,
 * the host must have a dot or be localhost: other words are probably no
 * host. */
bool url_lacks_scheme(const char *text);

/* Returns true for HOST/PATH or HOST:PORT/PATH. Only HTTP has such targets. */
bool url_is_http_place(const char *text);

int url_parse(const char *text, bool listening, struct target *ret, char *why);

/*
 * Parts of a Redis URL other than the host, as in redis-cli -u:
 *
 *     redis://[[USER:]PASSWORD@]HOST[:PORT][/[NUMBER]][?protocol=3].
 *
 * User and password may have %XX. An empty user means no user; if both are
 * empty there is no login. The login is removed from the text before it is
 * stored, so that no report shows it.
 */

#define REDIS_LOGIN_MAX   256
#define REDIS_NUMBER_SIZE 8

/* The login of all connections. Targets must not have different logins. */
struct redis_options {
    /* Empty if the URL has no user. */
    char user[REDIS_LOGIN_MAX];
    char password[REDIS_LOGIN_MAX];
    bool has_login;
    size_t login_count;
};

/* The part of a Redis URL after the host. */
struct redis_place {
    char number[REDIS_NUMBER_SIZE]; /* database; "" means 0 */
    bool is_resp3;
};

/* Returns the length of the login in a Redis URL, including the '@', or 0. Sets
 * *ret_at to its offset. */
size_t redis_url_login_size(const char *text, size_t *ret_at);

#define REDIS_LOGIN_HINT                                                       \
    "in a user or password write %2F for /, %23 for #, %3F for ?, %40 for @"

/* Like redis_url_login_size(), but for a text that may be an invalid URL:
 * returns how many bytes must be hidden in messages. */
size_t redis_url_hidden_size(const char *text, size_t *ret_at);

/* Copies any target without its login to @out, cut to @size. Returns @out. */
const char *redis_url_show(const char *text, char *out, size_t size);

/* Moves the login of a URL to the options and copies the rest to @out. Returns
 * false, with one line in @why (OPTION_WHY_SIZE), if the login is invalid or
 * differs from an earlier target's. */
bool redis_url_take_login(const char *text, struct redis_options *options,
                          char *out, size_t size, char *why);

/* Parses the text after the host. @path may be NULL. Returns NULL, or one line
 * about an error. */
const char *redis_url_read_place(const char *path, struct redis_place *ret);

/* TLS options that `run` and `serve` share, and facts about a run's handshakes.
 * All targets of a command that use TLS share one context. */

#define TLS_IDENTITIES_MAX 32

/* Value of resume_share for all handshakes. */
#define TLS_RESUME_ALL 1000000U

/* Texts point into the command line. */
struct tls_flags {
    /* The last TLS option on the command line except --insecure, or NULL. */
    const struct option *given;
    /* Server name to send and verify. NULL means the target's host. */
    const char *sni;
    const char *key_log;
    struct weir_tls_options options;
    struct weir_tls_identity identities[TLS_IDENTITIES_MAX];
    size_t identity_count;
    bool has_client_auth;
    /* Millionths of the handshakes that resume a session, if there is one. */
    uint32_t resume_share;
};

struct tls_facts {
    /* TLS version and cipher of the first connection. Empty until it is
     * established. */
    char version[16];
    char cipher[64];
    /* Key exchange group; empty if the library has no name for it. */
    char group[24];
    /* Empty if no protocol was agreed on. */
    char alpn[64];
    /* Handshakes in the window. Set only for a whole run. */
    uint64_t in_window;
    uint64_t full;
    uint64_t resumed;
    uint64_t failed;
};

/* Parse a value into the struct tls_flags at the option's offset.
 * tls_read_version() parses into an enum weir_tls_version there. */
option_read_fn tls_read_cert;
option_read_fn tls_read_key;
option_read_fn tls_read_client_auth;
option_read_fn tls_read_resume;
option_read_fn tls_read_version;

/* Check that the options fit each other and the targets. Return false after
 * printing the reason. tls_check_serve() also completes the options. */
bool tls_check_run(const struct tls_flags *flags, const struct target *targets,
                   size_t count);
bool tls_check_serve(struct tls_flags *flags, const struct target *targets,
                     size_t count);

/* Makes the context. Sets *ret to NULL if no target uses TLS. The caller owns
 * it. Returns 0 or an error that was printed. */
int tls_make_context(const struct tls_flags *flags, bool is_server,
                     const struct target *targets, size_t count,
                     weir_tls_context **ret);

void tls_drop_context(weir_tls_context *context);

/* Returns the newest session of a client's connection, or NULL if there is
 * none. The caller must call tls_drop_session(). */
weir_tls_session *tls_take_session(weir_transport *t);

void tls_drop_session(weir_tls_session *session);

bool tls_is_meant(const struct target *targets, size_t count);

/* Counts the handshake of a new connection. Returns its duration in ns. */
uint64_t tls_note_handshake(struct tls_facts *facts, const weir_transport *t);

/* Returns true if an attempt to connect that ended with @err failed in the TLS
 * handshake. */
bool tls_is_handshake_error(int err);

const char *tls_version_name(enum weir_tls_version version);

/* Writes the header of the PROXY protocol at the start of each connection, if
 * requested. It is not available if libweir was built with -Dproxy=disabled. */

bool proxy_header_is_built(void);

/* Writes a header of version 1 or 2. Returns 0 or a negative error. */
int proxy_header_write(weir_transport *t, int version);

#endif
