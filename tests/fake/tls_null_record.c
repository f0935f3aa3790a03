/*
 * Records of the backend without cryptography, and the steps behind its
 * handshakes; see tls_null.h.
 *
 * A record is read as the seam wants it: a header of 5 bytes, then its body. It
 * is opened in its place. Its memory is given back when nothing is in it. A
 * large record is sealed in a block of its own, which the account lets weir
 * claim.
 */
#include "tests/fake/tls_null_impl.h"

#include "uring/alloc.h"
#include "uring/check.h"

#include <errno.h>
#include <string.h>
#include <weir/error.h>

void null_use(struct null_own *own, struct null_keys *keys,
              const uint8_t *secret, size_t size)
{
    const struct wr_bytes from = {.data = secret, .size = size};
    const enum wr_x509_hash hash =
        size == 48 ? WR_X509_HASH_SHA384 : WR_X509_HASH_SHA256;

    wr_assert(own->suite != 0 && size <= NULL_SECRET);
    memmove(keys->secret, secret, size);
    keys->secret_size = size;
    keys->is_on = true;
    keys->number = 0;
    wr_null_expand(hash, from, "key", keys->key,
                   null_kind_of(own->suite) == WR_TLS_AEAD_AES_128_GCM ? 16
                                                                       : 32);
    wr_null_expand(hash, from, "iv", keys->iv, sizeof(keys->iv));
}

/* Describes the next record of these keys; @nonce: memory for it. */
static struct wr_tls_aead record_job(const struct null_own *own,
                                     struct null_keys *keys, uint8_t *header,
                                     uint8_t *body, size_t size,
                                     uint8_t nonce[WR_TLS_AEAD_NONCE])
{
    memcpy(nonce, keys->iv, WR_TLS_AEAD_NONCE);
    for (size_t i = 0; i < sizeof(keys->number); i++) {
        nonce[WR_TLS_AEAD_NONCE - 1 - i] ^= (uint8_t)(keys->number >> 8 * i);
    }
    keys->number++;
    return (struct wr_tls_aead){
        .kind = null_kind_of(own->suite),
        .key = keys->key,
        .nonce = nonce,
        .beside = {.data = header, .size = NULL_HEADER},
        .in = body,
        .out = body,
        .size = size,
        .tag = body + size,
    };
}

/* ---- out ---- */

static size_t record_write(struct wr_tls_conn *conn, uint8_t type,
                           const void *data, size_t len, uint8_t *record)
{
    struct null_own *own = null_own_of(conn);
    const bool hides = own->out.is_on && own->version == WR_TLS_VERSION_1_3;
    const size_t plain = len + hides;
    const size_t body = plain + (own->out.is_on ? WR_TLS_AEAD_TAG : 0);
    uint8_t nonce[WR_TLS_AEAD_NONCE];

    record[0] = hides ? NULL_DATA : type;
    record[1] = record[2] = 3;
    record[3] = (uint8_t)(body >> 8);
    record[4] = (uint8_t)body;
    memcpy(record + NULL_HEADER, data, len);
    record[NULL_HEADER + len] = type; /* covered by the tag, or by nothing */
    if (own->out.is_on) {
        const struct wr_tls_aead job = record_job(
            own, &own->out, record, record + NULL_HEADER, plain, nonce);
        wr_null_seal(&job);
    }
    return NULL_HEADER + body;
}

static bool record_send(struct wr_tls_conn *conn, uint8_t type,
                        const void *data, size_t len)
{
    struct null_account *account = (void *)conn->account;
    struct wr_blocks *blocks = conn->account->blocks;
    const size_t room =
        WR_TLS_OUTPUT_OFFSET + NULL_HEADER + len + 1 + WR_TLS_AEAD_TAG;

    wr_assert(!account->sealing);
    account->sealing = wr_block_take(blocks, room);
    if (!account->sealing) {
        conn->lacks_memory = true;
        return false;
    }
    uint8_t *record = account->sealing->data + WR_TLS_OUTPUT_OFFSET;
    const size_t size = record_write(conn, type, data, len, record);
    const bool is_put = conn->events->put(conn, record, size) == 0;
    if (account->claimed != account->sealing) {
        wr_block_give(blocks, account->sealing);
    }
    account->sealing = NULL;
    conn->lacks_memory |= !is_put;
    return is_put;
}

