/*
 * Is a server of HTTP/2 stopped by a window of ours? One window of a stream or
 * of a connection.
 *
 * A server that may send no more cuts its frame where the window ends. So a
 * frame of DATA that ends just there, without the end of the answer, was sent
 * by one that has stopped; until the next frame comes it is stopped. What the
 * window was before the client has raised it counts, too, as that may not have
 * reached the server when it sent the frame: less than three of these are ahead
 * of what was received, as the library raises a window when half of it was.
 *
 * Frames are 16 KiB, or smaller powers of two, where nothing cuts them. A
 * window that is a multiple of that would end with such a frame by chance, and
 * is made one byte smaller.
 */
#ifndef WEIR_LOAD_H2_WINDOW_H
#define WEIR_LOAD_H2_WINDOW_H

#include "tools/weir-load/measure/h2_counts.h"

#include <stdbool.h>
#include <stdint.h>

#define H2_WINDOW_FRAME 16384U
#define H2_WINDOW_ENDS  3U

struct h2_window {
    /* Bytes of frames of DATA until now. */
    uint64_t received;
    /* Where the window ends, and has ended before; the newest is first. */
    uint64_t ends[H2_WINDOW_ENDS];
    /* Since when the server is stopped; 0: it is not. */
    uint64_t stopped_ns;
};

/* The window that is asked for in place of another one. */
static inline uint32_t h2_window_size(uint64_t bytes)
{
    return (uint32_t)(bytes - (bytes % H2_WINDOW_FRAME == 0));
}

static inline void h2_window_begin(struct h2_window *self, uint64_t bytes)
{
    *self = (struct h2_window){.ends = {bytes, bytes, bytes}};
}

/* The client lets the server send so many bytes more. */
static inline void h2_window_raise(struct h2_window *self, uint64_t bytes)
{
    if (self->received == 0) { /* before the server could use it */
        h2_window_begin(self, self->ends[0] + bytes);
        return;
    }
    self->ends[2] = self->ends[1];
    self->ends[1] = self->ends[0];
    self->ends[0] += bytes;
}

/* A frame has come. The last one of its stream was not cut. */
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

/* The server goes on, or nothing more is expected of it. */
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
