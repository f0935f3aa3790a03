/*
 * Contexts and sessions of libweir-tls. This is the only file of
 * weir-load that calls libweir-tls; without that library, tls_none.c
 * replaces it.
 */
#include "target.h"

#include "tools/common/console.h"
#include "tools/common/key_log.h"

#include "weir/error.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <unistd.h>

/* Logs the TLS secrets. The file stays open until the process ends. */
static int use_key_log(const char *path, struct weir_tls_options *options)
{
    struct key_log *log = key_log_find(path);
    char why[OPTION_WHY_SIZE] = "no memory";

    if (!log || !key_log_open(log, geteuid(), why)) {
        say("--key-log: %s", why);
        return -EPERM;
    }
    key_log_warn(log);
    options->keylog = key_log_write;
    options->keylog_user = log;
    return 0;
}

int tls_make_context(const struct tls_flags *flags, bool is_server,
                     const struct target *targets, size_t count,
                     weir_tls_context **ret)
{
    struct weir_tls_options options = flags->options;
    const struct weir_tls_identity *others[TLS_IDENTITIES_MAX];
    char text[640]; /* may have a list of all cipher suites */

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
    } else if (is_server && *text) {
        say("TLS: warning: %s", text);
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
