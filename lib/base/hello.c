/*
 * Parses a TLS hello (RFC 8446, 4.1.2 and 4.1.3; RFC 5246, 7.4.1).
 *
 * A hello whose lengths contradict each other cannot be parsed. A malformed
 * extension only sets is_odd: the TLS library handles the error, and a proxy
 * that forwards the hello can use the other fields.
 */
#include "hello.h"

#include "uring/check.h"

#include <string.h>

enum {
    HELLO_SERVER = 2,
    HELLO_CLIENT = 1, /* message types */
    HELLO_RANDOM = 32,
    HELLO_SESSION_MAX = 32,
    HELLO_NAME = 0, /* extension types */
    HELLO_GROUPS = 10,
    HELLO_SCHEMES = 13,
    HELLO_PROTOCOLS = 16,
    HELLO_EXTENDED_SECRET = 23,
    HELLO_TICKET = 35,
    HELLO_EARLY_DATA = 42,
    HELLO_VERSIONS = 43,
    HELLO_ECH = 0xfe0d,
    HELLO_CHOICE = 2 + 1, /* size of a cipher suite and a compression method */
    HELLO_HOST = 0,       /* name type host_name */
};

/* Removes cipher suites and compression methods. Stores a client's suites. */
static bool hello_take_suites(struct wr_bytes *from, bool is_client,
                              struct wr_bytes *ret)
{
    struct wr_bytes part;

    wr_assert(from->data != NULL);
    if (!is_client) {
        return wr_bytes_take(from, HELLO_CHOICE, &part);
    }
    return wr_bytes_take_vector(from, 2, ret) && ret->size > 0 &&
           ret->size % 2 == 0 && wr_bytes_take_vector(from, 1, &part) &&
           part.size > 0;
}

/* Sets *ret_extensions to the extensions, which it does not parse. */
static bool hello_take_message(struct wr_bytes *from, bool is_client,
                               struct wr_bytes *ret_extensions,
                               struct wr_tls_hello *ret)
{
    struct wr_bytes body;
    struct wr_bytes part;
    size_t type;
    size_t version;

    wr_assert(from->data != NULL);
    *ret_extensions = (struct wr_bytes){.data = NULL};
    if (!wr_bytes_take_number(from, 1, &type) ||
        type != (is_client ? HELLO_CLIENT : HELLO_SERVER) ||
        !wr_bytes_take_vector(from, 3, &body) ||
        !wr_bytes_take_number(&body, 2, &version) ||
        !wr_bytes_take(&body, HELLO_RANDOM, &part) ||
        !wr_bytes_take_vector(&body, 1, &part) ||
        part.size > HELLO_SESSION_MAX ||
        !hello_take_suites(&body, is_client, &ret->suites)) {
        return false;
    }
    ret->version = (uint16_t)version;
    ret->has_session = part.size > 0;
    ret->lacks_extensions = body.size == 0;
    return body.size == 0 ||
           (wr_bytes_take_vector(&body, 2, ret_extensions) && body.size == 0);
}

static bool hello_read_name(struct wr_bytes list, struct wr_tls_hello *ret)
{
    struct wr_bytes names;
    struct wr_bytes name;
    size_t type;

    wr_assert(!ret->name.data);
    if (!wr_bytes_take_vector(&list, 2, &names) || list.size > 0 ||
        !wr_bytes_take_number(&names, 1, &type) || type != HELLO_HOST ||
        !wr_bytes_take_vector(&names, 2, &name) || names.size > 0) {
        return false;
    }
    if (name.size == 0 || name.size > UINT8_MAX ||
        memchr(name.data, '\0', name.size)) {
        ret->odd_name = name;
        return false;
    }
    ret->name = name;
    return true;
}

static bool hello_keep(struct wr_bytes body, struct wr_bytes *ret)
{
    wr_assert(body.data != NULL);
    if (ret->data) {
        return false;
    }
    *ret = body;
    return true;
}

static bool hello_read_extension(size_t type, struct wr_bytes body,
                                 bool is_client, struct wr_tls_hello *ret)
{
    wr_assert(body.data != NULL);
    switch (type) {
    case HELLO_NAME:
        return !is_client || hello_read_name(body, ret);
    case HELLO_GROUPS:
        return hello_keep(body, &ret->groups);
    case HELLO_SCHEMES:
        return hello_keep(body, &ret->schemes);
    case HELLO_PROTOCOLS:
        return hello_keep(body, &ret->protocols);
    case HELLO_EXTENDED_SECRET:
        ret->has_extended_secret = true;
        return body.size == 0;
    case HELLO_TICKET:
        ret->has_ticket |= body.size > 0;
        return true;
    case HELLO_EARLY_DATA:
        ret->has_early_data = true;
        return body.size == 0;
    case HELLO_VERSIONS:
        return !is_client || hello_keep(body, &ret->versions);
    case HELLO_ECH:
        ret->has_ech |= body.size > 0 && body.data[0] == 0;
        return true;
    default:
        return true;
    }
}

static bool hello_read_extensions(struct wr_bytes from, bool is_client,
                                  struct wr_tls_hello *ret)
{
    bool has_names = false;

    while (from.size > 0) {
        struct wr_bytes body;
        size_t type;
        if (!wr_bytes_take_number(&from, 2, &type) ||
            !wr_bytes_take_vector(&from, 2, &body) ||
            (is_client && type == HELLO_NAME && has_names)) {
            return false;
        }
        has_names |= type == HELLO_NAME;
        ret->is_odd |= !hello_read_extension(type, body, is_client, ret);
    }
    return true;
}

bool wr_tls_hello_read(const uint8_t *data, size_t size, bool is_client,
                       struct wr_tls_hello *ret)
{
    struct wr_bytes from = {.data = data, .size = size};
    struct wr_bytes extensions;
    struct wr_tls_hello hello = {.lacks_extensions = false};

    wr_assert(data != NULL);
    *ret = hello;
    if (!hello_take_message(&from, is_client, &extensions, &hello) ||
        (is_client && from.size > 0) ||
        !hello_read_extensions(extensions, is_client, &hello)) {
        return false;
    }
    *ret = hello;
    return true;
}

bool wr_tls_hello_is_whole(const uint8_t *data, size_t size)
{
    struct wr_bytes from = {.data = data, .size = size};
    struct wr_bytes body;
    size_t type;

    wr_assert(data != NULL);
    return wr_bytes_take_number(&from, 1, &type) &&
           wr_bytes_take_vector(&from, 3, &body);
}

bool wr_tls_hello_may_come(const uint8_t *data, size_t size, bool is_client,
                           size_t max)
{
    struct wr_bytes from = {.data = data, .size = size};
    size_t type;
    size_t len;

    wr_assert(data != NULL);
    if (!wr_bytes_take_number(&from, 1, &type)) {
        return true;
    }
    return type == (is_client ? HELLO_CLIENT : HELLO_SERVER) &&
           (!wr_bytes_take_number(&from, 3, &len) || len <= max);
}
