/*
 * Mapping, guarding, reusing and measuring stacks.
 *
 *     | guard | stack | guard | stack | guard | stack | ...   one mapping
 *
 * A new stack costs a system call, for its guard; a reused stack costs none.
 * The depth to which a stack was used is computed from its resident pages, so
 * it is measured before the pages are released.
 */
#include "fiber.h"

#include "shadow.h"
#include "uring/alloc.h"
#include "uring/sys.h"
#include "weir/error.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define REGISTER_STACK(start, end) VALGRIND_STACK_REGISTER(start, end)
#define DEREGISTER_STACK(id)       VALGRIND_STACK_DEREGISTER(id)
#else
#define REGISTER_STACK(start, end) 0
#define DEREGISTER_STACK(id)       (void)(id)
#endif

#define MAPPING_BYTES  (4u << 20)
#define MAPPING_STACKS 64u
/* Pages per mincore() call. The result is on the caller's stack. */
#define MINCORE_PAGES 1024u

struct wr_stack_mapping {
    struct wr_stack_mapping *next;
    uint8_t *start;
    size_t stride; /* size of a guard and a stack */
    uint32_t capacity;
    uint32_t made_count;
    uint32_t free_count; /* used only in wr_stacks_trim() */
    struct wr_stack stacks[];
};

_Static_assert(WR_STACK_SAMPLE *WR_STACK_DEFAULT <= WR_STACK_WARM_BYTES / 2,
               "one measured stack stands for half of the budget at most");
_Static_assert(WR_STACK_MIN << (WR_STACK_CLASSES - 1) == WR_STACK_MAX,
               "the largest class is the largest size");

static size_t stack_size_of_class(uint32_t class_index)
{
    return class_index == WR_STACK_OWN ? WR_STACK_DEFAULT
                                       : (size_t)WR_STACK_MIN << class_index;
}

static size_t stack_record_size(uint32_t capacity)
{
    return sizeof(struct wr_stack_mapping) + capacity * sizeof(struct wr_stack);
}

static size_t stack_mapped_size(const struct wr_stack_mapping *mapping)
{
    return mapping->stride * mapping->capacity;
}

static bool stack_is_unneeded(const struct wr_stack_mapping *mapping)
{
    return mapping->free_count == mapping->made_count;
}

static void stack_unmap(uint8_t *start, size_t size)
{
    /* Fails only if splitting needs more maps than the system allows. The
     * address range is lost then. */
    munmap(start, size);
}

void wr_stacks_check_invariants(const struct wr_stacks *stacks)
{
    wr_assert(stacks->used_count <= stacks->stack_count);
    wr_assert(stacks->mappings || stacks->stack_count == 0);
    wr_assert(stacks->mappings || !stacks->measure_next);
    wr_assert(stacks->high_water_bytes <= WR_STACK_MAX);
    wr_assert(stacks->warm_bytes <= WR_STACK_WARM_BYTES);
}

/* Returns the index of the lowest resident page, or @page_count without one. */
static size_t stack_find_page(const struct wr_stacks *stacks, uint8_t *start,
                              size_t page_count)
{
    unsigned char there[MINCORE_PAGES];
    size_t done = 0;
    wr_assert((uintptr_t)start % stacks->page_size == 0);
    while (done < page_count) {
        size_t count = wr_min_u64(page_count - done, MINCORE_PAGES);
        if (mincore(start + done * stacks->page_size, count * stacks->page_size,
                    there) != 0) {
            return page_count;
        }
        const unsigned char *found = memchr(there, 1, count);
        if (found) {
            return done + (size_t)(found - there);
        }
        done += count;
    }
    return page_count;
}

static uint64_t stack_depth_of(const struct wr_stacks *stacks,
                               const struct wr_stack *stack)
{
    size_t page_count = stack->size / stacks->page_size;
    size_t lowest = stack_find_page(stacks, stack->base, page_count);
    return (page_count - lowest) * stacks->page_size;
}

/* Returns the depth of a mapping's deepest stack, in bytes. A guard and a stack
 * must fit into MINCORE_PAGES pages, so that a mincore() covers whole
 * stacks. */
