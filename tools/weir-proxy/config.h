/*
 * What weir-proxy is to do: services, their routes, and the targets of these.
 *
 * A configuration is plain data. Flags of the command line and lines of a file
 * fill it in with the same words (words.h), one after the other; it is checked
 * as a whole, and does not change any more. Texts belong to it.
 */
#ifndef WEIR_PROXY_CONFIG_H
#define WEIR_PROXY_CONFIG_H

#include "hashes.h"
#include "log.h"
#include "tools/common/option.h"
#include "tools/common/target.h"

#include "weir/network.h"
#include "weir/upstream_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What memory-limit has to be at least, for each thread. */
#define CONFIG_MEMORY_LEAST (UINT64_C(4) << 20)

#define CONFIG_UNSAID UINT64_MAX

/* How a target is chosen. */
enum config_balance {
    BALANCE_ROUNDROBIN,
    BALANCE_LEASTCONN,
    BALANCE_RANDOM,
    BALANCE_SOURCE,
    BALANCE_SNI,
    BALANCE_FIRST,
};

/* What the addresses of a target's name are. */
enum config_addresses {
    ADDRESSES_ONE, /* one target, whose addresses are tried in turn */
    ADDRESSES_ALL, /* a target each */
};

/* How many of the backups that are up are used. */
enum config_backups {
    BACKUPS_ALL,
    BACKUPS_FIRST,
};

/* What becomes of connections when their target is down, or when they are to a
 * backup and a first choice is back. */
struct config_fate {
    bool is_cut;
    uint64_t within_ns; /* all of them; 0: at once */
};

/* What becomes of clients before the first check of a target has ended. */
enum config_unchecked {
    UNCHECKED_WAIT,
    UNCHECKED_USE,
};

/* Whether checks of texts and by HTTP go over TLS. */
enum config_check_tls {
    CHECK_TLS_UNSAID, /* as the target does */
    CHECK_TLS_AS_TARGET,
    CHECK_TLS_ON,
    CHECK_TLS_OFF,
};

/* The lowest version of TLS. */
enum config_tls_version {
    CONFIG_TLS_1_2,
    CONFIG_TLS_1_3,
};

/* The PROXY header that checks begin with. */
enum config_check_proxy {
    CHECK_PROXY_AUTO, /* as connections do, on their own port */
    CHECK_PROXY_OFF,
    CHECK_PROXY_V1,
    CHECK_PROXY_V2,
};

enum config_header {
    HEADER_NONE,
    HEADER_V1,
    HEADER_V2,
    HEADER_ANY,
};

/* Of which clients a route is, beside the server's name. */
enum config_as {
    AS_ANY,
    AS_TLS,
    AS_PLAIN,
    AS_SILENT,
};

/* Bytes that clients of a route begin with. */
#define CONFIG_BEGIN_MAX 64
struct config_begin {
    uint8_t bytes[CONFIG_BEGIN_MAX];
    size_t len;
};

/* A step of a check's dialogue: texts of any bytes, owned; NULL: none. */
struct config_step {
    char *send;
    size_t send_size;
    char *expect;
    size_t expect_size;
    bool begins; /* the answer begins with it, or else it is anywhere */
};

/* What a PROXY header of version 2 says beside addresses. */
enum config_tlv {
    CONFIG_TLV_AUTHORITY = 1,
    CONFIG_TLV_ALPN = 2,
    CONFIG_TLV_SSL = 4,
};

/* That of one target. */
enum config_target_header {
    TARGET_HEADER_OF_ROUTE,
    TARGET_HEADER_NONE,
    TARGET_HEADER_V1,
    TARGET_HEADER_V2,
};

/* A word that may be given several times. */
struct config_texts {
    char **texts;
    size_t count;
};

/* Checks of one target, as far as they are not those of its route. */
struct config_target_check {
    bool is_off;
    uint64_t interval_ns; /* 0: the route's, as are rise and fall */
    uint64_t rise;
    uint64_t fall;
    bool has_at;
    struct target at; /* without its text */
};

