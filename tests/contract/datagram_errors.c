/*
 * Datagram endpoints: errors that do not end the endpoint (R46).
 *
 * Each is reported once, whatever is queued after its datagram. Other errors
 * end the endpoint.
 */
#include "tests/contract/datagram_rig.h"
#include "tests/contract/fail_calls.h"

#include <linux/net_tstamp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static void send_and_turn(struct dg *rig)
{
    expect_geq(dg_send(rig, "x", 1), 0);
    dg_turns(rig, 3);
}

DATAGRAMS(datagram_errors, r46__a_peer_that_is_gone_is_told_and_no_more, rig,
          .connected = true)
{
    char text[4];

    dg_peer_close(rig);
    send_and_turn(rig);
    dg_wait_errors(rig, 1);
    expect_eq(rig->error, -ECONNREFUSED);
    cr_assert(weir_address_is_equal(&rig->error_peer, &rig->peer_address));
    expect_eq(rig->lost_count, 0);

    if (rig->family == AF_UNIX) {
        return; /* it is connected to the socket that is gone */
    }
    dg_peer_open(rig);
    expect_geq(dg_send(rig, "y", 1), 0);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
    expect_eq(text[0], 'y');
    dg_peer_send(rig, "z", 1);
    dg_wait_received(rig, 1);
}

DATAGRAMS(datagram_errors, an_earlier_ones_error_costs_no_later_one, rig,
          .connected = true)
{
    char text[4];

    if (rig->family == AF_UNIX) {
        return; /* its errors never belong to earlier datagrams */
    }
    /* The refusal arrives while reading is paused, so the next send reports it.
     */
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    dg_turns(rig, 2);
    dg_peer_close(rig);
    send_and_turn(rig);
    /* Waits until the kernel has an error for the subject, and does not read
     * it. */
    struct pollfd pollfd = {.fd = weir_transport_get_socket(rig->t)};
    expect_eq(poll(&pollfd, 1, DG_WAIT_S * 1000), 1);
    expect_eq(pollfd.revents, POLLERR);
    expect_eq(rig->error_count, 0);
    dg_peer_open(rig);
    send_and_turn(rig);

    expect_eq(rig->error_count, 1);
    expect_eq(rig->error, -ECONNREFUSED);
    cr_assert(weir_address_is_equal(&rig->error_peer, &rig->peer_address));
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1, "it was sent");
    expect_eq(dg_counts(rig).sent, 2);
}

DATAGRAMS(datagram_errors, one_too_long_for_the_way_is_told_and_the_rest_goes,
          rig, 0)
{
    static uint8_t bytes[60000];
    char text[4];

    if (rig->family == AF_UNIX) {
        const int size = 4096;
        expect_ok(setsockopt(weir_transport_get_socket(rig->t), SOL_SOCKET,
                             SO_SNDBUF, &size, sizeof(size)));
    } else {
        const int no_fragments = IP_PMTUDISC_PROBE;
        const int fd = weir_transport_get_socket(rig->t);
        expect_ok(rig->family == AF_INET
                      ? setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER,
                                   &no_fragments, sizeof(no_fragments))
                      : setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                                   &no_fragments, sizeof(no_fragments)));
    }
    expect_geq(dg_send(rig, "a", 1), 0);
    const size_t len = rig->family == AF_UNIX ? sizeof(bytes) : 65507;
    static uint8_t longest[65507];
    expect_geq(dg_send(rig, longest, len), 0);
    expect_geq(dg_send(rig, "b", 1), 0);
    dg_turns(rig, 2);

    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
    if (rig->family == AF_UNIX) {
        expect_eq(rig->error_count, 1, "once");
        expect_eq(rig->error, -EMSGSIZE);
        cr_assert(weir_address_is_equal(&rig->error_peer, &rig->peer_address));
        expect_eq(dg_counts(rig).sent, 2);
        expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
        expect_eq(text[0], 'b');
    }
}

DATAGRAMS(datagram_errors, complaint_69__errors_do_not_stop_the_batch, rig, 0)
{
    struct weir_address nowhere = dg_fresh_address(rig);
    char text[4];

    if (rig->family == AF_INET) {
        /* Broadcasts need an option: EACCES. */
        expect_eq(weir_address_parse("255.255.255.255", 9, &nowhere), 0);
    } else if (rig->family == AF_INET6) {
        /* From an IPv6 address an IPv4 address is unreachable: ENETUNREACH. */
        expect_eq(weir_address_parse("::ffff:127.0.0.1", 9, &nowhere), 0);
    }
    for (int i = 0; i < 3; i++) {
        expect_geq(weir_transport_sendto(rig->t, "n", 1, &nowhere), 0);
        expect_geq(dg_send(rig, "y", 1), 0);
    }
    dg_turns(rig, 1);

    expect_eq(rig->error_count, 3, "one for each");
    cr_assert(weir_address_is_equal(&rig->error_peer, &nowhere));
    for (int i = 0; i < 3; i++) {
        expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
        expect_eq(text[0], 'y');
    }
    expect_eq(dg_counts(rig).errors, 3);
    expect_eq(weir_transport_get_error(rig->t), 0);
}

