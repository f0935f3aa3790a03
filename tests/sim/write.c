/*
 * Each of the ways in which simulated connections send bytes.
 *
 * A copy, pieces, memory by reference, a leased buffer, chosen at random,
 * because the order of bytes must not depend on it. Each refusal must have a
 * possible cause. Memory sent by reference is compared and destroyed when it is
 * released, which must happen exactly once.
 */
#include "tests/sim/sim.h"

#include <errno.h>

/* Memory that is sent by reference. */
struct ref {
    struct sim_conn *conn;
    size_t len;
    uint64_t sum;
    uint8_t data[];
};

static uint64_t sum_of(const uint8_t *data, size_t len)
{
    uint64_t sum = len;
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        const size_t part =
            len - at < sizeof(uint64_t) ? len - at : sizeof(uint64_t);
        uint64_t word = 0;
        memcpy(&word, data + at, part);
        sum = sum * 31 + word;
    }
    return sum;
}

static void release_ref(void *arg)
{
    struct ref *ref = arg;
    if (sum_of(ref->data, ref->len) != ref->sum) {
        fake_fail("connection %u: memory sent by reference was changed",
                  ref->conn->id);
    }
    if (ref->conn->refs_out == 0) {
        fake_fail("connection %u: a release without a write", ref->conn->id);
    }
    ref->conn->refs_out--;
    memset(ref->data, 0xdd, ref->len);
    free(ref);
}

static int write_ref(struct sim_conn *conn, const uint8_t *data, size_t len)
{
    struct ref *ref = malloc(sizeof(*ref) + len);
    if (!ref) {
        abort();
    }
    ref->conn = conn;
    ref->len = len;
    ref->sum = sum_of(data, len);
    memcpy(ref->data, data, len);
    uint32_t before = conn->refs_out++;
    int err =
        weir_transport_write_ref(conn->t, ref->data, len, release_ref, ref);
    if (err < 0 && conn->refs_out != before) {
        fake_fail("connection %u: a refused write_ref was not released",
                  conn->id);
    }
    return err;
}

static int write_pieces(struct sim_conn *conn, const uint8_t *data, size_t len)
{
    size_t first = (size_t)fake_random(len + 1);
    size_t second = (size_t)fake_random(len - first + 1);
    struct iovec iov[4] = {
        {(void *)(uintptr_t)data, first},
        {NULL, 0},
        {(void *)(uintptr_t)(data + first), second},
        {(void *)(uintptr_t)(data + first + second), len - first - second}};
    return weir_transport_writelines(conn->t, iov, 4);
}

/* A write was refused for want of room: nothing may follow it unnoticed. */
static void check_remembered(struct sim_conn *conn, int err)
{
    int later = weir_transport_write(conn->t, "x", 1);
    if (later == -EPIPE && weir_transport_get_error(conn->t) == err) {
        later = err; /* it was closing and has broken off */
        conn->refused_err = err;
    }
    int told = weir_transport_take_write_error(conn->t);
    int again = weir_transport_take_write_error(conn->t);
    if (later != err || told != err || again != 0) {
        fake_fail("connection %u: after a write failed with %d: %d, %d, %d",
                  conn->id, err, later, told, again);
    }
}

bool sim_may_refuse(const struct sim_conn *conn, int err, size_t len,
                    uint64_t depth)
{
    bool broken = weir_transport_get_error(conn->t) < 0 || conn->abort_asked ||
                  conn->callback_err < 0;
    switch (err) {
    case -ESHUTDOWN:
        return conn->write_ended || conn->close_asked || broken;
    case -EPIPE:
        return broken;
    case -ENOBUFS:
        return depth + len > conn->write_limit;
    case -ENOMEM:
        return sim.alloc.failed > 0;
    case -EBUSY:
        return conn->file.fd != 0;
    default:
        return false;
    }
}

static void check_answer(const struct sim_conn *conn, int err, size_t len,
                         uint64_t depth)
{
    if (err < 0 && !sim_may_refuse(conn, err, len, depth)) {
        fake_fail("connection %u: a write of %zu bytes failed with %d",
                  conn->id, len, err);
    }
    if (err >= 0 && conn->file.fd != 0) {
        fake_fail("connection %u: a write beside a file", conn->id);
    }
    sim.result.counts[SIM_FILES_BUSY] += err == -EBUSY;
}

static int write_bytes(struct sim_conn *conn, const uint8_t *data, size_t len,
                       const struct weir_buf *buf)
{
    uint64_t depth = weir_transport_get_write_buffer_size(conn->t);
    int err = 0;
    sim_enter_api(true);
    switch (sim_pass_is_due(conn) ? 6 : fake_random(buf ? 6 : 3)) {
    case 6:
        err = sim_pass_write(conn, data, len);
        break;
    case 0:
        err = weir_transport_write(conn->t, data, len);
        break;
    case 1:
        err = write_pieces(conn, data, len);
        break;
    case 2:
        err = write_ref(conn, data, len);
        break;
    default:
        err = weir_transport_write_buf(conn->t, buf);
        break;
    }
    sim_leave_api();
    check_answer(conn, err, len, depth);
    if (err < 0) {
        if (err == -ENOBUFS || err == -ENOMEM) {
            check_remembered(conn, err);
        }
        return err;
    }
    fake_trace("connection %u: wrote %zu after %llu", conn->id, len,
               (unsigned long long)conn->written);
    conn->written += len;
    uint64_t now = weir_transport_get_write_buffer_size(conn->t);
    if (now > depth + len || now > conn->write_limit) {
        fake_fail("connection %u: depth %llu after %llu and a write of %zu",
                  conn->id, (unsigned long long)now, (unsigned long long)depth,
                  len);
    }
    return 0;
}

