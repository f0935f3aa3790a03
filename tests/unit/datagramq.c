/*
 * The queue of datagrams compared with a model: entries of all kinds pushed,
 * gathered and dropped at random, failing allocations, and release callbacks
 * that push again.
 *
 * Random tests print their seed.
 */
#define UNIT_RUN with_queue
#include "lib/base/datagramq.h"

#include "tests/unit/random.h"
#include "tests/walk.h"
#include "uring/lease.h"

#include <errno.h>

#define MODEL_MAX 512
#define LEN_MAX   70000

/* A datagram that the queue must hold. */
struct model {
    size_t len;
    uint8_t first; /* first of its bytes, which count up */
    uint16_t port; /* 0 means no name */
    size_t control_len;
    enum wr_outgoing_kind kind;
};

static struct test_allocator allocator;
static struct wr_blocks blocks;
static struct wr_pool pool; /* only for leases of copies */
static struct wr_account account;
static struct wr_datagramq queue;
static struct model models[MODEL_MAX];
static uint32_t model_first;
static uint32_t model_count;
static uint64_t refs_out;
static uint8_t memory[LEN_MAX + 256];

static void nothing_released(struct wr_account *released)
{
    cr_assert_eq(released, &account);
}

static void release(void *arg)
{
    cr_assert_gt(refs_out, 0);
    refs_out--;
}

static struct model *model_at(uint32_t i)
{
    cr_assert_lt(i, model_count);
    return &models[(model_first + i) % MODEL_MAX];
}

static int push(const struct model *model)
{
    static const uint8_t control[64] = {1, 2, 3};
    struct weir_address name = {.len = sizeof(struct sockaddr_in)};
    struct wr_outgoing_parts parts = {
        .data = memory + model->first,
        .len = model->len,
        .name = model->port ? &name : NULL,
        .control = control,
        .control_len = model->control_len,
        .kind = model->kind,
        .release = model->kind == WR_OUTGOING_REF ? release : NULL,
    };
    name.storage.inet.sin_port = model->port;
    if (model->kind == WR_OUTGOING_LEASE) {
        parts.lease = wr_lease_copy(&pool, &account, parts.data, model->len);
        cr_assert_not_null(parts.lease);
        parts.data = parts.lease->data;
    }
    const int err = wr_datagramq_push(&queue, &blocks, &parts);
    if (parts.lease) {
        wr_lease_unref(parts.lease);
    }
    if (err == 0) {
        cr_assert_lt(model_count, MODEL_MAX);
        models[(model_first + model_count++) % MODEL_MAX] = *model;
        refs_out += model->kind == WR_OUTGOING_REF;
    }
    return err;
}

static void pop(void)
{
    const size_t len = model_at(0)->len;
    model_first++;
    model_count--;
    expect_eq(wr_datagramq_pop(&queue, &blocks), len + WEIR_DATAGRAM_COST);
}

static void check_message(const struct mmsghdr *message,
                          const struct model *model)
{
    const struct msghdr *header = &message->msg_hdr;
    expect_eq(header->msg_iovlen, 1);
    expect_eq(header->msg_iov->iov_len, model->len);
    expect_eq(
        memcmp(header->msg_iov->iov_base, memory + model->first, model->len),
        0);
    expect_eq(header->msg_controllen, model->control_len);
    expect_eq(header->msg_control == NULL, model->control_len == 0);
    expect_eq(header->msg_name == NULL, model->port == 0);
    if (model->port) {
        const struct sockaddr_in *name = header->msg_name;
        expect_eq((uintptr_t)name % 8, 0);
        expect_eq(name->sin_port, model->port);
    }
}

static void check_first_name(const struct msghdr *header)
{
    struct weir_address name;
    wr_datagramq_get_name(&queue, &name);
    expect_eq(name.len, header->msg_namelen);
    if (name.len > 0) {
        expect_eq(memcmp(&name.storage, header->msg_name, name.len), 0);
    }
}

static void check(void)
{
    static struct mmsghdr messages[MODEL_MAX];
    static struct iovec iov[MODEL_MAX];
    uint64_t bytes = 0;

    wr_datagramq_check_invariants(&queue);
    const uint32_t count =
        wr_datagramq_gather(&queue, messages, iov, MODEL_MAX);
    expect_eq(count, model_count);
    if (count > 0) {
        check_first_name(&messages[0].msg_hdr);
    }
    expect_eq(queue.count, model_count);
    for (uint32_t i = 0; i < count; i++) {
        check_message(&messages[i], model_at(i));
        bytes += model_at(i)->len + WEIR_DATAGRAM_COST;
    }
    expect_eq(queue.bytes, bytes);
    expect_eq(wr_datagramq_is_empty(&queue), model_count == 0);
}