enum { REFUSING = 3 };

static struct weir_address refusing[REFUSING];
static int refused[REFUSING];

static void note_refusal(struct dg *rig, int err)
{
    int known = 0;
    expect_eq(err, -ECONNREFUSED);
    for (int i = 0; i < REFUSING; i++) {
        if (weir_address_is_equal(&rig->error_peer, &refusing[i])) {
            refused[i]++;
            known++;
        }
    }
    expect_eq(known, 1, "a peer that was sent to");
}

/* Makes the kernel keep each error with its peer. Returns false for a Unix
 * socket. */
static bool keep_errors(const struct dg *rig)
{
    const int one = 1;
    const int fd = weir_transport_get_socket(rig->t);
    if (rig->family == AF_UNIX) {
        return false;
    }
    expect_ok(rig->family == AF_INET
                  ? setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof(one))
                  : setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof(one)));
    return true;
}

static void send_to_refusing(struct dg *rig)
{
    int sockets[REFUSING];

    for (int i = 0; i < REFUSING; i++) {
        refused[i] = 0;
        refusing[i] = dg_fresh_address(rig);
        /* An address that is in use is not given again. */
        sockets[i] = dg_socket(rig, &refusing[i]);
    }
    for (int i = 0; i < REFUSING; i++) {
        close(sockets[i]);
    }
    for (int i = 0; i < REFUSING; i++) {
        expect_geq(weir_transport_sendto(rig->t, "n", 1, &refusing[i]), 0);
        expect_geq(dg_send(rig, "y", 1), 0);
    }
}

DATAGRAMS(datagram_errors, kept_ones_name_the_peers_of_one_without_remote, rig,
          .hooks = {.error_received = note_refusal})
{
    char text[4];
    if (!keep_errors(rig)) {
        return;
    }
    send_to_refusing(rig);
    dg_wait_errors(rig, REFUSING);
    dg_turns(rig, 3);

    for (int i = 0; i < REFUSING; i++) {
        expect_eq(refused[i], 1, "once");
        expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
        expect_eq(text[0], 'y');
    }
    expect_eq(dg_counts(rig).errors, REFUSING);
    expect_eq(dg_counts(rig).sent, 2 * REFUSING);
    expect_eq(weir_transport_get_error(rig->t), 0);
}

DATAGRAMS(datagram_errors, kept_ones_of_one_that_is_connected_are_told_once,
          rig, .connected = true)
{
    if (!keep_errors(rig)) {
        return;
    }
    dg_peer_close(rig);
    for (int i = 1; i <= 3; i++) {
        expect_geq(dg_send(rig, "n", 1), 0);
        dg_wait_errors(rig, i);
        dg_turns(rig, 3);
        expect_eq(rig->error_count, i);
        expect_eq(rig->error, -ECONNREFUSED);
        cr_assert(weir_address_is_equal(&rig->error_peer, &rig->peer_address));
    }
}

static void abort_at_refusal(struct dg *rig, int err)
{
    note_refusal(rig, err);
    weir_transport_abort(rig->t);
}

DATAGRAMS(datagram_errors, the_first_kept_one_may_abort, rig,
          .hooks = {.error_received = abort_at_refusal})
{
    if (!keep_errors(rig)) {
        return;
    }
    send_to_refusing(rig);
    dg_wait_lost(rig);

    expect_eq(rig->error_count, 1);
}

DATAGRAMS(datagram_errors, a_time_stamp_that_the_kernel_keeps_is_none, rig, 0)
{
    const unsigned stamps = SOF_TIMESTAMPING_TX_SOFTWARE |
                            SOF_TIMESTAMPING_SOFTWARE |
                            SOF_TIMESTAMPING_OPT_TSONLY;
    const int fd = weir_transport_get_socket(rig->t);
    struct pollfd pollfd = {.fd = fd};
    char text[4];
    if (!keep_errors(rig)) {
        return;
    }
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    dg_turns(rig, 2);
    expect_ok(
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)));
    send_and_turn(rig);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
    expect_eq(poll(&pollfd, 1, DG_WAIT_S * 1000), 1, "the stamp");
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    while (poll(&pollfd, 1, 0) > 0) {
        dg_turns(rig, 1);
    }

    expect_eq(rig->error_count, 0);
}

