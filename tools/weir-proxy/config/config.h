/*
 * Configuration of weir-proxy: services, their routes, and the routes' targets.
 *
 * Command-line flags and lines of files set it with the same directives
 * (words.h), in order. config_check() then checks the whole, and the
 * configuration does not change afterwards. Its texts and arrays are in its
 * arena, so that routes and targets may share them.
 */
#ifndef WEIR_PROXY_CONFIG_H
#define WEIR_PROXY_CONFIG_H

#include "tools/common/option.h"
#include "tools/common/target.h"
#include "tools/weir-proxy/base/arena.h"
#include "tools/weir-proxy/base/hashes.h"
#include "tools/weir-proxy/facts/log.h"

#include "weir/network.h"
#include "weir/proxy_protocol.h"
#include "weir/upstream_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lowest memory-limit for each thread. */
#define CONFIG_MEMORY_LEAST (UINT64_C(4) << 20)

#define CONFIG_UNSAID UINT64_MAX

enum config_balance {
    BALANCE_ROUNDROBIN,
    BALANCE_LEASTCONN,
    BALANCE_RANDOM,
    BALANCE_SOURCE,
    BALANCE_SNI,
    BALANCE_FIRST,
};

enum config_addresses {
    ADDRESSES_ONE, /* one target; its addresses are tried one after another */
    ADDRESSES_ALL, /* each address is a target */
};

enum config_backups {
    BACKUPS_ALL,
    BACKUPS_FIRST,
};

/* Setting of when-down or when-back: reset a target's connections when it is
 * down, or a backup's connections when a preferred target is up again. */
struct config_fate {
    bool is_cut;
    uint64_t within_ns; /* the resets are spread over this time; 0 is at once */
};

/* New clients wait for, or use, a target whose first check has not ended. */
enum config_unchecked {
    UNCHECKED_WAIT,
    UNCHECKED_USE,
};

enum config_check_tls {
    CHECK_TLS_UNSAID, /* not configured: checks use TLS if the target does */
    CHECK_TLS_AS_TARGET,
    CHECK_TLS_ON,
    CHECK_TLS_OFF,
};

enum config_tls_version {
    CONFIG_TLS_1_2,
    CONFIG_TLS_1_3,
};

/* Bits of enum weir_proxy_version. */
enum config_header {
    HEADER_NONE,
    HEADER_V1 = WEIR_PROXY_V1,
    HEADER_V2 = WEIR_PROXY_V2,
    HEADER_ANY = HEADER_V1 | HEADER_V2,
};

/* A header for a target or for checks: 0 is the usual one, any other value is
 * one more than an enum config_header (config_own_header()). The usual header
 * of a target is its route's, and the usual one of a check is that of
 * connections, if it is to the same address and port. */
enum config_own_header {
    OWN_HEADER_USUAL,
};

/* Clients that a route accepts: any, with TLS, without TLS, or silent ones. */
enum config_as {
    AS_ANY,
    AS_TLS,
    AS_PLAIN,
    AS_SILENT,
};

/* Bytes that a client must send first to match a route. */
#define CONFIG_BEGIN_MAX 64
struct config_begin {
    uint8_t bytes[CONFIG_BEGIN_MAX];
    size_t len;
};

/* A step of a check's dialogue. Its texts may have any bytes. A NULL text is
 * not sent or expected. */
struct config_step {
    char *send;
    size_t send_size;
    char *expect;
    size_t expect_size;
    bool begins; /* the answer must start with @expect */
};

enum config_tlv {
    CONFIG_TLV_AUTHORITY = 1,
    CONFIG_TLV_ALPN = 2,
    CONFIG_TLV_SSL = 4,
};

struct config_texts {
    char **texts;
    size_t count;
};

struct config_target_check {
    bool is_off;
    uint64_t interval_ns; /* 0 is the route's interval */
    uint64_t rise;
    uint64_t fall;
    bool has_at;
    struct target at; /* its text is NULL */
};

