/*
 * The rig of the tests that pass descriptors; see fds_rig.h.
 *
 * The peer sends and receives with plain system calls, without weir, and checks
 * every byte.
 */
#include "tests/contract/fds_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

int fds_count_open(void)
{
    static struct unit_fds open;
    unit_fds_read(&open);
    return open.count;
}

int mark_open(unsigned int number)
{
    int fd = eventfd(number, EFD_CLOEXEC | EFD_NONBLOCK);
    expect(fd >= 0);
    return fd;
}

uint64_t mark_close(int fd)
{
    uint64_t number = 0;
    expect_eq(read(fd, &number, sizeof(number)), (ssize_t)sizeof(number));
    close(fd);
    return number;
}

void passed_pipe(int ends[2])
{
    expect_eq(pipe2(ends, O_CLOEXEC), 0);
}

void expect_pipe_closed(struct rig *rig, int reading_end)
{
    struct pollfd wait = {.fd = reading_end, .events = POLLIN};
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;

    while (poll(&wait, 1, 1) == 0) {
        expect(rig_now_ns() < until_ns);
        if (rig->loop) {
            rig_turn(rig);
        }
    }
    expect_eq(wait.revents & POLLHUP, POLLHUP);
    close(reading_end);
}

bool fds_are_refused(weir_loop *loop)
{
    char text[4096];

    expect_lt(weir_loop_get_features_text(loop, text, sizeof(text)),
              sizeof(text));
    const char *line = strstr(text, "passrights");
    expect(line != NULL);
    return strncmp(line + 17, "6.16  yes", 9) == 0;
}

void ask_for_everything(const weir_transport *t)
{
    static const int names[] = {SO_PASSCRED, SO_PASSSEC, 76 /* SO_PASSPIDFD */};
    const int on = 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (setsockopt(weir_transport_get_socket(t), SOL_SOCKET, names[i], &on,
                       sizeof(on)) < 0) {
            expect_eq(errno, ENOPROTOOPT); /* an older kernel */
        }
    }
}

ssize_t peer_send_fds(struct rig *rig, size_t len, const int *fds, size_t count)
{
    static uint8_t bytes[65536];
    expect(len <= sizeof(bytes));
    rig_pattern(bytes, rig->peer_sent, len);
    const ssize_t sent = rights_send(rig->peer, bytes, len, fds, count, 0);
    rig->peer_sent += sent > 0 ? (uint64_t)sent : 0;
    return sent < 0 ? -errno : sent;
}

static void take_fds(const struct cmsghdr *head, struct peer_message *ret)
{
    expect_eq(head->cmsg_level, SOL_SOCKET);
    expect_eq(head->cmsg_type, SCM_RIGHTS);
    const size_t bytes = head->cmsg_len - CMSG_LEN(0);
    memcpy(ret->fds + ret->count, CMSG_DATA(head), bytes);
    ret->count += bytes / sizeof(int);
}

void peer_receive(struct rig *rig, size_t room, struct peer_message *ret)
{
    static uint8_t bytes[65536];
    uint8_t control[CMSG_SPACE(WEIR_FDS_MAX * sizeof(int))];
    struct iovec iov = {.iov_base = bytes, .iov_len = room};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    ssize_t got;

    expect(room <= sizeof(bytes));
    while ((got = recvmsg(rig->peer, &msg, MSG_CMSG_CLOEXEC)) < 0) {
        expect_eq(errno, EAGAIN);
        expect(rig_now_ns() < until_ns);
        rig_turn(rig);
    }
    expect(rig_is_pattern(bytes, rig->peer_received, (size_t)got));
    *ret = (struct peer_message){
        .at = rig->peer_received, .len = (size_t)got, .flags = msg.msg_flags};
    rig->peer_received += (uint64_t)got;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&msg); head;
         head = CMSG_NXTHDR(&msg, head)) {
        take_fds(head, ret);
    }
}

int rig_send_fds(struct rig *rig, size_t len, const int *fds, size_t count)
{
    uint8_t *bytes = malloc(len ? len : 1);
    expect(bytes != NULL);
    rig_pattern(bytes, rig->written, len);
    int err = weir_transport_send_fds(rig->t, bytes, len, fds, count);
    rig->written += err == 0 ? len : 0;
    free(bytes);
    return err;
}