static void send_again(struct dg *rig, int err)
{
    expect_geq(dg_send(rig, "x", 1), 0);
}

static void set_count(void *arg)
{
    ((struct dg *)arg)->count++;
}

DATAGRAMS(datagram_errors, a_storm_of_them_leaves_the_loop_its_turns, rig,
          .hooks = {.error_received = send_again}, .connected = true)
{
    dg_peer_close(rig);
    send_again(rig, 0);
    expect_ok(
        weir_loop_call_later(rig->loop, 20 * DG_MS, set_count, rig, NULL));
    RUN_UNTIL(rig->loop, rig->count > 0 && rig->error_count > 3);

    expect_eq(rig->lost_count, 0);
    rig->hooks.error_received = NULL;
    dg_turn_for(rig, 2 * DG_MS);
    rig->hooks.error_received = send_again;
}

static void abort_at_error(struct dg *rig, int err)
{
    weir_transport_abort(rig->t);
}

DATAGRAMS(datagram_errors, error_received_may_abort, rig,
          .hooks = {.error_received = abort_at_error}, .connected = true)
{
    dg_peer_close(rig);
    for (int i = 0; i < 3; i++) {
        send_and_turn(rig);
        if (rig->error_count > 0) {
            break;
        }
    }
    dg_wait_lost(rig);

    expect_eq(rig->error_count, 1);
    expect_str_eq(rig->events, "made error lost");
}

DATAGRAMS(datagram_errors, a_socket_that_is_shut_down_ends_and_does_not_spin,
          rig, 0)
{
    expect_leq(shutdown(weir_transport_get_socket(rig->t), SHUT_RDWR), 0);
    dg_wait_lost(rig);

    expect_eq(rig->received, 0);
    expect_eq(rig->lost_err, -ESHUTDOWN);
}

DATAGRAMS(datagram_errors, a_socket_that_is_shut_down_for_reading_ends, rig, 0)
{
    expect_leq(shutdown(weir_transport_get_socket(rig->t), SHUT_RD), 0);
    dg_wait_lost(rig);

    expect_eq(rig->received, 0);
    expect_eq(rig->lost_err, -ESHUTDOWN);
}

/* The poll still refers to the socket. */
DATAGRAMS(datagram_errors, a_descriptor_that_becomes_another_file_is_told, rig,
          0)
{
    const int file = open("/dev/null", O_RDWR | O_CLOEXEC);

    dg_peer_send(rig, "x", 1);
    dg_wait_received(rig, 1);
    const int fd = weir_transport_get_socket(rig->t);
    const int socket = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    expect_eq(dup3(file, fd, O_CLOEXEC), fd);
    close(file);
    dg_peer_send(rig, "y", 1);
    dg_wait_lost(rig);

    expect_eq(rig->received, 1);
    expect_eq(rig->lost_err, -ENOTSOCK);
    close(socket);
}

/* A peer on its own thread sends one datagram, then as many as fill a batch. So
 * the subject receives once more and finds nothing, while the next datagram may
 * arrive. */
enum { LAPS = 4000, LAP_COUNT = 1 + 8 };

static atomic_uint sent_count;
static atomic_uint seen_count;

static void *send_laps(void *arg)
{
    struct dg *rig = arg;

    for (uint32_t lap = 0; lap < LAPS; lap++) {
        for (uint32_t i = 0; i < LAP_COUNT; i++) {
            const uint32_t number = lap * LAP_COUNT + i;
            dg_peer_send(rig, &number, sizeof(number));
            atomic_store(&sent_count, number + 1);
        }
        while (atomic_load(&seen_count) < atomic_load(&sent_count)) {
            sched_yield();
        }
        for (volatile uint32_t i = 0; i < lap * 13 % 2048; i++) {
        }
    }
    return NULL;
}

static int expect_next(struct dg *rig, const struct weir_datagram *datagram)
{
    uint32_t number;

    cr_assert_eq(datagram->buf.len, sizeof(number));
    memcpy(&number, datagram->buf.data, sizeof(number));
    cr_assert_eq(number, rig->next_number);
    rig->next_number++;
    while (number % LAP_COUNT == 0 &&
           atomic_load(&sent_count) < number + LAP_COUNT) {
        sched_yield();
    }
    atomic_store(&seen_count, number + 1);
    return 0;
}