struct config_target {
    unsigned line;
    struct target at;
    char *place; /* the same text for the same address; set by config_check() */
    uint64_t weight;
    uint64_t limit; /* simultaneous connections; 0 is no limit */
    bool is_backup;
    struct config_target_check check;
    struct weir_address from; /* local address; len 0 is any address */
    bool is_sni;              /* sni:PORT: uses the client's server name */
    bool inherits_from;       /* @from comes from [defaults] and applies only
                               * to targets of its address family */
    const char *said;         /* last directive after the 'to', or NULL */
    enum config_own_header send_header;
    char *tls_name;              /* name in the target's certificate, or NULL */
    char *tls_ca;                /* file of certificate authorities, or NULL */
    struct config_texts allowed; /* for sni:PORT: names and their subdomains */
    size_t list_count; /* length of the list, in its last target; else 0 */
};

/* The clients that a route accepts, and the targets among which it chooses. */
struct config_route {
    unsigned line;
    char *server_name; /* NULL is any name, "*.NAME" any subdomain */
    bool is_begun;     /* begun by a 'route' directive */
    char *label;       /* name in the log and metrics; set by config_check() */
    enum config_as as; /* completed by config_check() */
    struct config_begin *begins; /* one match is enough */
    size_t begin_count;
    struct config_texts alpn; /* one match is enough */
    char *group;              /* name of a shared group, or NULL */
    bool is_member;           /* not the first route that uses the group; set by
                               * config_check() */
    bool passes_tls; /* TLS of clients is relayed without being terminated */
    enum config_balance balance;
    bool stays; /* with balance first: keeps the current target */
    enum config_backups backups;
    enum config_header send_header;
    unsigned send_tlvs; /* bits of enum config_tlv */
    bool ends_waiting;  /* resets clients that close before relaying begins */
    uint64_t tries;     /* 0 if not configured */
    uint64_t queue_limit;
    uint64_t queue_timeout_ns;
    uint64_t connect_timeout_ns;
    uint64_t eject_failures; /* CONFIG_UNSAID if not configured */
    uint64_t eject_ns;
    uint64_t slow_start_ns;
    uint64_t resolve_ns;
    enum config_addresses addresses;
    bool is_checked;
    enum weir_upstream_check_kind check;
    uint64_t check_interval_ns;
    uint64_t check_timeout_ns;
    uint64_t check_fast_ns; /* 0 is the normal interval */
    uint64_t check_rise;
    uint64_t check_fall;
    char *check_user; /* user for checks that log in, or NULL */
    struct config_step *check_steps;
    size_t check_step_count;
    char *check_path;
    char *check_host;
    uint64_t check_port; /* 0 is the target's port */
    uint64_t check_min_status;
    uint64_t check_max_status;
    enum config_check_tls check_tls;
    char *check_ca;
    char *check_name;
    bool check_insecure;
    enum config_own_header check_proxy;
    enum config_unchecked unchecked;
    struct config_fate when_down;
    struct config_fate when_back;
    char *to_ca;
    char *to_name;
    char *to_cert;
    char *to_key;
    char *to_key_words;
    char *to_key_log;
    bool to_insecure;
    char *to_crl;
    enum config_tls_version to_min_tls;
    char *to_ciphers;
    char *to_groups;
    struct config_target *targets;
    size_t target_count;
    const struct config_service *service; /* set by config_check() */
    size_t number;       /* index among the routes of all services; set by
                          * config_check() */
    size_t first_target; /* index of the route's first target among the targets
                          * of all routes; set by config_check() */
};

