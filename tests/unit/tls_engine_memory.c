/*
 * The TLS engine's memory: little while it is idle, no allocation in a steady
 * exchange, no copy of a large record, and any allocation may fail.
 *
 * Two engines face each other in memory (tls_rig.h).
 */
#include "tests/unit/tls_rig.h"

#include <errno.h>

static struct tls_pair pair;

/* Returns true if the library's own allocations are counted, too. */
static bool memory_is_counted(void)
{
    return wr_tls_backend_get()->claim != NULL;
}

/* Measures all allocations for one idle connection, including allocation
 * headers and the engine itself. */
static void memory_measure(int version, bool is_server, bool rsa, bool talks,
                           uint64_t most)
{
    const struct tls_rig_options options = {.version = version, .rsa = rsa};
    tls_rig_connect(&pair, &options);
    if (talks) {
        tls_rig_write(&pair.server, "welcome", 7);
        tls_pair_exchange(&pair, TLS_BYTES);
        tls_rig_expect(&pair.client, "welcome", 7);
    }
    wr_ignore(wr_blocks_trim(&pair.account.blocks)); /* cached for the loop */
    const uint64_t before = pair.account.allocator.live_bytes;
    struct wr_tls_engine *engine =
        is_server ? &pair.server.engine : &pair.client.engine;

    wr_tls_engine_fini(engine);
    wr_ignore(wr_blocks_trim(&pair.account.blocks));
    const uint64_t taken = before - pair.account.allocator.live_bytes +
                           sizeof(struct wr_tls_engine);

    if (memory_is_counted()) {
        expect_gt(taken, 1u << 10);
    }
    expect_leq(taken, memory_is_counted() ? most : 2u << 10);
    struct wr_tls_peer_options again = {.server_hostname = "localhost"};
    expect_ok(wr_tls_engine_init(
        engine, is_server ? pair.server.context : pair.client.context, &again,
        pair.account.known));
    tls_pair_disconnect(&pair);
}

static void memory_measure_each(bool is_server, bool talks, uint64_t most)
{
    memory_measure(12, is_server, false, talks, most);
    memory_measure(13, is_server, false, talks, most);
    memory_measure(12, is_server, true, talks, most);
    memory_measure(13, is_server, true, talks, most);
}

UNIT(tls_memory, an_idle_connection_of_a_server_takes_at_most_8_kib)
{
    memory_measure_each(true, false, 8u << 10);
    memory_measure_each(true, true, 8u << 10);
}

/* Before the first data it has space for a ticket in several records. */
UNIT(tls_memory, an_idle_connection_of_a_client_takes_at_most_8_kib)
{
    memory_measure_each(false, false, 11u << 10);
    memory_measure_each(false, true, 8u << 10);
}

UNIT_IN(tls_memory, a_steady_exchange_allocates_nothing, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    static uint8_t data[2 * WR_TLS_RECORD_MAX];
    uint64_t calls = 0;
    for (int i = 0; i < 20; i++) {
        const size_t size = i & 1 ? sizeof(data) : 100;
        calls = i == 4 ? rig->account.allocator.calls : calls;
        tls_rig_write(&rig->client, data, size);
        tls_rig_write(&rig->server, data, size);
        tls_pair_exchange(rig, 5000);
        tls_rig_expect(&rig->client, data, size);
        tls_rig_expect(&rig->server, data, size);
    }

    if (rig->account.blocks.keeps_none) {
        return; /* a guard build allocates each block separately */
    }
    expect_eq(rig->account.allocator.calls, calls);
}

/* Other libraries fill records up to 16 KiB. */
UNIT(tls_memory, steady_records_of_16_kib_allocate_nothing)
{
    static uint8_t data[16 << 10];
    static struct tls_rig_options options;
    uint64_t calls = 0;
    tls_rig_connect_sealing(&pair, &options);
    for (int i = 0; i < 10; i++) {
        calls = i == 2 ? pair.account.allocator.calls : calls;
        tls_rig_seal(&pair, TLS_RIG_DATA, data, sizeof(data));
        tls_pair_exchange(&pair, 6000);
        tls_rig_expect(&pair.server, data, sizeof(data));
    }

    if (!pair.account.blocks.keeps_none) {
        expect_eq(pair.account.allocator.calls, calls);
    }
    tls_pair_disconnect(&pair);
}

