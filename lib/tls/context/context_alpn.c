/*
 * The application protocol that a server takes (ALPN, RFC 7301).
 *
 * It is the first protocol of the server's list that the client offers too; the
 * client's order does not count. wolfSSL itself uses the client's order. So a
 * server's connection has no list at first, and gets a list of a single name
 * once the client's list is known. This happens before wolfSSL reads the hello:
 * wolfSSL refuses to resume a session if an extension is added after it has
 * read the hello.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

/* True if the client's list has the name. In the list each name follows its
 * length. A malformed list ends at its first fault. */
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

/* The first name of @own in the client's list; without one the whole of @own,
 * and wolfSSL then refuses the client. */
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