/* Addresses to listen on, and the routes of connections accepted there. */
struct config_service {
    unsigned line;
    char *name;
    struct target *listens;
    unsigned *listen_lines; /* of each of @listens */
    size_t listen_count;
    struct config_texts certs;
    struct config_texts keys; /* one for each element of certs */
    char *key_words;          /* file with the passphrase of the keys */
    char *key_log;            /* file for TLS secrets, or NULL */
    struct config_texts alpn;
    char *client_ca;
    bool needs_client_cert;
    struct config_texts client_crls;
    struct config_texts client_names;
    enum config_tls_version min_tls;
    char *ciphers;
    char *groups;
    bool refuses_names; /* refuses server names without a certificate */
    enum config_header accept_header;
    struct config_texts trusted; /* networks that may send PROXY headers */
    uint64_t client_conns;       /* connections per client; 0 is no limit */
    uint64_t client_rate;        /* per client_rate_ns; 0 is no limit */
    uint64_t client_rate_ns;
    uint64_t client_ban_ns;
    uint64_t client_prefix4; /* clients with the same prefix count as one */
    uint64_t client_prefix6;
    char *client_share; /* services with the same text share limits */
    struct config_texts client_allow;
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
    uint64_t keepalive_idle_ns; /* 0 is no keepalive */
    uint64_t keepalive_interval_ns;
    uint64_t keepalive_count;
    uint64_t buffer_bytes;
    bool copies_bulk; /* never uses splice() */
    bool ignores_eof; /* accepts TLS that ends without close_notify */
    uint64_t rate_in_bytes;
    uint64_t rate_out_bytes;
    struct config_route *routes; /* at least one */
    size_t route_count;
    struct config_route base; /* settings before the first 'route', which
                               * begins routes[0]: all routes inherit them */
    struct hashes by_name;    /* index of routes (matching.h); set by
                               * config_check() */
};

/* Consecutive lines of one file. The lines of all files share one numbering, in
 * the order in which they are read. Other modules use only these numbers. */
struct config_part {
    char *path;
    unsigned first;
    unsigned line;
};

/* A recorded directive: it has conditions, or rules need its line (needs.h). */
struct config_word {
    const struct option *word;
    unsigned line;
    bool is_inherited;
    bool needs_nothing; /* a value without conditions, such as "off" */
    size_t service;
    size_t route; /* config_number_route(), or 0 before the first route */
    size_t target;
};

struct config {
    struct arena arena;
    const char *file;    /* file of the last line, or NULL; borrowed */
    unsigned line;       /* line being read or checked, or 0 */
    unsigned line_count; /* lines read so far */
    struct config_part *parts;
    size_t part_count;
    struct config_texts folders;
    uint64_t thread_count; /* 0: the number of processors */
    char *admin;           /* address of /metrics, or NULL */
    char *log_path;        /* "-" is standard output; NULL is no log */
    enum log_format log_format;
    char *log_names; /* of LOG_NAMES */
    int log_facility;
    uint64_t conn_limit;         /* 0: as many as descriptors allow */
    uint64_t memory_limit_bytes; /* 0: a share of the memory */
    uint64_t client_table;       /* maximum number of remembered clients */
    uint64_t drain_ns;
    uint64_t drain_delay_ns; /* before a drain: accepts, but fails /readyz */
    char *handover_path;
    char *control_path;
    char *resolver; /* name servers, or NULL for the system's */
    char *user;
    char *group;
    char *chroot;
    bool has_sandbox;
    bool is_verbose;
    bool tests_only;
    bool is_top;
    struct config_texts said; /* directives as lines (changes.h) */
    struct config_word *words;
    size_t word_count;
    bool inherits; /* the current directive is inherited from [defaults] */
    struct config_service *services;
    size_t service_count;
    struct config_route **routes; /* of all services, in order; set by
                                   * config_check() */
    size_t route_count;
    size_t target_count; /* targets of all routes; set by config_check() */
};

void config_init(struct config *ret);
void config_free(struct config *config);

/* Begins a service; later directives apply to it. @name is copied; if it is
 * NULL, the service is named after its first address. Returns false if out of
 * memory. */
bool config_begin_service(struct config *config, const char *name);
/* Begins a route. The service's first 'route' directive applies to its first
 * route, unless that has targets. */
bool config_begin_route(struct config *config, const char *server_name);
/* Makes the last route, which has no target yet, use a group of targets. The
 * route keeps its name and its settings for clients. All its other settings are
 * reset. Returns false if out of memory. */
bool config_begin_group(struct config *config, const char *group);
bool config_add_target(struct config *config, const char *text, char *why);
/* @len is at most CONFIG_BEGIN_MAX. Returns false if out of memory. */
bool config_add_begin(struct config *config, const void *bytes, size_t len);
bool config_add_listen(struct config *config, const char *text, char *why);
/* Returns the step of the last route's check dialogue that gets the next bytes
 * to send or, with @expects, to expect. Expected bytes belong to the last step,
 * or to a new step if the last one already expects bytes. Returns NULL if out
 * of memory or if there are more steps than the library allows. */
