/*
 * Parses a ClientHello in its TLS records (RFC 8446, 5.1).
 *
 * Each call starts again at the first record, so that nothing is kept between
 * calls; the caller's limit bounds this work. Records before the message, empty
 * records, and bytes after the message in its last record are refused: no
 * client sends them.
 */
#include "lib/proxy/libweir.h"

#include <errno.h>
#include <string.h>
#include <weir/client_hello.h>
#include <weir/error.h>

enum {
    CLIENT_HELLO_HEADER = 5,       /* size of a record header */
    CLIENT_HELLO_BODY_MAX = 16384, /* maximum size of a record's body */
    CLIENT_HELLO_RECORD = 22,      /* record type: handshake */
    CLIENT_HELLO_MAJOR = 3,        /* of all versions since SSL 3.0 */
    CLIENT_HELLO_TYPE = 1,
    CLIENT_HELLO_HEAD = 4,       /* type and length of the message */
    CLIENT_HELLO_NAME_MAX = 253, /* maximum size of a host name (RFC 1035) */
    CLIENT_HELLO_LABEL_MAX = 63,
};

struct client_hello_walk {
    const uint8_t *data;
    size_t len;
    size_t limit_bytes;
    size_t scratch_size;
    size_t at;    /* offset of the next record */
    size_t have;  /* bytes of the message in earlier records */
    size_t total; /* bytes of the message, or 0 if not known */
    uint8_t head[CLIENT_HELLO_HEAD];
};

static int client_hello_read_header(const struct client_hello_walk *walk)
{
    const uint8_t *header = walk->data + walk->at;
    const size_t left = walk->len - walk->at;

    wr_assert(walk->at <= walk->len);
    if ((left > 0 && header[0] != CLIENT_HELLO_RECORD) ||
        (left > 1 && header[1] != CLIENT_HELLO_MAJOR)) {
        return -EPROTO;
    }
    if (walk->at + CLIENT_HELLO_HEADER >= walk->limit_bytes) {
        return -EMSGSIZE;
    }
    if (left < CLIENT_HELLO_HEADER) {
        return -EAGAIN;
    }
    const int size = header[3] << 8 | header[4];
    return size > 0 && size <= CLIENT_HELLO_BODY_MAX ? size : -EPROTO;
}

static int client_hello_read_head(struct client_hello_walk *walk,
                                  const uint8_t *body, size_t size)
{
    size_t have = walk->have;

    for (size_t i = 0; i < size && have < CLIENT_HELLO_HEAD; i++) {
        walk->head[have++] = body[i];
    }
    if (have > 0 && walk->head[0] != CLIENT_HELLO_TYPE) {
        return -EPROTO;
    }
    if (have == CLIENT_HELLO_HEAD && walk->total == 0) {
        walk->total =
            CLIENT_HELLO_HEAD + ((size_t)walk->head[1] << 16 |
                                 (size_t)walk->head[2] << 8 | walk->head[3]);
    }
    wr_assert(walk->total == 0 || walk->total >= CLIENT_HELLO_HEAD);
    return 0;
}

/* Returns 0, -EPROTO, -EMSGSIZE or -ENOBUFS. */
static int client_hello_check_record(const struct client_hello_walk *walk,
                                     size_t size)
{
    const size_t body = walk->at + CLIENT_HELLO_HEADER;

    if (walk->total > 0 && walk->have + size > walk->total) {
        return -EPROTO; /* something else follows in this record */
    }
    wr_assert(body <= walk->limit_bytes);
    const size_t least = walk->total > 0 ? walk->total - walk->have : size;
    if (least > walk->limit_bytes - body) {
        return -EMSGSIZE;
    }
    const bool is_split =
        walk->total > 0 && (walk->have > 0 || walk->total > size);
    return is_split && walk->total > walk->scratch_size ? -ENOBUFS : 0;
}

static int client_hello_walk_records(struct client_hello_walk *walk)
{
    while (walk->total == 0 || walk->have < walk->total) {
        const int size = client_hello_read_header(walk);
        if (size < 0) {
            return size;
        }
        const size_t body = walk->at + CLIENT_HELLO_HEADER;
        const size_t there = wr_min_u64((size_t)size, walk->len - body);
        int err = client_hello_read_head(walk, walk->data + body, there);
        if (err == 0) {
            err = client_hello_check_record(walk, (size_t)size);
        }
        if (err) {
            return err;
        }
        if (there < (size_t)size) {
            return -EAGAIN;
        }
        walk->at = body + there;
        walk->have += there;
    }
    wr_assert(walk->have == walk->total);
    wr_assert(walk->at <= walk->limit_bytes);
    return 0;
}

static void client_hello_gather(const struct client_hello_walk *walk,
                                uint8_t *ret)
{
    size_t used = 0;

    wr_assert(walk->total <= walk->scratch_size);
    for (size_t at = 0; at < walk->at;) {
        const uint8_t *header = walk->data + at;
        const size_t size = (size_t)header[3] << 8 | header[4];
        memcpy(ret + used, header + CLIENT_HELLO_HEADER, size);
        used += size;
        at += CLIENT_HELLO_HEADER + size;
    }
    wr_assert(used == walk->total);
}

static bool client_hello_is_name_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