static uint64_t stack_depth_of_mapping(const struct wr_stacks *stacks,
                                       const struct wr_stack_mapping *mapping)
{
    unsigned char there[MINCORE_PAGES];
    size_t page = stacks->page_size;
    size_t stride = mapping->stride / page;
    size_t guard = WR_STACK_GUARD / page;
    uint32_t batch = (uint32_t)(MINCORE_PAGES / stride);
    size_t deepest = 0;

    wr_assert(batch > 0);
    for (uint32_t i = 0; i < mapping->made_count; i += batch) {
        size_t count = wr_min_u64(mapping->made_count - i, batch);
        if (mincore(mapping->start + i * mapping->stride,
                    count * mapping->stride, there) != 0) {
            continue;
        }
        for (size_t j = 0; j < count; j++) {
            const unsigned char *pages = there + j * stride + guard;
            const unsigned char *found = memchr(pages, 1, stride - guard);
            size_t lowest = found ? (size_t)(found - pages) : stride - guard;
            deepest = wr_max_u64(deepest, stride - guard - lowest);
        }
    }
    return deepest * page;
}

static void stack_note_depth(struct wr_stacks *stacks, uint64_t depth)
{
    wr_assert(depth % stacks->page_size == 0);
    stacks->high_water_bytes = wr_max_u64(stacks->high_water_bytes, depth);
}

static void stack_measure_mapping(struct wr_stacks *stacks,
                                  const struct wr_stack_mapping *mapping)
{
    wr_assert(mapping->made_count <= mapping->capacity);
    if (mapping->stride / stacks->page_size <= MINCORE_PAGES) {
        stack_note_depth(stacks, stack_depth_of_mapping(stacks, mapping));
        return;
    }
    for (uint32_t i = 0; i < mapping->made_count; i++) {
        stack_note_depth(stacks, stack_depth_of(stacks, &mapping->stacks[i]));
    }
}

uint64_t wr_stacks_high_water(struct wr_stacks *stacks)
{
    struct wr_stack_mapping *first =
        stacks->measure_next ? stacks->measure_next : stacks->mappings;
    struct wr_stack_mapping *mapping = first;
    uint64_t measured_count = 0;

    wr_stacks_check_invariants(stacks);
    while (mapping && measured_count < WR_STACK_MEASURED) {
        stack_measure_mapping(stacks, mapping);
        measured_count += mapping->made_count;
        mapping = mapping->next ? mapping->next : stacks->mappings;
        if (mapping == first) {
            break;
        }
    }
    stacks->measure_next = mapping;
    return stacks->high_water_bytes;
}

WEIR_MUST_USE static int stack_map(struct wr_stacks *stacks,
                                   uint32_t class_index,
                                   struct wr_stack_mapping **ret)
{
    size_t size = stack_size_of_class(class_index);
    size_t stride = WR_STACK_GUARD + size;
    uint64_t fitting = wr_max_u64(MAPPING_BYTES / size, 1);
    uint32_t capacity = (uint32_t)wr_min_u64(fitting, MAPPING_STACKS);