bool null_send(struct wr_tls_conn *conn, uint8_t type, const void *data,
               size_t len)
{
    const size_t most = tls_null_orders.record_bytes
                            ? tls_null_orders.record_bytes
                            : WR_TLS_RECORD_MAX;
    const uint8_t *at = data;

    while (len > 0) {
        const size_t count = len < most ? len : most;
        if (!record_send(conn, type, at, count)) {
            return false;
        }
        at += count;
        len -= count;
    }
    return true;
}

int null_fail(struct wr_tls_conn *conn, uint8_t alert, int code)
{
    const uint8_t body[] = {2, alert};
    struct null_own *own = null_own_of(conn);

    if (own->alert_sent < 0 && own->alert_received < 0 && !own->lacks &&
        !(conn->lacks_memory && own->is_open) &&
        null_send(conn, NULL_ALERT, body, sizeof(body))) {
        own->alert_sent = alert;
    }
    conn->code = conn->lacks_memory ? -ENOMEM : code;
    conn->number = alert;
    return WR_TLS_STEP_FAILED;
}

/* ---- in ---- */

/* Takes what lacks of @size bytes at @data: 0 or the result of a step. */
static int record_fill(struct wr_tls_conn *conn, uint8_t *data, size_t size,
                       size_t *fill)
{
    while (*fill < size) {
        const int count = conn->events->take(conn, data + *fill, size - *fill);
        if (count <= 0) {
            wr_assert(count != 0);
            null_own_of(conn)->lacks |= count == WR_TLS_TAKE_REFUSED;
            return count == WR_TLS_TAKE_WAITS
                       ? WR_TLS_STEP_WANTS
                       : null_fail(conn, NULL_INTERNAL, WEIR_ETLSPROTOCOL);
        }
        *fill += (size_t)count;
    }
    return 0;
}

/* Behind the keys of TLS 1.3 all is sealed, but changes in a handshake. */
static uint8_t record_judge_header(const struct null_own *own)
{
    const uint8_t type = own->header[0];
    const bool is_change = type == NULL_CHANGE && !own->is_open;

    if (own->body_size > NULL_BODY) {
        return NULL_OVERFLOW;
    }
    if (own->header[1] != 3 || type < NULL_CHANGE || type > NULL_DATA) {
        return own->is_open ? NULL_UNEXPECTED : NULL_VERSION;
    }
    if (own->body_size == 0 ||
        (own->in.is_on && own->version == WR_TLS_VERSION_1_3 &&
         type != NULL_DATA && !is_change)) {
        return NULL_UNEXPECTED;
    }
    return 0;
}

static int record_take_header(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);

    if (own->header_fill == NULL_HEADER) {
        return 0;
    }
    const int ret =
        record_fill(conn, own->header, NULL_HEADER, &own->header_fill);
    if (ret != 0) {
        return ret;
    }
    own->body_size = (size_t)own->header[3] << 8 | own->header[4];
    own->body_fill = 0;
    const uint8_t alert = record_judge_header(own);
    if (alert > 0) {
        return null_fail(conn, alert,
                         alert == NULL_VERSION ? WEIR_ETLSVERSION
                                               : WEIR_ETLSPROTOCOL);
    }
    if (!own->body) {
        own->body = wr_alloc(conn->account->allocator, NULL_BODY);
    }
    conn->lacks_memory |= !own->body;
    return own->body ? 0 : null_fail(conn, NULL_INTERNAL, -ENOMEM);
}

static int record_overflow(struct wr_tls_conn *conn)
{
    return null_fail(conn, NULL_OVERFLOW, WEIR_ETLSPROTOCOL);
}

