/*
 * The engine's parts, for each other: engine.c has its life and its steps,
 * engine_record.c the two callbacks through which wolfSSL moves bytes,
 * engine_error.c what wolfSSL's errors mean, engine_facts.c the getters.
 *
 * They call each other one way: engine.c the other three.
 */
#ifndef WEIR_LIB_TLS_ENGINE_IMPL_H
#define WEIR_LIB_TLS_ENGINE_IMPL_H

#include "engine.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/* ---- engine_record.c ---- */

/* wolfSSL's I/O callbacks; @arg is the engine. */
int wr_tls_engine_recv(WOLFSSL *ssl, char *buf, int size, void *arg);
int wr_tls_engine_send(WOLFSSL *ssl, char *buf, int size, void *arg);

/* Appends the record that was sent in its own buffer, if there is one. */
void wr_tls_engine_collect(struct wr_tls_engine *engine);

/* The handshake is done: what records are counted for changes. */
void wr_tls_engine_begin_data(struct wr_tls_engine *engine);

/* wolfSSL gave @size bytes of application data. */
void wr_tls_engine_count_data(struct wr_tls_engine *engine, size_t size);

/* Whether the header of the newest record is one of TLS. */
bool wr_tls_engine_has_tls_header(const struct wr_tls_engine *engine);

/* Gives back what is kept of the peer's first message. */
void wr_tls_engine_drop_hello(struct wr_tls_engine *engine);

/* Gives all output back. */
void wr_tls_engine_drop_output(struct wr_tls_engine *engine);

/* ---- engine_error.c ---- */

/* The code of wolfSSL's error number @number. */
int wr_tls_engine_code_of(int number);

/* A text that names the fatal alert @alert, which the peer sent. */
const char *wr_tls_engine_alert_text(int alert);

#endif