DATAGRAMS(datagram_errors, looking_for_errors_takes_no_datagram, rig,
          .hooks = {.datagram_received = expect_next})
{
    pthread_t thread;

    if (rig->family != AF_UNIX) {
        return; /* UDP may drop one */
    }
    cr_assert_eq(pthread_create(&thread, NULL, send_laps, rig), 0);
    dg_wait_received(rig, LAPS * LAP_COUNT);
    pthread_join(thread, NULL);
}

DATAGRAMS(datagram_errors, the_loops_end_aborts_and_drops, rig, 0)
{
    for (int i = 0; i < 3; i++) {
        expect_geq(dg_send(rig, "x", 1), 0);
    }
    expect_eq(weir_loop_free(rig->loop), 1);
    expect_eq(rig->lost_count, 1);
    expect_eq(rig->lost_err, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
    weir_transport_unref(rig->t);
    rig->t = NULL;
    expect_eq(weir_loop_new(NULL, &rig->loop), 0);
}

DATAGRAMS(datagram_errors, a_kernel_without_memory_is_not_asked_in_each_turn,
          rig, 0)
{
    static bool fails;
    if (!fails) {
        fail_calls(SYS_recvmmsg, ENOMEM);
    }
    fails = true;
    dg_peer_send(rig, "x", 1);

    dg_turn_for(rig, 100 * DG_MS);
    expect_leq(rig->error_count, 15);
    dg_wait_errors(rig, 2);
    expect_eq(rig->error, -ENOMEM);
    weir_transport_pause_reading(rig->t);
    dg_turns(rig, 2);
    const int told = rig->error_count;
    dg_turn_for(rig, 30 * DG_MS);
    expect_eq(rig->error_count, told, "and not while reading is paused");
    weir_transport_resume_reading(rig->t);
    dg_wait_errors(rig, told + 1);
}

static void note_made(void *user, weir_transport *t)
{
    *(weir_transport **)user = t;
    expect_eq(weir_transport_pause_reading(t), 0);
}

static CALLBACKS(protocol, DATAGRAM, .connection_made = note_made);

static void stop_loop(void *arg)
{
    weir_loop_stop(arg);
}

static void run_for(weir_loop *loop, uint64_t time_ns)
{
    struct weir_handle handle;
    expect_eq(weir_loop_call_later(loop, time_ns, stop_loop, loop, &handle), 0);
    expect_eq(weir_loop_run(loop), 0);
}

/* The kernel keeps errors on request (IP_RECVERR), and while it has some, each
 * poll for space ends at once. */
UNIT(datagram_errors, kept_errors_do_not_make_a_wait_for_room_spin)
{
    static const char bytes[1000];
    struct weir_address closed;
    struct weir_address silent;
    weir_transport *t = NULL;
    weir_loop *loop;
    const struct weir_factory factory = bind_to(&protocol, &t);
    const int one = 1;
    const int few = 1;
    /* Enters a network of its own, in which a datagram waits for an ARP
     * response that never comes. */
    if (unshare(CLONE_NEWNET) < 0 &&
        unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        cr_skip_test("no network namespace; runs as root: %s", strerror(errno));
    }
    if (system("ip link set lo up && "
               "ip link add silent0 type veth peer name silent1 && "
               "ip addr add 10.9.9.1/24 dev silent0 && "
               "ip link set silent0 up && ip link set silent1 up") != 0) {
        cr_skip_test(
            "no pairs of network devices; runs with iproute2 and veth");
    }
    const int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect_eq(setsockopt(sock, SOL_IP, IP_RECVERR, &one, sizeof(one)), 0);
    expect_eq(setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)), 0);
    expect_eq(weir_address_parse("127.0.0.1", 9, &closed), 0);
    expect_eq(weir_address_parse("10.9.9.2", 9, &silent), 0);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_ok(weir_create_datagram_endpoint_at(
        loop, &factory, weir_endpoint_fd(sock), weir_endpoint_none(), NULL,
        NULL, NULL, NULL));
    RUN_UNTIL(loop, t != NULL);

    expect_eq(weir_transport_sendto(t, "x", 1, &closed), 0);
    run_for(loop, 5 * DG_MS);
    for (int i = 0; i < 50; i++) {
        expect_eq(weir_transport_sendto(t, bytes, sizeof(bytes), &silent), 0);
    }
    run_for(loop, 5 * DG_MS);
    expect_gt(weir_transport_get_write_buffer_size(t), 0);
    const struct weir_loop_statistics before = statistics_of(loop);
    run_for(loop, 100 * DG_MS);
    const struct weir_loop_statistics after = statistics_of(loop);

    expect_lt(after.completions - before.completions, 20);
    expect_eq(weir_loop_free(loop), 1);
}
