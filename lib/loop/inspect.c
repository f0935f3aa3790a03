/*
 * Inspecting a running loop: counts, their text, and the dump.
 *
 * Nothing is counted here. The modules count; this file collects their counts
 * under public names.
 */
#include "lib/base/options.h"
#include "loop.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The fields of struct weir_loop_statistics, in their order. */
static const struct {
    const char *name;
    size_t offset;
} inspect_fields[] = {
#define FIELD(name)                                                            \
    {                                                                          \
#name, offsetof(struct weir_loop_statistics, name)                     \
    }
    FIELD(turns),
    FIELD(enters),
    FIELD(submitted),
    FIELD(completions),
    FIELD(overflows),
    FIELD(sq_full),
    FIELD(ops_in_flight),
    FIELD(connections),
    FIELD(pool_bytes),
    FIELD(buffers_posted),
    FIELD(leases),
    FIELD(held_bytes),
    FIELD(kept_bytes),
    FIELD(starved),
    FIELD(queued_bytes),
    FIELD(received_bytes),
    FIELD(sent_bytes),
    FIELD(copied_by_write),
    FIELD(copied_by_compaction),
    FIELD(copied_to_protocol),
    FIELD(copied_by_view),
    FIELD(tasks),
    FIELD(tasks_spawned),
    FIELD(task_switches),
    FIELD(stacks),
    FIELD(stack_high_water_bytes),
    FIELD(timers),
    FIELD(memory_bytes),
    FIELD(name_hits),
    FIELD(name_misses),
#undef FIELD
};

#define FIELD_COUNT (sizeof(inspect_fields) / sizeof(inspect_fields[0]))

_Static_assert(sizeof(size_t) + FIELD_COUNT * sizeof(uint64_t) ==
                   sizeof(struct weir_loop_statistics),
               "every field has a name");

static uint64_t inspect_field_of(const struct weir_loop_statistics *statistics,
                                 size_t index)
{
    uint64_t value;

    wr_assert(index < FIELD_COUNT);
    memcpy(&value, (const char *)statistics + inspect_fields[index].offset,
           sizeof(value));
    return value;
}

static void inspect_read_ring(const weir_loop *loop,
                              struct weir_loop_statistics *ret)
{
    if (!loop->uring.ring) {
        return; /* closed; a handle pins the memory */
    }
    const struct wr_ring_stats *ring = wr_uring_stats(&loop->uring);
    ret->enters = ring->enters;
    ret->submitted = ring->submitted;
    ret->completions = ring->completions;
    ret->overflows = ring->overflows;
    ret->sq_full = ring->sq_full;
    wr_assert(loop->uring.ops_in_flight > 0 || !loop->alarm.op.in_flight);
    ret->ops_in_flight =
        loop->uring.ops_in_flight - (loop->alarm.op.in_flight ? 1 : 0);
}

static void inspect_read_pool(const weir_loop *loop,
                              struct weir_loop_statistics *ret)
{
    const struct wr_pool *pool = &loop->pool;

    wr_assert(pool->posted_count <= pool->buf_count);
    ret->pool_bytes = (uint64_t)pool->buf_count * pool->buf_size;
    ret->buffers_posted = pool->posted_count;
    ret->leases = wr_pool_leases_out(pool);
    ret->held_bytes = pool->held_bytes;
    ret->kept_bytes = pool->own.held_bytes;
    ret->starved = loop->budget.starved_count;
    ret->copied_by_compaction = pool->copied_bytes;
}

static void inspect_count_modules(const weir_loop *loop,
                                  struct weir_loop_statistics *ret)
{
    for (struct wr_list *link = loop->modules.next; link != &loop->modules;
         link = link->next) {
        struct wr_module *module =
            wr_container_of(link, struct wr_module, link);
        if (module->ops->count) {
            module->ops->count(module, ret);
        }
    }
}

/* All zero if called on another thread. */
static void inspect_read(const weir_loop *loop,
                         struct weir_loop_statistics *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->size = sizeof(*ret);
    if (wr_loop_check(loop) < 0) {
        return;
    }
    inspect_read_ring(loop, ret);
    inspect_read_pool(loop, ret);
    ret->turns = loop->counts.turns;
    ret->connections = loop->member_counts[WR_STAGE_TRANSPORTS];
    ret->queued_bytes = loop->budget.queued_bytes;
    ret->received_bytes = loop->counts.received_bytes;
    ret->sent_bytes = loop->counts.sent_bytes;
    ret->copied_by_write = loop->counts.copied_by_write;
    ret->copied_to_protocol = loop->counts.copied_to_protocol;
    ret->copied_by_view = loop->counts.copied_by_view;
    inspect_count_modules(loop, ret);
    wr_assert(loop->wheel.armed_count > 0 ||
              !wr_timer_is_armed(&loop->trim_timer));
    ret->timers = loop->wheel.armed_count -
                  (wr_timer_is_armed(&loop->trim_timer) ? 1 : 0);
    ret->memory_bytes = loop->memory_bytes;
}

int weir_loop_get_statistics(const weir_loop *loop,
                             struct weir_loop_statistics *ret)
{
    struct weir_loop_statistics statistics;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    inspect_read(loop, &statistics);
    wr_answer_write(ret, &statistics, sizeof(statistics));
    return 0;
}

/* The text of weir_loop_statistics_get_text() of all fields. */
static size_t inspect_write_text(const struct weir_loop_statistics *statistics,
                                 char *buf, size_t size)
{
    size_t total = 0;

    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const size_t left = size > total ? size - total : 0;
        int len = snprintf(left > 0 ? buf + total : NULL, left, "%s %llu\n",
                           inspect_fields[i].name,
                           (unsigned long long)inspect_field_of(statistics, i));
        wr_assert(len > 0);
        total += (size_t)len;
    }
    return total;
}

size_t weir_loop_get_statistics_text(const weir_loop *loop, char *buf,
                                     size_t size)
{
    struct weir_loop_statistics statistics;

    inspect_read(loop, &statistics);
    return inspect_write_text(&statistics, buf, size);
}

int weir_loop_statistics_get_text(const struct weir_loop_statistics *statistics,
                                  char *buf, size_t size)
{
    struct weir_loop_statistics known;

    wr_require(statistics, -EINVAL);
    const int err = wr_options_read(&known, sizeof(known), statistics);
    wr_require(err >= 0, err);
    return (int)inspect_write_text(&known, buf, size);
}

static void inspect_dump_loop(const weir_loop *loop, FILE *out)
{
    struct weir_loop_statistics statistics;

    inspect_read(loop, &statistics);
    fputs(wr_loop_is_running(loop) ? "loop running" : "loop idle", out);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        fprintf(out, " %s=%llu", inspect_fields[i].name,
                (unsigned long long)inspect_field_of(&statistics, i));
    }
    fputs("\n", out);
}

static void inspect_dump_members(const struct wr_list *members, FILE *out)
{
    for (const struct wr_list *link = members->next; link != members;
         link = link->next) {
        const struct wr_member *member =
            wr_container_of(link, const struct wr_member, link);
        member->ops->dump(member, out);
    }
}

void weir_loop_dump(const weir_loop *loop, FILE *out)
{
    if (wr_loop_check(loop) < 0) {
        return;
    }
    inspect_dump_loop(loop, out);
    for (uint32_t stage = 0; stage < WR_STAGES; stage++) {
        inspect_dump_members(&loop->members[stage], out);
    }
}

size_t weir_loop_get_features_text(const weir_loop *loop, char *buf,
                                   size_t size)
{
    return wr_features_text(&loop->uring.features, buf, size);
}
