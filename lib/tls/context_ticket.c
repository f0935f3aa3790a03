/*
 * Session tickets: sealed by AES-256-GCM with a key of the context.
 *
 * The key is made with the context and lives as long: so a ticket is good for
 * the servers that share the context, until they are restarted. wolfSSL's own
 * way would allocate a generator in the first connection for the context to
 * keep, in memory of that connection's loop.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/random.h>

enum { CONTEXT_TICKET_TAG = 16, CONTEXT_TICKET_NONCE = 12 };

_Static_assert(CONTEXT_TICKET_NONCE <= WOLFSSL_TICKET_IV_SZ,
               "a nonce has its place in a ticket");
_Static_assert(CONTEXT_TICKET_TAG <= WOLFSSL_TICKET_MAC_SZ,
               "a tag has its place in a ticket");

static int context_ticket_random(uint8_t *data, size_t size)
{
    WC_RNG random;

    if (wc_InitRng(&random) != 0) {
        return WEIR_ETLSENGINE;
    }
    int err = wc_RNG_GenerateBlock(&random, data, (word32)size);
    wr_ignore(wc_FreeRng(&random) != 0); /* it is freed either way */
    return err == 0 ? 0 : WEIR_ETLSENGINE;
}

/* The name of the key and the nonce are what is authenticated beside. */
static int context_ticket_seal(Aes *aes, const uint8_t *name,
                               const uint8_t *nonce, uint8_t *tag,
                               uint8_t *ticket, word32 size)
{
    return wc_AesGcmEncrypt(aes, ticket, ticket, size, nonce,
                            CONTEXT_TICKET_NONCE, tag, CONTEXT_TICKET_TAG, name,
                            WOLFSSL_TICKET_NAME_SZ);
}

static int context_ticket_open(Aes *aes, const uint8_t *name,
                               const uint8_t *nonce, const uint8_t *tag,
                               uint8_t *ticket, word32 size)
{
    return wc_AesGcmDecrypt(aes, ticket, ticket, size, nonce,
                            CONTEXT_TICKET_NONCE, tag, CONTEXT_TICKET_TAG, name,
                            WOLFSSL_TICKET_NAME_SZ);
}

/* wolfSSL's callback; a ticket that is not ours is refused, and then the
 * handshake is a whole one. */
static int context_ticket_callback(WOLFSSL *ssl, unsigned char *name,
                                   unsigned char *iv, unsigned char *mac,
                                   int seals, unsigned char *ticket, int size,
                                   int *ret_size, void *arg)
{
    const weir_tls_context *context = arg;
    const struct wr_tls_ticket_keys *keys = &context->ticket_keys;
    Aes aes;

    (void)ssl;
    wr_assert(size > 0);
    if (seals) {
        memcpy(name, keys->name, sizeof(keys->name));
        memset(iv, 0, WOLFSSL_TICKET_IV_SZ);
        memset(mac, 0, WOLFSSL_TICKET_MAC_SZ);
        if (context_ticket_random(iv, CONTEXT_TICKET_NONCE) < 0) {
            return WOLFSSL_TICKET_RET_FATAL;
        }
    } else if (memcmp(name, keys->name, sizeof(keys->name)) != 0) {
        return WOLFSSL_TICKET_RET_REJECT;
    }
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) != 0) {
        return WOLFSSL_TICKET_RET_FATAL;
    }
    int err = wc_AesGcmSetKey(&aes, keys->key, sizeof(keys->key));
    if (err == 0) {
        err = seals ? context_ticket_seal(&aes, name, iv, mac, ticket,
                                          (word32)size)
                    : context_ticket_open(&aes, name, iv, mac, ticket,
                                          (word32)size);
    }
    wc_AesFree(&aes);
    if (err != 0) {
        return seals ? WOLFSSL_TICKET_RET_FATAL : WOLFSSL_TICKET_RET_REJECT;
    }
    *ret_size = size;
    return WOLFSSL_TICKET_RET_OK;
}

int wr_tls_context_use_tickets(weir_tls_context *context)
{
    struct wr_tls_ticket_keys *keys = &context->ticket_keys;
    wr_assert(context->is_server);
    int err = context_ticket_random(keys->name, sizeof(keys->name));
    if (err == 0) {
        err = context_ticket_random(keys->key, sizeof(keys->key));
    }
    if (err < 0) {
        return err;
    }
    if (wolfSSL_CTX_set_TicketEncCb(context->ctx, context_ticket_callback) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_TicketEncCtx(context->ctx, context) !=
            WOLFSSL_SUCCESS) {
        return WEIR_ETLSENGINE;
    }
    return 0;
}
