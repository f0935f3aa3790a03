/*
 * The reader of a ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2).
 *
 * Whatever is not exactly as the RFCs have it makes the whole unknown: wolfSSL
 * answers it, and nothing is concluded here.
 */
#include "hello.h"

#include "uring/check.h"

#include <string.h>

enum {
    HELLO_SERVER = 2,
    HELLO_CLIENT = 1,     /* type of the message */
    HELLO_START = 2 + 32, /* version and random number */
    HELLO_NAME = 0,       /* types of extensions */
    HELLO_EXTENDED_SECRET = 23,
    HELLO_TICKET = 35,
    HELLO_CHOICE = 2 + 1, /* one suite, one compression */
    HELLO_HOST = 0,       /* type of a name */
};

struct hello_part {
    const uint8_t *data;
    size_t size;
};

/* Takes @size bytes off the front. */
static bool hello_take(struct hello_part *from, size_t size,
                       struct hello_part *ret)
{
    wr_assert(ret != from);
    if (from->size < size) {
        return false;
    }
    *ret = (struct hello_part){.data = from->data, .size = size};
    from->data += size;
    from->size -= size;
    return true;
}

/* Takes a number of @size bytes. */
static bool hello_take_number(struct hello_part *from, size_t size, size_t *ret)
{
    struct hello_part bytes;

    wr_assert(size > 0 && size <= 3);
    if (!hello_take(from, size, &bytes)) {
        return false;
    }
    *ret = 0;
    for (size_t i = 0; i < size; i++) {
        *ret = *ret << 8 | bytes.data[i];
    }
    return true;
}

/* Takes a vector whose length has @size bytes. */
static bool hello_take_vector(struct hello_part *from, size_t size,
                              struct hello_part *ret)
{
    size_t len;

    wr_assert(size < sizeof(len));
    return hello_take_number(from, size, &len) && hello_take(from, len, ret);
}

/* Takes the two lists of a client, or what a server chose of them: suites and
 * compression. */
static bool hello_take_suites(struct hello_part *from, bool is_client)
{
    struct hello_part part;
    return is_client ? hello_take_vector(from, 2, &part) &&
                           hello_take_vector(from, 1, &part)
                     : hello_take(from, HELLO_CHOICE, &part);
}

/* Takes a hello; *ret are its extensions. */
static bool hello_take_message(struct hello_part *from, bool is_client,
                               struct hello_part *ret)
{
    struct hello_part body;
    struct hello_part part;
    size_t type;

    wr_assert(from->data != NULL);
    *ret = (struct hello_part){.data = NULL};
    if (!hello_take_number(from, 1, &type) ||
        type != (is_client ? HELLO_CLIENT : HELLO_SERVER) ||
        !hello_take_vector(from, 3, &body) ||
        !hello_take(&body, HELLO_START, &part) ||
        !hello_take_vector(&body, 1, &part) || /* session */
        !hello_take_suites(&body, is_client)) {
        return false;
    }
    return body.size == 0 ||
           (hello_take_vector(&body, 2, ret) && body.size == 0);
}

/* A list of one name, as all clients send it. */
static bool hello_read_name(struct hello_part list,
                            struct wr_tls_hello_name *ret)
{
    struct hello_part names;
    struct hello_part name;
    size_t type;

    wr_assert(!ret->data);
    if (!hello_take_vector(&list, 2, &names) || list.size > 0 ||
        !hello_take_number(&names, 1, &type) || type != HELLO_HOST ||
        !hello_take_vector(&names, 2, &name) || names.size > 0) {
        return false;
    }
    if (name.size == 0 || name.size > UINT8_MAX ||
        memchr(name.data, '\0', name.size)) {
        return false;
    }
    *ret = (struct wr_tls_hello_name){.data = name.data, .len = name.size};
    return true;
}

enum wr_tls_hello wr_tls_hello_read(const uint8_t *data, size_t size,
                                    struct wr_tls_hello_name *ret)
{
    struct hello_part from = {.data = data, .size = size};
    struct wr_tls_hello_name name = {.data = NULL};
    struct hello_part extensions;
    bool has_ticket = false;

    wr_assert(data != NULL);
    if (!hello_take_message(&from, true, &extensions) || from.size > 0) {
        return WR_TLS_HELLO_UNKNOWN;
    }
    if (!extensions.data) {
        return WR_TLS_HELLO_BARE;
    }
    while (extensions.size > 0) {
        struct hello_part body;
        size_t type;
        if (!hello_take_number(&extensions, 2, &type) ||
            !hello_take_vector(&extensions, 2, &body)) {
            return WR_TLS_HELLO_UNKNOWN;
        }
        if (type == HELLO_NAME &&
            (name.data || !hello_read_name(body, &name))) {
            return WR_TLS_HELLO_UNKNOWN;
        }
        has_ticket |= type == HELLO_TICKET && body.size > 0;
        wr_assert(!name.data || name.len > 0);
    }
    if (!has_ticket) {
        return WR_TLS_HELLO_PLAIN;
    }
    *ret = name;
    return WR_TLS_HELLO_TICKET;
}

bool wr_tls_hello_is_whole(const uint8_t *data, size_t size)
{
    struct hello_part from = {.data = data, .size = size};
    struct hello_part body;
    size_t type;

    wr_assert(data != NULL);
    return hello_take_number(&from, 1, &type) &&
           hello_take_vector(&from, 3, &body);
}

bool wr_tls_hello_has_extended_secret(const uint8_t *data, size_t size,
                                      bool is_client)
{
    struct hello_part from = {.data = data, .size = size};
    struct hello_part extensions;

    if (!hello_take_message(&from, is_client, &extensions)) {
        return false;
    }
    while (extensions.size > 0) {
        struct hello_part body;
        size_t type;
        if (!hello_take_number(&extensions, 2, &type) ||
            !hello_take_vector(&extensions, 2, &body)) {
            return false;
        }
        if (type == HELLO_EXTENDED_SECRET) {
            return body.size == 0;
        }
    }
    return false;
}
