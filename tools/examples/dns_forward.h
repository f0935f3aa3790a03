/*
 * Callbacks of a DNS forwarder, for datagrams of clients and of the server. The
 * endpoint to the server is connected, so the kernel drops datagrams of other
 * senders. A response is accepted only if its id and question match a query.
 */
#ifndef WEIR_EXAMPLES_DNS_FORWARD_H
#define WEIR_EXAMPLES_DNS_FORWARD_H

#include "dns_pending.h"

static weir_transport *clients;
static weir_transport *server;
static uint64_t patience_ns;   /* time limit for the server's response */
static uint8_t message[65536]; /* the message that is being forwarded */

/* Sends SERVFAIL for the query in @message. */
static inline void fail(const struct weir_address *client, size_t question_len)
{
    dns_fail(message);
    weir_transport_sendto(clients, message, DNS_HEAD + question_len, client);
}

static inline int ask(void *user, weir_transport *t,
                      const struct weir_datagram *datagram)
{
    const struct weir_buf *buf = &datagram->buf;
    (void)user;
    if (!dns_is_query(buf->data, buf->len)) {
        return 0; /* not a query: sends no response */
    }
    size_t question_len = dns_question(buf->data, buf->len);
    struct pending *pending = pending_add();
    memcpy(message, buf->data, buf->len);
    if (!pending) {
        fail(&datagram->peer, question_len);
        return 0;
    }
    pending->client = datagram->peer;
    weir_loop *loop = weir_transport_get_loop(t);
    pending->until_ns = weir_loop_get_time(loop) + patience_ns;
    pending->question_len = question_len;
    memcpy(pending->asked, message, DNS_HEAD + question_len);
    dns_set_id(message, pending->id);
    weir_transport_sendto(server, message, buf->len, NULL);
    return 0;
}

static inline int answer(void *user, weir_transport *t,
                         const struct weir_datagram *datagram)
{
    const struct weir_buf *buf = &datagram->buf;
    (void)user;
    (void)t;
    struct pending *pending =
        buf->len < DNS_HEAD ? NULL : by_id[dns_id(buf->data)];
    if (!pending || !dns_answers(buf->data, buf->len, pending->asked + DNS_HEAD,
                                 pending->question_len)) {
        return 0;
    }
    memcpy(message, buf->data, buf->len);
    memcpy(message, pending->asked, 2); /* the client's id */
    weir_transport_sendto(clients, message, buf->len, &pending->client);
    pending_remove(pending);
    return 0;
}

static inline void expire(uint64_t now_ns)
{
    struct pending *oldest = TAILQ_FIRST(&waiting);
    while (oldest && oldest->until_ns <= now_ns) {
        memcpy(message, oldest->asked, DNS_HEAD + oldest->question_len);
        fail(&oldest->client, oldest->question_len);
        pending_remove(oldest);
        oldest = TAILQ_FIRST(&waiting);
    }
}

#endif
