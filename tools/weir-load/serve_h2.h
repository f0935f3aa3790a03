/*
 * The server's HTTP/2, on libnghttp2: a connection of mode http whose first
 * bytes are the preface, by prior knowledge or after ALPN.
 *
 * A request is what it is with HTTP/1.1 (serve_http.h). Answers leave when they
 * are due, in any order; close=1 is a GOAWAY.
 */
#ifndef WEIR_LOAD_SERVE_H2_H
#define WEIR_LOAD_SERVE_H2_H

#include "serve_answers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serve_h2;

/* What ALPN offers. */
const char *serve_h2_protocols(void);

/* Is this, without its line feed, the first line of the preface? Never where
 * there is no HTTP/2 in this program. */
bool serve_h2_is_preface(const char *line, size_t len);

/* Begin behind that line; answers is the connection's. NULL: there is no
 * memory. */
struct serve_h2 *serve_h2_begin(struct answers *answers);

/* Read all of it: 0, or a negative error, and the connection is lost. */
int serve_h2_read(struct serve_h2 *self, const uint8_t *data, size_t len);

/* Write one of answers. */
int serve_h2_write(struct serve_h2 *self, const struct answer *answer);

/* Write what the client's windows and the transport allow. 0 or an error. */
int serve_h2_flush(struct serve_h2 *self);

/* Free it; or NULL. */
void serve_h2_end(struct serve_h2 *self);

#endif
