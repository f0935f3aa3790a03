/*
 * The pending requests of an HTTP/2 connection: three lists through one
 * array, with indices instead of pointers. Operations on one slot take
 * constant time.
 */
#include "h2_session.h"

#include <assert.h>
#include <stdlib.h>

static void unlink_from(struct h2_streams *self, struct h2_stream *stream)
{
    struct h2_list *list = &self->lists[stream->state];

    if (stream->previous == H2_NONE) {
        list->first = stream->next;
    } else {
        self->all[stream->previous].next = stream->next;
    }
    if (stream->next == H2_NONE) {
        list->last = stream->previous;
    } else {
        self->all[stream->next].previous = stream->previous;
    }
    list->count--;
}

static void link_into(struct h2_streams *self, struct h2_stream *stream,
                      bool at_head)
{
    struct h2_list *list = &self->lists[stream->state];
    const uint32_t index = (uint32_t)(stream - self->all);

    stream->previous = at_head ? H2_NONE : list->last;
    stream->next = at_head ? list->first : H2_NONE;
    if (stream->previous != H2_NONE) {
        self->all[stream->previous].next = index;
    } else {
        list->first = index;
    }
    if (stream->next != H2_NONE) {
        self->all[stream->next].previous = index;
    } else {
        list->last = index;
    }
    list->count++;
}

void h2_streams_init(struct h2_streams *self, struct h2_stream *places,
                     uint32_t depth)
{
    self->all = places;
    self->depth = depth;
    for (size_t i = 0; i < 3; i++) {
        self->lists[i] = (struct h2_list){.first = H2_NONE, .last = H2_NONE};
    }
    for (uint32_t i = 0; i < depth; i++) {
        self->all[i].state = H2_FREE;
        link_into(self, &self->all[i], false);
    }
}

void h2_streams_move(struct h2_streams *self, struct h2_stream *stream,
                     enum h2_stream_state state, bool at_head)
{
    assert(stream->state != state);
    unlink_from(self, stream);
    stream->state = state;
    link_into(self, stream, at_head);
}

struct h2_stream *h2_streams_first(struct h2_streams *self,
                                   enum h2_stream_state state)
{
    const uint32_t index = self->lists[state].first;

    return index == H2_NONE ? NULL : &self->all[index];
}

struct h2_stream *h2_streams_next(struct h2_streams *self,
                                  const struct h2_stream *stream)
{
    return stream->next == H2_NONE ? NULL : &self->all[stream->next];
}

void h2_streams_drop(struct h2_streams *self)
{
    for (uint32_t i = 0; i < self->depth; i++) {
        free(self->all[i].own_body);
        wanted_drop(&self->all[i].reader);
    }
}
