/*
 * Transports: replacing another transport.
 *
 * TLS is a transport on a transport. To the program the upper transport is the
 * connection: the loop ends it, the server counts it, and it resumes a protocol
 * that the lower transport had paused. The lower transport keeps its descriptor
 * and its bytes, and gets the marks of a new transport.
 */
#include "transport.h"

#include <weir/error.h>

/* No thread may call the program's functions of a replaced transport. */
static const void *const volatile place_nobody;

int wr_transport_enter_slowly(const weir_transport *t)
{
    const int err = wr_loop_check(t->loop);

    wr_assert((t->owner == &place_nobody) == t->is_below);
    return err == 0 && t->is_below ? WEIR_EREPLACED : err;
}

/* Moves a pause of writing, or a wait for an empty queue, from @below to @t. */
static void place_move_waits(weir_transport *t, weir_transport *below)
{
    wr_assert(!t->writing_paused && !t->flushed);
    t->writing_paused = below->writing_paused;
    t->flushed = below->flushed;
    t->flushed_arg = below->flushed_arg;
    t->notify_depth = below->notify_depth;
    below->writing_paused = false;
    below->flushed = NULL;
    below->notify_depth = -1;
}

void wr_transport_take_place(weir_transport *t, weir_transport *below)
{
    wr_assert(!below->is_below && wr_list_is_linked(&below->member.link));
    wr_assert(!t->set && !t->handler);
    wr_loop_add_member(t->loop, &t->member);
    wr_loop_remove_member(t->loop, &below->member);
    below->is_below = true;
    below->owner = &place_nobody;
    t->handler = below->handler;
    t->is_busy = below->is_busy;
    below->handler = NULL;
    if (below->set) {
        t->set = below->set;
        wr_list_push_back(&below->set_link, &t->set_link); /* same place */
        wr_list_remove(&below->set_link);
        below->set = NULL;
    }
    wr_transport_set_marks(t, below->high_bytes, below->low_bytes);
    wr_transport_set_marks(below, WR_HIGH_DEFAULT, WR_LOW_DEFAULT);
    place_move_waits(t, below);
}