struct config_step *config_add_step(struct config *config, bool expects);
bool config_add_text(struct arena *arena, struct config_texts *texts,
                     const char *text);

struct config_service *config_service(struct config *config);
struct config_route *config_route(struct config *config);
struct config_target *config_target(struct config *config);

/* Returns the number of 'route' directives of a service, up to the route. */
static inline size_t config_number_route(const struct config_service *service,
                                         const struct config_route *route)
{
    return (size_t)(route - service->routes) + service->routes[0].is_begun;
}

bool config_logs_in(enum weir_upstream_check_kind kind);

/* Returns the path of a key log, or NULL. Number 0 is for the service's
 * clients. Number i + 1 is for the targets of route i. */
const char *config_key_log(const struct config_service *service, size_t number);

/* Returns @own, or @usual if @own is the usual header. */
static inline enum config_header config_own_header(enum config_own_header own,
                                                   enum config_header usual)
{
    return own == OWN_HEADER_USUAL ? usual : (enum config_header)((int)own - 1);
}

enum config_header config_header_of(const struct config_route *route,
                                    const struct config_target *target);

static inline bool config_is_unix(const struct weir_address *address)
{
    return address->len > 0 && address->storage.any.sa_family == AF_UNIX;
}

/* Returns the name of a target's certificate, or NULL if none is known. */
const char *config_tls_name_of(const struct config_route *route,
                               const struct config_target *target);
/* Returns true if a target's certificate is not verified: its route is insecure
 * and the target has no authorities of its own. */
bool config_is_insecure(const struct config_route *route,
                        const struct config_target *target);

/* Return how many targets a connection tries, and how many consecutive failures
 * eject a target. UINT32_MAX failures mean no ejection. With balance first, the
 * defaults are one try and no ejection. The default for sni:PORT is no
 * ejection, too. */
uint32_t config_count_tries(const struct config_route *route);
uint32_t config_count_failures(const struct config_route *route);

/* The default is the number of processors that the program may use. */
uint32_t config_count_threads(const struct config *config);

/* Returns true if each route specifies whether it accepts clients without TLS,
 * or if there can be no such clients. */
bool config_says_plain(const struct config_service *service);
/* Returns true if a PROXY header may carry the client's server name. */
bool config_takes_tlvs(const struct config_service *service);

/* The first returns true if every address of the service requires TLS, the
 * second if at least one requires TLS, the third if at least one accepts
 * TLS. */
bool config_is_tls_alone(const struct config_service *service);
bool config_has_tls_alone(const struct config_service *service);
bool config_has_tls(const struct config_service *service);

/* Checks the routes of a service, and completes settings that are not
 * specified. Called by config_check(). */
bool config_check_routes(struct config *config, struct config_service *service,
                         char *why);
/* Returns true if TLS of the route's clients is terminated. */
bool config_route_opens_tls(const struct config_service *service,
                            const struct config_route *route);
bool config_opens_tls(const struct config_service *service);

/* Checks the complete configuration. Returns false with a reason in @why, and
 * sets config->line to the line of the wrong directive. */
bool config_check(struct config *config, char *why);

/* Prints warnings about settings that are allowed but seldom intended. */
void config_warn(const struct config *config);

/* The next line that is read is line @line of the file. Returns false if out of
 * memory. */
bool config_begin_part(struct config *config, const char *path, unsigned line);

#define CONFIG_PLACE_SIZE 256
/* Writes "FILE:LINE: " for a line number, as far as both are known, into
 * CONFIG_PLACE_SIZE bytes. Returns @ret_text. */
const char *config_place(const struct config *config, unsigned line,
                         char *ret_text);
/* Writes the place of the current line and a reason. Returns false. */
__attribute__((format(printf, 3, 4))) bool
config_refuse(const struct config *config, char *why, const char *format, ...);

/* Parses the address of the operator's page: "HOST:PORT", or "PORT" on the
 * loopback address. Returns 0 or an error of weir_address_parse_with_port(). */
int config_read_admin(const char *text, struct weir_address *ret);

#endif
