/*
 * The inside of the resolver on c-ares, for its parts.
 *
 * c-ares knows the protocol of DNS, its retries and time-outs, and the formats
 * of the system's files. It is driven by the loop: cares_socket.c gives it its
 * sockets and polls them by the ring, cares_channel.c sets it up, and cares.c
 * asks it what lookups want to know. It has no threads, and its global
 * initialisation, which Linux does not need, is not called.
 *
 * c-ares has its memory from malloc(), since its allocator would be global.
 */
#ifndef WEIR_LIB_NAMES_CARES_H
#define WEIR_LIB_NAMES_CARES_H

#include "lookup.h"
#include "resolv_conf.h"
#include "resolver.h"

#include <ares.h>

/* Response codes of servers that have no answer (RFC 1035, section 4.1.1). */
enum cares_rcode {
    CARES_SERVFAIL = 2,
    CARES_NOTIMP = 4,
    CARES_REFUSED = 5,
};

/* The program's settings; copies, NULL or 0 for those of the system. */
struct cares_config {
    char *servers;
    char *search;
    char *resolv_conf;
    uint32_t ndots;
    int try_timeout_ms;
    int tries;
};

struct cares {
    struct wr_module module;
    weir_loop *loop;
    struct cares_config config;

    /* cares_channel.c: */
    ares_channel files; /* looks into the hosts file; open with ->dns */
    ares_channel dns;   /* asks servers by UDP; NULL: not open */
    ares_channel tcp;   /* asks them by TCP; open with ->dns */
    struct wr_resolv_conf system;
    uint64_t stamp;    /* of resolv.conf when it was read */
    uint64_t check_ns; /* when to look at it again */

    /* cares_socket.c: */
    struct wr_list sockets; /* struct cares_socket; the closing ones too */
    int socket_err;         /* why the last one could not be made, or 0 */
    uint8_t rcode; /* of the datagram that c-ares reads; 0: it is an answer */
    bool is_truncated; /* that datagram is, and is no answer */

    /* cares.c: */
    struct wr_list waiting; /* struct cares_record, not asked yet */
    uint32_t asked_count;   /* records that c-ares has questions of */
    uint32_t live_count;    /* of those, records with a lookup */
    uint64_t begin_ns;      /* when the next may begin, if there are many */
    struct wr_timer timer;  /* of c-ares */
    struct wr_ready work;
    bool is_stopping; /* set when the loop ends */
};

struct cares_record;

/* A question, as c-ares gives it back with its answer. */
struct cares_question {
    struct cares_record *record;
    enum wr_lookup_part part;
};

struct cares_record {
    struct cares *cares;
    struct wr_list link; /* in cares.waiting before it is asked */
    weir_lookup *lookup; /* NULL: it was answered, or cancelled */
    int family;
    size_t step;               /* of the search, the next one */
    bool in_files;             /* the hosts file is asked */
    bool is_asking;            /* set and cleared around the calls that ask */
    bool was_found;            /* in this step */
    bool has_no_data;          /* some step had the name, without an address */
    uint32_t in_flight;        /* questions without an answer */
    int errs[WR_LOOKUP_PARTS]; /* of this step */
    struct cares_question questions[WR_LOOKUP_PARTS];
    char name[WR_NAME_SIZE];
};

/* c-ares has something to do: the ready item looks at queues and timer. */
static inline void wr_cares_push_work(struct cares *cares)
{
    if (!cares->is_stopping) {
        wr_ready_push(&cares->loop->ready, &cares->work);
    }
}

/* ---- cares_channel.c ---- */

/* Opens the channels unless they are open. After an error they are not. */
WEIR_MUST_USE int wr_cares_open(struct cares *cares);

/* Closes the channels: what they were asked ends at once. */
void wr_cares_close(struct cares *cares);

/* True when resolv.conf is another than the one that was read. */
bool wr_cares_is_outdated(struct cares *cares);

/* Copies the program's options. An error leaves nothing. */
WEIR_MUST_USE int wr_cares_read_config(weir_loop *loop,
                                       const struct weir_dns_options *options,
                                       struct cares_config *ret);
void wr_cares_free_config(weir_loop *loop, struct cares_config *config);

/* ---- cares_socket.c ---- */

/* Makes the sockets of a channel ours. */
void wr_cares_use_sockets(struct cares *cares, ares_channel channel);

/* The callback of c-ares for what it waits for. */
void wr_cares_socket_changed(void *arg, ares_socket_t fd, int readable,
                             int writable);

/* Ends the polls of closing sockets, after the ring broke. */
void wr_cares_abandon_sockets(struct cares *cares);

/* ---- cares_record.c ---- */

/* Begins to ask for a record that waited. */
void wr_cares_begin(struct cares_record *record);

/* The lookup has what it asked for, or wants it no more. */
void wr_cares_detach(struct cares_record *record);

/* Frees a record that nothing refers to. */
void wr_cares_release(struct cares_record *record);

#endif
