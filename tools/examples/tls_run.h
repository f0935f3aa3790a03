/*
 * Runs an example with TLS: makes the TLS context, then runs the loop with its
 * main task. Making the context reads files, so it happens before the loop
 * starts. Each connection has a reference to the context, so the caller may
 * release its own reference at any time.
 */
#ifndef WEIR_EXAMPLES_TLS_RUN_H
#define WEIR_EXAMPLES_TLS_RUN_H

#include <err.h>
#include <weir.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

static struct weir_tls_settings tls = {.size = sizeof(tls)};

static inline weir_tls_context *
make_context(const struct weir_tls_options *options)
{
    weir_tls_context *context;
    char text[256];
    if (weir_tls_context_new(options, &context, text, sizeof(text)) < 0) {
        errx(1, "%s", text);
    }
    return context;
}

static inline const struct weir_tls_settings *use_certificate(const char *chain,
                                                              const char *key)
{
    struct weir_tls_options options = {.size = sizeof(options), .server = true};
    options.certificate.file = chain;
    options.key.file = key;
    tls.context = make_context(&options);
    return &tls;
}

static inline int run_task(weir_task_fn *task, char **words)
{
    int error = weir_run(NULL, task, words);
    weir_tls_context_unref(tls.context);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}

#endif
