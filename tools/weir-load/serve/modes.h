/*
 * The server's modes for connections: echo, discard and chargen.
 *
 * Each mode is a protocol table. serve_paced.h has modes that delay responses,
 * and uses the functions below. Every mode uses a bounded amount of memory for
 * a connection, whatever its peer does.
 */
#ifndef WEIR_LOAD_MODES_H
#define WEIR_LOAD_MODES_H

#include "serve_pace.h"
#include "tools/weir-load/request/sizes.h"

#include "weir/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Pieces of at least this size are echoed by reference. Copying smaller pieces
 * is cheaper than a reference.
 */
#define ECHO_REFERENCE_MIN 4096U

/* Echo stops reading above the first mark, and continues below the second.
 * Messages of 1 MiB need this much to be sent without pauses (with 256 KiB:
 * 1.37 times the CPU of a bare loop). */
#define ECHO_HIGH_BYTES (1024 * 1024)
#define ECHO_LOW_BYTES  (256 * 1024)

/* Settings from the command line. */
struct mode_settings {
    struct pace_options pace;
    /* Mode rr: size of each request. */
    struct sizes request;
    /* Mode rr: size of each response. Mode http: sizes of bodies. */
    struct sizes answer;
};

/* State shared by the connections of a server. */
struct mode_counts {
    const struct mode_settings *settings;
    struct pace pace;
    /* Number of bodies so far, which is the index of the next random size. */
    uint64_t body_count;
    uint64_t opened;
    uint64_t open_now;
    uint64_t broken;
    uint64_t received_bytes;
    /* TLS handshakes are counted only if have_tls is true. */
    bool have_tls;
    uint64_t full_handshakes;
    uint64_t resumed_handshakes;
};

struct mode {
    const char *name;
    weir_factory_fn *create;
};

/* Returns a mode by name, or NULL. The factories' argument is a struct
 * mode_counts. */
const struct mode *mode_find(const char *name);

void mode_count_opened(struct mode_counts *counts, const weir_transport *t);

/*
 * Returns 0 if a write failed because the connection broke or was closed, which
 * is reported elsewhere. Returns other errors, such as limits and memory, which
 * must end the connection.
 */
int mode_judge_write(int err);

/* pause_writing and resume_writing of echo: it does not read while its
 * responses wait. */
void mode_pause_echo(void *user, weir_transport *t);
void mode_resume_echo(void *user, weir_transport *t);

/* Returns the text that chargen repeats: whole lines, static. */
const char *mode_chargen_text(size_t *ret_len);

#endif