/* Where connections go to: --to. */
struct config_target {
    unsigned line;    /* of the file; 0: it is a flag's */
    struct target at; /* at.text is owned */
    uint64_t weight;
    uint64_t limit; /* connections at once; 0: no limit */
    bool is_backup;
    struct config_target_check check;
    struct weir_address from; /* its own side; len 0: any */
    bool inherits_from;       /* of [defaults], for its family alone */
    const char *said;         /* the last word behind its 'to'; NULL: none */
    enum config_target_header send_header;
    char *tls_name;    /* of its certificate, and */
    char *tls_ca;      /* its authorities; NULL: as the route says */
    size_t list_count; /* targets of one 'to', of which this is the last; or 0
                        */
};

/* Targets of which one is chosen, for the server names that it is for. */
struct config_route {
    unsigned line;     /* of the file; 0: it is a flag's */
    char *server_name; /* NULL: all names; "*.NAME": all below */
    bool is_begun;     /* by a 'route' */
    char *label;       /* in the log and the metrics; once all is looked at */
    enum config_as as; /* once all is looked at, also where it was not said */
    struct config_begin *begins; /* one of these */
    size_t begin_count;
    struct config_texts alpn; /* one of these */
    char *group;              /* of targets, with other routes; NULL: its own */
    bool is_member;  /* of a group, and not the first; once all is looked at */
    bool passes_tls; /* the client's TLS goes through unopened */
    enum config_balance balance;
    bool stays; /* with balance first: at the target that is used */
    enum config_backups backups;
    enum config_header send_header;
    unsigned send_tlvs; /* bits of enum config_tlv */
    bool ends_waiting;  /* of clients that end before they are relayed */
    uint64_t tries;     /* 0: not said */
    uint64_t queue_limit;
    uint64_t queue_timeout_ns;
    uint64_t connect_timeout_ns;
    uint64_t eject_failures; /* CONFIG_UNSAID: not said */
    uint64_t eject_ns;
    uint64_t slow_start_ns;
    uint64_t resolve_ns;
    enum config_addresses addresses;
    bool is_checked;
    enum weir_check_kind check;
    uint64_t check_interval_ns;
    uint64_t check_timeout_ns;
    uint64_t check_fast_ns; /* 0: the interval */
    uint64_t check_rise;
    uint64_t check_fall;
    char *check_user; /* of a login; NULL: it is none */
    struct config_step *check_steps;
    size_t check_step_count;
    bool inherits_steps; /* from the words before the first route */
    char *check_path;
    char *check_host;
    uint64_t check_port; /* 0: the target's */
    uint64_t check_min_status;
    uint64_t check_max_status;
    enum config_check_tls check_tls;
    char *check_ca;
    char *check_name;
    bool check_insecure;
    enum config_check_proxy check_proxy;
    enum config_unchecked unchecked;
    struct config_fate when_down;
    struct config_fate when_back;
    char *to_ca;
    char *to_name;
    char *to_cert;
    char *to_key;
    char *to_key_words; /* the file of its passphrase */
    char *to_key_log;   /* the file of secrets; NULL: none are logged */
    bool to_insecure;
    char *to_crl;
    enum config_tls_version to_min_tls;
    char *to_ciphers;
    char *to_groups;
    struct config_target *targets;
    size_t target_count;
    size_t number;       /* among the routes of all services, and */
    size_t first_target; /* that of its first target among all of theirs; once
                            all is looked at */
};

