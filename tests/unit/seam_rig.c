/*
 * Operations on one machine after another, and their results; see seam_rig.h.
 *
 * Both ends of the connection use the ring, so a test waits for nothing but the
 * ring's completions.
 */
#include "tests/unit/seam_rig.h"

struct wr_uring *uring;
struct result results[RESULT_MAX];
int result_count;
uint8_t bufs[BUF_COUNT][BUF_SIZE];
int ends[2];

void note(struct wr_op *op, int32_t res, uint32_t flags)
{
    cr_assert_lt(result_count, RESULT_MAX);
    results[result_count++] = (struct result){op, res, flags};
}

void turn(uint64_t timeout_ns)
{
    result_count = 0;
    expect_eq(wr_uring_enter(uring, 1, timeout_ns), 0);
    wr_uring_dispatch(uring, UINT32_MAX);
}

int32_t ended(const struct wr_op *op)
{
    int32_t res = INT32_MIN;
    for (int turns = 0; op->in_flight; turns++) {
        cr_assert_lt(turns, 1000, "the operation does not end");
        turn(WEIR_SECONDS(60));
        for (int i = 0; i < result_count; i++) {
            res = results[i].op == op ? results[i].res : res;
        }
    }
    return res;
}

void provide(int count)
{
    memset(bufs, 0, sizeof(bufs)); /* from the previous engine */
    for (int i = 0; i < count; i++) {
        wr_ring_provide_buffer(uring->ring, bufs[i], BUF_SIZE, (uint16_t)i);
    }
    wr_ring_commit_buffers(uring->ring);
}

struct sockaddr_in listen_at(int *ret_fd)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    const int fd = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    expect_geq(fd, 0);
    expect_eq(wr_sys_bind(fd, (struct sockaddr *)&addr, len), 0);
    expect_eq(wr_sys_listen(fd, 128), 0);
    expect_eq(wr_sys_getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_fd = fd;
    return addr;
}

void connect_ends(void)
{
    struct wr_op accepts;
    struct wr_op connects;
    int listener;
    const struct sockaddr_in addr = listen_at(&listener);
    wr_op_init(&accepts, note);
    wr_op_init(&connects, note);
    wr_prep_accept(uring, &accepts, listener, false);
    turn(0);
    cr_assert(accepts.in_flight);

    ends[1] = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    wr_prep_connect(uring, &connects, ends[1], (const struct sockaddr *)&addr,
                    sizeof(addr));
    int32_t accepted = INT32_MIN;
    int32_t connected = INT32_MIN;
    for (int turns = 0; accepts.in_flight || connects.in_flight; turns++) {
        cr_assert_lt(turns, 1000);
        turn(WEIR_SECONDS(60));
        for (int i = 0; i < result_count; i++) {
            *(results[i].op == &accepts ? &accepted : &connected) =
                results[i].res;
        }
    }
    expect_eq(connected, 0);
    expect_geq(accepted, 0);
    ends[0] = accepted;
    expect_eq(wr_sys_close(listener), 0);
}

static void close_ends(void)
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            wr_prep_close(uring, ends[i]);
        }
    }
    turn(0);
    expect_eq(uring->ops_in_flight, 0);
}

static void (*body_of_test)(struct wr_op *op);

static void run_body(struct wr_uring *given)
{
    struct wr_file_op op;
    uring = given;
    wr_op_init(&op.base, note);
    connect_ends();
    body_of_test(&op.base);
    close_ends();
}

void on_each_machine(void (*body)(struct wr_op *op))
{
    body_of_test = body;
    seam_on_each_machine(run_body);
}

void send_at(int end, const char *text)
{
    struct wr_op op;
    wr_op_init(&op, note);
    wr_prep_send(uring, &op, ends[end], text, strlen(text));
    expect_eq(ended(&op), (int32_t)strlen(text));
}

void send_now(const char *text)
{
    struct iovec piece = {(char *)(uintptr_t)text, strlen(text)};
    expect_eq(wr_sys_send(ends[1], &piece, 1), (int)strlen(text));
}

int is_readable(int fd, int wait_ms)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, wait_ms);
}

void prep_recv(struct wr_op *op, bool once)
{
    const struct wr_recv_limits limits = {
        .credit = BUF_SIZE, .buf_size = BUF_SIZE, .once = once};
    wr_prep_recv(uring, op, ends[0], &limits);
}

void expect_waits(int most)
{
    const uint64_t limit_ns = 20000000;
    for (int i = 0; i < 4; i++) {
        turn(0);
    }
    const uint64_t start_ns = wr_sys_now();
    for (int waits = 0; wr_sys_now() - start_ns < limit_ns; waits++) {
        cr_assert_lt(waits, most, "each wait is woken");
        turn(limit_ns);
    }
}

void expect_no_spin(void)
{
    expect_waits(20);
}
