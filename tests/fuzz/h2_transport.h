/*
 * A transport that counts what is written, for the entries of HTTP/2: the
 * linker puts it in the place of the library's (--wrap).
 *
 * It pauses its writer as a real one does, and one that goes on writing then is
 * found by its size.
 */
#ifndef WEIR_TESTS_FUZZ_H2_TRANSPORT_H
#define WEIR_TESTS_FUZZ_H2_TRANSPORT_H

#include "weir/protocol.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake {
    const struct weir_protocol *protocol;
    void *user;
    bool is_closing;
    bool was_aborted;
    bool is_paused;
    /* In all, and since it was resumed last. */
    uint64_t written;
    uint64_t queued;
    /* Of the loop. */
    uint64_t now_ns;
    void (*due)(void *arg);
    void *due_arg;
};

extern struct fake fake;

/* A new connection of a protocol. */
weir_transport *fake_begin(const struct weir_protocol *protocol, void *user);
weir_transport *fake_transport(void);

/* All that was written is gone: the protocol goes on. */
void fake_take(void);

/* Bytes that are allocated above what there was when they were forgotten; 0
 * without AddressSanitizer. */
size_t fake_memory(void);
void fake_forget_memory(void);

#endif
