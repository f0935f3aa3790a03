/*
 * Sessions whose connections to targets have no keepalive yet are in a list of
 * their worker. A second after the first one was added, all sessions still in
 * the list get keepalive, and the list is emptied.
 */
#include "keepalive.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#define AFTER_NS WEIR_SECONDS(1)

static int seconds_of(uint64_t time_ns)
{
    return (int)((time_ns + 999999999u) / 1000000000u);
}

bool keepalive_set(int fd, const struct config_service *config)
{
    const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, seconds_of(config->keepalive_idle_ns)},
        {IPPROTO_TCP, TCP_KEEPINTVL, seconds_of(config->keepalive_interval_ns)},
        {IPPROTO_TCP, TCP_KEEPCNT, (int)config->keepalive_count},
    };
    bool is_set = true;

    for (size_t i = 0; i < 4 && is_set && config->keepalive_idle_ns > 0; i++) {
        is_set = setsockopt(fd, options[i].level, options[i].name,
                            &options[i].value, sizeof(int)) == 0;
    }
    return is_set;
}

/* Sets the options. A closed target has no socket; a Unix socket refuses the
 * options, and does not need them. */
static void ask(const struct session *session)
{
    const int fd = weir_transport_get_socket(session->target);

    if (fd >= 0) {
        (void)keepalive_set(fd, session->door->service->config);
    }
}

static void ask_all(void *arg)
{
    struct worker *worker = arg;

    worker->will_ask = false;
    while (worker->unasked.oldest) {
        struct unasked *unasked = (struct unasked *)worker->unasked.oldest;
        ask(unasked->session);
        keepalive_end(unasked->session);
    }
}

void keepalive_begin(struct session *session)
{
    const struct service *service = session->door->service;
    struct worker *worker = service->worker;

    if (service->config->keepalive_idle_ns == 0) {
        return;
    }
    if (!worker->will_ask) {
        worker->will_ask = weir_loop_call_later(worker->loop, AFTER_NS, ask_all,
                                                worker, NULL) == 0;
    }
    if (!worker->will_ask) {
        ask(session);
        return;
    }
    session->unasked.session = session;
    list_add(&worker->unasked, &session->unasked.link);
}

void keepalive_end(struct session *session)
{
    if (session->unasked.session) {
        session->unasked.session = NULL;
        list_remove(&session->door->service->worker->unasked,
                    &session->unasked.link);
    }
}
