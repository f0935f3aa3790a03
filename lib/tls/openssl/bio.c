/*
 * The BIO of a connection: OpenSSL reads and writes through weir's events.
 *
 * libssl reads a record's 5-byte header, then exactly its body, because reading
 * ahead is disabled. So weir sees where records begin. The BIO stores in the
 * connection whether a failed call only needed more bytes.
 *
 * The BIO never reports the transport's end of stream, which the engine
 * handles.
 */
#include "openssl.h"

#include "uring/check.h"

#include <weir/error.h>

#include <openssl/bio.h>

#include <string.h>

static BIO_METHOD *bio_method;

/* Inspects the first bytes of the connection, and keeps them because libssl
 * does not report an alert at this position. Changes the first byte of an SSL 2
 * hello to an unknown record type, which libssl refuses. Such a hello has no
 * record, and its length is at another offset, so libssl would read past a
 * record's end. (If the byte became the type of a handshake, libssl would read
 * a hello that weir has not read.) */
static void bio_look(struct wr_openssl_own *own, uint8_t *data, size_t size)
{
    const size_t count = wr_min_u64(size, sizeof(own->first) - own->first_len);

    if (WR_LIKELY(count == 0)) {
        return;
    }
    wr_assert(own->first_len < sizeof(own->first));
    if (own->first_len == 0 && data[0] >= 0x80) {
        data[0] = 0x7f;
    }
    memcpy(own->first + own->first_len, data, count);
    own->first_len = (uint8_t)(own->first_len + count);
}

static int bio_read(BIO *bio, char *buf, size_t size, size_t *ret)
{
    struct wr_tls_conn *conn = BIO_get_data(bio);

    wr_assert(conn->ssl && size > 0);
    const int count = conn->events->take(conn, (uint8_t *)buf, size);
    BIO_clear_retry_flags(bio);
    if (count > 0) {
        wr_assert((size_t)count <= size);
        bio_look(wr_openssl_own_of(conn), (uint8_t *)buf, (size_t)count);
        *ret = (size_t)count;
        return 1;
    }
    if (count == WR_TLS_TAKE_WAITS) {
        wr_openssl_own_of(conn)->wants_bytes = true;
        BIO_set_retry_read(bio);
    }
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *ret)
{
    struct wr_tls_conn *conn = BIO_get_data(bio);

    wr_assert(data && size > 0);
    BIO_clear_retry_flags(bio);
    /* put() may change the data, which is in libssl's buffer. */
    if (conn->events->put(conn, (uint8_t *)(uintptr_t)data, size) < 0) {
        conn->lacks_memory = true;
        return 0;
    }
    *ret = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* the BIO has no buffer */
}

int wr_openssl_start_bio(void)
{
    wr_assert(!bio_method);
    const int type = BIO_get_new_index();
    bio_method =
        type > 0 ? BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "weir") : NULL;
    return bio_method && BIO_meth_set_read_ex(bio_method, bio_read) == 1 &&
                   BIO_meth_set_write_ex(bio_method, bio_write) == 1 &&
                   BIO_meth_set_ctrl(bio_method, bio_control) == 1
               ? 0
               : WEIR_ETLSENGINE;
}

BIO *wr_openssl_new_bio(struct wr_tls_conn *conn)
{
    BIO *bio = BIO_new(bio_method);

    wr_assert(bio_method);
    if (bio) {
        BIO_set_data(bio, conn);
        BIO_set_init(bio, 1);
    }
    return bio;
}
