/*
 * A delivery without a connection; see delivery_rig.h.
 *
 * Every callback checks that it may be called now, and every step checks the
 * delivery's invariants.
 */
#include "tests/unit/delivery_rig.h"

struct test_allocator allocator;
static struct wr_blocks blocks;
struct wr_pool pool;
struct wr_account account;
weir_loop loop;
static const void *volatile owner = &loop;
weir_transport transport;
struct wr_delivery delivery;

uint8_t row[4096];         /* the received bytes, as numbers */
static uint8_t seen[4096]; /* bytes passed to the protocols */
size_t seen_len;
size_t arrived_len;
static uint8_t memory[4096]; /* of the buffered protocol */
size_t memory_size;
bool is_lent;
int given_back_count;
int doom_count;
int eof_count;
int eof_answer;
enum act on_data;       /* in data_received or buffer_updated */
enum act on_get_buffer; /* each for one call */
enum act on_eof;

static void doom(weir_transport *t)
{
    expect_eq(t, &transport);
    doom_count++;
    wr_delivery_shut(&delivery);
}

static const struct wr_transport_ops transport_ops = {
    .name = "rig", .protocol_kinds = WR_PROTOCOL_STREAMS, .doom = doom};

void set_binding(const struct weir_protocol *protocol)
{
    transport.binding.protocol = protocol;
    wr_protocol_bound(&transport);
}

static int act(enum act *once)
{
    const enum act what = *once;

    *once = ACT_NONE;
    switch (what) {
    case ACT_PAUSE_IN_NEED:
        allocator.fail_at = allocator.calls + 1;
        wr_delivery_pause(&delivery);
        break;
    case ACT_PAUSE:
        wr_delivery_pause(&delivery);
        break;
    case ACT_SHUT:
        wr_delivery_shut(&delivery);
        break;
    case ACT_SWITCH:
        set_binding(transport.binding.protocol == &stream_protocol
                        ? &buffered_protocol
                        : &stream_protocol);
        break;
    case ACT_FAIL:
        return -EPROTO;
    case ACT_NONE:
        break;
    }
    return 0;
}

static void see(const uint8_t *data, size_t len)
{
    cr_assert(wr_delivery_may_show(&delivery), "shown although it may not");
    cr_assert_leq(seen_len + len, sizeof(seen));
    memcpy(seen + seen_len, data, len);
    seen_len += len;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    see(buf->data, buf->len);
    return act(&on_data);
}

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    cr_assert_gt(hint, 0);
    cr_assert(!is_lent);
    *ret_buf = memory;
    *ret_size = memory_size;
    const int ret = act(&on_get_buffer);
    is_lent = ret == 0;
    return ret;
}

static int buffer_updated(void *user, weir_transport *t, size_t len)
{
    cr_assert(is_lent);
    is_lent = false;
    see(memory, len);
    return act(&on_data);
}

static void release_buffer(void *user, void *buf)
{
    expect_eq(buf, (void *)memory);
    cr_assert(is_lent);
    is_lent = false;
    given_back_count++;
}

static int eof_received(void *user, weir_transport *t)
{
    eof_count++;
    return act(&on_eof) < 0 ? -EPROTO : eof_answer;
}

const struct weir_protocol stream_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .data_received = data_received,
    .eof_received = eof_received,
};

const struct weir_protocol buffered_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_BUFFERED,
    .eof_received = eof_received,
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
    .release_buffer = release_buffer,
};

void setup(const struct weir_protocol *protocol)
{
    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
    memset(&pool, 0, sizeof(pool));
    pool.blocks = &blocks;
    wr_slab_init(&pool.leases, &allocator.hooks, sizeof(weir_lease));
    account = (struct wr_account){.limit_bytes = 1u << 20};
    memset(&loop, 0, sizeof(loop));
    loop.owner = &owner;
    memset(&transport, 0, sizeof(transport));
    transport.ops = &transport_ops;
    transport.loop = &loop;
    memset(&delivery, 0, sizeof(delivery));
    for (size_t i = 0; i < sizeof(row); i++) {
        row[i] = (uint8_t)(i * 7 + i / 256);
    }
    seen_len = arrived_len = 0;
    memory_size = sizeof(memory);
    is_lent = false;
    given_back_count = doom_count = eof_count = eof_answer = 0;
    on_data = on_get_buffer = on_eof = ACT_NONE;
    set_binding(protocol);
}

void teardown(void)
{
    wr_delivery_shut(&delivery);
    wr_delivery_check_invariants(&delivery);
    cr_assert(!is_lent);
    expect_eq(account.held_bytes, 0);
    expect_eq(account.lease_count, 0);
    wr_slab_fini(&pool.leases);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

bool arrive(size_t len)
{
    cr_assert_leq(arrived_len + len, sizeof(row));
    weir_lease *lease = wr_lease_copy(&pool, &account, row + arrived_len, len);
    cr_assert_not_null(lease);
    arrived_len += len;
    const bool is_held = wr_delivery_given(&transport, &delivery, lease);
    wr_delivery_check_invariants(&delivery);
    return is_held;
}

void resume(void)
{
    wr_delivery_resume(&delivery);
    wr_delivery_show_held(&transport, &delivery);
    wr_delivery_check_invariants(&delivery);
}

void expect_seen(size_t len)
{
    expect_eq(seen_len, len);
    expect_eq(memcmp(seen, row, len), 0, "bytes are out of order");
}