UNIT_IN(tls_memory, a_large_record_leaves_in_the_buffer_it_was_sealed_in,
        tls_rig_pairs, struct tls_pair *rig, int version)
{
    static uint8_t data[WR_TLS_RECORD_MAX];
    tls_rig_fill(data, sizeof(data), 11);
    for (unsigned i = 0; i < 3; i++) {
        wr_ignore(wr_blocks_trim(&rig->account.blocks));
        const uint64_t calls = rig->account.allocator.calls;

        expect_ok(wr_tls_engine_write(&rig->client.engine, data, sizeof(data)));

        expect_eq(rig->account.allocator.calls, calls + 1);
        expect_eq(rig->account.blocks.used_bytes + sizeof(struct wr_block),
                  16u << 10);
        cr_assert_null(rig->client.engine.output_first->next);
        tls_side_flush(&rig->client);
        tls_pair_exchange(rig, TLS_BYTES);
        tls_rig_expect(&rig->server, data, sizeof(data));
    }
}

UNIT_IN(tls_memory, small_records_share_a_block, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(wr_tls_engine_write(&rig->client.engine, "small", 5), 0);
    }

    cr_assert_null(rig->client.engine.output_first->next);

    tls_side_flush(&rig->client);
    tls_pair_exchange(rig, TLS_BYTES);
    expect_eq(rig->server.plain_len, 100);
}

UNIT_IN(tls_memory, records_of_all_sizes_keep_their_order, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    static uint8_t data[1 << 19];
    size_t done = 0;
    tls_rig_fill(data, sizeof(data), 5);

    for (unsigned i = 0; done < sizeof(data) - WR_TLS_RECORD_MAX; i++) {
        const size_t len = 1 + (i * 7919u) % (i & 1 ? 300 : WR_TLS_RECORD_MAX);
        expect_ok(wr_tls_engine_write(&rig->client.engine, data + done, len));
        done += len;
    }

    tls_side_flush(&rig->client);
    tls_pair_exchange(rig, TLS_BYTES);
    tls_rig_expect(&rig->server, data, done);
}

UNIT_IN(tls_memory, output_that_was_not_taken_is_given_back, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    static uint8_t data[WR_TLS_RECORD_MAX];
    for (int i = 0; i < 4; i++) {
        expect_ok(wr_tls_engine_write(&rig->client.engine, data, sizeof(data)));
    }
    expect_gt(wr_tls_engine_get_output_bytes(&rig->client.engine),
              4 * WR_TLS_RECORD_MAX);
}

/* A failed allocation ends its side with -ENOMEM, or the library does not need
 * it. The other side may then get a broken alert. */
static void memory_fail_handshake(void *arg)
{
    const struct tls_rig_options *options = arg;
    walk_begin(&pair.account.allocator);
    int err = tls_rig_open(&pair, options);
    if (err < 0) {
        expect_eq(err, -ENOMEM);
        wr_ignore(wr_blocks_trim(&pair.account.blocks));
        return;
    }
    tls_side_step(&pair.client);
    tls_pair_exchange(&pair, TLS_BYTES);
    const bool failed = walk_end(&pair.account.allocator);
    int client = pair.client.engine.err;
    int server = pair.server.engine.err;
    if (client < 0 || server < 0) {
        cr_assert(failed);
        cr_assert(client == -ENOMEM || server == -ENOMEM, "%s and %s at %u",
                  weir_err_name(client), weir_err_name(server),
                  (unsigned)walk_round);
    } else {
        cr_assert_eq(pair.client.engine.state, WR_TLS_ENGINE_OPEN);
        cr_assert_eq(pair.server.engine.state, WR_TLS_ENGINE_OPEN);
    }
    tls_rig_close(&pair);
    wr_ignore(wr_blocks_trim(&pair.account.blocks));
}

