/*
 * The memory of streams: one slab per loop, made with its first stream. A new
 * stream has no reference and no connection. It is freed when it has had one of
 * them and has neither any more.
 */
#include "uring/slab.h"
#include "writer.h"

struct wr_streams {
    struct wr_module module;
    weir_loop *loop;
    struct wr_slab slab;
};

static void stream_memory_close(struct wr_module *module)
{
    struct wr_streams *memory =
        wr_container_of(module, struct wr_streams, module);
    weir_loop *loop = memory->loop;

    wr_slab_fini(&memory->slab);
    wr_free(&loop->counting, memory, sizeof(*memory));
}

static uint64_t stream_memory_trim(struct wr_module *module)
{
    return wr_slab_trim(
        &wr_container_of(module, struct wr_streams, module)->slab);
}

static const struct wr_module_ops stream_memory_module_ops = {
    .trim = stream_memory_trim, .close = stream_memory_close};

static struct wr_streams *stream_memory_find(const weir_loop *loop)
{
    struct wr_module *module =
        wr_loop_find_module(loop, &stream_memory_module_ops);

    return module ? wr_container_of(module, struct wr_streams, module) : NULL;
}

int wr_stream_make(weir_loop *loop, const struct weir_stream_options *options,
                   const struct wr_handler_ops *handler_ops, weir_writer **ret)
{
    const uint64_t limit_bytes =
        options->limit_bytes > 0 ? options->limit_bytes : WEIR_STREAM_LIMIT;
    struct wr_streams *memory = stream_memory_find(loop);

    if (!memory && (memory = wr_alloc(&loop->counting, sizeof(*memory)))) {
        wr_slab_init(&memory->slab, &loop->counting, sizeof(weir_writer));
        memory->loop = loop;
        wr_loop_add_module(loop, &memory->module, &stream_memory_module_ops);
    }
    weir_writer *writer = memory ? wr_slab_take(&memory->slab) : NULL;
    if (!writer) {
        return -ENOMEM;
    }
    wr_assert(writer->state == WRITER_UNBOUND);
    writer->loop = loop;
    writer->client_connected = options->client_connected;
    writer->arg = options->arg;
    writer->no_task = options->no_task;
    writer->stack_size_bytes = options->stack_size_bytes;
    wr_list_init(&writer->handler.link);
    writer->handler.ops = handler_ops;
    wr_list_init(&writer->drainers);
    wr_list_init(&writer->flushers);
    wr_list_init(&writer->closers);
    wr_reader_init(&writer->reader, loop, (size_t)limit_bytes);
    wr_loop_pin(loop);
    *ret = writer;
    return 0;
}

void wr_stream_free(weir_writer *writer)
{
    weir_loop *loop = writer->loop;

    wr_assert(writer->refs == 0);
    wr_assert(writer->state != WRITER_BOUND);
    wr_assert(!wr_list_is_linked(&writer->handler.link));
    wr_assert(wr_list_is_empty(&writer->drainers)); /* calls hold references */
    wr_assert(wr_list_is_empty(&writer->flushers));
    wr_assert(wr_list_is_empty(&writer->closers));
    wr_reader_fini(&writer->reader);
    wr_transport_unref(writer->transport);
    wr_slab_give(&stream_memory_find(loop)->slab, writer);
    wr_loop_unpin(loop);
}
