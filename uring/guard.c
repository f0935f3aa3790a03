/*
 * Memory that the kernel accesses: plain, or on guarded pages.
 *
 * A plain build allocates 64 bytes more, to align the memory, and stores the
 * distance in the byte before it. A guard build maps pages for each allocation:
 *
 *     | header, read-write | data, read-write | guard, no access |
 *
 * The data ends where the guard begins (up to its alignment), so an overrun
 * faults too. Freed mappings become inaccessible and stay in a quarantine,
 * first in, first out, limited in number and bytes. A small record still comes
 * from the allocator, so that its counts and failures are the same in both
 * builds. The quarantine is global, guarded by a mutex, because loops of
 * several threads share it.
 */
#include "guard.h"

#include "check.h"

#include <sys/mman.h>
#include <unistd.h>

#define ALIGN 64u

static size_t guard_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

#ifdef WR_GUARD

#include <pthread.h>

#define QUARANTINE_COUNT 1024u
#define QUARANTINE_BYTES (UINT64_C(256) << 20)

struct header {
    void *record;
    size_t map_size;
    size_t size;
};

struct mapping {
    void *base;
    size_t size;
};

static struct {
    pthread_mutex_t mutex;
    struct mapping ring[QUARANTINE_COUNT];
    unsigned first;
    unsigned count;
    uint64_t bytes;
} quarantine = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static size_t guard_round_up(size_t size, size_t step)
{
    return (size + step - 1) / step * step;
}

static void guard_unmap(struct mapping mapping)
{
    /* Fails only if it would split mappings beyond the system's limit; a debug
     * build then loses the address range. */
    wr_ignore(munmap(mapping.base, mapping.size) != 0);
}

static void guard_quarantine_push(struct mapping mapping)
{
    pthread_mutex_lock(&quarantine.mutex);
    wr_assert(quarantine.count <= QUARANTINE_COUNT);
    wr_assert(quarantine.count > 0 || quarantine.bytes == 0);
    while (quarantine.count == QUARANTINE_COUNT ||
           (quarantine.count > 0 &&
            quarantine.bytes + mapping.size > QUARANTINE_BYTES)) {
        struct mapping *oldest = &quarantine.ring[quarantine.first];
        wr_assert(quarantine.bytes >= oldest->size);
        quarantine.first = (quarantine.first + 1) % QUARANTINE_COUNT;
        quarantine.count--;
        quarantine.bytes -= oldest->size;
        guard_unmap(*oldest);
    }
    quarantine.ring[(quarantine.first + quarantine.count) % QUARANTINE_COUNT] =
        mapping;
    quarantine.count++;
    quarantine.bytes += mapping.size;
    pthread_mutex_unlock(&quarantine.mutex);
}

void *wr_guard_alloc(const struct weir_allocator *allocator, size_t size)
{
    wr_assert(size > 0);
    size_t page = guard_page_size();
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t data_size = guard_round_up(size, page);
    struct mapping mapping = {.size = data_size + 2 * page};
    void *record = wr_alloc(allocator, sizeof(struct header));
    if (!record) {
        return NULL;
    }
    mapping.base = mmap(NULL, mapping.size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping.base == MAP_FAILED) {
        wr_free(allocator, record, sizeof(struct header));
        return NULL;
    }
    uint8_t *guard = (uint8_t *)mapping.base + page + data_size;
    if (mprotect(guard, page, PROT_NONE) != 0) {
        guard_unmap(mapping);
        wr_free(allocator, record, sizeof(struct header));
        return NULL;
    }
    *(struct header *)mapping.base = (struct header){
        .record = record,
        .map_size = mapping.size,
        .size = size,
    };
    return guard - guard_round_up(size, ALIGN);
}

void wr_guard_free(const struct weir_allocator *allocator, void *ptr,
                   size_t size)
{
    if (!ptr) {
        return;
    }
    size_t page = guard_page_size();
    struct header *header =
        (void *)((uint8_t *)ptr - (uintptr_t)ptr % page - page);
    wr_assert(header->size == size);
    struct mapping mapping = {.base = header, .size = header->map_size};
    wr_free(allocator, header->record, sizeof(*header));
    if (mprotect(mapping.base, mapping.size, PROT_NONE) != 0) {
        guard_unmap(mapping);
        return;
    }
    guard_quarantine_push(mapping);
}

#else

void *wr_guard_alloc(const struct weir_allocator *allocator, size_t size)
{
    wr_assert(size > 0);
    if (size > SIZE_MAX - ALIGN) {
        return NULL;
    }
    uint8_t *raw = wr_alloc(allocator, size + ALIGN);
    if (!raw) {
        return NULL;
    }
    uint8_t distance = (uint8_t)(ALIGN - (uintptr_t)raw % ALIGN);
    uint8_t *aligned = raw + distance;
    wr_assert(distance > 0);
    wr_assert((uintptr_t)aligned % ALIGN == 0);
    aligned[-1] = distance;
    return aligned;
}

void wr_guard_free(const struct weir_allocator *allocator, void *ptr,
                   size_t size)
{
    if (!ptr) {
        return;
    }
    uint8_t *aligned = ptr;
    uint8_t distance = aligned[-1];
    wr_assert((uintptr_t)aligned % ALIGN == 0);
    wr_assert(distance > 0);
    wr_assert(distance <= ALIGN);
    wr_free(allocator, aligned - distance, size + ALIGN);
}

#endif

size_t wr_guard_discard(void *ptr, size_t size)
{
    const uintptr_t page = guard_page_size();
    const uintptr_t start = ((uintptr_t)ptr + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)ptr + size) / page * page;

    if (end <= start ||
        madvise((void *)start, end - start, MADV_DONTNEED) < 0) {
        return 0; /* locked memory, or from a special allocator */
    }
    wr_assert(end - start <= size);
    return end - start;
}
