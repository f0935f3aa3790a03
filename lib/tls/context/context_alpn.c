/*
 * The application protocol that a server takes (ALPN, RFC 7301).
 *
 * It is the first one of the server's own list that the client offers too: the
 * server's order counts, and the client's does not. wolfSSL by itself goes by
 * the client's order. So a server's connection has no list at first, and gets
 * one with a single name as soon as the client's is known, before wolfSSL reads
 * it: behind the extensions of a hello that wolfSSL has read nothing can be
 * put, or it refuses a session that is to be resumed.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <wolfssl/error-ssl.h>

/* Whether the client's list, names that each have their length before them,
 * has the name. A list that is not in order ends where it is not. */
static bool context_alpn_has(const uint8_t *list, size_t size, const char *name,
                             size_t len)
{
    size_t at = 2; /* behind the length of the list */

    wr_assert(len > 0);
    while (at < size && list[at] < size - at) {
        const size_t next = list[at];
        if (next == len && memcmp(&list[at + 1], name, len) == 0) {
            return true;
        }
        at += 1 + next;
    }
    return false;
}

/* The first name of @own that the client's list has; the whole of @own where
 * there is none, which wolfSSL then refuses. */
static const char *context_alpn_find(const char *own, const uint8_t *list,
                                     size_t size, size_t *ret_len)
{
    const char *name = own;

    wr_assert(own[0] != '\0');
    for (;;) {
        const size_t len = strcspn(name, ",");
        if (context_alpn_has(list, size, name, len)) {
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
                                   WOLFSSL *ssl, const uint8_t *data,
                                   size_t size)
{
    size_t len = 0;

    wr_assert(context->is_server);
    wr_assert(data || size == 0);
    if (!context->alpn) {
        return 0;
    }
    const char *name = context_alpn_find(context->alpn, data, size, &len);
    wr_assert(name && len > 0);
    return wr_tls_context_use_protocols(ssl, name, len);
}

int wr_tls_context_check_protocols(const weir_tls_context *context,
                                   WOLFSSL *ssl)
{
    char *offered = NULL;
    unsigned short size = 0;

    wr_assert(context->is_server);
    if (!context->alpn) {
        return 0;
    }
    const int ret = wolfSSL_ALPN_GetPeerProtocol(ssl, &offered, &size);
    wr_ignore(wolfSSL_ALPN_FreePeerProtocol(ssl, &offered) != WOLFSSL_SUCCESS);
    if (ret == WOLFSSL_SUCCESS || ret == BUFFER_ERROR) {
        return 0; /* the second: the client has no list */
    }
    return ret == MEMORY_ERROR ? -ENOMEM : WEIR_ETLSPROTOCOL;
}
