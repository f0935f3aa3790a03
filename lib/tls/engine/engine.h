/*
 * The TLS engine of one connection: ciphertext in, plaintext out, and back.
 *
 * It does no I/O, knows no clock and no loop. wolfSSL does the work, behind two
 * callbacks that move bytes between memory and memory. The user feeds what the
 * transport received, calls handshake() until it is done, then read() and
 * write(), and after each of these calls takes the output and sends it, an
 * error's alert included.
 *
 *     HANDSHAKE -> OPEN -> SENT_CLOSE ----> CLOSED
 *         |         |  \-> RECEIVED_CLOSE ---^
 *         v         v      (any of them)
 *       FAILED <----+-------------------> FAILED
 *
 * The first error is kept for good (wr_tls_engine_get_error()) and is what each
 * later call returns. The end of the transport without the peer's close_notify
 * is WEIR_ETLSTRUNCATED, which the filter above makes an end of stream where
 * ignore_unexpected_eof says so.
 *
 * wolfSSL needs some 50 KiB of stack in a handshake: the calls here are made on
 * the loop's stack, never on a task's.
 */
#ifndef WEIR_LIB_TLS_ENGINE_ENGINE_H
#define WEIR_LIB_TLS_ENGINE_ENGINE_H

#include "lib/tls/context/context.h"
#include "lib/tls/context/memory.h"
#include "lib/tls/context/verdict.h"
#include "uring/block.h"

#include <weir/base.h>

#include <sys/types.h>

/* Plaintext bytes of one record that is sent, at most. The record, its buffer's
 * header and what wolfSSL adds to it fit a block of 16 KiB. */
#define WR_TLS_RECORD_MAX ((16u << 10) - 128u)

enum wr_tls_engine_state {
    WR_TLS_ENGINE_HANDSHAKE,
    WR_TLS_ENGINE_OPEN,
    WR_TLS_ENGINE_SENT_CLOSE,     /* reads go on */
    WR_TLS_ENGINE_RECEIVED_CLOSE, /* writes go on */
    WR_TLS_ENGINE_CLOSED,         /* close_notify both ways */
    WR_TLS_ENGINE_FAILED,
};

struct wr_tls_engine {
    struct wr_tls_verdict verdict; /* first: see wr_tls_context_open() */
    struct WOLFSSL *ssl;
    weir_tls_context *context; /* a reference */
    struct wr_tls_memory *memory;
    enum wr_tls_engine_state state;
    int err;                /* the first error, sticky */
    int number;             /* wolfSSL's, that became err; 0: none */
    int16_t alert_received; /* the last fatal one, or -1 */
    int16_t alert_sent;
    const uint8_t *input; /* fed and not taken yet; the caller's */
    size_t input_left;
    struct wr_block *output_first;
    struct wr_block *output_last;
    size_t output_bytes;
    uint32_t claimed_size; /* of the record that leaves in its own buffer */
    uint32_t record_left;  /* bytes to come of the record that arrives */
    uint32_t idle_records; /* without application data; see engine_record.c */
    uint32_t plain_bytes;  /* not yet set off against idle records */
    uint8_t header[5];     /* of the record that arrives */
    uint8_t header_fill;
    /* The peer's first message, where it does not come at once; see
     * engine_hello.c. */
    struct wr_block *hello;
    uint32_t hello_size;  /* bytes of it, in whole records */
    uint32_t hello_given; /* bytes of the block that wolfSSL has */
    /* Server: while data may follow a hello; see engine_early.c. */
    struct wr_block *early;
    bool is_server : 1;
    bool can_export : 1;
    bool ignores_eof : 1; /* see the options; cleared at an end that is a cut */
    bool input_ended : 1; /* set by wr_tls_engine_feed_eof() */
    bool was_open : 1;    /* the handshake was done */
    bool has_session : 1; /* client: a ticket arrived */
    bool no_memory : 1;   /* the output could not grow */
    bool is_counted : 1;  /* the newest record is among idle_records */
    bool flooded : 1;     /* there were too many idle records */
    bool oversized : 1;   /* a record said that it is too long */
    bool awaits_hello : 1;        /* the peer's first message is to be read */
    bool keeps_arrays : 1;        /* client: see wr_tls_engine_begin_data() */
    bool owes_change : 1;         /* see engine_record_send_first() */
    bool offers_early : 1;        /* server: the hello that was read does */
    bool has_extended_secret : 1; /* it was in there (RFC 7627) */
};

/* Makes the engine of a connection of @context, and takes a reference to it.
 * wolfSSL's memory is charged to @memory, from whose blocks the output is made.
 * 0, -ENOMEM, -EINVAL (a name that can be none) or what the context says; on an
 * error there is nothing to fini. */
WEIR_MUST_USE int wr_tls_engine_init(struct wr_tls_engine *engine,
                                     weir_tls_context *context,
                                     const struct wr_tls_peer_options *options,
                                     struct wr_tls_memory *memory);

/* Frees everything, output that was not taken included. */
void wr_tls_engine_fini(struct wr_tls_engine *engine);

void wr_tls_engine_check_invariants(const struct wr_tls_engine *engine);

/* ---- ciphertext in ---- */

/* Gives the engine @len received bytes, borrowed until they are taken: wolfSSL
 * copies the record at which it works, during handshake() and read(). All that
 * was fed before must have been taken. After one of these two returned -EAGAIN,
 * 0 (read) or a sticky error, nothing is left. */
void wr_tls_engine_feed(struct wr_tls_engine *engine, const uint8_t *data,
                        size_t len);

