/*
 * The private key of the context's own certificate, possibly encrypted with a
 * passphrase.
 *
 * The passphrase is the first line of a text, or is returned by the program's
 * callback. It is requested only for an encrypted key. Neither the passphrase
 * nor the decrypted key stays in weir's memory after the call.
 */
#include "context_impl.h"
#include "locked.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The passphrase of all keys of a context. Exists while the context is
 * created. */
struct wr_tls_asking {
    weir_tls_passphrase_fn *ask; /* or NULL */
    void *user;
    const char *file; /* file of the key, or NULL if it is in memory */
    bool is_known;    /* ->passphrase was read from a text */
    size_t size;
    uint8_t passphrase[WR_TLS_PASSPHRASE_MAX];
};

static int context_key_use_passphrase(weir_tls_context *context,
                                      const uint8_t *data, long size)
{
    struct wr_tls_asking *asking = context->asking;
    const uint8_t *end = memchr(data, '\n', (size_t)size);
    size_t len = end ? (size_t)(end - data) : (size_t)size;

    wr_assert(asking && size > 0);
    len -= len > 0 && data[len - 1] == '\r';
    if (len == 0 || len > sizeof(asking->passphrase)) {
        context->why = len == 0 ? "its first line is empty"
                                : "its first line has more than 1024 bytes";
        return WEIR_ETLSFILE;
    }
    memcpy(asking->passphrase, data, len);
    asking->size = len;
    asking->is_known = true;
    return 0;
}

static int context_key_ask(weir_tls_context *context)
{
    struct wr_tls_asking *asking = context->asking;

    wr_assert(!asking->is_known);
    if (!asking->ask) {
        context->why = "no passphrase is given";
        return WEIR_ETLSPASSWORD;
    }
    const int len =
        asking->ask(asking->user, asking->file, (char *)asking->passphrase,
                    sizeof(asking->passphrase));
    if (len < 0) {
        return len;
    }
    wr_require(len > 0 && (size_t)len <= sizeof(asking->passphrase), -EINVAL);
    asking->size = (size_t)len;
    return 0;
}

static int context_key_unlock(weir_tls_context *context,
                              struct wr_tls_locked *locked,
                              struct wr_bytes *ret)
{
    struct wr_tls_asking *asking = context->asking;
    int err = asking->is_known ? 0 : context_key_ask(context);

    wr_assert(locked->data != NULL);
    if (err < 0) {
        return err;
    }
    const struct wr_bytes passphrase = {.data = asking->passphrase,
                                        .size = asking->size};
    err = wr_tls_locked_open(locked, passphrase, ret);
    if (err == WEIR_ETLSPASSWORD) {
        context->why = "the passphrase is another one";
    } else if (err == -EOPNOTSUPP) {
        context->why = "the TLS library lacks an algorithm of its encryption: "
                       "write it anew with openssl pkcs8 -topk8 -v2 "
                       "aes-256-cbc";
        err = WEIR_ETLSFILE;
    }
    return err;
}

int wr_tls_context_use_key(weir_tls_context *context,
                           struct wr_tls_credential *credential,
                           struct wr_bytes text)
{
    const struct wr_tls_backend *backend = context->backend;
    struct wr_tls_locked locked = {.data = NULL};
    struct wr_bytes plain = {.data = NULL};
    int err = wr_tls_locked_read(text, &locked, &context->why);

    wr_assert(context->asking && credential);
    if (err == 0) {
        return backend->credential_use_key(credential, text.data, text.size);
    }
    if (err == WEIR_ETLSFILE && !context->asking->is_known &&
        !context->asking->ask) {
        return WEIR_ETLSPASSWORD; /* ->why has the reason */
    }
    if (err == 1) {
        err = context_key_unlock(context, &locked, &plain);
    }
    if (err == 0) {
        err = backend->credential_use_key(credential, plain.data, plain.size);
    }
    wr_tls_locked_fini(&locked);
    wr_tls_locked_wipe(&plain);
    return err;
}

void wr_tls_context_set_key_file(weir_tls_context *context, const char *file)
{
    wr_assert(context->asking != NULL);
    context->asking->file = file;
}

int wr_tls_context_begin_keys(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    wr_assert(!context->asking);
    context->asking = calloc(1, sizeof(*context->asking));
    if (!context->asking) {
        return -ENOMEM;
    }
    context->asking->ask = options->passphrase_callback;
    context->asking->user = options->passphrase_user;
    return wr_tls_context_has(&options->passphrase)
               ? wr_tls_context_load_one(context, &options->passphrase,
                                         "passphrase",
                                         context_key_use_passphrase, text)
               : 0;
}

void wr_tls_context_end_keys(weir_tls_context *context)
{
    if (context->asking) {
        explicit_bzero(context->asking, sizeof(*context->asking));
    }
    free(context->asking);
    context->asking = NULL;
}
