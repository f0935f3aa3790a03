/*
 * A receive queue and its stream; see recvq_rig.h.
 *
 * Every call of the queue is made here together with its check: bytes are
 * compared with the pattern, counts with the numbers of pushed and consumed
 * bytes.
 */
#include "tests/unit/recvq_rig.h"

#include "tests/pattern.h"

struct test_allocator allocator;
struct wr_blocks blocks;
struct wr_pool pool;
struct wr_account account;
struct wr_recvq queue;
uint64_t copied;
uint64_t arrived;
static uint64_t consumed;
struct weir_buf view;
struct taken taken[TAKEN_MAX];
int taken_count;

static void check_bytes(const uint8_t *data, size_t len, uint64_t from)
{
    cr_assert(pattern_is(0, from, data, len),
              "one of %zu bytes from %llu on is wrong", len,
              (unsigned long long)from);
}

void setup(void)
{
    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
    memset(&pool, 0, sizeof(pool));
    pool.blocks = &blocks;
    wr_slab_init(&pool.leases, &allocator.hooks, sizeof(weir_lease));
    account = (struct wr_account){0};
    copied = arrived = consumed = 0;
    taken_count = 0;
    wr_recvq_init(&queue, &pool, &allocator.hooks, &copied);
}

static void check_taken(void)
{
    for (int i = 0; i < taken_count; i++) {
        check_bytes(taken[i].buf.data, taken[i].buf.len, taken[i].position);
    }
}

void give_back(int index)
{
    const struct weir_buf *buf = &taken[index].buf;
    check_bytes(buf->data, buf->len, taken[index].position);
    wr_lease_unref(buf->lease);
    taken[index] = taken[--taken_count];
}

void teardown(void)
{
    allocator.fail_at = 0;
    while (taken_count > 0) {
        give_back(taken_count - 1);
    }
    wr_recvq_fini(&queue);
    cr_assert_eq(account.held_bytes, 0);
    cr_assert_eq(account.lease_count, 0);
    cr_assert_eq(pool.held_bytes, 0);
    cr_assert_eq(pool.own.held_bytes, 0);
    cr_assert_eq(pool.own.lease_count, 0);
    cr_assert_eq(blocks.used_bytes, 0);
    wr_slab_fini(&pool.leases);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

void with_queue(void (*body)(void))
{
    setup();
    body();
    teardown();
}

/* Like wr_recvq_peek(), even while bytes are shown. */
static size_t peek(size_t offset, struct weir_buf *ret)
{
    const bool is_shown = queue.is_shown;
    queue.is_shown = false;
    const size_t len = wr_recvq_peek(&queue, offset, ret);
    queue.is_shown = is_shown;
    return len;
}

void check(void)
{
    struct weir_buf buf;
    size_t offset = 0;

    check_taken();
    cr_assert_eq(queue.total, arrived - consumed);
    cr_assert_leq(queue.count, queue.capacity);
    if (queue.is_shown) {
        check_bytes(view.data, view.len, consumed - view.len);
    }
    while (peek(offset, &buf) > 0) {
        check_bytes(buf.data, buf.len, consumed + offset);
        cr_assert(buf.data >= buf.lease->data);
        cr_assert(buf.data + buf.len <= buf.lease->data + buf.lease->len);
        offset += buf.len;
    }
    cr_assert_eq(offset, queue.total);
}

static uint8_t *next_bytes(size_t len)
{
    uint8_t *bytes = calloc(1, len);
    cr_assert_not_null(bytes);
    pattern_fill(0, arrived, bytes, len);
    return bytes;
}

int push(size_t len)
{
    uint8_t *bytes = next_bytes(len);
    weir_lease *lease = wr_lease_copy(&pool, &account, bytes, len);
    free(bytes);
    if (!lease) {
        return -ENOMEM;
    }
    const struct weir_buf buf = {
        .data = lease->data, .len = len, .lease = lease};
    int err = wr_recvq_push(&queue, &buf);
    wr_lease_unref(lease);
    if (err == 0) {
        arrived += len;
    }
    return err;
}

int push_copy(size_t len)
{
    uint8_t *bytes = next_bytes(len);
    int err = wr_recvq_push_copy(&queue, bytes, len);
    memset(bytes, 0xee, len);
    free(bytes);
    if (err == 0) {
        arrived += len;
    }
    return err;
}

void drop(void)
{
    wr_recvq_drop_shown(&queue);
    view = (struct weir_buf){0};
}

void read_out(size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    cr_assert_not_null(bytes);
    drop();
    wr_recvq_read(&queue, bytes, len);
    check_bytes(bytes, len, consumed);
    free(bytes);
    consumed += len;
}

void consume(size_t len)
{
    drop();
    wr_recvq_consume(&queue, len);
    consumed += len;
}

int show(size_t len)
{
    drop();
    int err = wr_recvq_join(&queue, len);
    if (err == 0) {
        wr_recvq_show(&queue, len, &view);
        cr_assert_eq(view.len, len);
        check_bytes(view.data, len, consumed);
        consumed += len;
    }
    return err;
}

int take(size_t max)
{
    struct weir_buf buf;
    drop();
    const size_t len = wr_min_u64(max, wr_recvq_first_len(&queue));
    cr_assert_lt(taken_count, TAKEN_MAX);
    int err = wr_recvq_take(&queue, len, &buf);
    if (err == 0) {
        cr_assert_eq(buf.len, len);
        taken[taken_count].buf = buf;
        taken[taken_count++].position = consumed;
        consumed += len;
    }
    return err;
}
