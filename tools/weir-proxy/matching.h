/*
 * Which route a client gets, by what is known of it so far: TLS or not, the
 * server's name and the application protocols, its first bytes, or that it
 * sends none.
 *
 * This is arithmetic on facts, without a connection and without a clock: who
 * has the connection asks again when there are more bytes, or when their time
 * is over. A configuration asks the same module which routes cannot be told
 * apart.
 */
#ifndef WEIR_PROXY_MATCHING_H
#define WEIR_PROXY_MATCHING_H

#include "config.h"

#include "weir/client_hello.h"

enum matching_kind {
    MATCHING_UNKNOWN, /* it may be TLS, or not */
    MATCHING_TLS,
    MATCHING_PLAIN,
    MATCHING_SILENT, /* it has sent nothing for so long as is silence */
};

struct matching_facts {
    enum matching_kind kind;
    bool is_open;         /* its TLS is: what begins is inside */
    bool may_be_silent;   /* silence would be a fact of this client */
    bool is_over;         /* no more bytes come in time */
    const char *name;     /* of the server, borrowed; NULL: it named none */
    const uint8_t *begin; /* its first bytes */
    size_t begin_len;
    struct weir_alpn_list offered; /* in its hello */
    struct weir_alpn_name agreed;  /* by its TLS, also before that; len 0: none
                                    */
};

/* TLS or not, by a connection's first bytes. */
enum matching_kind matching_guess(const uint8_t *data, size_t len);

/* Finds routes by their names from now on, in place of what was known of other
 * routes; false without memory. */
bool matching_index(struct config_service *service);
/* The routes that may have the same name as this one; *ret is the first. */
size_t matching_find_named(const struct config_service *service,
                           const struct config_route *route,
                           const struct hashed **ret);

/* Chooses a route of the service: 0, -EAGAIN if the next bytes may decide
 * otherwise, or -ENOENT. Nothing is waited for that cannot change the choice.
 */
int matching_choose(const struct config_service *service,
                    const struct matching_facts *facts, size_t *ret_route);

/* Of a client whose hello is there: a route that says whether its TLS is opened
 * or passed on. 0 or -ENOENT. */
int matching_choose_by_hello(const struct config_service *service,
                             const struct matching_facts *facts,
                             size_t *ret_route);

/* The length of a server's name without the dot of the root. */
size_t matching_length_of(const char *name);

/* Is a text of @len bytes one of them? */
bool matching_has_text(const struct config_texts *texts, const char *text,
                       size_t len);

/* The protocol on which a server that knows @own agrees with a client; of len
 * 0: none. It points into @own. */
struct weir_alpn_name matching_agree(const struct config_texts *own,
                                     const struct weir_alpn_list *offered);

/* Is there a client that both routes are for in the same way? */
bool matching_is_same(const struct config_route *a,
                      const struct config_route *b);
/* The same, before TLS is opened. */
bool matching_is_same_hello(const struct config_route *a,
                            const struct config_route *b);

#endif
