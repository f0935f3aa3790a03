/*
 * Streams: a reader and a writer on one connection of any kind.
 *
 * The memory of all streams of a loop, made when the first one is.
 */
#include "loop.h"

struct wr_streams {
    struct wr_slab slab;
};

void wr_streams_close(weir_loop *loop)
{
    if (loop->stream_memory) {
        wr_slab_fini(&loop->stream_memory->slab);
        wr_free(&loop->counting, loop->stream_memory,
                sizeof(*loop->stream_memory));
        loop->stream_memory = NULL;
    }
}
