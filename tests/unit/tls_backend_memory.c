/*
 * OpenSSL's memory: each allocation of a connection fails once, and nothing is
 * left; and the memory of an idle connection.
 *
 * libcrypto accepts other allocation functions only before its first
 * allocation, for the whole process, which this program owns. Memory that the
 * library keeps is not counted: a first connection allocates it.
 */
#include "tests/unit/random.h"
#include "tests/unit/tls_backend_rig.h"

#include <weir/error.h>

#include <openssl/crypto.h>

/* Limit for an idle server connection without client certificates: 13 KiB in
 * OpenSSL 3.0, which includes tables of 32 pipelines, and 20.4 KiB in 3.5,
 * which has larger ones. */
enum { MEMORY_REST_MAX = 22 << 10 };

struct memory_block {
    size_t size;
    size_t unused;
};

static size_t memory_live;  /* bytes */
static size_t memory_calls; /* number of allocations */
static size_t memory_fails; /* number of the one that fails; 0 is none */
static size_t memory_failed;

static void *memory_take(void *old, size_t size)
{
    struct memory_block *block = old ? (struct memory_block *)old - 1 : NULL;
    const size_t before = block ? block->size : 0;
    if (++memory_calls == memory_fails) {
        memory_failed++;
        return NULL;
    }
    block = realloc(block, sizeof(*block) + size);
    if (!block) {
        return NULL;
    }
    block->size = size;
    memory_live += size - before;
    return block + 1;
}

static void *memory_malloc(size_t size, const char *file, int line)
{
    return memory_take(NULL, size);
}

static void memory_free(void *old, const char *file, int line)
{
    struct memory_block *block = old ? (struct memory_block *)old - 1 : NULL;
    memory_live -= block ? block->size : 0;
    free(block);
}

static void *memory_realloc(void *old, size_t size, const char *file, int line)
{
    if (size == 0) {
        memory_free(old, file, line);
        return NULL;
    }
    return memory_take(old, size);
}

__attribute__((constructor)) static void memory_set_functions(void)
{
    if (CRYPTO_set_mem_functions(memory_malloc, memory_realloc, memory_free) !=
        1) {
        abort();
    }
}

static struct backend_pair pair;

/* Expects that failed steps report a lack of memory. */
static void memory_expect(const struct backend_side *side)
{
    if (side->result == WR_TLS_STEP_FAILED && memory_failed > 0 &&
        side->conn.code != WEIR_ETLSALERT) {
        expect_lt(side->conn.code, 0);
    }
}

static void memory_run(int version)
{
    backend_step(&pair.client);
    backend_exchange(&pair);
    if (pair.client.is_open && pair.server.is_open &&
        pair.client.result != WR_TLS_STEP_FAILED &&
        pair.server.result != WR_TLS_STEP_FAILED) {
        struct wr_tls_conn *from = &pair.server.conn;
        int err = from->backend->write(from, "data", 4);
        if (err == 0 && version == 13) {
            err = from->backend->update_keys(from);
        }
        if (err == 0) {
            err = from->backend->shutdown(from);
        }
        backend_exchange(&pair);
    }
    memory_expect(&pair.client);
    memory_expect(&pair.server);
}

/* One allocation in @stride fails, until a run makes fewer. The first run is
 * complete, because libcrypto's tables of names leak an entry that they cannot
 * add. */
static size_t memory_sweep(const struct backend_options *server, size_t first,
                           size_t stride)
{
    const struct backend_options client = {
        .version = server->version, .verifies = true, .name = "localhost"};
    size_t at = first;
    size_t count = 0;
    size_t lacking = 0;

    memory_fails = 0;
    memory_failed = 0;
    backend_pair_open(&pair, &client, server);
    memory_run(server->version);
    backend_pair_close(&pair);
    do {
        backend_pair_open(&pair, &client, server);
        memory_calls = 0;
        memory_failed = 0;
        memory_fails = at;
        at += stride;
        count++;
        memory_run(server->version);
        memory_fails = 0;
        lacking +=
            pair.client.conn.lacks_memory || pair.server.conn.lacks_memory;
        backend_pair_close(&pair);
    } while (memory_failed > 0);
    expect_gt(at, 100);
    return lacking * 100 / count;
}

/* A run makes two handshakes: some of the allocations fail, starting at a
 * random one, unless there is much time. */
UNIT(tls_backend_memory, each_allocation_of_a_connection_fails_once)
{
    const size_t stride = getenv("WEIR_LONG")    ? 1
                          : getenv("WEIR_SHORT") ? 28
                                                 : 7;
    struct unit_random random = unit_random_new();

    for (int i = 0; i < 4; i++) {
        const struct backend_options server = {
            .version = i & 1 ? 13 : 12,
            .certificate = i & 2 ? "rsa" : "ecdsa",
            .is_outside = i & 2,
            .has_tickets = true,
        };
        const size_t first = 1 + (size_t)unit_random_below(&random, stride);
        const size_t percent = memory_sweep(&server, first, stride);
        printf("# TLS 1.%d%s: %zu %% of the failures are told as memory\n",
               server.version - 10, i & 2 ? ", key elsewhere" : "", percent);
    }
}

UNIT(tls_backend_memory, a_connection_at_rest_is_small_and_leaves_nothing)
{
    enum { COUNT = 16 };
    static struct backend_pair pairs[COUNT];
    const struct backend_options client = {
        .version = 13, .verifies = true, .name = "localhost"};
    const struct backend_options server = {.version = 13,
                                           .certificate = "ecdsa"};

    backend_pair_open(&pair, &client, &server);
    backend_connect(&pair);
    backend_pair_close(&pair);
    const size_t before = memory_live;
    for (int i = 0; i < COUNT; i++) {
        backend_pair_open(&pairs[i], &client, &server);
        backend_connect(&pairs[i]);
        backend_pass(&pairs[i], false, "ping", 4);
        backend_pass(&pairs[i], true, "pong", 4);
    }
    size_t bytes = memory_live;
    for (int i = 0; i < COUNT; i++) {
        pairs[i].server.conn.backend->rest(&pairs[i].server.conn);
    }
    printf("# buffers of a connection: %zu bytes\n",
           (bytes - memory_live) / COUNT);
    bytes = memory_live;
    for (int i = 0; i < COUNT; i++) {
        struct wr_tls_conn *conn = &pairs[i].server.conn;
        conn->backend->close(conn);
    }
    const size_t each = (bytes - memory_live) / COUNT;
    printf("# a connection at rest: %zu bytes\n", each);
    expect_lt(each, (size_t)MEMORY_REST_MAX);
    for (int i = 0; i < COUNT; i++) {
        const struct wr_tls_peer peer = {.shared = pairs[i].server.shared};
        cr_assert_eq(
            pairs[i].server.conn.backend->open(&pairs[i].server.conn, &peer),
            0);
        backend_pair_close(&pairs[i]);
    }
    expect_eq(memory_live, before);
}
