/*
 * The context of a run or a server, and the sessions of its connections.
 *
 * This file alone of weir-load calls libweir-tls; where that is not built
 * tls_none.c stands for it. Whether files hold what they should is found out by
 * the library, whose words are passed on.
 *
 * A key log is appended to by each thread, a line by one write. Who reads it
 * can decrypt the connections: nobody but its owner may. The environment
 * (SSLKEYLOGFILE) is not asked, as it would log secrets that nobody wanted.
 */
#include "tls.h"

#include "tools/common/console.h"

#include "weir/error.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_LOG_LINE 512

/* The descriptor is the process's, until its end: connections log as long. A
 * line that cannot be written is missing. */
static void log_secret(void *user, const char *line)
{
    const int *fd = user;
    char text[KEY_LOG_LINE];
    const int len = snprintf(text, sizeof(text), "%s\n", line);

    if (len > 0 && (size_t)len < sizeof(text)) {
        const ssize_t written = write(*fd, text, (size_t)len);
        (void)written;
    }
    explicit_bzero(text, sizeof(text));
}

/* Only its owner may read it; a link or a FIFO is refused. */
static int open_key_log(const char *path, int *ret)
{
    struct stat facts;
    const int fd = open(path,
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
                            O_NONBLOCK | O_NOCTTY,
                        0600);

    if (fd < 0) {
        const int err = errno;
        say("--key-log: %s: %s", path, strerror(err));
        return -err;
    }
    if (fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode) ||
        (facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        say("--key-log: %s: it must be a file that others than its owner can "
            "neither read nor write (0600)",
            path);
        close(fd);
        return -EPERM;
    }
    *ret = fd;
    return 0;
}

/* Has the secrets logged; the file is opened once. */
static int use_key_log(const char *path, struct weir_tls_options *options)
{
    static int fd = -1;
    const int err = fd < 0 ? open_key_log(path, &fd) : 0;

    options->keylog = log_secret;
    options->keylog_user = &fd;
    return err;
}

int tls_make_context(const struct tls_flags *flags, bool is_server,
                     const struct target *targets, size_t count,
                     weir_tls_context **ret)
{
    struct weir_tls_options options = flags->options;
    const struct weir_tls_identity *others[TLS_IDENTITIES_MAX];
    char text[640]; /* a list of all suites */

    *ret = NULL;
    if (!tls_is_meant(targets, count)) {
        return 0;
    }
    int err = flags->key_log ? use_key_log(flags->key_log, &options) : 0;
    if (err < 0) {
        return err;
    }
    options.size = sizeof(options);
    options.server = is_server;
    if (flags->identity_count > 0) {
        options.certificate = flags->identities[0].certificate;
        options.key = flags->identities[0].key;
        options.identity_count = flags->identity_count - 1;
        for (size_t i = 0; i < options.identity_count; i++) {
            others[i] = &flags->identities[i + 1];
        }
        options.identities = others;
    }
    err = weir_tls_context_new(&options, ret, text, sizeof(text));
    if (err < 0) {
        say("TLS: %s (%s)", *text ? text : weir_strerror(err),
            weir_err_name(err));
    }
    return err;
}

void tls_drop_context(weir_tls_context *context)
{
    weir_tls_context_unref(context);
}

weir_tls_session *tls_take_session(weir_transport *t)
{
    weir_tls_session *session = NULL;

    return weir_tls_get_session(t, &session) >= 0 ? session : NULL;
}

void tls_drop_session(weir_tls_session *session)
{
    weir_tls_session_unref(session);
}
