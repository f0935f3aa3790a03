/*
 * The fake machine, continued: datagrams.
 *
 * Like in fake_ring.c, each test is about one behaviour of the kernel, observed
 * on Linux 6.18.
 */
#define UNIT_RUN rig_test
#include "tests/trace/ring_rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

/* A datagram of at most 8 bytes, and where it came from. */
struct mail {
    struct sockaddr_storage from;
    char bytes[8];
    struct iovec iov;
    struct mmsghdr message;
};

static void mail_begin(struct mail *mail, size_t len)
{
    memset(mail, 0, sizeof(*mail));
    mail->iov = (struct iovec){mail->bytes, len};
    mail->message.msg_hdr.msg_iov = &mail->iov;
    mail->message.msg_hdr.msg_iovlen = 1;
}

static int receive(int fd, struct mail *mail)
{
    mail_begin(mail, sizeof(mail->bytes));
    mail->message.msg_hdr.msg_name = &mail->from;
    mail->message.msg_hdr.msg_namelen = sizeof(mail->from);
    return wr_sys_recvmmsg(fd, &mail->message, 1);
}

/* Sends @len bytes to the box, or to the peer where there is none. */
static int send_to(int fd, const struct fake_box *box, size_t len)
{
    struct mail mail;
    mail_begin(&mail, len);
    if (box) {
        mail.message.msg_hdr.msg_name = &mail.from;
        mail.message.msg_hdr.msg_namelen = fake_box_name(box, &mail.from);
    }
    return wr_sys_sendmmsg(fd, &mail.message, 1);
}

static int open_bound(void)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = wr_sys_socket(AF_INET, SOCK_DGRAM, 0);
    expect_eq(wr_sys_bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    rig.fd = fd;
    return fd;
}

/* Until a poll has told of one of the events; these. */
static uint32_t wait_for(int fd, uint32_t events)
{
    struct wr_op op;
    wr_op_init(&op, note);
    wr_prep_poll(&rig.uring, &op, fd, events, false);
    rig_turn(1, UINT64_MAX);
    return (uint32_t)results[0].res;
}

UNIT(fake_datagram,
     gives_datagrams_whole_empty_or_with_the_length_that_they_had)
{
    struct mail mail;
    struct sockaddr_storage name;
    rig_start(&(struct fake_options){.seed = 1});
    const int fd = open_bound();
    struct fake_box *box = fake_box_open(AF_INET);
    expect_eq(receive(fd, &mail), -EAGAIN);

    expect_eq(fake_box_send(box, fd, 7, "abc", 3), true);
    expect_eq(fake_box_send(box, fd, 8, "", 0), true);
    expect_eq(fake_box_send(box, fd, 9, "0123456789", 10), true);
    expect_eq(wait_for(fd, POLLIN), POLLIN);
    fake_spend(1000000);
    wait_for(fd, POLLIN);

    expect_eq(receive(fd, &mail), 1);
    expect_eq(mail.message.msg_len, 3);
    expect_eq(memcmp(mail.bytes, "abc", 3), 0);
    expect_eq(mail.message.msg_hdr.msg_namelen, fake_box_name(box, &name));
    expect_eq(memcmp(&mail.from, &name, sizeof(struct sockaddr_in)), 0);
    expect_eq(receive(fd, &mail), 1);
    expect_eq(mail.message.msg_len, 0);
    expect_eq(receive(fd, &mail), 1);
    expect_eq(mail.message.msg_len, 10);
    expect_eq(mail.message.msg_hdr.msg_flags, MSG_TRUNC);
    expect_eq(fake_given_count(fd), 3);
    expect_eq(fake_given_tag(fd, 1), 8);
}

UNIT(fake_datagram,
     tells_a_refusal_once_to_a_connected_sender_in_place_of_sending)
{
    struct mail mail;
    struct sockaddr_storage name;
    rig_start(&(struct fake_options){.seed = 1});
    const int fd = open_bound();
    struct fake_box *box = fake_box_open(AF_INET);
    const socklen_t len = fake_box_name(box, &name);
    expect_eq(wr_sys_connect(fd, (struct sockaddr *)&name, len), 0);
    fake_box_close(box);

    expect_eq(send_to(fd, NULL, 1), 1);
    expect_eq(wait_for(fd, POLLIN), POLLERR);
    expect_eq(send_to(fd, NULL, 1), -ECONNREFUSED);
    expect_eq(fake_taken_datagrams(fd), 1);
    expect_eq(send_to(fd, NULL, 1), 1);
    expect_eq(wait_for(fd, POLLIN), POLLERR);
    expect_eq(receive(fd, &mail), -ECONNREFUSED);
    expect_eq(receive(fd, &mail), -EAGAIN);

    expect_eq(fake_sent_errors(fd), 1);
    expect_eq(fake_received_errors(fd), 1);
}