/* Opens the record. Returns the type of its content, or a result. */
static int record_open(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);
    uint8_t nonce[WR_TLS_AEAD_NONCE];
    size_t size = own->body_size;

    own->header_fill = 0;
    own->plain_at = 0;
    own->plain_left = size;
    if (!own->in.is_on || (own->header[0] == NULL_CHANGE && !own->is_open)) {
        return own->header[0];
    }
    if (size <= WR_TLS_AEAD_TAG) {
        return null_fail(conn, NULL_BAD_RECORD, WEIR_ETLSRECORD);
    }
    size -= WR_TLS_AEAD_TAG;
    const struct wr_tls_aead job =
        record_job(own, &own->in, own->header, own->body, size, nonce);
    if (wr_null_open_sealed(&job) < 0) {
        return null_fail(conn, NULL_BAD_RECORD, WEIR_ETLSRECORD);
    }
    own->plain_left = size;
    if (own->version != WR_TLS_VERSION_1_3) {
        return size <= NULL_PLAIN ? own->header[0] : record_overflow(conn);
    }
    while (own->plain_left > 0 && own->body[own->plain_left - 1] == 0) {
        own->plain_left--; /* padding */
    }
    if (own->plain_left == 0) {
        return null_fail(conn, NULL_UNEXPECTED, WEIR_ETLSPROTOCOL);
    }
    own->plain_left--;
    return own->plain_left <= NULL_PLAIN ? own->body[own->plain_left]
                                         : record_overflow(conn);
}

/* An alert: 0 if it may be passed over, or a result. */
static int record_take_alert(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);
    const uint8_t *body = own->body + own->plain_at;

    if (own->plain_left != 2) {
        return null_fail(conn, NULL_MALFORMED, WEIR_ETLSPROTOCOL);
    }
    own->plain_left = 0;
    if (body[1] == NULL_CLOSE_NOTIFY) {
        own->has_ended = true;
        return WR_TLS_STEP_ENDED;
    }
    if (body[0] != 2) {
        return ++own->warnings <= NULL_WARNINGS
                   ? 0
                   : null_fail(conn, NULL_UNEXPECTED, WEIR_ETLSFLOOD);
    }
    own->alert_received = body[1];
    return null_fail(conn, body[1], WEIR_ETLSALERT);
}

int null_take_record(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);

    for (;;) {
        int ret = record_take_header(conn);
        if (ret == 0) {
            ret = record_fill(conn, own->body, own->body_size, &own->body_fill);
        }
        if (ret == 0) {
            ret = record_open(conn);
        }
        if (ret != NULL_ALERT) {
            own->warnings = ret > 0 ? 0 : own->warnings;
            return ret;
        }
        ret = record_take_alert(conn);
        if (ret < 0) {
            return ret;
        }
    }
}

/* ---- steps ---- */

int wr_null_read(struct wr_tls_conn *conn, void *buf, size_t size)
{
    struct null_own *own = null_own_of(conn);

    wr_assert(own->is_open && size > 0);
    while (own->plain_left == 0) {
        const int ret =
            own->has_ended ? WR_TLS_STEP_ENDED : null_take_record(conn);
        if (ret < 0) {
            return ret;
        }
        if (ret == NULL_HANDSHAKE) {
            const int err = null_take_messages(conn);
            if (err < 0) {
                return err;
            }
        } else if (ret != NULL_DATA) {
            return null_fail(conn, NULL_UNEXPECTED, WEIR_ETLSPROTOCOL);
        }
    }
    const size_t count = size < own->plain_left ? size : own->plain_left;
    memcpy(buf, own->body + own->plain_at, count);
    own->plain_at += count;
    own->plain_left -= count;
    return (int)count;
}

size_t wr_null_pending(const struct wr_tls_conn *conn)
{
    const struct null_own *own = null_own_of(conn);

    return own->is_open ? own->plain_left : 0;
}

int wr_null_write(struct wr_tls_conn *conn, const void *data, size_t len)
{
    wr_assert(null_own_of(conn)->is_open);
    wr_assert(len > 0 && len <= WR_TLS_RECORD_MAX);
    return null_send(conn, NULL_DATA, data, len)
               ? 0
               : null_fail(conn, NULL_INTERNAL, -ENOMEM);
}

int wr_null_shutdown(struct wr_tls_conn *conn)
{
    static const uint8_t body[] = {1, NULL_CLOSE_NOTIFY};

    return null_send(conn, NULL_ALERT, body, sizeof(body))
               ? 0
               : null_fail(conn, NULL_INTERNAL, -ENOMEM);
}

int wr_null_update_keys(struct wr_tls_conn *conn)
{
    if (null_own_of(conn)->version != WR_TLS_VERSION_1_3) {
        return -EOPNOTSUPP;
    }
    return null_send_update(conn, true)
               ? 0
               : null_fail(conn, NULL_INTERNAL, -ENOMEM);
}