/* Addresses that are listened on, and the routes of what is accepted there. */
struct config_service {
    unsigned line; /* of the file; 0: it is a flag's */
    char *name;
    struct target *listens; /* their texts are owned */
    size_t listen_count;
    struct config_texts certs;
    struct config_texts keys; /* of each of certs; its file may be the same */
    char *key_words;          /* the file of their passphrase */
    char *key_log;            /* of secrets; NULL: none are logged */
    struct config_texts alpn;
    char *client_ca;
    bool needs_client_cert;
    struct config_texts client_crls;
    struct config_texts client_names; /* of certificates that may come */
    enum config_tls_version min_tls;
    char *ciphers;
    char *groups;
    bool refuses_names; /* that no certificate is for */
    enum config_header accept_header;
    struct config_texts trusted; /* networks whose headers are believed */
    uint64_t client_conns;       /* of one client at once; 0: no limit */
    uint64_t client_rate;        /* of one client in a time; 0: no limit */
    uint64_t client_rate_ns;
    uint64_t client_ban_ns;
    uint64_t client_prefix4; /* bits of an address that are one client */
    uint64_t client_prefix6;
    char *client_share;               /* services of one name count together */
    struct config_texts client_allow; /* networks, or @FILE with them */
    struct config_texts client_deny;
    struct config_texts client_free;
    uint64_t conn_limit;
    uint64_t handshake_timeout_ns;
    uint64_t hello_timeout_ns;
    uint64_t silent_after_ns;
    uint64_t idle_timeout_ns;
    uint64_t half_closed_timeout_ns;
    uint64_t stall_timeout_ns;
    uint64_t lifetime_ns;
    uint64_t keepalive_idle_ns; /* 0: no keepalive */
    uint64_t keepalive_interval_ns;
    uint64_t keepalive_count;
    uint64_t buffer_bytes;
    bool copies_bulk; /* where it could be spliced */
    bool ignores_eof; /* of TLS, without a close_notify */
    uint64_t rate_in_bytes;
    uint64_t rate_out_bytes;
    struct config_route *routes; /* at least one */
    size_t route_count;
    bool has_dropped_route; /* the first one, which had no target */
    struct hashes by_name;  /* the routes (matching.h); once all is looked at */
};

/* Lines of a file, one behind the other. All lines of all files are numbered as
 * they are read, and everything else knows these numbers alone. */
struct config_part {
    char *path;
    unsigned first; /* the number of the first line */
    unsigned line;  /* of this line in its file */
};

/* A directive of which conditions exist, and of what it was said: numbers of
 * the service, of its route and of its target (needs.h). */
struct config_word {
    const struct option *word;
    unsigned line;
    bool is_inherited;  /* from [defaults] */
    bool needs_nothing; /* with this value */
    size_t service;
    size_t route;
    size_t target;
};

struct config {
    const char *file;    /* that was read last, borrowed; NULL: none */
    unsigned line;       /* that is read, or looked at; 0: no line of a file */
    unsigned line_count; /* that were read */
    struct config_part *parts;
    size_t part_count;
    struct config_texts folders; /* where patterns look for files */
    uint64_t thread_count;       /* 0: one for each processor */
    char *admin;                 /* where /metrics is served; NULL: nowhere */
    char *log_path;              /* "-": standard output; NULL: no log */
    enum log_format log_format;
    char *log_names; /* of LOG_NAMES */
    int log_facility;
    uint64_t conn_limit;         /* 0: by descriptors */
    uint64_t memory_limit_bytes; /* 0: a part of the memory */
    uint64_t client_table;       /* clients that are remembered */
    uint64_t drain_ns;
    uint64_t drain_delay_ns; /* before that; it is not ready, and accepts */
    char *handover_path;
    char *control_path; /* where operators command; NULL: nowhere */
    char *resolver; /* name servers for targets; NULL: those of the system */
    char *user;     /* that it becomes; NULL: none */
    char *group;
    char *chroot;
    bool has_sandbox;
    bool is_verbose;
    bool tests_only;          /* -t: look at the configuration, and end */
    bool is_top;              /* --top: show what the proxy at admin does */
    struct config_texts said; /* words of files, in lines (facts.h) */
    struct config_word *words;
    size_t word_count;
    bool inherits; /* what is said now is of [defaults] */
    struct config_service *services;
    size_t service_count;
    size_t route_count;  /* of all services, and */
    size_t target_count; /* of all routes; once all is looked at */
};

void config_init(struct config *ret);
void config_free(struct config *config);

/* Begins a service: the words that follow are about it. False without memory.
 * @name is copied; NULL: the service is named after its first address. */
bool config_begin_service(struct config *config, const char *name);
/* Begins a route of the last service. */
bool config_begin_route(struct config *config, const char *server_name);
/* Gives the last route, which has no target yet, a group of targets: what was
 * said of it is forgotten but its name, and what is about the client. */
