/*
 * Inspecting a running loop: counts, their text, and the dump.
 *
 * Modules and transports keep the counts. This file collects them under public
 * names and prints them.
 */
#include "lib/base/options.h"
#include "loop.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>

/* The fields of struct weir_loop_statistics, in order. A COUNT only grows. */
static const struct {
    const char *name;
    size_t offset;
    bool is_count;
    const char *help;
} inspect_fields[] = {
#define COUNT(name, help) FIELD(name, true, help)
#define VALUE(name, help) FIELD(name, false, help)
#define FIELD(name, is_count, help)                                            \
    {                                                                          \
#name, offsetof(struct weir_loop_statistics, name), is_count, help     \
    }
    COUNT(turns, "Turns of the loop."),
    COUNT(enters, "System calls that entered the ring."),
    COUNT(submitted, "Operations submitted to the kernel."),
    COUNT(completions, "Completions handled."),
    COUNT(overflows, "Completion queue overflows."),
    COUNT(sq_full, "Early submissions because the queue was full."),
    VALUE(ops_in_flight, "Operations in flight."),
    VALUE(connections, "Connections alive."),
    VALUE(pool_bytes, "Bytes of receive buffers."),
    VALUE(buffers_posted, "Receive buffers posted to the kernel."),
    VALUE(leases, "Leases of receive buffers."),
    VALUE(held_bytes, "Received bytes that are held."),
    VALUE(kept_bytes, "Bytes of readers outside the receive buffers."),
    COUNT(starved, "Receives that found no buffer."),
    VALUE(queued_bytes, "Bytes that wait to be sent."),
    COUNT(received_bytes, "Bytes received."),
    COUNT(sent_bytes, "Bytes sent."),
    COUNT(copied_by_write, "Bytes copied by writes."),
    COUNT(copied_by_compaction, "Bytes copied to free receive buffers."),
    COUNT(copied_to_protocol,
          "Bytes copied into memory of protocols and callers."),
    COUNT(copied_by_view, "Bytes copied so that a view is in one piece."),
    VALUE(tasks, "Tasks that have not ended."),
    COUNT(tasks_spawned, "Tasks started."),
    COUNT(task_switches, "Times that a task was resumed."),
    VALUE(stacks, "Stacks of tasks, in use and kept."),
    VALUE(stack_high_water_bytes, "The deepest use of any stack."),
    VALUE(timers, "Timers armed."),
    VALUE(memory_bytes, "Bytes of memory allocated."),
    COUNT(name_hits, "Lookups of names that asked no resolver."),
    COUNT(name_misses, "Lookups of names that asked the resolver."),
    VALUE(queued_held_bytes, "Queued bytes that are held, too."),
    VALUE(poll_engines, "Loops whose engine is epoll."),
#undef FIELD
#undef VALUE
#undef COUNT
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
    ret->poll_engines = loop->uring.features.engine == WR_ENGINE_POLL;
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

static void inspect_count_members(const weir_loop *loop,
                                  struct weir_loop_statistics *ret)
{
    const struct wr_list *members = &loop->members[WR_STAGE_TRANSPORTS];

    for (const struct wr_list *link = members->next; link != members;
         link = link->next) {
        const struct wr_member *member =
            wr_container_of(link, const struct wr_member, link);
        if (member->ops->count) {
            member->ops->count(member, ret);
        }
    }
}

/* Sets all counts to zero if called on another thread. */
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
    ret->task_switches = loop->counts.task_switches;
    ret->connections = loop->member_counts[WR_STAGE_TRANSPORTS];
    ret->queued_bytes = loop->budget.queued_bytes;
    ret->received_bytes = loop->counts.received_bytes;
    ret->sent_bytes = loop->counts.sent_bytes;
    ret->copied_by_write = loop->counts.copied_by_write;
    ret->copied_to_protocol = loop->counts.copied_to_protocol;
    ret->copied_by_view = loop->counts.copied_by_view;
    for (struct wr_list *link = loop->modules.next; link != &loop->modules;
         link = link->next) {
        struct wr_module *module =
            wr_container_of(link, struct wr_module, link);
        if (module->ops->count) {
            module->ops->count(module, ret);
        }
    }
    inspect_count_members(loop, ret);
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

size_t weir_loop_format_statistics(const weir_loop *loop, char *buf,
                                   size_t size)
{
    struct weir_loop_statistics statistics;

    inspect_read(loop, &statistics);
    return inspect_write_text(&statistics, buf, size);
}

int weir_statistics_format(const struct weir_loop_statistics *statistics,
                           char *buf, size_t size)
{
    struct weir_loop_statistics known;

    wr_require(statistics, -EINVAL);
    const int err = wr_options_read(&known, sizeof(known), statistics);
    wr_require(err >= 0, err);
    return (int)inspect_write_text(&known, buf, size);
}

int weir_statistics_write_prometheus(
    const struct weir_loop_statistics *statistics, FILE *out)
{
    struct weir_loop_statistics known;

    wr_require(statistics, -EINVAL);
    wr_require(out, -EINVAL);
    const int err = wr_options_read(&known, sizeof(known), statistics);
    wr_require(err >= 0, err);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *name = inspect_fields[i].name;
        const bool is_count = inspect_fields[i].is_count;
        const char *suffix = is_count ? "_total" : "";
        fprintf(out,
                "# HELP weir_%s%s %s\n# TYPE weir_%s%s %s\nweir_%s%s %llu\n",
                name, suffix, inspect_fields[i].help, name, suffix,
                is_count ? "counter" : "gauge", name, suffix,
                (unsigned long long)inspect_field_of(&known, i));
    }
    return ferror(out) ? -EIO : 0;
}

