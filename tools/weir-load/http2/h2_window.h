/*
 * Detects that an HTTP/2 server is blocked by our window, of a stream or of a
 * connection.
 *
 * A blocked server cuts its frame at the window's end. So a DATA frame that
 * ends exactly there, without END_STREAM, shows that the server is blocked
 * until the next frame. Earlier ends count, too, as a WINDOW_UPDATE may not
 * have reached the server in time. Fewer than three of them are ahead of the
 * received bytes, as the library raises a window when half of it is used.
 *
 * Uncut frames have 16 KiB or a smaller power of two, and would end at the end
 * of a window that is a multiple by chance. Such a window is made one byte
 * smaller.
 */
#ifndef WEIR_LOAD_H2_WINDOW_H
#define WEIR_LOAD_H2_WINDOW_H

#include "tools/weir-load/measure/h2_counts.h"

#include <stdbool.h>
#include <stdint.h>

#define H2_WINDOW_FRAME 16384U
#define H2_WINDOW_ENDS  3U

struct h2_window {
    /* Bytes of DATA frames so far. */
    uint64_t received;
    /* Ends of the window, as offsets in the received bytes: the current one
     * first, then earlier ones. */
    uint64_t ends[H2_WINDOW_ENDS];
    /* Time since which the server is blocked, or 0. */
    uint64_t stopped_ns;
};

/* Returns the window size to use for a requested size. */
static inline uint32_t h2_window_size(uint64_t bytes)
{
    return (uint32_t)(bytes - (bytes % H2_WINDOW_FRAME == 0));
}

static inline void h2_window_begin(struct h2_window *self, uint64_t bytes)
{
    *self = (struct h2_window){.ends = {bytes, bytes, bytes}};
}

static inline void h2_window_raise(struct h2_window *self, uint64_t bytes)
{
    if (self->received == 0) { /* the server could not use the old window yet */
        h2_window_begin(self, self->ends[0] + bytes);
        return;
    }
    self->ends[2] = self->ends[1];
    self->ends[1] = self->ends[0];
    self->ends[0] += bytes;
}

/* Handles a DATA frame. is_last is true for the last frame of a stream, which
 * was not cut. */
static inline void h2_window_receive(struct h2_window *self, uint64_t bytes,
                                     bool is_last, uint64_t now_ns)
{
    self->received += bytes;
    for (uint32_t i = 0; i < H2_WINDOW_ENDS && !is_last; i++) {
        if (self->received == self->ends[i]) {
            self->stopped_ns = now_ns;
        }
    }
}

/* Ends a stop: the server continues, or no more bytes are expected from it. */
static inline void h2_window_go_on(struct h2_window *self,
                                   struct h2_counts *counts, uint64_t now_ns)
{
    if (self->stopped_ns > 0) {
        counts->window_stops += now_ns > self->stopped_ns;
        counts->window_stopped_ns += now_ns - self->stopped_ns;
        self->stopped_ns = 0;
    }
}

#endif
