/*
 * libFuzzer's entry to weir-load's client of HTTP/2: the bytes are what a
 * server sends, on a connection with eight streams; the first says in which
 * pieces they come, whether the server takes what is written to it (1), and
 * whether requests have a body (64), one of their own each (32).
 *
 * Whatever they are, each request ends once, in an answer or an error, no more
 * are under way than were asked for, and neither memory nor what is written
 * grows beyond what the requests and the bytes account for. The transport is a
 * count of bytes here.
 *
 *     ninja tests/fuzz/fuzz-h2-client
 *     tests/fuzz/fuzz-h2-client CORPUS
 */
#include "tests/fuzz/check.h"
#include "tests/fuzz/h2_transport.h"
#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/http2/http2.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A body is larger than the windows that a server begins with. */
enum { DEPTH = 8, REQUESTS = 200, BODY_BYTES = 70000 };

/* Of the first byte. */
enum { TAKES = 1, VARIES = 32, HAS_BODY = 64, IN_PIECES = 128 };

/* How often a request is sent at most: h2_answers.c. */
enum { SENDS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct run_options options = {
    .depth = DEPTH,
    .target_count = 1,
    .targets = {{.text = "http://x/", .host = "x", .port = 80, .path = "/"}},
    .http = {.version = HTTP_VERSION_2,
             .window_bytes = 1 << 20,
             .conn_window_bytes = 1 << 24,
             .frame_bytes = 16 << 10,
             .table_bytes = 4096},
};

static char fixed_body[BODY_BYTES + 1];
static char varied_body[64];

static struct traffic traffic;
static struct conn conn;
static struct record record;
static uint64_t failures;

/* HTTP/2 has no preamble: none of these is called. */

void conn_preamble_ended(struct conn *one)
{
    (void)one;
    check(false);
}

void conn_preamble_broke(struct conn *one, int err)
{
    (void)one;
    (void)err;
    check(false);
}

void conn_preamble_drop(struct conn *one)
{
    check(one == &conn);
}

static void tell_conn(void *arg, struct conn *one)
{
    (void)arg;
    (void)one;
}

static void tell_failed(void *arg, struct conn *one, struct error_kind *first)
{
    (void)arg;
    (void)one;
    check(!first || memchr(first->detail, '\0', ERRORS_DETAIL_SIZE));
    failures++;
}

static void tell_closed(void *arg, struct conn *one, weir_transport *t)
{
    (void)arg;
    (void)one;
    (void)t;
}

static void tell_drained(void *arg)
{
    (void)arg;
}

static const struct conn_events events = {
    .opened = tell_conn,
    .failed = tell_failed,
    .lost = tell_conn,
    .closed = tell_closed,
    .drained = tell_drained,
};

static const char *choose_body(uint8_t how)
{
    if (!(how & HAS_BODY)) {
        return NULL;
    }
    memset(fixed_body, 'x', BODY_BYTES);
    snprintf(varied_body, sizeof(varied_body), "{letters:%d}{letters:%d}",
             BODY_BYTES / 2, BODY_BYTES / 2);
    return how & VARIES ? varied_body : fixed_body;
}

static void begin(uint8_t how)
{
    const struct codec_thread thread = {.options = &options};

    options.http.body = choose_body(how);
    memset(&traffic, 0, sizeof(traffic));
    memset(&conn, 0, sizeof(conn));
    memset(&record, 0, sizeof(record));
    traffic = (struct traffic){
        .ways = {{.kind = &conn_h2, .codec = &codec_h2}},
        .options = &options,
        .ready = conn_think,
        .depth = DEPTH,
        .requests_per_conn = UINT32_MAX,
        .requests_per_conn_max = UINT32_MAX,
        .sending = true,
        .measuring = true,
        .judging = true,
        .remaining = REQUESTS,
        .number_stride = 1,
        .record = &record,
        .events = &events,
    };
    check(codec_h2.open(&thread, &traffic.ways[0].shared) == 0);
    conn.traffic = &traffic;
    conn.way = &traffic.ways[0];
    conn.codec_state =
        calloc(1, codec_h2.state_size + codec_h2.more_size(&options));
    check(conn.codec_state != NULL);
}

static void look(size_t taken)
{
    const struct ledger *ledger = &traffic.measured;

    check(conn.outstanding <= DEPTH);
    check(conn.outstanding == traffic.outstanding);
    check(ledger->sent + traffic.remaining == REQUESTS);
    check(ledger->sent ==
          ledger->ok + ledger->failed + ledger->timeout + conn.outstanding);
    /* The preface, some requests, and answers to what was sent. */
    const uint64_t bodies =
        options.http.body ? SENDS * (BODY_BYTES + 1024) * ledger->sent : 0;
    check(fake.written <= 4096 + 64 * REQUESTS + 8 * taken + bodies);
    check(fake_memory() < (options.http.body ? 2 << 20 : 1 << 20));
}

static void converse(const uint8_t *data, size_t size, uint8_t how)
{
    const struct weir_protocol *protocol = conn_h2.protocol;
    const size_t piece = how & IN_PIECES ? 1 + how % 64 : SIZE_MAX;
    size_t used = 0;

    conn_reset(&conn);
    conn_h2.prepare(&conn, &options.targets[0]);
    protocol->connection_made(&conn, fake_begin(protocol, &conn));
    while (used < size && !fake.is_closing) {
        const size_t len = size - used < piece ? size - used : piece;
        const struct weir_buf buf = {.data = data + used, .len = len};
        check(protocol->data_received(&conn, fake_transport(), &buf) == 0);
        used += len;
        look(used);
        if (how & TAKES && !fake.is_closing) {
            fake_take();
            look(used);
        }
    }
    if (!fake.is_closing && size % 2) {
        conn_h2.expire(&conn, UINT64_MAX / 2, 1000000000);
    }
    if (!fake.is_closing) {
        protocol->eof_received(&conn, fake_transport());
    }
    look(used);
    protocol->connection_lost(&conn, fake_transport(),
                              fake.was_aborted ? -ECONNRESET : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    fake_forget_memory();
    begin(data[0]);
    converse(data + 1, size - 1, data[0]);
    codec_h2.close(traffic.ways[0].shared);
    free(conn.codec_state);
    return 0;
}
