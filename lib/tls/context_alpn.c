/*
 * The application protocol that a server takes (ALPN, RFC 7301).
 *
 * It is the first one of the server's own list that the client offers too: the
 * server's order counts, and the client's does not. wolfSSL by itself goes by
 * the client's order. So a server's connection has no list at first, and gets
 * one with a single name as soon as the client's is known.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <wolfssl/error-ssl.h>

/* Whether @list, names with commas between them, has the name. */
static bool context_alpn_has(const char *list, const char *name, size_t len)
{
    wr_assert(len > 0);
    for (;;) {
        const size_t next = strcspn(list, ",");
        if (next == len && memcmp(list, name, len) == 0) {
            return true;
        }
        if (list[next] == '\0') {
            return false;
        }
        list += next + 1;
    }
}

/* The first name of @own that @offered has; the whole of @own where there is
 * none, which wolfSSL then refuses. */
static const char *context_alpn_find(const char *own, const char *offered,
                                     size_t *ret_len)
{
    const char *name = own;

    wr_assert(own[0] != '\0');
    for (;;) {
        const size_t len = strcspn(name, ",");
        if (context_alpn_has(offered, name, len)) {
            *ret_len = len;
            return name;
        }
        if (name[len] == '\0') {
            *ret_len = strlen(own);
            return own;
        }
        name += len + 1;
    }
}

int wr_tls_context_use_protocols(WOLFSSL *ssl, const char *list, size_t len)
{
    wr_assert(len > 0);
    return wolfSSL_UseALPN(ssl, (char *)(uintptr_t)list, (unsigned)len,
                           WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

int wr_tls_context_choose_protocol(const weir_tls_context *context,
                                   WOLFSSL *ssl)
{
    char *offered = NULL;
    unsigned short size = 0;
    size_t len = 0;

    wr_assert(context->is_server);
    if (!context->alpn) {
        return 0;
    }
    const int ret = wolfSSL_ALPN_GetPeerProtocol(ssl, &offered, &size);
    if (ret == BUFFER_ERROR) {
        return 0; /* the client has no list */
    }
    if (ret != WOLFSSL_SUCCESS) {
        return ret == MEMORY_ERROR ? -ENOMEM : WEIR_ETLSPROTOCOL;
    }
    wr_assert(offered); /* it is "" of a list without a whole name */
    const char *name = context_alpn_find(context->alpn, offered, &len);
    wr_assert(name && len > 0);
    const int err = wr_tls_context_use_protocols(ssl, name, len);
    wr_ignore(wolfSSL_ALPN_FreePeerProtocol(ssl, &offered) != WOLFSSL_SUCCESS);
    return err;
}
