/*
 * A file whose connection breaks in the turn in which its read completes.
 *
 * The peer has bytes for a protocol that has no memory for more, and the ring
 * has read a part of the file, all of it in one turn.
 */
#include "tests/bind.h"
#include "tests/fake/fake.h"
#include "tests/unit.h"
#include "uring/sys.h"
#include "weir/error.h"
#include "weir/loop.h"
#include "weir/sendfile.h"
#include "weir/server.h"

#include <errno.h>

#define FILE_BYTES 1000u

struct breaking {
    weir_loop *loop;
    int file;
    int file_err;
    int lost_err;
    int refusal; /* of get_buffer, the second time; 0: it gives nothing */
    uint32_t lent_count;
    char memory[8];
    bool is_told;
    bool is_lost;
};

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    memset(buf, 'f', len);
}

static void told(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct breaking *breaking = arg;
    expect_eq(sent, 0);
    breaking->file_err = err;
    breaking->is_told = true;
}

static void made(void *user, weir_transport *t)
{
    struct breaking *breaking = user;
    expect_ok(weir_transport_sendfile(t, breaking->file, 0, FILE_BYTES, told,
                                      breaking));
}

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    struct breaking *breaking = user;
    if (breaking->lent_count++ > 0) {
        return breaking->refusal;
    }
    *ret_buf = breaking->memory;
    *ret_size = sizeof(breaking->memory);
    return 0;
}

static int updated(void *user, weir_transport *t, size_t len)
{
    expect_eq(len, 1);
    return 0;
}

static void release(void *user, void *buf)
{
    expect_eq(buf == ((struct breaking *)user)->memory, true);
}

static void lost(void *user, weir_transport *t, int err)
{
    struct breaking *breaking = user;
    expect_eq(breaking->is_told, true);
    breaking->lost_err = err;
    breaking->is_lost = true;
}

static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                              .kind = WEIR_PROTOCOL_BUFFERED,
                                              .connection_made = made,
                                              .get_buffer = get_buffer,
                                              .buffer_updated = updated,
                                              .release_buffer = release,
                                              .connection_lost = lost};

static bool is_lost(void *arg)
{
    return ((struct breaking *)arg)->is_lost;
}

/* None of it was sent: an end of the stream would pass for an empty file. */
static void expect_reset(int refusal, int err)
{
    struct breaking breaking = {.refusal = refusal};
    struct fake_peer *peer;
    char byte;
    fake_start(&(struct fake_options){.seed = 1});
    fake_set_fault(FAKE_COLD, 1000); /* the ring reads it */
    breaking.file = fake_disk_open(FILE_BYTES, fill, NULL);
    const int fd = fake_connected_fd(&peer);
    expect_eq(fake_peer_write(peer, "x", 1), 1);
    expect_eq(weir_loop_new(NULL, &breaking.loop), 0);
    const struct weir_factory factory = bind_to(&protocol, &breaking);
    const struct weir_connect_options options = {.size = sizeof(options)};

    expect_ok(weir_adopt_connection(breaking.loop, &factory, fd, &options, NULL,
                                    NULL, NULL));
    expect_eq(weir_loop_run_until(breaking.loop, is_lost, &breaking), 0);

    expect_eq(breaking.file_err, err);
    expect_eq(breaking.lost_err, err);
    expect_eq(weir_loop_free(breaking.loop), 0);
    expect_eq(fake_peer_read(peer, &byte, 1), -ECONNRESET);
    fake_peer_close(peer);
    wr_sys_close(breaking.file);
    fake_stop();
}

UNIT(file_loss, of_a_part_that_was_read_resets_the_connection)
{
    expect_reset(0, WEIR_ENOBUFFER);
}

UNIT(file_loss, by_the_number_of_a_cancelled_file_resets_it_too)
{
    expect_reset(-ECANCELED, -ECANCELED);
}