/* How many of the bytes fed last are not taken yet: the last ones. The caller
 * keeps them (under a lease) and may hand the same bytes, at another address,
 * to wr_tls_engine_refeed(). */
size_t wr_tls_engine_get_input_left(const struct wr_tls_engine *engine);

/* The input that is left lies at @data now. */
void wr_tls_engine_refeed(struct wr_tls_engine *engine, const uint8_t *data,
                          size_t len);

/* Nothing more is read: forgets the input that is left. */
void wr_tls_engine_drop_input(struct wr_tls_engine *engine);

/* The transport's end of stream. Once the input is used up, handshake() and
 * read() return WEIR_ETLSTRUNCATED unless the close_notify was seen, or need
 * not be. */
void wr_tls_engine_feed_eof(struct wr_tls_engine *engine);

/* ---- steps ---- */

/* 0: done, the state is OPEN; -EAGAIN: wants input; else the sticky error. */
WEIR_MUST_USE int wr_tls_engine_handshake(struct wr_tls_engine *engine);

/* > 0: bytes of plaintext, of one record at most; 0: the peer's close_notify,
 * again and again; -EAGAIN: wants input; else the sticky error. @size may be
 * anything but 0; what did not fit comes with the next call, before any new
 * record. */
WEIR_MUST_USE ssize_t wr_tls_engine_read(struct wr_tls_engine *engine,
                                         void *buf, size_t size);

/* Bytes of plaintext that the next read has without input. */
size_t wr_tls_engine_get_plaintext_left(const struct wr_tls_engine *engine);

/* Seals @len bytes, 1 to WR_TLS_RECORD_MAX, as one record into the output. 0,
 * -ESHUTDOWN after wr_tls_engine_close(), -ENOTCONN before the handshake is
 * done, or the sticky error, -ENOMEM among them. */
WEIR_MUST_USE int wr_tls_engine_write(struct wr_tls_engine *engine,
                                      const void *data, size_t len);

/* Seals a close_notify into the output, once: a second call is 0 and does
 * nothing. Reads go on. -ENOTCONN before the handshake is done. */
WEIR_MUST_USE int wr_tls_engine_close(struct wr_tls_engine *engine);

/* TLS 1.3: new sending keys, and asks the peer for the same; -EOPNOTSUPP under
 * TLS 1.2; -ENOTCONN, -ESHUTDOWN or the sticky error. */
WEIR_MUST_USE int wr_tls_engine_update_keys(struct wr_tls_engine *engine);

/* ---- ciphertext out ---- */

/* All the output, given: a chain by ->next of the blocks that the engine got
 * from wr_blocks; NULL: none. The ciphertext in each is @used bytes at
 * wr_tls_engine_output_of(). */
struct wr_block *wr_tls_engine_take_output(struct wr_tls_engine *engine);

static inline const uint8_t *
wr_tls_engine_output_of(const struct wr_block *block)
{
    return block->data + WR_TLS_MEMORY_RECORD_OFFSET;
}

size_t wr_tls_engine_get_output_bytes(const struct wr_tls_engine *engine);

/* Bytes of ciphertext that @len bytes of plaintext become at most, written in
 * records of WR_TLS_RECORD_MAX. */
size_t wr_tls_engine_sealed_size(size_t len);

/* ---- facts ---- */

/* The first error, 0 if there is none; and a text with details, never NULL,
 * that lives as long as the engine. */
int wr_tls_engine_get_error(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_error_text(const struct wr_tls_engine *engine);

/* The number of the fatal alert that was received, or sent; -1: none. */
int wr_tls_engine_get_alert_received(const struct wr_tls_engine *engine);
int wr_tls_engine_get_alert_sent(const struct wr_tls_engine *engine);

/* The context whose certificate a server shows: the one that its program chose
 * in the handshake, else the one that the engine was made with. */
weir_tls_context *wr_tls_engine_get_context(const struct wr_tls_engine *engine);

/* After the handshake; strings live as long as the engine, NULL: there is none.
 * Version: "TLSv1.2", "TLSv1.3". Cipher: its IANA name. */
const char *wr_tls_engine_get_version(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_cipher(const struct wr_tls_engine *engine);
int wr_tls_engine_get_cipher_bits(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_alpn(const struct wr_tls_engine *engine,
                                   size_t *ret_len);
/* Server: the name that the client asked for. */
const char *wr_tls_engine_get_sni(const struct wr_tls_engine *engine);
bool wr_tls_engine_was_resumed(const struct wr_tls_engine *engine);
/* Number @index of the certificates that the peer sent, the leaf is 0, as DER;
 * NULL: none, or not kept. */
const uint8_t *
wr_tls_engine_get_peer_certificate(const struct wr_tls_engine *engine,
                                   uint32_t index, size_t *ret_size);

/* Keying material of RFC 5705 and RFC 8446, 7.5. @context may be NULL: none. 0,
 * -ENOTCONN before the handshake is done, -EOPNOTSUPP without can_export,
 * -EINVAL for arguments that can be none, a reserved label among them, or
 * -ENOMEM. */
WEIR_MUST_USE int wr_tls_engine_export(struct wr_tls_engine *engine,
                                       const char *label, const void *context,
                                       size_t context_len, void *out,
                                       size_t out_len);

/* Client: a session that a later connection may resume, given; free it by
 * wolfSSL_SESSION_free() without an account (memory.h), on any thread. 0,
 * -EAGAIN while the server has sent none (TLS 1.3 sends it after the handshake,
 * with the first data), -EOPNOTSUPP for a server, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_engine_get_session(struct wr_tls_engine *engine,
                                            struct WOLFSSL_SESSION **ret);

#endif
