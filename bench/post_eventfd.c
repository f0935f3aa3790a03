/*
 * Posting without a library: a list under a mutex, an eventfd, and an epoll
 * loop that takes the whole list when the eventfd is readable. The messages
 * contain their links, so nothing is allocated.
 *
 * post_eventfd writes to the eventfd for every message, post_eventfd_once only
 * for a message that finds the list empty.
 */
#include "bench/bench.h"
#include "bench/post.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct post_message *first;
static struct post_message *last;
static int event_fd;

#ifdef POST_ONCE
static const bool writes_once = true;
#else
static const bool writes_once = false;
#endif

static void post(struct post_message *message)
{
    uint64_t one = 1;

    message->link = NULL;
    pthread_mutex_lock(&lock);
    const bool was_empty = first == NULL;
    if (was_empty) {
        first = message;
    } else {
        last->link = message;
    }
    last = message;
    pthread_mutex_unlock(&lock);
    if ((was_empty || !writes_once) &&
        write(event_fd, &one, sizeof(one)) != sizeof(one)) {
        bench_die("write");
    }
}

static bool take_all(void)
{
    struct post_message *message;
    uint64_t count;
    bool goes_on = true;

    if (read(event_fd, &count, sizeof(count)) != sizeof(count)) {
        bench_die("read");
    }
    pthread_mutex_lock(&lock);
    message = first;
    first = NULL;
    pthread_mutex_unlock(&lock);
    while (message != NULL) {
        struct post_message *next = message->link;

        goes_on = post_received(message);
        message = next;
    }
    return goes_on;
}

int main(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    event_fd = eventfd(0, EFD_CLOEXEC);
    if (epoll_fd < 0 || event_fd < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) < 0) {
        bench_die("eventfd");
    }
    post_start(post);
    do {
        if (epoll_wait(epoll_fd, &event, 1, -1) < 0) {
            bench_die("epoll_wait");
        }
    } while (take_all());
    post_report("eventfd");
    return 0;
}
