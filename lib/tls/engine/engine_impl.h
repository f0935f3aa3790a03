/*
 * The engine's parts, for each other: engine.c has its life and its steps,
 * engine_record.c the two callbacks through which wolfSSL moves bytes,
 * engine_hello.c the look at the peer's first message, engine_early.c what a
 * client sends behind it, engine_facts.c the getters.
 *
 * They call each other one way: engine.c the others, engine_record.c the two
 * that look, engine_early.c engine_hello.c, whose block it has.
 */
#ifndef WEIR_LIB_TLS_ENGINE_ENGINE_IMPL_H
#define WEIR_LIB_TLS_ENGINE_ENGINE_IMPL_H

#include "engine.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/* The body of a record, as TLS 1.3 has it (RFC 8446, 5.2). TLS 1.2 allows more,
 * for suites that weir does not have, and wolfSSL as much for both. */
#define WR_TLS_ENGINE_BODY_MAX ((1u << 14) + 256u)

/* The size of a record's body by the header at @header. */
static inline size_t wr_tls_engine_body_size(const uint8_t *header)
{
    return (size_t)header[3] << 8 | header[4];
}

/* ---- engine_record.c ---- */

/* wolfSSL's I/O callbacks; @arg is the engine. */
int wr_tls_engine_recv(WOLFSSL *ssl, char *buf, int size, void *arg);
int wr_tls_engine_send(WOLFSSL *ssl, char *buf, int size, void *arg);

/* Appends the record that was sent in its own buffer, if there is one. */
void wr_tls_engine_collect(struct wr_tls_engine *engine);

/* The handshake is done: what records are counted for changes, and a client
 * keeps what tickets need until data comes. */
void wr_tls_engine_begin_data(struct wr_tls_engine *engine);

/* wolfSSL gave @size bytes of application data. */
void wr_tls_engine_count_data(struct wr_tls_engine *engine, size_t size);

/* Whether the header of the newest record is one of TLS. */
bool wr_tls_engine_has_tls_header(const struct wr_tls_engine *engine);

/* Gives all output back. */
void wr_tls_engine_drop_output(struct wr_tls_engine *engine);

/* ---- engine_hello.c ---- */

enum wr_tls_engine_first {
    WR_TLS_ENGINE_FIRST_WAITS,   /* wants input */
    WR_TLS_ENGINE_FIRST_PASSES,  /* wolfSSL may have the next record */
    WR_TLS_ENGINE_FIRST_BARE,    /* it may; but a client's has no extensions */
    WR_TLS_ENGINE_FIRST_LONG,    /* it may, and refuses it without an alert */
    WR_TLS_ENGINE_FIRST_FAILED,  /* for lack of memory */
    WR_TLS_ENGINE_FIRST_SKIPPED, /* wolfSSL has not seen it: the next one */
};

/* Looks at a record that begins while the first message is awaited. It is not
 * awaited any more once it was read, or cannot be; what lies in @hello then is
 * wolfSSL's before any input. */
enum wr_tls_engine_first wr_tls_engine_take_hello(struct wr_tls_engine *engine);

/* Gives back what was collected of the first message. */
void wr_tls_engine_drop_hello(struct wr_tls_engine *engine);

/* Takes input into the block of the first message until the record that comes
 * has @want bytes there; it has @fill. False: without memory. */
bool wr_tls_engine_fill_hello(struct wr_tls_engine *engine, size_t fill,
                              size_t want);

/* ---- engine_early.c ---- */

/* Early data may follow the client's hello, which wolfSSL has not read yet.
 * False: without memory. */
bool wr_tls_engine_expect_early(struct wr_tls_engine *engine);

/* Skips early data where a record begins. That is done once wolfSSL may have
 * one that is none, or all there may be was skipped. */
enum wr_tls_engine_first wr_tls_engine_skip_early(struct wr_tls_engine *engine);

/* No early data is awaited, if it was. */
void wr_tls_engine_drop_early(struct wr_tls_engine *engine);

#endif