    wr_assert(class_index <= WR_STACK_OWN);
    struct wr_stack_mapping *mapping =
        wr_alloc(stacks->allocator, stack_record_size(capacity));
    if (!mapping) {
        return -ENOMEM;
    }
    uint8_t *start =
        mmap(NULL, stride * capacity, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (start == MAP_FAILED) {
        wr_free(stacks->allocator, mapping, stack_record_size(capacity));
        return -ENOMEM;
    }
    /* One touched page must not become 2 MiB. Since Linux 6.7 MAP_STACK is
     * enough. An error is harmless: the kernel has no huge pages. */
    madvise(start, stride * capacity, MADV_NOHUGEPAGE);
    *mapping = (struct wr_stack_mapping){
        .next = stacks->mappings,
        .start = start,
        .stride = stride,
        .capacity = capacity,
    };
    stacks->mappings = mapping;
    *ret = mapping;
    return 0;
}

WEIR_MUST_USE static int stack_install_guard(struct wr_stacks *stacks,
                                             uint32_t class_index,
                                             uint8_t *guard)
{
    if (!stacks->no_guard_install) {
        if (madvise(guard, WR_STACK_GUARD, MADV_GUARD_INSTALL) == 0) {
            return 0;
        }
        if (errno != EINVAL) {
            return -ENOMEM;
        }
        /* The kernel is older than Linux 6.13, or the memory is locked. */
        stacks->no_guard_install = true;
    }
    if (class_index == WR_STACK_OWN) {
        return 0;
    }
    return mprotect(guard, WR_STACK_GUARD, PROT_NONE) == 0 ? 0
                                                           : WEIR_ESTACKLIMIT;
}

WEIR_MUST_USE static int stack_make(struct wr_stacks *stacks,
                                    uint32_t class_index, struct wr_stack **ret)
{
    struct wr_stack_class *class = &stacks->classes[class_index];
    struct wr_stack_mapping *mapping = class->fresh;
    if (!mapping) {
        int err = stack_map(stacks, class_index, &mapping);
        if (err < 0) {
            return err;
        }
    }
    wr_assert(mapping->made_count < mapping->capacity);
    struct wr_stack *stack = &mapping->stacks[mapping->made_count];
    uint8_t *guard = mapping->start + mapping->made_count * mapping->stride;
    uint8_t *base = guard + WR_STACK_GUARD;
    *stack = (struct wr_stack){
        .mapping = mapping,
        .base = base,
        .size = stack_size_of_class(class_index),
        .class_index = class_index,
    };
    int err = stack_install_guard(stacks, class_index, guard);
    if (err == 0) {
        err = wr_shadow_make(stack);
    }
    if (err < 0) {
        if (mapping->made_count == 0) {
            wr_assert(stacks->mappings == mapping);
            stacks->mappings = mapping->next;
            stack_unmap(mapping->start, stack_mapped_size(mapping));
            wr_free(stacks->allocator, mapping,
                    stack_record_size(mapping->capacity));
        }
        return err;
    }
    stack->valgrind_id = REGISTER_STACK(base, base + stack->size - 1);
    mapping->made_count++;
    class->fresh = mapping->made_count < mapping->capacity ? mapping : NULL;
    stacks->stack_count++;
    *ret = stack;
    return 0;
}

static struct wr_stack *stack_pop(struct wr_stack **list)
{
    struct wr_stack *stack = *list;
    *list = stack->next;
    stack->next = NULL;
    return stack;
}

static void stack_push(struct wr_stack **list, struct wr_stack *stack)
{
    wr_debug_assert(!stack->next);
    stack->next = *list;
    *list = stack;
}

void wr_stacks_init(struct wr_stacks *stacks,
                    const struct weir_allocator *allocator)
{
    *stacks = (struct wr_stacks){
        .allocator = allocator,
        .page_size = (size_t)sysconf(_SC_PAGESIZE),
    };
    wr_assert(WR_STACK_GUARD % stacks->page_size == 0);
}

WEIR_MUST_USE static inline __attribute__((always_inline)) int
stack_take(struct wr_stacks *stacks, uint32_t class_index,
           struct wr_stack **ret)
{
    struct wr_stack_class *class = &stacks->classes[class_index];

