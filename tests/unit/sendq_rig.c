/*
 * A send queue and a model of it; see sendq_rig.h.
 *
 * The model is the list of queued bytes and of unreleased references; each call
 * compares the queue with it.
 */
#include "tests/unit/sendq_rig.h"

#include "tests/pattern.h"

struct test_allocator allocator;
struct wr_slab chunks;
struct wr_blocks blocks;
struct wr_sendq_memory memory;
struct wr_sendq queue;
static struct wr_pool pool; /* only for leases of copies */
struct wr_account account;
uint64_t written;
uint64_t taken;
uint64_t refs_out;
uint64_t released_sum;

static void nothing_released(struct wr_account *released)
{
    cr_assert_eq(released, &account);
}

void setup(void)
{
    static const struct wr_account_ops ops = {.released = nothing_released};

    allocator_init(&allocator);
    wr_slab_init(&chunks, &allocator.hooks, sizeof(struct wr_chunk));
    wr_blocks_init(&blocks, &allocator.hooks);
    memory = (struct wr_sendq_memory){.blocks = &blocks, .chunks = &chunks};
    memset(&pool, 0, sizeof(pool));
    pool.blocks = &blocks;
    wr_slab_init(&pool.leases, &allocator.hooks, sizeof(weir_lease));
    account = (struct wr_account){.ops = &ops};
    wr_sendq_init(&queue);
    written = taken = refs_out = released_sum = 0;
}

void teardown(void)
{
    allocator.fail_at = 0;
    wr_sendq_clear(&queue, &memory);
    cr_assert(wr_sendq_is_empty(&queue));
    cr_assert_eq(queue.bytes, 0);
    cr_assert_eq(refs_out, 0);
    cr_assert_eq(account.held_bytes, 0);
    cr_assert_eq(account.lease_count, 0);
    wr_slab_fini(&pool.leases);
    wr_slab_fini(&chunks);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

static uint8_t *next_bytes(size_t len)
{
    uint8_t *bytes = malloc(len);
    cr_assert_not_null(bytes);
    pattern_fill(0, written, bytes, len);
    return bytes;
}

int copy(size_t len)
{
    uint8_t *bytes = next_bytes(len);
    const struct iovec iov[] = {
        {.iov_base = bytes, .iov_len = len / 3},
        {.iov_base = NULL, .iov_len = 0},
        {.iov_base = bytes + len / 3, .iov_len = len - len / 3},
    };
    int err = wr_sendq_copy(&queue, &memory, iov, 3, len);
    memset(bytes, 0xee, len); /* a copy was made, or nothing */
    free(bytes);
    if (err == 0) {
        written += len;
    }
    return err;
}

int append_one(size_t len)
{
    uint8_t *bytes = next_bytes(len);
    void *room = wr_sendq_extend(&queue, &memory, len);
    const struct iovec piece = {.iov_base = bytes, .iov_len = len};
    int err = room ? 0 : wr_sendq_copy(&queue, &memory, &piece, 1, len);
    if (room) {
        memcpy(room, bytes, len);
    }
    memset(bytes, 0xee, len);
    free(bytes);
    if (err == 0) {
        written += len;
    }
    return err;
}

struct piece {
    size_t len;
    uint8_t bytes[];
};

static void release_piece(void *arg)
{
    struct piece *piece = arg;
    cr_assert_gt(refs_out, 0);
    refs_out--;
    released_sum += piece->len;
    memset(piece->bytes, 0xdd, piece->len);
    free(piece);
}

int ref(size_t len)
{
    struct piece *piece = malloc(sizeof(*piece) + len);
    cr_assert_not_null(piece);
    piece->len = len;
    pattern_fill(0, written, piece->bytes, len);
    const struct iovec iov = {.iov_base = piece->bytes, .iov_len = len};
    int err = wr_sendq_ref(&queue, &memory, &iov, release_piece, piece);
    if (err < 0) {
        free(piece); /* release was not called: the test frees it */
        return err;
    }
    refs_out++;
    written += len;
    return 0;
}

int lease(size_t len)
{
    uint8_t *bytes = malloc(len + 2);
    cr_assert_not_null(bytes);
    pattern_fill(0, written, bytes + 1, len);
    const uint64_t fail_at = allocator.fail_at;
    const uint64_t calls = allocator.calls;
    allocator.fail_at = 0;
    weir_lease *held = wr_lease_copy(&pool, &account, bytes, len + 2);
    allocator.calls = calls;
    allocator.fail_at = fail_at;
    free(bytes);
    cr_assert_not_null(held);
    const struct weir_buf buf = {
        .data = held->data + 1, .len = len, .lease = held};
    int err = wr_sendq_lease(&queue, &memory, &buf);
    cr_assert_eq(held->refs, err == 0 ? 2 : 1);
    wr_lease_unref(held);
    if (err == 0) {
        written += len;
    }
    return err;
}

void consume(uint64_t bytes)
{
    taken += bytes;
    wr_sendq_consume(&queue, &memory, bytes);
}

uint64_t check_gather(uint32_t max_count, uint64_t max_bytes)
{
    static struct iovec iov[VECTOR_MAX];
    const uint32_t count = wr_sendq_gather(&queue, iov, max_count, max_bytes);
    uint64_t position = taken;

    cr_assert_leq(count, max_count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_gt(iov[i].iov_len, 0, "an empty vector");
        cr_assert(pattern_is(0, position, iov[i].iov_base, iov[i].iov_len),
                  "one of %zu bytes from %llu on is wrong", iov[i].iov_len,
                  (unsigned long long)position);
        position += iov[i].iov_len;
    }
    const uint64_t named = position - taken;
    if (count < max_count) {
        cr_assert_eq(named, wr_min_u64(max_bytes, queue.bytes));
    }
    cr_assert_leq(named, max_bytes);
    return named;
}

void check(void)
{
    cr_assert_eq(queue.bytes, written - taken);
    cr_assert_eq(wr_sendq_is_empty(&queue), written == taken);
    cr_assert_eq(check_gather(VECTOR_MAX, UINT64_MAX), written - taken);
}

void take(uint64_t bytes)
{
    consume(wr_min_u64(bytes, queue.bytes));
}

int do_step(enum step step)
{
    switch (step) {
    case COPY_1:
        return copy(1);
    case COPY_FIRST_ROOM:
        return copy(FIRST_ROOM);
    case COPY_FIRST_ROOM_AND_1:
        return copy(FIRST_ROOM + 1);
    case COPY_LARGE:
        return copy(LARGE_ROOM + 300);
    case APPEND_1:
        return append_one(1);
    case APPEND_FIRST_ROOM:
        return append_one(FIRST_ROOM);
    case APPEND_FIRST_ROOM_AND_1:
        return append_one(FIRST_ROOM + 1);
    case REF_5:
        return ref(5);
    case REF_70000:
        return ref(70000);
    case LEASE_7:
        return lease(7);
    case TAKE_1:
        take(1);
        return 0;
    case TAKE_FIRST_ROOM:
        take(FIRST_ROOM);
        return 0;
    case TAKE_HALF:
        take(queue.bytes / 2);
        return 0;
    case TAKE_ALL_BUT_1:
        take(queue.bytes > 0 ? queue.bytes - 1 : 0);
        return 0;
    case TAKE_ALL:
        take(queue.bytes);
        return 0;
    case STEPS:
        break;
    }
    return -EINVAL;
}