UNIT(fake_datagram, tells_a_sender_that_is_not_connected_of_no_refusal)
{
    struct mail mail;
    rig_start(&(struct fake_options){.seed = 1});
    const int fd = open_bound();
    struct fake_box *box = fake_box_open(AF_INET);

    expect_eq(send_to(fd, box, 1), 1);
    fake_box_close(box);
    rig_turn(0, 0);
    fake_spend(1000000);
    rig_turn(0, 0);

    expect_eq(receive(fd, &mail), -EAGAIN);
    expect_eq(fake_stats()->datagrams_refused, 1);
}

/* A queue that is not full takes one more; a poll waits for half of it. */
UNIT(fake_datagram, has_room_for_datagrams_until_the_queue_is_full)
{
    rig_start(&(struct fake_options){.seed = 1, .send_size = 600});
    const int fd = open_bound();
    struct fake_box *box = fake_box_open(AF_INET);
    uint32_t taken = 0;

    while (send_to(fd, box, 1) == 1) {
        taken++;
    }
    expect_eq(taken, 3);
    expect_eq(fake_has_datagram_room(fd), false);
    expect_eq(wait_for(fd, POLLOUT), POLLOUT);
    expect_eq(fake_has_datagram_room(fd), true);

    expect_eq(send_to(fd, box, 1), 1);
}

UNIT(fake_datagram, drops_datagrams_for_which_the_receiver_has_no_room)
{
    rig_start(&(struct fake_options){.seed = 1, .recv_size = 600});
    const int fd = open_bound();
    struct fake_box *box = fake_box_open(AF_INET);

    for (uint64_t tag = 1; tag <= 5; tag++) {
        expect_eq(fake_box_send(box, fd, tag, "x", 1), true);
    }
    fake_spend(1000000);
    rig_turn(0, 0);

    expect_eq(fake_datagram_drops(fd), 2);
}

UNIT(fake_datagram, loses_doubles_and_delays_datagrams_as_it_is_told)
{
    struct mail mail;
    rig_start(&(struct fake_options){.seed = 1});
    const int fd = open_bound();
    struct fake_box *box = fake_box_open(AF_INET);

    fake_set_fault(FAKE_LOSS, 1000);
    expect_eq(fake_box_send(box, fd, 1, "x", 1), true);
    fake_set_fault(FAKE_LOSS, 0);
    fake_set_fault(FAKE_DUPLICATE, 1000);
    expect_eq(fake_box_send(box, fd, 2, "x", 1), true);
    fake_set_fault(FAKE_DUPLICATE, 0);
    fake_spend(1000000);
    rig_turn(0, 0);

    expect_eq(receive(fd, &mail), 1);
    expect_eq(receive(fd, &mail), 1);
    expect_eq(receive(fd, &mail), -EAGAIN);
    expect_eq(fake_given_tag(fd, 0), 2);
    expect_eq(fake_given_tag(fd, 1), 2);
}

UNIT(fake_datagram, lets_a_unix_peer_that_does_not_read_refuse_the_twelfth)
{
    bool is_copy;
    char bytes[8];
    rig_start(&(struct fake_options){.seed = 1});
    rig.fd = wr_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    struct fake_box *box = fake_box_open(AF_UNIX);

    for (int i = 0; i < 11; i++) {
        expect_eq(send_to(rig.fd, box, 1), 1);
    }
    expect_eq(send_to(rig.fd, box, 1), -EAGAIN);
    expect_eq(fake_box_has_place(box), false);
    expect_eq(fake_has_datagram_room(rig.fd), true);
    expect_eq(fake_box_receive(box, bytes, sizeof(bytes), &is_copy), 1);
    expect_eq(send_to(rig.fd, box, 1), 1);
}

UNIT(fake_datagram, lets_no_datagram_pass_that_is_too_long)
{
    rig_start(&(struct fake_options){.seed = 1, .datagram_max = 4});
    const int fd = open_bound();
    struct fake_box *box = fake_box_open(AF_INET);

    expect_eq(send_to(fd, box, 4), 1);
    expect_eq(send_to(fd, box, 5), -EMSGSIZE);
}