    wr_debug_assert((wr_stacks_check_invariants(stacks), true));
    wr_debug_assert(class_index <= WR_STACK_OWN);
    if (class->warm) {
        *ret = stack_pop(&class->warm);
        stacks->warm_bytes -= (*ret)->charged_bytes;
    } else if (class->cold) {
        *ret = stack_pop(&class->cold);
    } else {
        int err = stack_make(stacks, class_index, ret);
        if (err < 0) {
            return err;
        }
    }
    stacks->used_count++;
    return 0;
}

int wr_stack_take(struct wr_stacks *stacks, size_t size, struct wr_stack **ret)
{
    wr_assert(size >= WR_STACK_MIN);
    wr_assert(size <= WR_STACK_MAX);
    /* class: how many times the smallest size must be doubled */
    const uint64_t doubled =
        (wr_max_u64(size, stacks->page_size) - 1) / WR_STACK_MIN;
    const uint32_t class =
        doubled == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(doubled);
    return stack_take(stacks, class, ret);
}

int wr_stack_take_own(struct wr_stacks *stacks, struct wr_stack **ret)
{
    return stack_take(stacks, WR_STACK_OWN, ret);
}

static void stack_cool(struct wr_stacks *stacks, struct wr_stack *stack)
{
    stack_note_depth(stacks, stack_depth_of(stacks, stack));
    madvise(stack->base, stack->size, MADV_DONTNEED); /* locked memory stays */
    stack_push(&stacks->classes[stack->class_index].cold, stack);
}

static inline void stack_keep(struct wr_stacks *stacks, struct wr_stack *stack,
                              uint32_t bytes)
{
    stack->charged_bytes = bytes;
    stacks->warm_bytes += bytes;
    stack_push(&stacks->classes[stack->class_index].warm, stack);
}

/* Keeps the stack warm if the estimate of its touched bytes fits into the
 * budget, else releases its pages. */
static __attribute__((noinline)) void
stack_keep_within_budget(struct wr_stacks *stacks, struct wr_stack *stack)
{
    struct wr_stack_class *class = &stacks->classes[stack->class_index];

    if (class->unmeasured == 0) {
        class->touched_bytes = (uint32_t)stack_depth_of(stacks, stack);
        class->unmeasured = stack->size <= WR_STACK_DEFAULT
                                ? WR_STACK_SAMPLE
                                : WR_STACK_SAMPLE_LARGE;
    }
    class->unmeasured--;
    if (stacks->warm_bytes + class->touched_bytes > WR_STACK_WARM_BYTES) {
        stack_cool(stacks, stack);
        return;
    }
    stack_keep(stacks, stack, class->touched_bytes);
}

bool wr_stack_give(struct wr_stacks *stacks, struct wr_stack *stack)
{
    wr_debug_assert((wr_stacks_check_invariants(stacks), true));
    wr_debug_assert(stack->size == stack_size_of_class(stack->class_index));
    wr_assert(!stack->next);
    wr_assert(stacks->used_count > 0);
    stacks->used_count--;
    if (WR_LIKELY(stacks->warm_bytes + stack->size <=
                  WR_STACK_UNMEASURED_BYTES)) {
        stack_keep(stacks, stack, (uint32_t)stack->size);
        return false;
    }
    stack_keep_within_budget(stacks, stack);
    return true;
}

static void stack_free_mapping(struct wr_stacks *stacks,
                               struct wr_stack_mapping *mapping)
{
    for (uint32_t i = 0; i < mapping->made_count; i++) {
        DEREGISTER_STACK(mapping->stacks[i].valgrind_id);
        wr_shadow_free(&mapping->stacks[i]);
    }
    stack_unmap(mapping->start, stack_mapped_size(mapping));
    wr_free(stacks->allocator, mapping, stack_record_size(mapping->capacity));
}

static void stack_count_free(struct wr_stack *list)
{
    for (struct wr_stack *at = list; at; at = at->next) {
        at->mapping->free_count++;
        wr_assert(at->mapping->free_count <= at->mapping->made_count);
    }
}

static void stack_drop_unneeded(struct wr_stack **list)
{
    struct wr_stack **link = list;
    while (*link) {
        if (stack_is_unneeded((*link)->mapping)) {
            stack_pop(link);
        } else {
            link = &(*link)->next;
        }
    }
}

void wr_stacks_trim(struct wr_stacks *stacks)
{
    wr_stacks_check_invariants(stacks);
    for (struct wr_stack_mapping *at = stacks->mappings; at; at = at->next) {
        at->free_count = 0;
    }
    for (uint32_t i = 0; i <= WR_STACK_OWN; i++) {
        stack_count_free(stacks->classes[i].warm);
        stack_count_free(stacks->classes[i].cold);
    }
    for (uint32_t i = 0; i <= WR_STACK_OWN; i++) {
        struct wr_stack_class *class = &stacks->classes[i];
        stack_drop_unneeded(&class->warm);
        stack_drop_unneeded(&class->cold);
        while (class->warm) {
            stack_cool(stacks, stack_pop(&class->warm));
        }
        if (class->fresh && stack_is_unneeded(class->fresh)) {
            class->fresh = NULL;
        }
    }
    stacks->warm_bytes = 0;
    stacks->measure_next = NULL;
    struct wr_stack_mapping **link = &stacks->mappings;
    while (*link) {
        struct wr_stack_mapping *mapping = *link;
        if (stack_is_unneeded(mapping)) {
            *link = mapping->next;
            wr_assert(stacks->stack_count >= mapping->made_count);
            stacks->stack_count -= mapping->made_count;
            stack_measure_mapping(stacks, mapping);
            stack_free_mapping(stacks, mapping);
        } else {
            link = &mapping->next;
        }
    }
    wr_stacks_check_invariants(stacks);
}

void wr_stacks_fini(struct wr_stacks *stacks)
{
    wr_assert(stacks->used_count == 0);
    while (stacks->mappings) {
        struct wr_stack_mapping *mapping = stacks->mappings;
        stacks->mappings = mapping->next;
        stack_free_mapping(stacks, mapping);
    }
    wr_stacks_init(stacks, stacks->allocator);
}
