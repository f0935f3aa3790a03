/*
 * The server's modes: echo, discard and chargen. Each is a protocol table. The
 * modes in serve_paced.c can delay responses and use the functions below. Every
 * mode uses a bounded amount of memory for a connection, whatever its peer
 * does.
 */
#ifndef WEIR_LOAD_MODES_H
#define WEIR_LOAD_MODES_H

#include "tools/weir-load/request/request.h"

#include "weir/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Computes when a response may be sent: service time, freezes, and a rate
 * limit.
 *
 * A freeze holds back all responses in the last part of each period, as if the
 * process were stopped. With a rate, all connections of the server share one
 * queue, in which each response takes 1/rate seconds. Responses are due in the
 * order of their requests.
 */

/* All zero means no delays. */
struct pace_options {
    /* Time from a request to its response. */
    uint64_t delay_ns;
    /* Length of the freeze at the end of each period. */
    uint64_t freeze_ns;
    /* Length of a period; 0 means no freezes. */
    uint64_t period_ns;
    /* Responses per second; 0 means no limit. */
    uint64_t rate;
};

struct pace {
    struct pace_options options;
    /* With a rate: when the previous response leaves the queue. */
    uint64_t free_ns;
    /* Fraction of a nanosecond to add to free_ns, in units of 1/rate. */
    uint64_t remainder;
};

void pace_init(struct pace *pace, const struct pace_options *options);

bool pace_is_needed(const struct pace_options *options);

/* Parses "500ms/2s", a freeze and its period. Returns 0 or -EINVAL. */
int pace_parse_freeze(const char *text, struct pace_options *options);

/* Returns when the response to a request received at @now_ns (CLOCK_MONOTONIC)
 * may be sent. @extra_ns is added to the service time. */
uint64_t pace_take(struct pace *pace, uint64_t now_ns, uint64_t extra_ns);

/* Received bytes from this size on are echoed by reference. For fewer bytes a
 * copy is cheaper. */
#define ECHO_REFERENCE_MIN 4096U

/* Echo stops reading above the first mark and continues below the second. A
 * lower first mark would pause reading within messages of 1 MiB: at 256 KiB
 * they take 1.37 times the CPU time. */
#define ECHO_HIGH_BYTES (1024 * 1024)
#define ECHO_LOW_BYTES  (256 * 1024)

struct mode_settings {
    struct pace_options pace;
    /* Mode rr: size of each request. */
    struct sizes request;
    /* Mode rr: size of each response. Mode http: sizes of bodies. */
    struct sizes answer;
};

/* State shared by the connections of a thread. */
struct mode_counts {
    const struct mode *mode;
    const struct mode_settings *settings;
    struct pace pace;
    /* Number of bodies so far, which is the index of the next random size. */
    uint64_t body_count;
    uint64_t opened;
    uint64_t open_now;
    uint64_t broken;
    uint64_t received_bytes;
    /* The counters of TLS handshakes are used only if this is set. */
    bool have_tls;
    uint64_t full_handshakes;
    uint64_t resumed_handshakes;
};

struct answer;
struct answers;

struct mode {
    const char *name;
    weir_factory_fn *create; /* its argument is a struct mode_counts */
    const struct weir_protocol *protocol;
    /* Writes a delayed response. Returns 0 or the error of a write. NULL in
     * modes_plain. */
    int (*write)(struct answers *answers, const struct answer *answer);
};

/* Modes without delays, and modes that can delay responses (serve_paced.c).
 * Both lists end with a mode without a name. */
extern const struct mode modes_plain[];
extern const struct mode modes_paced[];

static inline const struct mode *mode_find(const struct mode *modes,
                                           const char *name)
{
    while (modes->name && strcmp(modes->name, name) != 0) {
        modes++;
    }
    return modes->name ? modes : NULL;
}

void mode_count_opened(struct mode_counts *counts, const weir_transport *t);

/*
 * Returns 0 if a write failed because the connection broke or was closed, which
 * is reported elsewhere. Returns other errors, such as limits and memory, which
 * must end the connection.
 */
int mode_judge_write(int err);

/* Implement pause_writing and resume_writing of the mode echo, which does not
 * read while its responses wait. */
void mode_pause_echo(void *user, weir_transport *t);
void mode_resume_echo(void *user, weir_transport *t);

/* Returns the static text that chargen repeats: whole lines. */
const char *mode_chargen_text(size_t *ret_len);

#endif