static void with_queue(void (*body)(void))
{
    static const struct wr_account_ops ops = {.released = nothing_released};

    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
    memset(&pool, 0, sizeof(pool));
    pool.blocks = &blocks;
    wr_slab_init(&pool.leases, &allocator.hooks, sizeof(weir_lease));
    account = (struct wr_account){.ops = &ops};
    wr_datagramq_init(&queue);
    model_first = 0;
    model_count = 0;
    refs_out = 0;
    for (size_t i = 0; i < sizeof(memory); i++) {
        memory[i] = (uint8_t)i;
    }
    body();
    allocator.fail_at = 0;
    while (model_count > 0) {
        pop();
    }
    check();
    expect_eq(refs_out, 0);
    expect_eq(account.lease_count, 0);
    wr_slab_fini(&pool.leases);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

UNIT(datagramq, an_empty_queue_holds_no_memory)
{
    check();
    expect_eq(allocator.calls, 0);
}

UNIT(datagramq, small_ones_share_a_block)
{
    const struct model small = {.len = 64, .port = 9};

    for (int i = 0; i < 64; i++) {
        expect_eq(push(&small), 0);
    }

    expect_eq(allocator.calls, 1);
    check();
}

UNIT(datagramq, an_empty_one_is_a_datagram)
{
    const struct model empty = {.len = 0, .port = 9};

    expect_eq(push(&empty), 0);
    expect_eq(push(&empty), 0);
    check();
    pop();
    check();
}

UNIT(datagramq, without_memory_nothing_is_queued)
{
    const struct model large = {.len = 60000, .port = 9};
    const struct model ref = {.len = 60000, .kind = WR_OUTGOING_REF};

    allocator.fail_at = allocator.calls + 1;
    expect_eq(push(&large), -ENOMEM);
    check();
    allocator.fail_at = allocator.calls + 1;
    expect_eq(push(&ref), -ENOMEM);
    expect_eq(refs_out, 0);
    expect_eq(push(&large), 0);
    allocator.fail_at = allocator.calls + 1;
    expect_eq(push(&large), -ENOMEM);
    check();
}

static void push_again(void *arg)
{
    const struct model *small = arg;
    expect_eq(push(small), 0);
}

UNIT(datagramq, a_release_callback_may_push)
{
    static const struct model small = {.len = 3, .port = 1};
    const struct wr_outgoing_parts parts = {
        .data = memory,
        .len = 1,
        .kind = WR_OUTGOING_REF,
        .release = push_again,
        .release_arg = (void *)(uintptr_t)&small,
    };

    expect_eq(wr_datagramq_push(&queue, &blocks, &parts), 0);
    expect_eq(wr_datagramq_pop(&queue, &blocks), 1 + WEIR_DATAGRAM_COST);

    expect_eq(model_count, 1);
    check();
}

static struct model random_model(struct unit_random *random)
{
    static const size_t bounds[] = {2, 100, 2000, LEN_MAX};
    struct model model = {
        .len = unit_random_below(random, bounds[unit_random_below(random, 4)]),
        .first = (uint8_t)unit_random_next(random),
        .port = (uint16_t)unit_random_below(random, 3),
        .control_len = 8 * unit_random_below(random, 5),
        .kind =
            (enum wr_outgoing_kind)unit_random_below(random, WR_OUTGOING_KINDS),
    };
    model.len += model.kind == WR_OUTGOING_LEASE; /* none is empty */
    return model;
}

UNIT(datagramq, is_as_its_model_at_random)
{
    struct unit_random random = unit_random_new();

    for (int step = 0; step < 20000; step++) {
        const bool grows = step / 400 % 2 == 0;
        if (model_count < MODEL_MAX - 1 &&
            unit_random_below(&random, 5) < (grows ? 3 : 1)) {
            const struct model model = random_model(&random);
            expect_eq(push(&model), 0);
        } else if (model_count > 0) {
            pop();
        }
        if (step % 16 == 0) {
            check();
        }
    }
}
