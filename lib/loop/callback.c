/*
 * call_soon, call_later, call_at: callbacks and their handles.
 *
 * Entries are in a table of chunks that never move. A handle is an entry's
 * index and generation. The generation changes when the entry has run or was
 * cancelled, so that a late cancel does nothing. An entry is one cache line.
 * Moving one timer among a million touches three: its own and those of its
 * neighbours in the wheel.
 */
#include "loop_impl.h"

#include <string.h>

#define CHUNK_BITS    8u
#define CHUNK_ENTRIES (1u << CHUNK_BITS)
#define CHUNKS_BITS   20u
#define CHUNKS_MAX    (1u << CHUNKS_BITS)
#define INDEX_BITS    (CHUNK_BITS + CHUNKS_BITS)
#define INDEX_MASK    ((1u << INDEX_BITS) - 1u)
#define LINE_BYTES    64u

enum callback_state {
    CALLBACK_FREE,
    CALLBACK_SOON,
    CALLBACK_TIMED,
    CALLBACK_STATES,
};

struct callback {
    union {
        struct wr_timer timer;
        struct {
            struct wr_ready ready;
            /* Number of the last post (mailbox.c) of this thread, which must
             * run first, or 0. */
            uint64_t after_post;
        };
    };
    weir_callback_fn *cb;
    union {
        void *arg;
        struct callback *next_free;
    };
    struct wr_callbacks *table;
    uint32_t generation; /* never 0 */
    uint32_t index : INDEX_BITS;
    enum callback_state state : 32u - INDEX_BITS;
};

/* The entries start at a cache line within the allocated memory. */
struct callback_chunk {
    struct callback entries[CHUNK_ENTRIES];
    void *memory;
};

_Static_assert(sizeof(struct callback) == LINE_BYTES, "a line of the cache");
#define CHUNK_BYTES (sizeof(struct callback_chunk) + LINE_BYTES)

struct wr_callbacks {
    struct wr_module module;
    weir_loop *loop;
    struct callback_chunk **chunks;
    uint32_t chunk_count;
    uint32_t chunk_room;
    struct callback *first_free;
};

static struct callback *callback_entry_at(const struct wr_callbacks *table,
                                          uint32_t index)
{
    wr_assert(index >> CHUNK_BITS < table->chunk_count);
    return &table->chunks[index >> CHUNK_BITS]
                ->entries[index & (CHUNK_ENTRIES - 1)];
}

static inline void callback_set_state(struct callback *entry,
                                      enum callback_state state)
{
    static const uint8_t allowed[CALLBACK_STATES] = {
        [CALLBACK_FREE] = 1u << CALLBACK_SOON | 1u << CALLBACK_TIMED,
        [CALLBACK_SOON] = 1u << CALLBACK_FREE,
        [CALLBACK_TIMED] = 1u << CALLBACK_FREE,
    };
    wr_assert(allowed[state] >> entry->state & 1u);
    entry->state = state;
}

static void callback_check_entry(const struct callback *entry)
{
    wr_assert(entry->generation != 0);
    wr_debug_assert(callback_entry_at(entry->table, entry->index) == entry);
    wr_debug_assert(entry->state != CALLBACK_SOON ||
                    wr_ready_is_pending(&entry->ready));
    wr_debug_assert(entry->state != CALLBACK_TIMED ||
                    wr_timer_is_armed(&entry->timer));
}

