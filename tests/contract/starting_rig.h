/*
 * The rig of the tests of start_tls.
 *
 * Two sides of one connection on one loop, over TCP or a Unix pair: each is a
 * transport with a protocol that records its events. Or one side, and a plain
 * descriptor that the test uses. Both start in plain text.
 *
 *     STARTING(start_tls, both_sides_get_tls, s)
 *     {
 *         starting_upgrade_both(s);
 *         starting_end(s);
 *     }
 */
#ifndef WEIR_TESTS_CONTRACT_STARTING_RIG_H
#define WEIR_TESTS_CONTRACT_STARTING_RIG_H

#include "tests/contract/harness.h"
#include "tests/tls/rig.h"

#include <arpa/inet.h>
#include <weir/error.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

enum { STARTING_ROOM = 1 << 20, STARTING_NOTES = 128 };

struct starting;

struct side {
    struct starting *rig;
    bool is_server;
    weir_transport *plain; /* a reference to the transport as it was made */
    weir_transport *t;     /* a reference to the current transport */
    char notes[STARTING_NOTES]; /* such as "made data eof lost" */
    uint8_t *received;          /* STARTING_ROOM bytes */
    size_t received_len;
    int lost_err;
    bool is_lost;
    int done_count;
    int done_err;
    /* Called by data_received. NULL keeps the bytes. */
    int (*data_received)(struct side *side, const struct weir_buf *buf);
};

struct starting {
    const struct weir_allocator *allocator;
    weir_loop *loop;
    bool over_unix;
    struct side client;
    struct side server;
    int peer; /* instead of one of the sides; -1 is none */
    weir_tls_context *client_context;
    weir_tls_context *server_context;
    struct weir_tls_settings client_tls;
    struct weir_tls_settings server_tls;
    size_t wanted;
};

/* Makes both sides, or with @lone one of them and the peer. */
void starting_open(struct starting *s, bool over_unix);
void starting_open_lone(struct starting *s, bool over_unix, bool is_server);
void starting_close(struct starting *s);

void starting_rounds(void (*body)(struct starting *s));
void starting_lone_servers(void (*body)(struct starting *s));
void starting_lone_clients(void (*body)(struct starting *s));

#define STARTING(suite, name, s)                                               \
    UNIT_IN(suite, name, starting_rounds, struct starting *s)

/* ---- one side ---- */

int starting_try(struct side *side, const struct weir_buf *initial,
                 size_t count);
void starting_upgrade(struct side *side);
void starting_upgrade_both(struct starting *s);
void starting_note(struct side *side, const char *what);
void starting_write(struct side *side, const char *text);
bool starting_has(const struct side *side, const char *text);

/* ---- waiting ---- */

void starting_wait_done(struct side *side);
void starting_wait_lost(struct side *side);
void starting_wait_received(struct side *side, size_t len);
void starting_wait_note(struct side *side, const char *what);
/* Waits until the other side's kernel has the bytes that @side has sent, after
 * some iterations. */
void starting_wait_arrived(struct side *side);
void starting_turns(struct starting *s, int count);
void starting_end(struct starting *s);

/* ---- the peer ---- */

void starting_peer_send(struct starting *s, const void *data, size_t len);
/* Reads at least one byte, or 0 at the end. The loop turns while it waits. */
size_t starting_peer_read(struct starting *s, void *buf, size_t size);

#endif
