/*
 * Declarations shared by the files of the resolver on c-ares.
 *
 * c-ares implements the DNS protocol, its retries and time-outs; it reads no
 * file of the system. c-ares uses malloc(), because another allocator would be
 * global.
 */
#ifndef WEIR_LIB_NAMES_CARES_H
#define WEIR_LIB_NAMES_CARES_H

#include "lookup.h"
#include "resolver.h"
#include "system_file.h"

#include <ares.h>

/* Response codes of servers without an answer (RFC 1035, section 4.1.1). */
enum cares_rcode {
    CARES_SERVFAIL = 2,
    CARES_NOTIMP = 4,
    CARES_REFUSED = 5,
};

/* Copies of the program's settings. A setting that is 0, NULL or empty means
 * the system's setting. */
struct cares_config {
    struct wr_name_servers servers;
    char *search;
    char *resolv_conf;
    char *hosts;
    uint32_t ndots;
    int try_timeout_ms;
    int tries;
};

struct cares {
    struct wr_module module;
    weir_loop *loop;
    struct cares_config config;

    ares_channel dns;  /* queries over UDP; NULL if not open */
    ares_channel tcp;  /* queries over TCP; open with ->dns */
    ares_channel udp6; /* IPv6 queries from another socket, or NULL */
    struct wr_resolv_conf system;
    struct wr_system_file system_file;

    struct wr_hosts hosts;
    struct wr_system_file hosts_file;
    bool has_hosts;

    struct wr_list sockets; /* struct cares_socket, including closing sockets */
    int socket_err;         /* error of the last socket made, or 0 */
    uint8_t rcode;     /* response code of the answer that c-ares reads, if it
                        * is in enum cares_rcode, or 0 */
    bool is_truncated; /* the answer is a datagram, and truncated */
    bool has_records;  /* the answer has records */

    struct wr_list waiting; /* struct cares_record, not started */
    uint32_t asked_count;   /* records with queries at c-ares */
    uint32_t live_count;    /* started records with a lookup */
    uint64_t begin_ns;      /* earliest start of the next, if many are live */
    struct wr_timer timer;  /* runs c-ares when one of its time-outs expires */
    struct wr_ready work;
    /* Counts detected changes of resolv.conf and of the hosts file. */
    uint64_t change_count;
    bool is_stopping;
};

struct cares_record;

/* The argument of c-ares' callbacks: one query. */
struct cares_question {
    struct cares_record *record;
    enum wr_lookup_part part;
};

struct cares_record {
    struct cares *cares;
    struct wr_list link;
    weir_lookup *lookup; /* NULL if answered or cancelled */
    struct wr_search_walk walk;
    bool was_truncated;   /* a server has truncated its answer over UDP */
    bool was_found;       /* this step has found a result */
    bool has_no_data;     /* a step's name exists, but has no address */
    bool has_servfail;    /* the servers could not answer for a step's name */
    bool has_alias_alone; /* the name is an alias without addresses */
    unsigned to_ask;      /* parts that this step has not queried yet */
    uint32_t holds;       /* pending queries, and the call that makes them */
    int errs[WR_LOOKUP_PARTS];       /* results of this step */
    int first_errs[WR_LOOKUP_PARTS]; /* errors of the first, unchanged name */
    struct cares_question questions[WR_LOOKUP_PARTS];
    char name[WR_NAME_SIZE];  /* the name as it was written */
    char asked[WR_NAME_SIZE]; /* the name that the current step queries */
};

static inline void wr_cares_push_work(struct cares *cares)
{
    if (!cares->is_stopping) {
        wr_ready_push(&cares->loop->ready, &cares->work);
    }
}

/* Returns 0, or an error, which leaves the channels closed. */
WEIR_MUST_USE int wr_cares_open(struct cares *cares);

/* Closes the channels. All their queries end in this call. */
void wr_cares_close(struct cares *cares);

/* True if resolv.conf must be read again, because it has changed. */
bool wr_cares_is_outdated(struct cares *cares);

/* Copies the program's options. Sets nothing after an error. */
WEIR_MUST_USE int wr_cares_read_config(weir_loop *loop,
                                       const struct weir_dns_options *options,
                                       struct cares_config *ret);
void wr_cares_free_config(weir_loop *loop, struct cares_config *config);

void wr_cares_use_sockets(struct cares *cares, ares_channel channel);

void wr_cares_socket_changed(void *arg, ares_socket_t fd, int readable,
                             int writable);

/* Called when the ring has failed: ends the polls of closing sockets. */
void wr_cares_abandon_sockets(struct cares *cares);

void wr_cares_begin(struct cares_record *record);

/* Detaches the lookup, which was answered or cancelled. */
void wr_cares_detach(struct cares_record *record);

void wr_cares_release(struct cares_record *record);

#endif
