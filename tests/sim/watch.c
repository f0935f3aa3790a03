/*
 * Checks weir's side of a simulated connection from outside.
 *
 * Between steps of the loop the marks of the send queue must have been
 * reported, and at each tick of the clock bytes that can move must have moved:
 * a connection that could continue and does not for a second has lost a
 * wake-up.
 */
#include "tests/sim/sim.h"

#include "weir/inspect.h"

static void note_rest(struct sim_conn *conn)
{
    if (conn->state == SIM_MADE && sim_pass_rests(conn)) {
        conn->has_rested = true;
        conn->has_rested_broken |= weir_transport_get_error(conn->t) != 0;
        conn->has_rested_closing |= conn->close_asked;
    }
}

void sim_side_watch(struct sim_conn *conn)
{
    note_rest(conn);
    if (conn->state == SIM_MADE && conn->first_err == 0) {
        conn->first_err = weir_transport_get_error(conn->t);
    }
    if (conn->state != SIM_MADE || weir_transport_is_closing(conn->t)) {
        return;
    }
    uint64_t depth = weir_transport_get_write_buffer_size(conn->t);
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(conn->t);
    if (!conn->writing_paused && depth > (uint64_t)marks.high_bytes) {
        fake_fail("connection %u: %llu bytes wait, not paused", conn->id,
                  (unsigned long long)depth);
    }
    /* What a cancel has dropped is told with the end of the file. */
    const bool file_ends = conn->file.fd != 0 && conn->file.cancelled_ns != 0;
    if (conn->writing_paused && depth <= (uint64_t)marks.low_bytes &&
        !conn->marks_moved && !file_ends) {
        fake_fail("connection %u: %llu bytes wait, not resumed", conn->id,
                  (unsigned long long)depth);
    }
}

/* Something to read and nothing that forbids it, or something to write. */
static bool could_move(const struct sim_conn *conn)
{
    int fd = weir_transport_get_socket(conn->t);
    if (weir_transport_get_error(conn->t) != 0) {
        return false; /* it waits until the protocol has read all before it */
    }
    bool rests = sim_pass_rests(conn);
    bool reads = !rests && weir_transport_is_reading(conn->t) &&
                 weir_transport_get_read_buffer_size(conn->t) == 0;
    bool writes =
        weir_transport_get_write_buffer_size(conn->t) > 0 || conn->file.fd != 0;
    bool misses_end = !rests && !conn->reading_paused && !conn->eof &&
                      !weir_transport_is_closing(conn->t) &&
                      weir_transport_get_read_buffer_size(conn->t) == 0 &&
                      fake_has_ended(fd);
    bool misses_fin = conn->write_ended && fake_room_bytes(fd) > 0 &&
                      !conn->close_asked && !fake_has_shut(fd);
    bool misses_reset = conn->reading_paused && conn->was_reset &&
                        !conn->fin_sent && conn->lent_count == 0 &&
                        !weir_transport_is_closing(conn->t) &&
                        weir_transport_get_read_buffer_size(conn->t) == 0 &&
                        fake_waiting_bytes(fd) == 0;
    return misses_fin || misses_reset ||
           (reads && fake_waiting_bytes(fd) > 0) ||
           (writes && fake_room_bytes(fd) > 0) || misses_end;
}

/* Broken, with nothing that it waits for. */
static bool should_be_lost(const struct sim_conn *conn)
{
    return weir_transport_get_error(conn->t) != 0 && !conn->reading_paused &&
           !sim_pass_rests(conn);
}

void sim_side_beat(struct sim_conn *conn)
{
    if (conn->state != SIM_MADE || sim.alloc.failed > 0) {
        return;
    }
    uint64_t now_ns = fake_now();
    int fd = weir_transport_get_socket(conn->t);
    uint64_t moved = fake_given_bytes(fd) + fake_taken_bytes(fd);
    if (moved != conn->moved) {
        conn->moved = moved;
        conn->moved_ns = now_ns;
        conn->idle_beats = 0;
    }
    if (!could_move(conn) && !should_be_lost(conn)) {
        conn->idle_beats = 0;
    }
    sim_file_beat(conn);
    if (conn->idle_beats++ > SIM_IDLE_BEATS) {
        weir_loop_dump(sim.loop, stderr);
        fake_fail("connection %u: it could go on, and does not", conn->id);
    }
    uint64_t closing_ns =
        conn->closing_ns > conn->limits_ns ? conn->closing_ns : conn->limits_ns;
    if (conn->close_limit_ns != 0 && conn->close_asked &&
        now_ns > closing_ns + conn->close_limit_ns + SIM_S) {
        fake_fail("connection %u: it closes for ever", conn->id);
    }
    if (conn->idle_ns != 0 && !weir_transport_is_closing(conn->t) &&
        now_ns > conn->moved_ns + conn->idle_ns + SIM_S) {
        fake_fail("connection %u: it outlives its idle time", conn->id);
    }
}
