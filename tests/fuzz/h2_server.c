/*
 * libFuzzer's entry to HTTP/2 of weir-load serve: the bytes are what a client
 * sends behind the preface; the first says in which pieces they come and
 * whether it reads what it gets.
 *
 * A connection never takes more memory than its limits allow, and writes no
 * more than its peer takes, however often that resets, opens windows or asks
 * for PINGs.
 *
 *     ninja tests/fuzz/fuzz-h2-server
 *     tests/fuzz/fuzz-h2-server CORPUS
 */
#include "tests/fuzz/check.h"
#include "tests/fuzz/h2_transport.h"
#include "tools/weir-load/modes.h"
#include "tools/weir-load/serve_http.h"

#include <errno.h>
#include <string.h>

/* 256 streams, a header of 16 KiB and the tables of both sides. */
#define MEMORY_MAX (UINT64_C(2) << 20)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool feed(const struct weir_protocol *protocol, void *user,
                 const uint8_t *data, size_t len)
{
    const struct weir_buf buf = {.data = data, .len = len};

    if (fake.is_closing) {
        return false;
    }
    if (protocol->data_received(user, fake_transport(), &buf) < 0) {
        fake.is_closing = true;
        fake.was_aborted = true;
    }
    check(fake_memory() <= MEMORY_MAX);
    return !fake.is_closing;
}

static void converse(const struct weir_protocol_binding *peer,
                     const uint8_t *data, size_t size, uint8_t how)
{
    const size_t piece = how < 128 ? SIZE_MAX : 1 + how % 32;
    const bool is_reader = how % 2;
    bool goes_on = feed(peer->protocol, peer->user, (const uint8_t *)preface,
                        sizeof(preface) - 1);

    for (size_t used = 0; used < size && goes_on;) {
        const size_t len = size - used < piece ? size - used : piece;
        goes_on = feed(peer->protocol, peer->user, data + used, len);
        used += len;
        if (is_reader && goes_on) {
            fake_take();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mode_settings settings;
    static struct mode_counts counts;
    struct weir_protocol_binding peer;

    if (size < 1) {
        return 0;
    }
    settings.answer = sizes_of(13);
    counts = (struct mode_counts){.settings = &settings};
    fake_forget_memory();
    check(serve_http_create(&counts, fake_transport(), &peer) == 0);
    fake_begin(peer.protocol, peer.user);
    peer.protocol->connection_made(peer.user, fake_transport());
    converse(&peer, data + 1, size - 1, data[0]);
    if (!fake.is_closing) {
        peer.protocol->eof_received(peer.user, fake_transport());
    }
    peer.protocol->connection_lost(peer.user, fake_transport(),
                                   fake.was_aborted ? -ECONNRESET : 0);
    check(counts.open_now == 0);
    return 0;
}
