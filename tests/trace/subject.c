/*
 * The connection of a test, and the record of its callbacks; see subject.h.
 *
 * There is only one connection per test, so that the record can be in variables
 * of the test.
 */
#include "subject.h"
#include "tests/bind.h"

weir_loop *loop;
weir_transport *transport;
struct fake_peer *peer;
bool pauses;
bool keeps;
bool keeps_open;
uint64_t received_bytes;
int eof_count;
int lost_count;
int lost_err;
uint64_t lost_ns;
int told_count;
int told_err;
uint64_t told_sent;

static weir_lease *kept[64];
static int kept_count;
static uint8_t lent[4096];

void note_made(void *user, weir_transport *t)
{
    transport = t;
    if (pauses) {
        weir_transport_pause_reading(t);
    }
}

int note_data(void *user, weir_transport *t, const struct weir_buf *buf)
{
    received_bytes += buf->len;
    if (keeps) {
        struct weir_buf piece = *buf;
        expect_eq(weir_buf_ref(&piece), 0);
        kept[kept_count++] = piece.lease;
    }
    return 0;
}

int note_eof(void *user, weir_transport *t)
{
    eof_count++;
    return keeps_open;
}

void note_lost(void *user, weir_transport *t, int err)
{
    lost_count++;
    lost_err = err;
    lost_ns = fake_now();
}

int lend(void *user, weir_transport *t, size_t hint, void **ret_buf,
         size_t *ret_size)
{
    *ret_buf = lent;
    *ret_size = sizeof(lent);
    return 0;
}

int note_filled(void *user, weir_transport *t, size_t len)
{
    received_bytes += len;
    return 0;
}

void take_back(void *user, void *buf)
{
    expect_eq(buf, (void *)lent);
}

void fill_file(void *arg, void *buf, uint64_t offset, size_t len)
{
    memset(buf, 'f', len);
}

void note_told(void *arg, weir_transport *t, int err, uint64_t sent)
{
    told_count++;
    told_err = err;
    told_sent = sent;
}

CALLBACKS(noting, STREAM, .connection_made = note_made,
          .data_received = note_data, .eof_received = note_eof,
          .connection_lost = note_lost);

CALLBACKS(lending, BUFFERED, .connection_made = note_made,
          .eof_received = note_eof, .connection_lost = note_lost,
          .get_buffer = lend, .buffer_updated = note_filled,
          .release_buffer = take_back);

int subject_open(const struct fake_options *machine,
                 const struct weir_loop_options *limits,
                 const struct weir_protocol *protocol,
                 const struct weir_connect_options *options)
{
    told_count = told_err = lost_count = lost_err = 0;
    fake_start(machine);
    expect_eq(weir_loop_new(limits, &loop), 0);
    return adopt(loop, protocol, NULL, options, &peer);
}

int subject_start(const struct fake_options *machine,
                  const struct weir_loop_options *limits,
                  const struct weir_protocol *protocol,
                  const struct weir_connect_options *options)
{
    const int fd = subject_open(machine, limits, protocol, options);
    clock_run_for(loop, MS);
    return fd;
}

void expect_lost(int err)
{
    expect_eq(lost_count, 1);
    expect_eq(lost_err, err);
}

void expect_told(int err, uint64_t sent)
{
    expect_eq(told_count, 1);
    expect_eq(told_err, err);
    expect_eq(told_sent, sent);
}

void subject_forget(void)
{
    while (kept_count > 0) {
        weir_buf_unref(kept[--kept_count]);
    }
}

void subject_stop(int alive)
{
    subject_forget();
    expect_eq(weir_loop_free(loop), alive);
    fake_peer_close(peer);
    fake_stop();
}