/* Writes the engine and, if io_uring was refused, why, like snprintf(). */
static size_t inspect_write_engine(const weir_loop *loop, char *buf,
                                   size_t size)
{
    int reason;
    const enum weir_engine engine = weir_loop_get_engine(loop, &reason);

    wr_assert(engine == WEIR_ENGINE_POLL || reason == 0);
    const int len = snprintf(
        buf, size, "%s%s%s%s%s", engine == WEIR_ENGINE_POLL ? "poll" : "uring",
        reason < 0 ? " instead of io_uring: " : "",
        reason < 0 ? weir_err_name(reason) : "", reason < 0 ? ", " : "",
        reason < 0 ? weir_strerror(reason) : "");
    wr_assert(len > 0);
    return (size_t)len;
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
    char engine[256];
    inspect_write_engine(loop, engine, sizeof(engine));
    fprintf(out, " engine=%s\n", engine);
}

static void inspect_dump(const weir_loop *loop, FILE *out)
{
    inspect_dump_loop(loop, out);
    for (uint32_t stage = 0; stage < WR_STAGES; stage++) {
        for (const struct wr_list *link = loop->members[stage].next;
             link != &loop->members[stage]; link = link->next) {
            const struct wr_member *member =
                wr_container_of(link, const struct wr_member, link);
            member->ops->dump(member, out);
        }
    }
    for (const struct wr_list *link = loop->modules.next;
         link != &loop->modules; link = link->next) {
        const struct wr_module *module =
            wr_container_of(link, const struct wr_module, link);
        if (module->ops->dump) {
            module->ops->dump(module, out);
        }
    }
}

/* Writes to memory first: standard error has no buffer, so text of other
 * threads and processes could come in between. */
void weir_loop_dump(const weir_loop *loop, FILE *out)
{
    char *text = NULL;
    size_t size = 0;

    if (!wr_loop_admits(loop)) {
        return;
    }
    FILE *whole = open_memstream(&text, &size);
    inspect_dump(loop, whole ? whole : out);
    if (whole) {
        wr_ignore(fclose(whole) < 0); /* on failure the text is partial */
        wr_ignore(fwrite(text, 1, text ? size : 0, out) < size);
        free(text);
    }
}

size_t weir_loop_get_features_text(const weir_loop *loop, char *buf,
                                   size_t size)
{
    char engine[256];
    inspect_write_engine(loop, engine, sizeof(engine));
    const int len = snprintf(buf, size, "%-16s %s\n", "engine", engine);
    wr_assert(len > 0);
    const size_t used = (size_t)len;
    const size_t left = size > used ? size - used : 0;
    return used + wr_features_text(&loop->uring.features,
                                   left > 0 ? buf + used : NULL, left);
}
