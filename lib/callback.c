/*
 * call_soon, call_later, call_at: callbacks and the values that name them.
 *
 * An entry is either in the ready queue or armed in the wheel, never both, and
 * lives in a table of chunks that never move. A handle is the entry's index and
 * the generation it had; an entry that ran or was cancelled goes to the next
 * generation, so that a late cancel finds nothing and does no harm.
 */
#include "loop.h"

#include <string.h>

#define CHUNK_BITS    8u
#define CHUNK_ENTRIES (1u << CHUNK_BITS)
#define CHUNKS_MAX    (1u << 20)
#define INDEX_NONE    UINT32_MAX

enum callback_state {
    CALLBACK_FREE,
    CALLBACK_SOON,  /* in the ready queue */
    CALLBACK_TIMED, /* in the wheel */
};

struct callback {
    union {
        struct wr_timer timer;
        struct wr_ready ready;
    };
    weir_callback_fn *cb;
    void *arg; /* free: unused */
    uint32_t index;
    uint32_t generation; /* never 0 */
    uint32_t next_free;
    enum callback_state state;
    struct wr_callbacks *table;
};

struct wr_callbacks {
    weir_loop *loop;
    struct callback **chunks;
    uint32_t chunk_count;
    uint32_t chunk_room;
    uint32_t first_free;
};

