/*
 * What the server does with a connection: echo, discard or chargen.
 *
 * Each mode is a protocol table. serve_paced.h has those whose answers wait,
 * and shares what is below. All of them hold a bounded amount of memory for a
 * connection, whatever its peer does or leaves undone.
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
 * From so many bytes on a piece is echoed by reference: below, copying it is
 * cheaper than keeping account of who still needs it.
 */
#define ECHO_REFERENCE_MIN 4096U

/* Echo reads no more above the first and goes on at the second; messages of
 * 1 MiB need that much to flow (256 KiB: 1.37 of a bare loop's CPU). */
#define ECHO_HIGH_BYTES (1024 * 1024)
#define ECHO_LOW_BYTES  (256 * 1024)

/* What the command line says about a mode. */
struct mode_settings {
    struct pace_options pace;
    /* Mode rr: of requests, all of one size. */
    struct sizes request;
    /* Of answers in mode rr, all of one size, and of bodies in mode http. */
    struct sizes answer;
};

/* What connections of a server have in common. */
struct mode_counts {
    const struct mode_settings *settings;
    struct pace pace;
    /* Bodies until now: the place of the next one in the draw. */
    uint64_t body_count;
    uint64_t opened;
    uint64_t open_now;
    uint64_t broken;
    uint64_t received_bytes;
    /* Handshakes of TLS; looked for where there is any. */
    bool have_tls;
    uint64_t full_handshakes;
    uint64_t resumed_handshakes;
};

struct mode {
    const char *name;
    weir_factory_fn *create;
};

/* By name; NULL when there is none. The factories' argument is a struct
 * mode_counts. */
const struct mode *mode_find(const char *name);

/* Count a connection that was made. */
void mode_count_opened(struct mode_counts *counts, const weir_transport *t);

/*
 * What a failed write means for the one who wrote: a connection that broke or
 * was closed reports itself elsewhere and is no failure (0); what is left are
 * limits and memory, which end the connection.
 */
int mode_judge_write(int err);

/* pause_writing and resume_writing of echo: it reads nothing while its answers
 * wait. */
void mode_pause_echo(void *user, weir_transport *t);
void mode_resume_echo(void *user, weir_transport *t);

/* What chargen repeats: whole lines, alive for ever. */
const char *mode_chargen_text(size_t *ret_len);

#endif