void sim_hold(struct sim_conn *conn, const struct weir_buf *buf)
{
    conn->held_at[conn->held_count] = conn->received - buf->len;
    struct weir_buf *held = &conn->held[conn->held_count];
    *held = *buf;
    if (weir_buf_ref(held) < 0) {
        sim_abort(conn); /* no memory */
        return;
    }
    conn->held_count++;
    sim_act_soon(conn, fake_random((sim.heavy ? 60 : 5) * SIM_MS));
}

static void check_held(const struct sim_conn *conn)
{
    for (uint32_t i = 0; i < conn->held_count; i++) {
        const struct weir_buf *held = &conn->held[i];
        sim_check_bytes(conn, false, conn->held_at[i], held->data, held->len);
    }
}

static void pop_held(struct sim_conn *conn)
{
    weir_lease *lease = conn->held[0].lease;
    conn->held_count--;
    memmove(conn->held, conn->held + 1,
            conn->held_count * sizeof(conn->held[0]));
    memmove(conn->held_at, conn->held_at + 1,
            conn->held_count * sizeof(conn->held_at[0]));
    weir_buf_unref(lease);
}

void sim_drop_held(struct sim_conn *conn)
{
    while (conn->held_count > 0) {
        pop_held(conn);
    }
}

/* An error that ends echoing: true when the bytes are to be forgotten. */
static bool give_up(struct sim_conn *conn, int err)
{
    if (err == -ENOBUFS) {
        return false;
    }
    if (err == -ENOMEM) {
        sim_abort(conn);
    }
    return true;
}

bool sim_flush_held(struct sim_conn *conn)
{
    check_held(conn);
    while (conn->held_count > 0) {
        const struct weir_buf *buf = &conn->held[0];
        int err = 0;
        if (conn->mode == SIM_ECHO) {
            err = write_bytes(conn, buf->data, buf->len, buf);
        }
        if (err < 0 && !give_up(conn, err)) {
            return false;
        }
        pop_held(conn);
    }
    return true;
}

void sim_echo(struct sim_conn *conn, const struct weir_buf *buf)
{
    if (conn->held_count == SIM_HELD_MAX && !sim_flush_held(conn)) {
        sim_abort(conn);
        return;
    }
    if (conn->held_count > 0 || fake_chance(sim.heavy ? 800 : 150)) {
        sim_hold(conn, buf);
        return;
    }
    size_t first = buf->len;
    if (buf->len > 1 && fake_chance(200)) {
        first = 1 + (size_t)fake_random(buf->len - 1);
    }
    struct weir_buf part = {buf->data, first, buf->lease};
    int err = write_bytes(conn, part.data, part.len, &part);
    if (err == 0 && first < buf->len) {
        part.data += first;
        part.len = buf->len - first;
        err = write_bytes(conn, part.data, part.len, &part);
    }
    if (err < 0 && !give_up(conn, err)) {
        part.len = (size_t)(buf->data + buf->len - part.data);
        sim_hold(conn, &part);
    }
}

void sim_echo_copy(struct sim_conn *conn, const uint8_t *data, size_t len)
{
    if (conn->held_count > 0 && !sim_flush_held(conn)) {
        sim_abort(conn);
        return;
    }
    int err = write_bytes(conn, data, len, NULL);
    if (err == -ENOBUFS || err == -ENOMEM) {
        sim_abort(conn);
    }
}

/* Where connections move bulk, sends are often longer than those that need no
 * room in the turn. */
static size_t own_size(void)
{
    return sim.bulk && fake_chance(300) ? 65536 + (size_t)fake_random(262144)
                                        : sim_size();
}

void sim_write_own(struct sim_conn *conn)
{
    uint64_t left = conn->plan_written - conn->written;
    if (fake_chance(200)) {
        sim_file_send(conn);
    }
    while (left > 0) {
        size_t len = own_size();
        len = len < left ? len : (size_t)left;
        uint8_t *data = malloc(len);
        if (!data) {
            abort();
        }
        sim_fill(conn, true, conn->written, data, len);
        int err = write_bytes(conn, data, len, NULL);
        free(data);
        if (err == -ENOMEM) {
            sim_abort(conn);
        }
        if (err < 0) {
            return;
        }
        left -= len;
        if (fake_chance(60)) {
            sim_file_send(conn);
            return;
        }
        if ((conn->writing_paused && conn->minds_marks) || fake_chance(300)) {
            return;
        }
    }
}
