/*
 * A connection that waits for its request is in a list whose nodes are on the
 * tasks' stacks. If it is closed in favour of a younger one, it is removed from
 * the list at once, because its task may run later.
 */
#include "askers.h"

#include "weir/task.h"

#define IDLE_MAX 32

struct idle {
    struct link link;    /* must be the first field */
    weir_writer *writer; /* NULL if it was closed and removed from the list */
};

static void leave(struct askers *askers, struct idle *idle)
{
    if (!idle->writer) {
        return;
    }
    list_remove(&askers->idle, &idle->link);
    idle->writer = NULL;
    askers->idle_count--;
}

static void enter(struct askers *askers, struct idle *idle)
{
    list_add(&askers->idle, &idle->link);
    askers->idle_count++;
    if (askers->idle_count > IDLE_MAX) {
        struct idle *oldest = (struct idle *)(void *)askers->idle.oldest;
        weir_writer_abort(oldest->writer);
        leave(askers, oldest);
    }
}

ssize_t askers_read(struct askers *askers, weir_reader *reader,
                    weir_writer *writer, const struct weir_separator *end,
                    char *ret, size_t size)
{
    weir_loop *loop =
        weir_transport_get_loop(weir_writer_get_transport(writer));
    struct idle idle = {.writer = writer};
    struct weir_timeout limit;

    enter(askers, &idle);
    weir_timeout_begin(loop, &limit, REQUEST_NS);
    const ssize_t len = weir_timeout_end(
        &limit, weir_reader_readuntil(reader, end, 1, ret, size));
    leave(askers, &idle);
    return len;
}
