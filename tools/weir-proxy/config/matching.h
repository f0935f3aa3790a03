/*
 * Chooses a client's route from what is known so far: TLS or not, the server
 * name and application protocols, its first bytes, or silence.
 *
 * The functions depend only on these facts, not on a connection or a clock. The
 * caller calls again when more bytes arrive or when the time for them has
 * expired. The check of the configuration uses this module to find routes that
 * match the same clients.
 */
#ifndef WEIR_PROXY_MATCHING_H
#define WEIR_PROXY_MATCHING_H

#include "config.h"

#include "weir/client_hello.h"

enum matching_kind {
    MATCHING_UNKNOWN, /* not known yet whether the client uses TLS */
    MATCHING_TLS,
    MATCHING_PLAIN,
    MATCHING_SILENT, /* nothing received for silent-after */
};

struct matching_facts {
    enum matching_kind kind;
    bool is_open;       /* TLS is terminated: the first bytes are decrypted */
    bool may_be_silent; /* silence would select a route for this client */
    bool is_over;       /* no more bytes are awaited */
    const char *name;   /* requested server name, or NULL; borrowed */
    const uint8_t *begin;
    size_t begin_len;
    struct weir_alpn_list offered;
    struct weir_alpn_name agreed; /* protocol that TLS selects; len 0 is none */
};

enum matching_kind matching_guess(const uint8_t *data, size_t len);

/* Builds or replaces the index. Returns false if out of memory. */
bool matching_index(struct config_service *service);
/* Returns the number of routes that may have the same name as this one (equal
 * hashes). *ret is the first of them. */
size_t matching_find_named(const struct config_service *service,
                           const struct config_route *route,
                           const struct hashed **ret);

int matching_choose(const struct config_service *service,
                    const struct matching_facts *facts, size_t *ret_route);

/* Chooses a route by a complete ClientHello; the route determines whether TLS
 * is terminated or passed on. Returns 0 or -ENOENT. */
int matching_choose_by_hello(const struct config_service *service,
                             const struct matching_facts *facts,
                             size_t *ret_route);

/* Returns true if a client could request this name. */
bool matching_is_host_name(const char *name);
/* Returns true if @name is @top or a name below it. */
bool matching_is_within(const char *top, const char *name);

/* Returns the length of a server name without a trailing dot. */
size_t matching_length_of(const char *name);

bool matching_has_text(const struct config_texts *texts, const char *text,
                       size_t len);

/* Returns the application protocol that a server with the list @own and a
 * client that offers @offered agree on. The result points into @own; its len is
 * 0 if there is no common protocol. */
struct weir_alpn_name matching_agree(const struct config_texts *own,
                                     const struct weir_alpn_list *offered);

/* Returns true if both routes match the same client equally well. */
bool matching_is_same(const struct config_route *a,
                      const struct config_route *b);
/* Like matching_is_same(), by what is known before TLS is terminated. */
bool matching_is_same_hello(const struct config_route *a,
                            const struct config_route *b);

#endif
