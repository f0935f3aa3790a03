/*
 * A large cached file, sent to peers that read at different speeds: how often
 * the cache is queried.
 *
 * A query costs time for each page, so a slow peer must not make the loop query
 * much, and one transfer uses what another has found.
 */
#include "subject.h"
#include "tests/bind.h"
#include "uring/sys.h"

#include <weir/sendfile.h>

#define FILE_BYTES (4u << 20)

static int file;

static void made(void *user, weir_transport *t)
{
    transport = t;
    expect_ok(
        weir_transport_sendfile(t, file, 0, WEIR_TO_END, note_told, NULL));
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .data_received = note_data);

/* The peer reads @step bytes at a time, until it has @len more. */
static void read_part(uint64_t len, size_t step)
{
    static char buf[1u << 20];
    uint64_t all = 0;

    expect_leq(step, sizeof(buf));
    for (uint32_t i = 0; i < 4 * len / step && all < len; i++) {
        clock_run_for(loop, MS);
        const size_t want = len - all < step ? (size_t)(len - all) : step;
        const ssize_t got = fake_peer_read(peer, buf, want);
        all += got > 0 ? (uint64_t)got : 0;
    }
    clock_run_for(loop, MS);
    expect_eq(all, len);
}

static void read_all(size_t step)
{
    read_part(FILE_BYTES, step);
}

/* Opens the connection, over which the whole file was sent once. */
static void start_with_a_known_file(void)
{
    subject_open(&(struct fake_options){.seed = 1}, NULL, &protocol, NULL);
    file = fake_disk_open(FILE_BYTES, fill_file, NULL);
    read_all(40000);
    expect_geq(fake_stats()->looked_up_bytes, FILE_BYTES);
    expect_told(0, FILE_BYTES);
    told_count = 0;
}

UNIT(file_room, a_peer_that_takes_little_makes_the_loop_look_up_little)
{
    subject_open(&(struct fake_options){.seed = 1}, NULL, &protocol, NULL);
    file = fake_disk_open(FILE_BYTES, fill_file, NULL);

    read_all(40000);

    expect_leq(fake_stats()->looked_up_bytes, 4 * FILE_BYTES);
    expect_told(0, FILE_BYTES);
    wr_sys_close(file);
    subject_stop(1);
}

UNIT(file_room, pages_that_were_found_ready_are_counted_for_a_second)
{
    start_with_a_known_file();
    const uint64_t looked_up = fake_stats()->looked_up_bytes;
    const uint64_t counted = fake_stats()->counted_bytes;

    made(NULL, transport);
    read_all(40000);
    expect_told(0, FILE_BYTES);
    expect_eq(fake_stats()->looked_up_bytes, looked_up);
    expect_geq(fake_stats()->counted_bytes, counted + FILE_BYTES);

    told_count = 0;
    clock_run_for(loop, 1000 * MS);
    made(NULL, transport);
    read_all(40000);
    expect_told(0, FILE_BYTES);
    expect_geq(fake_stats()->looked_up_bytes, looked_up + FILE_BYTES);
    wr_sys_close(file);
    subject_stop(1);
}

UNIT(file_room, pages_dropped_in_the_middle_of_a_file_are_read_by_the_ring)
{
    start_with_a_known_file();
    made(NULL, transport);
    read_part(FILE_BYTES / 4, 40000);
    expect_eq(fake_stats()->disk_reads, 0);

    fake_set_fault(FAKE_COLD, 1000);
    read_part(FILE_BYTES / 8, 40000); /* with what is on its way to the peer */
    const uint64_t sendfiles = fake_stats()->sendfiles;
    read_part(FILE_BYTES / 4, 40000);
    expect_eq(fake_stats()->sendfiles, sendfiles);
    expect_gt(fake_stats()->disk_reads, 0);

    fake_set_fault(FAKE_COLD, 0);
    read_part(FILE_BYTES / 8 * 3, 40000);
    expect_gt(fake_stats()->sendfiles, sendfiles);
    expect_told(0, FILE_BYTES);
    wr_sys_close(file);
    subject_stop(1);
}

/* A page that was missing when it was counted is counted again while it is
 * being read, and sendfile() would wait for it. */
UNIT(file_room, pages_that_were_missing_are_not_counted_while_they_arrive)
{
    const uint64_t half = FILE_BYTES / 2;

    start_with_a_known_file();
    fake_disk_place(file, FAKE_ABSENT, half, half);
    made(NULL, transport);
    read_part(half, 40000);
    clock_run_for(loop, 5 * MS); /* until the next piece is counted again */
    expect_gt(fake_stats()->disk_reads, 0);

    fake_disk_place(file, FAKE_ARRIVING, half, half);
    read_part(half, 40000);
    expect_told(0, FILE_BYTES);
    wr_sys_close(file);
    subject_stop(1);
}

/* Another transfer knows no more of them. */
UNIT(file_room, the_next_transfer_looks_missing_pages_up)
{
    const uint64_t half = FILE_BYTES / 2;

    start_with_a_known_file();
    fake_disk_place(file, FAKE_ABSENT, half, half);
    made(NULL, transport);
    read_all(40000);
    told_count = 0;

    fake_disk_place(file, FAKE_ARRIVING, half, half);
    const uint64_t reads = fake_stats()->disk_reads;
    made(NULL, transport);
    read_all(40000);
    expect_told(0, FILE_BYTES);
    expect_gt(fake_stats()->disk_reads, reads);
    wr_sys_close(file);
    subject_stop(1);
}

/* The socket is made non-blocking once while pieces follow each other. */
UNIT(file_room, the_flag_of_the_socket_is_set_once_for_a_burst)
{
    start_with_a_known_file();
    const uint64_t sendfiles = fake_stats()->sendfiles;
    const uint64_t rooms =
        fake_stats()->sendfiles_short + fake_stats()->sendfiles_full;
    const uint64_t changes = fake_stats()->flag_changes;

    made(NULL, transport);
    read_all(40000);

    expect_told(0, FILE_BYTES);
    expect_gt(fake_stats()->sendfiles, sendfiles + 10);
    expect_leq(fake_stats()->flag_changes - changes,
               fake_stats()->sendfiles_short + fake_stats()->sendfiles_full -
                   rooms + 1);
    wr_sys_close(file);
    subject_stop(1);
}

/* A receive that is armed anew while the socket is non-blocking fails, and is
 * armed again. */
UNIT(file_room, bytes_that_arrive_meanwhile_are_received)
{
    static const char byte = 'x';

    start_with_a_known_file();
    uint64_t expected = 0;
    received_bytes = 0;
    made(NULL, transport);
    for (int i = 0; i < 64; i++) {
        read_part(FILE_BYTES / 64, 40000);
        if (i % 8 == 0) { /* the receive ends with the credit */
            expect_eq(weir_transport_pause_reading(transport), 0);
            expect_eq(fake_peer_write(peer, &byte, 1), 1);
            expected++;
            clock_run_for(loop, MS);
            expect_eq(weir_transport_resume_reading(transport), 0);
        }
        expect_eq(fake_peer_write(peer, &byte, 1), 1);
        clock_run_for(loop, MS);
        expected++;
        expect_eq(received_bytes, expected);
    }
    expect_told(0, FILE_BYTES);
    wr_sys_close(file);
    subject_stop(1);
}