int wr_callbacks_open(weir_loop *loop)
{
    struct wr_callbacks *table = wr_alloc(&loop->counting, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    *table = (struct wr_callbacks){.loop = loop, .first_free = INDEX_NONE};
    loop->callbacks = table;
    return 0;
}

void wr_callbacks_close(weir_loop *loop)
{
    struct wr_callbacks *table = loop->callbacks;

    for (uint32_t i = 0; i < table->chunk_count; i++) {
        wr_free(&loop->counting, table->chunks[i],
                CHUNK_ENTRIES * sizeof(*table->chunks[i]));
    }
    wr_free(&loop->counting, table->chunks,
            table->chunk_room * sizeof(*table->chunks));
    wr_free(&loop->counting, table, sizeof(*table));
    loop->callbacks = NULL;
}

static struct callback *entry_at(const struct wr_callbacks *table,
                                 uint32_t index)
{
    return &table->chunks[index >> CHUNK_BITS][index & (CHUNK_ENTRIES - 1)];
}

static int make_room(struct wr_callbacks *table)
{
    const struct weir_allocator *allocator = &table->loop->counting;
    if (table->chunk_count < table->chunk_room) {
        return 0;
    }
    const uint32_t room = table->chunk_room ? table->chunk_room * 2 : 16;
    if (room > CHUNKS_MAX) {
        return -ENOMEM;
    }
    struct callback **chunks = wr_alloc(allocator, room * sizeof(*chunks));
    if (!chunks) {
        return -ENOMEM;
    }
    if (table->chunk_count > 0) {
        memcpy(chunks, table->chunks, table->chunk_count * sizeof(*chunks));
    }
    wr_free(allocator, table->chunks, table->chunk_room * sizeof(*chunks));
    table->chunks = chunks;
    table->chunk_room = room;
    return 0;
}

static int add_chunk(struct wr_callbacks *table)
{
    int err = make_room(table);
    if (err < 0) {
        return err;
    }
    struct callback *chunk =
        wr_alloc(&table->loop->counting, CHUNK_ENTRIES * sizeof(*chunk));
    if (!chunk) {
        return -ENOMEM;
    }
    memset(chunk, 0, CHUNK_ENTRIES * sizeof(*chunk));
    const uint32_t base = table->chunk_count << CHUNK_BITS;
    for (uint32_t i = CHUNK_ENTRIES; i-- > 0;) {
        chunk[i].index = base + i;
        chunk[i].generation = 1;
        chunk[i].table = table;
        chunk[i].next_free = table->first_free;
        table->first_free = base + i;
    }
    table->chunks[table->chunk_count++] = chunk;
    return 0;
}

static struct callback *take_entry(struct wr_callbacks *table)
{
    if (table->first_free == INDEX_NONE && add_chunk(table) < 0) {
        return NULL;
    }
    struct callback *entry = entry_at(table, table->first_free);
    table->first_free = entry->next_free;
    return entry;
}

static void give_entry(struct callback *entry)
{
    entry->state = CALLBACK_FREE;
    entry->generation++;
    if (entry->generation == 0) {
        entry->generation = 1;
    }
    entry->next_free = entry->table->first_free;
    entry->table->first_free = entry->index;
}

static void take_back(struct callback *entry)
{
    if (entry->state == CALLBACK_SOON) {
        wr_ready_cancel(&entry->ready);
    } else {
        wr_timer_cancel(&entry->table->loop->wheel, &entry->timer);
    }
    give_entry(entry);
}

void wr_callbacks_drop(weir_loop *loop)
{
    struct wr_callbacks *table = loop->callbacks;

    for (uint32_t i = 0; i < table->chunk_count << CHUNK_BITS; i++) {
        struct callback *entry = entry_at(table, i);
        if (entry->state != CALLBACK_FREE) {
            take_back(entry);
        }
    }
}

void wr_loop_call(weir_loop *loop, weir_callback_fn *cb, void *arg,
                  const char *name)
{
    if (WR_LIKELY(loop->slow_callback_ns == 0)) {
        cb(arg);
        wr_loop_leave_if_forked(loop);
        return;
    }
    const uint64_t start_ns = wr_sys_now();
    cb(arg);
    wr_loop_leave_if_forked(loop);
    const uint64_t took_ns = wr_sys_now() - start_ns;
    if (took_ns > loop->slow_callback_ns) {
        const struct weir_exception slow = {.message = "slow callback",
                                            .callback = name,
                                            .duration_ns = took_ns};
        wr_loop_report(loop, &slow);
    }
}

static void call(struct callback *entry, const char *name)
{
    weir_loop *loop = entry->table->loop;
    weir_callback_fn *cb = entry->cb;
    void *arg = entry->arg;

    give_entry(entry); /* the handle names nothing while the callback runs */
    wr_loop_call(loop, cb, arg, name);
}

static void call_ready(struct wr_ready *ready)
{
    call(wr_container_of(ready, struct callback, ready), "call_soon");
}

static void call_timed(struct wr_timer *timer)
{
    call(wr_container_of(timer, struct callback, timer), "call_later");
}

static int add(weir_loop *loop, weir_callback_fn *cb, void *arg,
               struct callback **ret)
{
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(cb, -EINVAL);
    wr_require(!loop->closing, -ESHUTDOWN);
    struct callback *entry = take_entry(loop->callbacks);
    if (!entry) {
        return -ENOMEM;
    }
    entry->cb = cb;
    entry->arg = arg;
    *ret = entry;
    return 0;
}

static void name_entry(const struct callback *entry, struct weir_handle *ret)
{
    if (ret) {
        *ret = (struct weir_handle){.index = entry->index,
                                    .generation = entry->generation};
    }
}

int weir_loop_call_soon(weir_loop *loop, weir_callback_fn *cb, void *arg,
                        struct weir_handle *ret)
{
    struct callback *entry;
    int err = add(loop, cb, arg, &entry);
    if (err < 0) {
        return err;
    }
    entry->state = CALLBACK_SOON;
    wr_ready_init(&entry->ready, call_ready);
    wr_ready_push(&loop->ready, &entry->ready);
    name_entry(entry, ret);
    return 0;
}

int weir_loop_call_at(weir_loop *loop, uint64_t when_ns, weir_callback_fn *cb,
                      void *arg, struct weir_handle *ret)
{
    struct callback *entry;
    int err = add(loop, cb, arg, &entry);
    if (err < 0) {
        return err;
    }
    entry->state = CALLBACK_TIMED;
    wr_timer_init(&entry->timer, call_timed);
    wr_timer_arm(&loop->wheel, &entry->timer, when_ns);
    name_entry(entry, ret);
    return 0;
}

int weir_loop_call_later(weir_loop *loop, uint64_t delay_ns,
                         weir_callback_fn *cb, void *arg,
                         struct weir_handle *ret)
{
    return weir_loop_call_at(loop, wr_add_sat(weir_loop_time(loop), delay_ns),
                             cb, arg, ret);
}

static struct callback *find(const weir_loop *loop, struct weir_handle handle)
{
    const struct wr_callbacks *table = loop->callbacks;
    if (wr_loop_check(loop) < 0 || !table || handle.generation == 0 ||
        handle.index >> CHUNK_BITS >= table->chunk_count) {
        return NULL;
    }
    struct callback *entry = entry_at(table, handle.index);
    if (entry->generation != handle.generation ||
        entry->state == CALLBACK_FREE) {
        return NULL;
    }
    return entry;
}

bool weir_loop_cancel(weir_loop *loop, struct weir_handle handle)
{
    struct callback *entry = find(loop, handle);
    if (!entry) {
        return false;
    }
    take_back(entry);
    return true;
}

bool weir_loop_reschedule(weir_loop *loop, struct weir_handle handle,
                          uint64_t when_ns)
{
    struct callback *entry = find(loop, handle);
    if (!entry || entry->state != CALLBACK_TIMED) {
        return false;
    }
    wr_timer_arm(&loop->wheel, &entry->timer, when_ns);
    return true;
}