/* Returns true for labels with single dots between them. */
static bool client_hello_is_name(const uint8_t *name, size_t len)
{
    size_t label = 0;

    wr_assert(name != NULL);
    if (len > CLIENT_HELLO_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (!client_hello_is_name_byte(name[i]) ||
                   ++label > CLIENT_HELLO_LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

/* An invalid host name becomes ->odd_name. A trailing dot is removed. */
static void client_hello_read_name(const struct wr_tls_hello *hello,
                                   struct weir_client_hello *ret)
{
    const struct wr_bytes name =
        hello->name.data ? hello->name : hello->odd_name;
    const bool is_rooted =
        hello->name.size > 1 && name.data[name.size - 1] == '.';
    const size_t len = name.size - is_rooted;

    wr_assert(!hello->name.data || !hello->odd_name.data);
    if (hello->name.data && client_hello_is_name(name.data, len)) {
        wr_assert(len < sizeof(ret->server_name));
        memcpy(ret->server_name, name.data, len);
    } else {
        ret->odd_name = name.data;
        ret->odd_name_len = name.size;
    }
}

static bool client_hello_read_protocols(struct wr_bytes body,
                                        struct weir_alpn_list *ret)
{
    struct wr_bytes names;
    struct weir_alpn_name name;

    if (!body.data) {
        return true;
    }
    if (!wr_bytes_take_vector(&body, 2, &names) || body.size > 0) {
        return false;
    }
    const struct weir_alpn_list list = {.data = names.data, .len = names.size};
    struct weir_alpn_list left = list;
    while (weir_client_hello_alpn_next(&left, &name)) {
        wr_assert(name.len > 0);
    }
    if (left.len > 0 || list.len == 0) {
        return false;
    }
    *ret = list;
    return true;
}

/* Returns false if the list of versions is malformed. */
static bool client_hello_read_version(const struct wr_tls_hello *hello,
                                      uint16_t *ret)
{
    struct wr_bytes body = hello->versions;
    struct wr_bytes list;
    uint16_t version;

    wr_assert(body.data || body.size == 0);
    *ret = hello->version;
    if (!body.data) {
        return true;
    }
    if (!wr_bytes_take_vector(&body, 1, &list) || body.size > 0 ||
        list.size == 0 || list.size % 2 > 0) {
        return false;
    }
    *ret = 0;
    while (wr_bytes_take_u16(&list, &version)) {
        if (version >> 8 == CLIENT_HELLO_MAJOR && version > *ret) {
            *ret = version;
        }
    }
    return true;
}

static int client_hello_read(const uint8_t *message, size_t size,
                             struct weir_client_hello *ret)
{
    struct wr_tls_hello hello;

    wr_assert(size >= CLIENT_HELLO_HEAD);
    if (!wr_tls_hello_read(message, size, true, &hello)) {
        return -EPROTO;
    }
    ret->is_malformed = hello.is_odd;
    if (!client_hello_read_protocols(hello.protocols, &ret->protocols)) {
        ret->is_malformed = true;
    }
    if (!client_hello_read_version(&hello, &ret->version)) {
        ret->is_malformed = true;
    }
    client_hello_read_name(&hello, ret);
    ret->has_ech = hello.has_ech;
    return 0;
}

static int
client_hello_read_options(const struct weir_client_hello_options *options,
                          size_t *ret_limit_bytes)
{
    struct weir_client_hello_options known;

    const int err = wr_options_read(&known, sizeof(known), options);
    if (err) {
        return err;
    }
    *ret_limit_bytes = known.limit_bytes > 0
                           ? known.limit_bytes
                           : CLIENT_HELLO_HEADER + CLIENT_HELLO_BODY_MAX;
    wr_require(*ret_limit_bytes >= CLIENT_HELLO_HEADER + CLIENT_HELLO_HEAD &&
                   *ret_limit_bytes <= INT32_MAX,
               -EINVAL);
    return 0;
}

int weir_client_hello_parse(const void *data, size_t len,
                            const struct weir_client_hello_options *options,
                            void *scratch, size_t scratch_size,
                            struct weir_client_hello *ret)
{
    struct client_hello_walk walk = {.data = data, .len = len};
    struct weir_client_hello hello = {.size = sizeof(hello)};

    wr_require(data || len == 0, -EINVAL);
    int err = wr_answer_check(ret);
    wr_require(err == 0, err);
    err = client_hello_read_options(options, &walk.limit_bytes);
    if (err) {
        return err;
    }
    if (len == 0) {
        return -EAGAIN;
    }
    walk.scratch_size = scratch ? scratch_size : 0;
    err = client_hello_walk_records(&walk);
    if (err) {
        return err;
    }
    wr_assert(walk.at <= len);
    const uint8_t *message = walk.data + CLIENT_HELLO_HEADER;
    if (walk.at > CLIENT_HELLO_HEADER + walk.total) {
        client_hello_gather(&walk, scratch);
        message = scratch;
    }
    err = client_hello_read(message, walk.total, &hello);
    if (err) {
        return err;
    }
    wr_answer_write(ret, &hello, sizeof(hello));
    return (int)walk.at;
}

bool weir_client_hello_alpn_next(struct weir_alpn_list *left,
                                 struct weir_alpn_name *ret)
{
    wr_require(left && ret, false);
    const uint8_t *data = left->data;
    if (left->len == 0 || data[0] == 0 || left->len - 1 < data[0]) {
        return false;
    }
    ret->data = (const char *)data + 1;
    ret->len = data[0];
    wr_assert(ret->len < left->len);
    left->data = data + 1 + ret->len;
    left->len -= 1 + ret->len;
    return true;
}

bool weir_client_hello_alpn_has(const struct weir_alpn_list *list,
                                const char *name)
{
    struct weir_alpn_name found;

    wr_require(list && name, false);
    struct weir_alpn_list left = *list;
    while (weir_client_hello_alpn_next(&left, &found)) {
        if (found.len == strlen(name) &&
            memcmp(found.data, name, found.len) == 0) {
            return true;
        }
    }
    return false;
}
