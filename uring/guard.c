/*
 * Memory that the kernel accesses: plain, or on guarded pages.
 *
 * A plain build allocates 64 bytes more to align the memory, and stores the
 * distance in the byte before it. A guard build maps pages for each allocation:
 *
 *     | filler, header, data: read-write | guard: no access |
 *
 * An overrun of the data faults; an underrun into the filler does not. Freed
 * mappings become inaccessible and stay in a quarantine until they are reused
 * or the quarantine is full. A small record still comes from the allocator, so
 * that its counts and failures are the same in both builds.
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

#define QUARANTINE_COUNT 256u
#define QUARANTINE_BYTES (UINT64_C(256) << 20)
/* A mapping is reused only after this many others were freed. */
#define QUARANTINE_LEAST 64u

/* A larger mapping gets a filler. To protect up to 33 pages, Linux on x86
 * flushes each page from the TLB, which for more than a few pages takes longer
 * than flushing the whole TLB (4 us for each page in a virtual machine). The
 * first page of the filler and the page of the header are always touched, and
 * are so far apart that the kernel flushes the whole TLB. */
#define FEW_PAGES    6u
#define FILLER_PAGES 33u

struct header {
    void *record;
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
    /* Fails only if it would split mappings beyond the system's limit. A guard
     * build then loses the address range. */
    wr_ignore(munmap(mapping.base, mapping.size) != 0);
}

static size_t guard_map_size(size_t size)
{
    const size_t page = guard_page_size();
    const size_t used = guard_round_up(size, ALIGN) + sizeof(struct header);
    size_t pages = guard_round_up(used, page) / page;

    if (pages > FEW_PAGES) {
        pages += FILLER_PAGES;
    }
    return (pages + 1) * page;
}

/* Returns the header, which starts the page of the ALIGN bytes before @data. */
static struct header *guard_header(void *data)
{
    const uintptr_t before = (uintptr_t)data - ALIGN;
    return (void *)(before - before % guard_page_size());
}

static struct mapping guard_quarantine_remove(unsigned i)
{
    struct mapping *first = &quarantine.ring[quarantine.first];
    struct mapping *at =
        &quarantine.ring[(quarantine.first + i) % QUARANTINE_COUNT];
    const struct mapping mapping = *at;

    wr_assert(i < quarantine.count && quarantine.bytes >= mapping.size);
    *at = *first;
    quarantine.first = (quarantine.first + 1) % QUARANTINE_COUNT;
    quarantine.count--;
    quarantine.bytes -= mapping.size;
    return mapping;
}

static void guard_quarantine_push(struct mapping mapping)
{
    pthread_mutex_lock(&quarantine.mutex);
    wr_assert(quarantine.count <= QUARANTINE_COUNT);
    wr_assert(quarantine.count > 0 || quarantine.bytes == 0);
    while (quarantine.count == QUARANTINE_COUNT ||
           (quarantine.count > 0 &&
            quarantine.bytes + mapping.size > QUARANTINE_BYTES)) {
        guard_unmap(guard_quarantine_remove(0));
    }
    quarantine.ring[(quarantine.first + quarantine.count) % QUARANTINE_COUNT] =
        mapping;
    quarantine.count++;
    quarantine.bytes += mapping.size;
    pthread_mutex_unlock(&quarantine.mutex);
}

/* Returns MAP_FAILED if out of memory. A reused mapping costs no page
 * faults. */
static void *guard_map(size_t size)
{
    void *base = MAP_FAILED;

    pthread_mutex_lock(&quarantine.mutex);
    for (unsigned i = 0;
         base == MAP_FAILED && i + QUARANTINE_LEAST < quarantine.count; i++) {
        if (quarantine.ring[(quarantine.first + i) % QUARANTINE_COUNT].size ==
            size) {
            base = guard_quarantine_remove(i).base;
        }
    }
    pthread_mutex_unlock(&quarantine.mutex);
    return base != MAP_FAILED ? base
                              : mmap(NULL, size, PROT_NONE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *wr_guard_alloc(const struct weir_allocator *allocator, size_t size)
{
    wr_assert(size > 0);
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    struct mapping mapping = {.size = guard_map_size(size)};
    void *record = wr_alloc(allocator, sizeof(struct header));
    if (!record) {
        return NULL;
    }
    mapping.base = guard_map(mapping.size);
    if (mapping.base == MAP_FAILED) {
        wr_free(allocator, record, sizeof(struct header));
        return NULL;
    }
    const size_t used = mapping.size - guard_page_size();
    if (mprotect(mapping.base, used, PROT_READ | PROT_WRITE) != 0) {
        guard_unmap(mapping);
        wr_free(allocator, record, sizeof(struct header));
        return NULL;
    }
    *(uint8_t *)mapping.base = 0;
    uint8_t *data =
        (uint8_t *)mapping.base + used - guard_round_up(size, ALIGN);
    *guard_header(data) = (struct header){.record = record, .size = size};
    return data;
}

void wr_guard_free(const struct weir_allocator *allocator, void *ptr,
                   size_t size)
{
    if (!ptr) {
        return;
    }
    const uintptr_t guard = (uintptr_t)ptr + guard_round_up(size, ALIGN);
    struct header *header = guard_header(ptr);
    wr_assert(header->size == size);
    struct mapping mapping = {.size = guard_map_size(size)};
    mapping.base = (void *)(guard + guard_page_size() - mapping.size);
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
        return 0; /* the memory is locked, or madvise() does not support it */
    }
    wr_assert(end - start <= size);
    return end - start;
}