bool config_begin_group(struct config *config, const char *group);
/* Removes the first route of several. */
void config_drop_first_route(struct config_service *service);
/* Adds a target to the last route. False, with a line in @why. */
bool config_add_target(struct config *config, const char *text, char *why);
/* Adds bytes that clients of the last route begin with, at most
 * CONFIG_BEGIN_MAX; false without memory. */
bool config_add_begin(struct config *config, const void *bytes, size_t len);
/* Adds an address to the last service. False, with a line in @why. */
bool config_add_listen(struct config *config, const char *text, char *why);
/* Adds bytes, taken, to the dialogue of the last route: such that are sent, or
 * expected, which may be those that the answer begins with. False without
 * memory, or above the library's limit; the bytes are freed then. */
bool config_add_send(struct config *config, char *text, size_t size);
bool config_add_expect(struct config *config, char *text, size_t size,
                       bool begins);
/* Adds a copy of @text; false without memory. */
bool config_add_text(struct config_texts *texts, const char *text);
void config_free_texts(struct config_texts *texts);

/* The last service, route and target, or NULL. */
struct config_service *config_service(struct config *config);
struct config_route *config_route(struct config *config);
struct config_target *config_target(struct config *config);

/* True for checks that log in as a user. */
bool config_logs_in(enum weir_check_kind kind);

/* The key logs of a service, by their number: that of its clients, and behind
 * it those of its routes; NULL: none. */
const char *config_key_log(const struct config_service *service, size_t number);

/* The header that connections to a target begin with. */
enum config_header config_header_of(const struct config_route *route,
                                    const struct config_target *target);

/* The name of a target's certificate; NULL: none is known. */
const char *config_tls_name_of(const struct config_route *route,
                               const struct config_target *target);
/* The file of its authorities; NULL: those of the system. */
const char *config_tls_ca_of(const struct config_route *route,
                             const struct config_target *target);
/* It is not verified, as it has no authorities of its own. */
bool config_is_insecure(const struct config_route *route,
                        const struct config_target *target);

/* Targets that are tried for a connection, and failures in a row after which a
 * target rests; where the first target is to be used alone a connection does
 * not go on to the next one for a failure. */
uint32_t config_count_tries(const struct config_route *route);
uint32_t config_count_failures(const struct config_route *route);

/* Threads, with auto as the processors that the program may use. */
uint32_t config_count_threads(const struct config *config);

/* Does each route say whether clients without TLS get to it, if there may be
 * some? */
bool config_says_plain(const struct config_service *service);
/* May a PROXY header name the server that a client asks for? */
bool config_takes_tlvs(const struct config_service *service);

/* Are all addresses of the service for TLS alone; is one; is one for TLS? */
bool config_is_tls_alone(const struct config_service *service);
bool config_has_tls_alone(const struct config_service *service);
bool config_has_tls(const struct config_service *service);

/* Looks at what the routes of a service are for, and settles what was left
 * unsaid; for config_check(). */
bool config_check_routes(struct config *config, size_t service, char *why);
/* Does a client of the route have its TLS opened? */
bool config_route_opens_tls(const struct config_service *service,
                            const struct config_route *route);

/* Looks at the whole, when all words are there, and removes routes without
 * targets. False, with a line in @why, and config.line where it is about. */
bool config_check(struct config *config, char *why);

/* Says what is allowed, and seldom what is meant. */
void config_warn(const struct config *config);

/* The next line to be read is this one of that file. False without memory. */
bool config_begin_part(struct config *config, const char *path, unsigned line);

/* Room for a place. */
#define CONFIG_PLACE_SIZE 256
/* Writes "FILE:LINE: " of a line by its number, as far as both are known, and
 * returns it. */
const char *config_place(const struct config *config, unsigned line,
                         char *ret_text);

/* Reads the address of the operator's page: "HOST:PORT", or "PORT" on this
 * machine alone. 0, or an error of weir_address_parse_with_port(). */
int config_read_admin(const char *text, struct weir_address *ret);

#endif