static void memory_fail_all(int version)
{
    struct tls_rig_options options = {.version = version,
                                      .client_certificate = true,
                                      .wants_certificate = true};
    tls_rig_init(&pair, &options);
    expect_geq(walk_allocations(&pair.account.allocator, memory_fail_handshake,
                                &options),
               memory_is_counted() ? 50 : 7);
    memset(&pair.client.engine, 0, sizeof(pair.client.engine));
    tls_pair_disconnect(&pair);
}

UNIT(tls_memory, each_allocation_of_a_handshake_of_tls_12_may_fail)
{
    memory_fail_all(12);
}

UNIT(tls_memory, each_allocation_of_a_handshake_of_tls_13_may_fail)
{
    memory_fail_all(13);
}

/* Sends a message in each direction and closes. */
static void memory_fail_data(void *arg)
{
    static uint8_t data[WR_TLS_RECORD_MAX];
    struct wr_tls_engine *client = &pair.client.engine;
    tls_rig_connect(&pair, arg);
    wr_ignore(wr_blocks_trim(&pair.account.blocks));
    walk_begin(&pair.account.allocator);

    int err = wr_tls_engine_write(client, data, 10);
    err = err < 0 ? err : wr_tls_engine_write(client, data, sizeof(data));
    err = err < 0 ? err : wr_tls_engine_close(client);
    tls_side_flush(&pair.client);
    tls_pair_exchange(&pair, TLS_BYTES);

    const bool failed = walk_end(&pair.account.allocator);
    const int other = pair.server.engine.err;
    cr_assert(err == 0 || err == -ENOMEM);
    cr_assert(other == 0 || other == -ENOMEM);
    expect_eq(err < 0 || other < 0, failed);
    if (other == 0) { /* otherwise it may have sent an alert */
        expect_eq(client->err, err);
    }
    if (!failed) {
        expect_eq(pair.server.plain_len, 10 + sizeof(data));
    }
    tls_pair_disconnect(&pair);
}

UNIT(tls_memory, each_allocation_for_data_and_the_close_may_fail)
{
    for (int version = 12; version <= 13; version++) {
        struct tls_rig_options options = {.version = version};
        expect_geq(walk_allocations(&pair.account.allocator, memory_fail_data,
                                    &options),
                   memory_is_counted() ? 3 : 2);
    }
}

/* The peer could not decrypt later records without the missing one. */
UNIT(tls_memory, nothing_is_sent_behind_a_record_that_is_missing)
{
    static uint8_t record[9000] = {22, 3, 3, 0x23, 0x23};
    const struct tls_rig_options options = {.version = 13};
    tls_rig_init(&pair, &options);
    cr_assert_eq(tls_rig_open(&pair, &options), 0);
    struct wr_tls_conn *conn = &pair.server.engine.conn;
    wr_ignore(wr_blocks_trim(&pair.account.blocks));

    allocator_fail_in(&pair.account.allocator, 1);
    expect_eq(conn->events->put(conn, record, sizeof(record)), -ENOMEM);

    expect_eq(conn->events->put(conn, record, sizeof(record)), -ENOMEM);
    expect_eq(wr_tls_engine_get_output_bytes(&pair.server.engine), 0);
    tls_pair_disconnect(&pair);
}

UNIT(tls_memory, a_session_is_charged_to_no_loop)
{
    const struct tls_rig_options options = {.version = 13};
    struct wr_tls_known *session = NULL;
    tls_rig_connect(&pair, &options);
    const uint64_t bytes = pair.account.allocator.live_bytes;

    expect_eq(wr_tls_engine_get_session(&pair.client.engine, &session), 0);

    expect_eq(pair.account.allocator.live_bytes, bytes);
    tls_pair_disconnect(&pair);
    wr_tls_backend_get()->session_free(
        session); /* the loop and its account are gone */
}