WEIR_MUST_USE static int callback_make_room(struct wr_callbacks *table)
{
    const struct weir_allocator *allocator = &table->loop->counting;
    if (table->chunk_count < table->chunk_room) {
        return 0;
    }
    const uint32_t room = table->chunk_room ? table->chunk_room * 2 : 16;
    if (room > CHUNKS_MAX) {
        return -ENOMEM;
    }
    struct callback_chunk **chunks =
        wr_alloc(allocator, room * sizeof(struct callback_chunk *));
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

WEIR_MUST_USE static int callback_add_chunk(struct wr_callbacks *table)
{
    int err = callback_make_room(table);
    if (err < 0) {
        return err;
    }
    char *memory = wr_alloc(&table->loop->counting, CHUNK_BYTES);
    if (!memory) {
        return -ENOMEM;
    }
    memset(memory, 0, CHUNK_BYTES);
    struct callback_chunk *chunk =
        (void *)(memory + (0 - (uintptr_t)memory) % LINE_BYTES);
    chunk->memory = memory;
    wr_assert(table->chunk_count < CHUNKS_MAX);
    const uint32_t base = table->chunk_count << CHUNK_BITS;
    for (uint32_t i = CHUNK_ENTRIES; i-- > 0;) {
        struct callback *entry = &chunk->entries[i];
        entry->index = (base + i) & INDEX_MASK;
        entry->generation = 1;
        entry->table = table;
        entry->next_free = table->first_free;
        table->first_free = entry;
    }
    table->chunks[table->chunk_count++] = chunk;
    return 0;
}

static void callback_give_entry(struct callback *entry)
{
    callback_set_state(entry, CALLBACK_FREE);
    entry->generation++;
    if (entry->generation == 0) {
        entry->generation = 1;
    }
    entry->next_free = entry->table->first_free;
    entry->table->first_free = entry;
}

static void callback_take_back(struct callback *entry)
{
    callback_check_entry(entry);
    if (entry->state == CALLBACK_SOON) {
        wr_ready_cancel(&entry->ready);
    } else {
        wr_timer_cancel(&entry->table->loop->wheel, &entry->timer);
    }
    callback_give_entry(entry);
}

static void callback_shutdown(struct wr_module *module)
{
    struct wr_callbacks *table =
        wr_container_of(module, struct wr_callbacks, module);

    for (uint32_t i = 0; i < table->chunk_count << CHUNK_BITS; i++) {
        struct callback *entry = callback_entry_at(table, i);
        if (entry->state != CALLBACK_FREE) {
            callback_take_back(entry);
        }
    }
}

static void callback_close(struct wr_module *module)
{
    struct wr_callbacks *table =
        wr_container_of(module, struct wr_callbacks, module);
    weir_loop *loop = table->loop;

    wr_assert(loop->callbacks == table);
    for (uint32_t i = 0; i < table->chunk_count; i++) {
        wr_free(&loop->counting, table->chunks[i]->memory, CHUNK_BYTES);
    }
    wr_free(&loop->counting, table->chunks,
            table->chunk_room * sizeof(*table->chunks));
    wr_free(&loop->counting, table, sizeof(*table));
    loop->callbacks = NULL;
}

/* Checks only the first chunk of entries, because the table may be large. */
static void callback_check(const struct wr_module *module)
{
    const struct wr_callbacks *table =
        wr_container_of(module, const struct wr_callbacks, module);

    wr_assert(table->chunk_count <= table->chunk_room);
    wr_assert(!table->first_free || table->first_free->state == CALLBACK_FREE);
    for (uint32_t i = 0; table->chunk_count > 0 && i < CHUNK_ENTRIES; i++) {
        callback_check_entry(callback_entry_at(table, i));
    }
}

int wr_callbacks_open(weir_loop *loop)
{
    static const struct wr_module_ops ops = {
        .end = {[WR_END_SHUTDOWN] = callback_shutdown},
        .close = callback_close,
        .check = callback_check};
    struct wr_callbacks *table = wr_alloc(&loop->counting, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    *table = (struct wr_callbacks){.loop = loop};
    loop->callbacks = table;
    wr_loop_add_module(loop, &table->module, &ops);
    return 0;
}

static void callback_call(struct callback *entry, const char *name)
{
    weir_loop *loop = entry->table->loop;
    weir_callback_fn *cb = entry->cb;
    void *arg = entry->arg;

    wr_debug_assert(!wr_loop_is_closing(loop));
    /* The handle is invalid from here on, even while the callback runs. */
    callback_give_entry(entry);
    wr_loop_call(loop, cb, arg, name);
}

/* Runs this thread's older posts. Returns false if one has cancelled @entry. */
static bool callback_run_posts(struct callback *entry)
{
    weir_loop *loop = entry->table->loop;
    const uint32_t generation = entry->generation;

    wr_assert(entry->after_post > 0);
    wr_assert(!wr_ready_is_pending(&entry->ready));
    wr_ready_push(&loop->ready, &entry->ready);
    wr_posts_run_own(loop, entry->after_post);
    if (entry->generation != generation) {
        return false;
    }
    wr_ready_cancel(&entry->ready);
    return true;
}

static void callback_call_ready(struct wr_ready *ready)
{
    struct callback *entry = wr_container_of(ready, struct callback, ready);

    wr_assert(entry->state == CALLBACK_SOON);
    if (WR_UNLIKELY(entry->after_post > 0) && !callback_run_posts(entry)) {
        return;
    }
    callback_call(entry, "call_soon");
}

static void callback_call_timed(struct wr_timer *timer)
{
    struct callback *entry = wr_container_of(timer, struct callback, timer);

    wr_assert(entry->state == CALLBACK_TIMED);
    callback_call(entry, "call_later");
}

WEIR_MUST_USE static int callback_add(weir_loop *loop, weir_callback_fn *cb,
                                      void *arg, struct callback **ret)
{
    wr_require_loop(loop);
    wr_require(cb, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct wr_callbacks *table = loop->callbacks;
    if (!table->first_free && callback_add_chunk(table) < 0) {
        return -ENOMEM;
    }
    struct callback *entry = table->first_free;
    wr_assert(entry->state == CALLBACK_FREE);
    table->first_free = entry->next_free;
    entry->cb = cb;
    entry->arg = arg;
    *ret = entry;
    return 0;
}

static void callback_name_entry(const struct callback *entry,
                                struct weir_handle *ret)
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
    int err = callback_add(loop, cb, arg, &entry);
    if (err < 0) {
        return err;
    }
    callback_set_state(entry, CALLBACK_SOON);
    wr_ready_init(&entry->ready, callback_call_ready);
    entry->after_post = wr_posts_own_pending(loop);
    wr_ready_push(&loop->ready, &entry->ready);
    callback_name_entry(entry, ret);
    return 0;
}

/* Outside of a run no iteration updates loop->now_ns, so this function does. If
 * a timer has become due since, now_ns stays: loop_hold_late() must not take
 * that timer for a timer that was armed for the past. */
static void callback_arm(weir_loop *loop, struct callback *entry,
                         uint64_t when_ns)
{
    wr_assert(entry->state == CALLBACK_TIMED);
    if (!wr_loop_is_running(loop)) {
        const uint64_t now_ns = wr_sys_now();
        if (wr_wheel_next(&loop->wheel) > now_ns) {
            loop->now_ns = now_ns;
        }
    }
    wr_timer_arm(&loop->wheel, &entry->timer, when_ns);
}

int weir_loop_call_at(weir_loop *loop, uint64_t when_ns, weir_callback_fn *cb,
                      void *arg, struct weir_handle *ret)
{
    struct callback *entry;
    int err = callback_add(loop, cb, arg, &entry);
    if (err < 0) {
        return err;
    }
    callback_set_state(entry, CALLBACK_TIMED);
    wr_timer_init(&entry->timer, callback_call_timed);
    callback_arm(loop, entry, when_ns);
    callback_name_entry(entry, ret);
    return 0;
}

int weir_loop_call_later(weir_loop *loop, uint64_t delay_ns,
                         weir_callback_fn *cb, void *arg,
                         struct weir_handle *ret)
{
    return weir_loop_call_at(
        loop, wr_add_sat(weir_loop_get_time(loop), delay_ns), cb, arg, ret);
}

static struct callback *callback_find(const weir_loop *loop,
                                      struct weir_handle handle)
{
    const struct wr_callbacks *table = loop->callbacks;
    if (wr_loop_check(loop) < 0 || handle.generation == 0 ||
        handle.index >> CHUNK_BITS >= table->chunk_count) {
        return NULL;
    }
    struct callback *entry = callback_entry_at(table, handle.index);
    if (entry->generation != handle.generation ||
        entry->state == CALLBACK_FREE) {
        return NULL;
    }
    callback_check_entry(entry);
    return entry;
}

bool weir_handle_cancel(weir_loop *loop, struct weir_handle handle)
{
    struct callback *entry = callback_find(loop, handle);
    if (!entry) {
        return false;
    }
    callback_take_back(entry);
    return true;
}

bool weir_handle_reschedule(weir_loop *loop, struct weir_handle handle,
                            uint64_t when_ns)
{
    struct callback *entry = callback_find(loop, handle);
    if (!entry || entry->state != CALLBACK_TIMED) {
        return false;
    }
    callback_arm(loop, entry, when_ns);
    return true;
}
