/*
 * libFuzzer's entry to the TLS engine: bytes for a server or a client, in or
 * behind the handshake.
 *
 * The first byte chooses the side, the version and how far the handshake has
 * come, the second the size of the pieces in which the rest arrives. Nothing
 * that libFuzzer makes up is sealed with the right keys, so nothing may be
 * opened.
 *
 *     ninja tests/fuzz/fuzz-tls-engine
 *     WEIR_TLS_CERTIFICATES=tests/unit tests/fuzz/fuzz-tls-engine CORPUS
 */
#include "tests/unit/tls_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_AFTER_HANDSHAKE = 1, FUZZ_CLIENT = 2, FUZZ_OLD = 4 };

/* A pair for each version, with engines that are made anew for each input. */
static struct tls_pair *fuzz_pair(int version)
{
    static struct tls_pair pairs[2];
    static struct tls_rig_options options[2];
    const int place = version - 12;
    if (options[place].version == 0) {
        options[place].version = version;
        tls_rig_init(&pairs[place], &options[place]);
    }
    if (tls_rig_open(&pairs[place], &options[place]) < 0) {
        abort();
    }
    tls_side_step(&pairs[place].client);
    return &pairs[place];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    struct tls_pair *pair = fuzz_pair(data[0] & FUZZ_OLD ? 12 : 13);
    struct tls_side *side =
        data[0] & FUZZ_CLIENT ? &pair->client : &pair->server;
    if (data[0] & FUZZ_AFTER_HANDSHAKE) {
        tls_pair_exchange(pair, TLS_BYTES);
    }
    tls_side_feed(side, data + 2, size - 2, 1u + data[1]);
    wr_tls_engine_feed_eof(&side->engine);
    tls_side_step(side);
    if (side->plain_len > 0 || side->engine.state == WR_TLS_ENGINE_CLOSED ||
        pair->account.allocator.live_bytes > 200u << 10) {
        abort();
    }
    tls_rig_close(pair);
    return 0;
}
