/*
 * The table of cached parts of files; see sendfile.h. The entries of a file are
 * adjacent, from an index that depends on its inode and device, so the entries
 * of a file of at most 1 GiB never overwrite each other. Adjacent cached bytes
 * extend an entry, which still expires one second after its first bytes were
 * found.
 */
#include "sendfile.h"

#include <string.h>

#define ENTRIES     256u
#define CHUNK_BYTES ((uint64_t)4 << 20)
#define KNOWN_NS    1000000000u

struct cached_entry {
    struct wr_file_id file;
    uint64_t chunk; /* offset / CHUNK_BYTES */
    uint64_t until_ns;
    uint32_t first; /* offsets of the known bytes within the chunk */
    uint32_t end;
};

struct cached_table {
    struct wr_module module;
    weir_loop *loop;
    struct cached_entry entries[ENTRIES];
};

struct cached_range {
    uint64_t chunk;
    uint32_t first;
    uint32_t end;
};

static struct cached_table *cached_table_of(struct wr_module *module)
{
    return wr_container_of(module, struct cached_table, module);
}

static void cached_close(struct wr_module *module)
{
    struct cached_table *table = cached_table_of(module);

    wr_free(&table->loop->counting, table, sizeof(*table));
}

static void cached_check(const struct wr_module *module)
{
    const struct cached_table *table =
        wr_container_of(module, const struct cached_table, module);

    for (uint32_t i = 0; i < ENTRIES; i++) {
        wr_assert(table->entries[i].first <= table->entries[i].end);
        wr_assert(table->entries[i].end <= CHUNK_BYTES);
    }
}

static const struct wr_module_ops cached_ops = {
    .close = cached_close,
    .check = cached_check,
};

/* Returns NULL if there is no table, or no memory for one. */
static struct cached_table *cached_find(weir_loop *loop, bool makes_one)
{
    struct wr_module *module = wr_loop_find_module(loop, &cached_ops);
    struct cached_table *table = NULL;

    if (module) {
        return cached_table_of(module);
    }
    if (makes_one) {
        table = wr_alloc(&loop->counting, sizeof(*table));
    }
    if (table) {
        memset(table, 0, sizeof(*table));
        table->loop = loop;
        wr_loop_add_module(loop, &table->module, &cached_ops);
    }
    return table;
}

static struct cached_entry *cached_entry_of(struct cached_table *table,
                                            const struct wr_file_id *file,
                                            uint64_t chunk)
{
    const uint64_t mixed =
        (file->inode ^ file->device << 32) * UINT64_C(0x9e3779b97f4a7c15);

    return &table->entries[((mixed >> 32) + chunk) % ENTRIES];
}

static bool cached_is_valid(const struct cached_entry *entry,
                            const struct wr_file_id *file, uint64_t chunk,
                            uint64_t now_ns)
{
    return entry->file.inode == file->inode &&
           entry->file.device == file->device && entry->chunk == chunk &&
           now_ns < entry->until_ns;
}

/* Removes the first chunk's part from a range, and returns it. */
static struct cached_range cached_take_first(uint64_t *offset, size_t *len)
{
    const uint64_t first = *offset % CHUNK_BYTES;
    const uint64_t here = wr_min_u64(*len, CHUNK_BYTES - first);
    const struct cached_range ret = {
        .chunk = *offset / CHUNK_BYTES,
        .first = (uint32_t)first,
        .end = (uint32_t)(first + here),
    };

    wr_assert(here > 0);
    *offset += here;
    *len -= (size_t)here;
    return ret;
}

bool wr_cached_is_known(weir_loop *loop, const struct wr_file_id *file,
                        uint64_t offset, size_t len)
{
    struct cached_table *table = cached_find(loop, false);
    bool is_known = table != NULL;

    wr_assert(len > 0);
    while (is_known && len > 0) {
        const struct cached_range range = cached_take_first(&offset, &len);
        const struct cached_entry *entry =
            cached_entry_of(table, file, range.chunk);
        is_known = cached_is_valid(entry, file, range.chunk, loop->now_ns) &&
                   entry->first <= range.first && range.end <= entry->end;
    }
    return is_known;
}

static void cached_note_range(struct cached_table *table,
                              const struct wr_file_id *file,
                              const struct cached_range *range)
{
    const uint64_t now_ns = table->loop->now_ns;
    struct cached_entry *entry = cached_entry_of(table, file, range->chunk);

    wr_assert(range->first < range->end);
    if (cached_is_valid(entry, file, range->chunk, now_ns) &&
        range->first <= entry->end && entry->first <= range->end) {
        entry->first =
            range->first < entry->first ? range->first : entry->first;
        entry->end = range->end > entry->end ? range->end : entry->end;
        return;
    }
    *entry = (struct cached_entry){
        .file = *file,
        .chunk = range->chunk,
        .until_ns = wr_add_sat(now_ns, KNOWN_NS),
        .first = range->first,
        .end = range->end,
    };
}

void wr_cached_note(weir_loop *loop, const struct wr_file_id *file,
                    uint64_t offset, size_t len)
{
    struct cached_table *table = cached_find(loop, true);

    wr_assert(len > 0);
    while (table && len > 0) {
        const struct cached_range range = cached_take_first(&offset, &len);
        cached_note_range(table, file, &range);
    }
}

void wr_cached_forget(weir_loop *loop, const struct wr_file_id *file,
                      uint64_t offset, size_t len)
{
    struct cached_table *table = cached_find(loop, false);

    wr_assert(len > 0);
    while (table && len > 0) {
        const struct cached_range range = cached_take_first(&offset, &len);
        struct cached_entry *entry = cached_entry_of(table, file, range.chunk);
        if (cached_is_valid(entry, file, range.chunk, loop->now_ns) &&
            range.first < entry->end && entry->first < range.end) {
            entry->until_ns = 0;
        }
    }
}
