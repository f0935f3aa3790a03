/*
 * Parses and checks messages as RFC 8446 (4.1.2, 4.1.3, 4.2) and RFC 8422 (5.4,
 * 5.7) define them.
 *
 * A message that cannot be parsed is refused, so that wolfSSL cannot interpret
 * it in another way.
 */
#include "message.h"

#include "point.h"
#include "uring/check.h"

#include <weir/error.h>

#include <string.h>

enum {
    MESSAGE_UNEXPECTED = 10, /* alerts */
    MESSAGE_HANDSHAKE = 40,
    MESSAGE_ILLEGAL = 47,
    MESSAGE_MALFORMED = 50,
    MESSAGE_NO_VERSION = 70,
    MESSAGE_FALLBACK = 86,
    MESSAGE_MISSING = 109,
    MESSAGE_UNSUPPORTED = 110,

    MESSAGE_RANDOM = 32,
    MESSAGE_BINDER_LEAST = 32, /* least size of a binder (RFC 8446, 4.2.11) */
    MESSAGE_AGE = 4,
    MESSAGE_SESSION = 32, /* maximum size of a session identifier */

    MESSAGE_LENGTH = 1, /* extension max_fragment_length */
    MESSAGE_STATUS = 5,
    MESSAGE_GROUPS = 10,
    MESSAGE_POINTS = 11,
    MESSAGE_SCHEMES = 13,
    MESSAGE_PROTOCOLS = 16,
    MESSAGE_STAMPS = 18,    /* certificate timestamps (RFC 6962) */
    MESSAGE_ENCRYPTED = 22, /* extension encrypt_then_mac */
    MESSAGE_MASTER = 23,    /* extended master secret */
    MESSAGE_SHARED_KEY = 41,
    MESSAGE_VERSION = 43,
    MESSAGE_COOKIE = 44,
    MESSAGE_MODES = 45, /* modes of a pre-shared key */
    MESSAGE_LATER = 49, /* post_handshake_auth */
    MESSAGE_SHARES = 51,
    MESSAGE_RENEGOTIATION = 0xff01,
    MESSAGE_KNOWN = 63, /* bit of renegotiation_info; lower bits are types */

    MESSAGE_FALLBACK_SUITE = 0x5600,    /* TLS_FALLBACK_SCSV */
    MESSAGE_SUITES_13 = 0x13,           /* first byte of the TLS 1.3 suites */
    MESSAGE_RENEGOTIATION_SUITE = 0xff, /* means renegotiation_info */

    MESSAGE_CHANGE = 6, /* size of a change_cipher_spec record */
};

static const uint16_t message_tls12 = 0x0303;
static const uint16_t message_tls13 = 0x0304;

struct message_hello {
    uint16_t version;
    struct wr_bytes random;
    struct wr_bytes suites;  /* a server's hello has one */
    struct wr_bytes methods; /* compression methods; a server's hello has one */
    struct wr_bytes extensions;
};

struct message_extensions {
    uint64_t seen;        /* a bit for each known type */
    bool has_unknown;     /* an extension has a type without a bit */
    bool lacks_points;    /* the list omits uncompressed points */
    bool has_compressed;  /* lists the compressed point format */
    bool is_renegotiated; /* claims to follow another handshake */
    bool names_session;   /* a ticket may be a session identifier */
    struct wr_bytes shares;
    struct wr_bytes groups;   /* body of a client's extension */
    struct wr_bytes versions; /* body of a client's extension */
    uint16_t version;         /* version in a server's hello, or 0 */
};

static const struct wr_tls_message_fault message_good = {0, NULL, 0};
static const struct wr_tls_message_fault message_malformed = {
    MESSAGE_MALFORMED, "A message of the peer is malformed", 0};
static const struct wr_tls_message_fault message_no_point = {
    MESSAGE_ILLEGAL, "The peer's key share is not one of its group", 0};

static struct wr_tls_message_fault message_refuse(uint8_t alert,
                                                  const char *text)
{
    wr_assert(alert > 0 && text);
    return (struct wr_tls_message_fault){.alert = alert, .text = text};
}

static struct wr_tls_message_fault message_illegal(const char *text)
{
    return message_refuse(MESSAGE_ILLEGAL, text);
}

/* Returns true if @list consists of one or more vectors with a one-byte length,
 * each of at least @least bytes. */
static bool message_is_list(struct wr_bytes list, size_t least)
{
    struct wr_bytes one;

    if (list.size == 0) {
        return false;
    }
    while (list.size > 0) {
        if (!wr_bytes_take_vector(&list, 1, &one) || one.size < least) {
            return false;
        }
    }
    return true;
}

/* Parses the session tickets and their binders. Returns false if the extension
 * is malformed. Sets *ret_is_even to true if there is one binder for each
 * ticket. */
static bool message_read_shared_key(struct wr_bytes body, bool *ret_is_even,
                                    bool *ret_names_session)
{
    struct wr_bytes identities;
    struct wr_bytes binders;
    struct wr_bytes one;
    size_t count = 0;

    if (!wr_bytes_take_vector(&body, 2, &identities) ||
        !wr_bytes_take_vector(&body, 2, &binders) || body.size > 0 ||
        !message_is_list(binders, MESSAGE_BINDER_LEAST)) {
        return false;
    }
    for (; identities.size > 0; count++) {
        if (!wr_bytes_take_vector(&identities, 2, &one) || one.size == 0) {
            return false;
        }
        *ret_names_session |= one.size == MESSAGE_SESSION;
        if (!wr_bytes_take(&identities, MESSAGE_AGE, &one)) {
            return false;
        }
    }
    while (wr_bytes_take_vector(&binders, 1, &one)) {
        count--;
    }
    *ret_is_even = count == 0;
    return true;
}

static bool message_is_numbers(struct wr_bytes body)
{
    struct wr_bytes list;

    return wr_bytes_take_vector(&body, 2, &list) && body.size == 0 &&
           list.size > 0 && list.size % 2 == 0;
}

static bool message_take_list(struct wr_bytes body, size_t size,
                              struct wr_bytes *ret)
{
    return wr_bytes_take_vector(&body, size, ret) && body.size == 0 &&
           ret->size > 0;
}

/* RFC 6066, 8 */
static bool message_is_status(struct wr_bytes body)
{
    const size_t ocsp = 1;
    struct wr_bytes list;
    size_t type;

    return wr_bytes_take_number(&body, 1, &type) &&
           (type != ocsp ||
            (wr_bytes_take_vector(&body, 2, &list) &&
             wr_bytes_take_vector(&body, 2, &list) && body.size == 0));
}

static bool message_read_points(struct wr_bytes body,
                                struct message_extensions *ret)
{
    const int uncompressed = 0;
    const int compressed = 1; /* of curves over primes */
    struct wr_bytes forms;

    if (!message_take_list(body, 1, &forms)) {
        return false;
    }
    ret->lacks_points = !memchr(forms.data, uncompressed, forms.size);
    ret->has_compressed = memchr(forms.data, compressed, forms.size);
    return true;
}

/* Sets *ret_has to true if the body is not empty, which claims an earlier
 * handshake. */
static bool message_read_renegotiation(struct wr_bytes body, bool *ret_has)
{
    struct wr_bytes messages;

    if (!wr_bytes_take_vector(&body, 1, &messages) || body.size > 0) {
        return false;
    }
    *ret_has = messages.size > 0;
    return true;
}

/* Returns the bit of a known type in ->seen, or 0 for any other type, which may
 * be repeated. */
static uint64_t message_bit_of(uint16_t type)
{
    if (type == MESSAGE_RENEGOTIATION) {
        return (uint64_t)1 << MESSAGE_KNOWN;
    }
    return type < MESSAGE_KNOWN ? (uint64_t)1 << type : 0;
}

static bool message_read_common(uint16_t type, struct wr_bytes body,
                                struct message_extensions *ret)
{
    struct wr_bytes list;

    wr_assert(body.data != NULL);
    switch (type) {
    case MESSAGE_POINTS:
        return message_read_points(body, ret);
    case MESSAGE_PROTOCOLS:
        return wr_bytes_take_vector(&body, 2, &list) && body.size == 0 &&
               message_is_list(list, 1); /* RFC 7301, 3.1 */
    case MESSAGE_MASTER:
        return body.size == 0;
    case MESSAGE_COOKIE:
        return message_take_list(body, 2, &list);
    case MESSAGE_RENEGOTIATION:
        return message_read_renegotiation(body, &ret->is_renegotiated);
    case MESSAGE_SHARES:
        ret->shares = body;
        return true;
    default:
        return true;
    }
}

static bool message_read_client(uint16_t type, struct wr_bytes body,
                                struct message_extensions *ret,
                                bool *ret_is_even)
{
    struct wr_bytes list;

    wr_assert(body.data != NULL);
    switch (type) {
    case MESSAGE_GROUPS:
        ret->groups = body;
        return message_is_numbers(body);
    case MESSAGE_SCHEMES:
        return message_is_numbers(body);
    case MESSAGE_STATUS:
        return message_is_status(body);
    case MESSAGE_LENGTH:
        return body.size == 1;
    case MESSAGE_STAMPS:
    case MESSAGE_ENCRYPTED:
    case MESSAGE_LATER:
        return body.size == 0;
    case MESSAGE_SHARED_KEY:
        return message_read_shared_key(body, ret_is_even, &ret->names_session);
    case MESSAGE_VERSION:
        return wr_bytes_take_vector(&body, 1, &ret->versions) &&
               body.size == 0 && ret->versions.size > 0 &&
               ret->versions.size % 2 == 0;
    case MESSAGE_MODES:
        return message_take_list(body, 1, &list);
    default:
        return message_read_common(type, body, ret);
    }
}

static struct wr_tls_message_fault
message_read_extension(uint16_t type, struct wr_bytes body, bool is_server,
                       struct message_extensions *ret)
{
    const uint64_t bit = message_bit_of(type);
    bool is_even = true;

    wr_assert(body.data != NULL);
    if (ret->seen & bit) {
        return message_illegal("The peer sent an extension twice");
    }
    ret->seen |= bit;
    ret->has_unknown |= bit == 0;
    const bool is_good =
        is_server ? message_read_client(type, body, ret, &is_even)
        : type == MESSAGE_VERSION
            ? wr_bytes_take_u16(&body, &ret->version) && body.size == 0
            : message_read_common(type, body, ret);
    return !is_good ? message_malformed
           : is_even
               ? message_good
               : message_illegal("The client sent more, or fewer, tickets than "
                                 "proofs that they are its own");
}

static struct wr_tls_message_fault
message_read_extensions(struct wr_bytes from, bool is_server,
                        struct message_extensions *ret)
{
    struct wr_tls_message_fault fault = message_good;

    while (from.size > 0 && fault.alert == 0) {
        struct wr_bytes body;
        uint16_t type;
        if (!wr_bytes_take_u16(&from, &type) ||
            !wr_bytes_take_vector(&from, 2, &body)) {
            return message_malformed;
        }
        fault = message_read_extension(type, body, is_server, ret);
    }
    return fault.alert == 0 && ret->is_renegotiated
               ? message_refuse(
                     MESSAGE_HANDSHAKE,
                     "The peer's first hello follows another handshake")
               : fault;
}

static bool message_has(const struct message_extensions *extensions,
                        uint16_t type)
{
    wr_assert(message_bit_of(type) != 0);
    return extensions->seen & message_bit_of(type);
}

static bool message_take_share(struct wr_bytes *from, uint16_t *ret_group,
                               struct wr_bytes *ret)
{
    return wr_bytes_take_u16(from, ret_group) &&
           wr_bytes_take_vector(from, 2, ret) && ret->size > 0;
}

/* Returns the group's bit, or 0 if the group is not known and may be
 * repeated. */
static uint64_t message_bit_of_group(uint16_t group)
{
    if (group == WR_TLS_GROUP_X25519_MLKEM) {
        return (uint64_t)1 << MESSAGE_KNOWN;
    }
    return group < 32 ? (uint64_t)1 << group : 0;
}

static uint64_t message_bits_of(struct wr_bytes body)
{
    struct wr_bytes list = {.size = 0};
    uint64_t bits = 0;
    uint16_t group;

    wr_ignore(body.data && wr_bytes_take_vector(&body, 2, &list));
    while (wr_bytes_take_u16(&list, &group)) {
        bits |= message_bit_of_group(group);
    }
    return bits;
}

static uint64_t message_bits_of_shares(struct wr_bytes body)
{
    struct wr_bytes list = {.size = 0};
    struct wr_bytes share;
    uint64_t bits = 0;
    uint16_t group;

    wr_ignore(body.data && wr_bytes_take_vector(&body, 2, &list));
    while (message_take_share(&list, &group, &share)) {
        bits |= message_bit_of_group(group);
    }
    return bits;
}

/* Returns true if the share is valid. Client and server have different shares
 * of a hybrid group. A share of an unknown group is valid only from a
 * client. */
static bool message_is_share(uint16_t group, struct wr_bytes share,
                             bool is_of_client)
{
    wr_assert(share.data != NULL);
    if (group == WR_TLS_GROUP_X25519_MLKEM) {
        return wr_tls_point_is_hybrid(share.data, share.size, is_of_client);
    }
    return wr_tls_point_knows(group)
               ? wr_tls_point_is_good(group, share.data, share.size)
               : is_of_client;
}

/* Checks a client's shares. Refuses a second share of a known group, which
 * limits the CPU time. */
static struct wr_tls_message_fault message_check_shares(struct wr_bytes body)
{
    struct wr_bytes list;
    uint64_t seen = 0;

    if (!wr_bytes_take_vector(&body, 2, &list) || body.size > 0) {
        return message_malformed;
    }
    while (list.size > 0) {
        struct wr_bytes share;
        uint16_t group;
        if (!message_take_share(&list, &group, &share)) {
            return message_malformed;
        }
        const uint64_t bit = message_bit_of_group(group);
        if ((seen & bit) || !message_is_share(group, share, true)) {
            return message_no_point;
        }
        seen |= bit;
    }
    return message_good;
}

/* Checks a server's share. The client must have sent a share of the same group.
 * weir's clients offer no unknown group. */
static struct wr_tls_message_fault
message_check_share(const struct wr_tls_message_facts *facts,
                    struct wr_bytes body)
{
    struct wr_bytes share;
    uint16_t group;

    if (!message_take_share(&body, &group, &share) || body.size > 0) {
        return message_malformed;
    }
    if (facts->types != 0 && !(facts->shares & message_bit_of_group(group))) {
        return message_illegal("The server's key share is of a group of which "
                               "the client sent none");
    }
    return message_is_share(group, share, false) ? message_good
                                                 : message_no_point;
}

static bool message_take_hello(struct wr_bytes body, bool is_server,
                               struct message_hello *ret)
{
    struct wr_bytes session;

    ret->extensions = (struct wr_bytes){.data = body.data, .size = 0};
    if (!wr_bytes_take_u16(&body, &ret->version) ||
        !wr_bytes_take(&body, MESSAGE_RANDOM, &ret->random) ||
        !wr_bytes_take_vector(&body, 1, &session) ||
        session.size > MESSAGE_SESSION) {
        return false;
    }
    const bool is_taken =
        is_server ? wr_bytes_take_vector(&body, 2, &ret->suites) &&
                        wr_bytes_take_vector(&body, 1, &ret->methods)
                  : wr_bytes_take(&body, 2, &ret->suites) &&
                        wr_bytes_take(&body, 1, &ret->methods);
    return is_taken && (body.size == 0 ||
                        (wr_bytes_take_vector(&body, 2, &ret->extensions) &&
                         body.size == 0));
}

static bool message_has_number(struct wr_bytes list, uint16_t number)
{
    uint16_t one;

    wr_assert(list.data != NULL);
    while (wr_bytes_take_u16(&list, &one)) {
        if (one == number) {
            return true;
        }
    }
    return false;
}

/* Returns the highest version that a client offers, without GREASE versions
 * (RFC 8701). */
static uint16_t message_best_of(const struct message_hello *hello,
                                struct wr_bytes versions)
{
    uint16_t best = versions.data ? 0 : hello->version;
    uint16_t one;

    wr_assert(versions.size % 2 == 0);
    while (wr_bytes_take_u16(&versions, &one)) {
        if ((one & 0x0f0f) != 0x0a0a && one > best) {
            best = one;
        }
    }
    return best;
}

/* RFC 8446, 9.2 and 4.2.9 */
static bool message_is_complete(const struct message_extensions *extensions)
{
    const bool has_groups = message_has(extensions, MESSAGE_GROUPS);

    wr_assert(extensions->versions.data != NULL);
    if (has_groups != message_has(extensions, MESSAGE_SHARES)) {
        return false;
    }
    return message_has(extensions, MESSAGE_SHARED_KEY)
               ? message_has(extensions, MESSAGE_MODES)
               : has_groups && message_has(extensions, MESSAGE_SCHEMES);
}

static struct wr_tls_message_fault
message_check_fields(const struct message_hello *hello,
                     const struct message_extensions *extensions, bool is_13)
{
    wr_assert(hello->suites.data != NULL);
    if (hello->methods.size == 0) {
        return message_malformed;
    }
    if (!memchr(hello->methods.data, 0, hello->methods.size) ||
        (is_13 && hello->methods.size > 1)) {
        return message_illegal("The client wants compression");
    }
    if (extensions->versions.data && hello->version != message_tls12) {
        return message_refuse(MESSAGE_NO_VERSION,
                              "The client's hello has another version than "
                              "that of a hello of TLS 1.3");
    }
    if (!is_13) {
        return extensions->lacks_points
                   ? message_illegal("The client takes no uncompressed points")
                   : message_good;
    }
    if (!message_is_complete(extensions)) {
        return message_refuse(
            MESSAGE_MISSING,
            "The client's hello lacks an extension of TLS 1.3");
    }
    return message_bits_of_shares(extensions->shares) &
                   ~message_bits_of(extensions->groups)
               ? message_illegal("The client sent a key share of a group that "
                                 "it does not name")
               : message_good;
}

static struct wr_tls_message_fault
message_check_groups(const struct wr_tls_message_facts *facts,
                     struct wr_bytes body)
{
    struct wr_bytes list = {.size = 0};

    if (!body.data || facts->own_count == 0) {
        return message_good;
    }
    wr_ignore(wr_bytes_take_vector(&body, 2, &list));
    for (size_t i = 0; i < facts->own_count; i++) {
        if (message_has_number(list, facts->own_groups[i])) {
            return message_good;
        }
    }
    return (struct wr_tls_message_fault){
        MESSAGE_HANDSHAKE, "No group of the key exchange in common",
        WEIR_ETLSGROUP};
}

static bool message_has_common(const struct wr_tls_message_facts *facts,
                               struct wr_bytes versions)
{
    uint16_t one;

    while (wr_bytes_take_u16(&versions, &one)) {
        if (one >= message_tls12 && one <= facts->best) {
            return true;
        }
    }
    return false;
}

static struct wr_tls_message_fault
message_check_versions(const struct wr_tls_message_facts *facts,
                       const struct message_hello *hello,
                       struct wr_bytes versions)
{
    const uint16_t best = message_best_of(hello, versions);

    if (message_has_number(hello->suites, MESSAGE_FALLBACK_SUITE) &&
        best < facts->best) {
        return message_refuse(
            MESSAGE_FALLBACK,
            "The client fell back to a lower version than the server's");
    }
    return best < message_tls12 ||
                   (versions.data && !message_has_common(facts, versions))
               ? (struct wr_tls_message_fault){MESSAGE_NO_VERSION,
                                               "The client offers no version "
                                               "of TLS that is accepted",
                                               WEIR_ETLSVERSION}
               : message_good;
}

/* Resets ->group, because the server chooses again after a second hello. */
static struct wr_tls_message_fault
message_check_client(struct wr_tls_message_facts *facts, struct wr_bytes body)
{
    struct message_extensions extensions = {.seen = 0};
    struct message_hello hello;

    wr_assert(facts->is_server);
    facts->group = 0;
    if (!message_take_hello(body, true, &hello)) {
        return message_malformed;
    }
    struct wr_tls_message_fault fault =
        message_read_extensions(hello.extensions, true, &extensions);
    facts->names_session |= extensions.names_session;
    if (fault.alert == 0 && facts->was_asked_again &&
        !wr_tls_retry_allows(facts, body)) {
        fault = message_illegal("The client's second hello is another one "
                                "than its first");
    }
    if (fault.alert == 0) {
        fault = message_check_versions(facts, &hello, extensions.versions);
    }
    if (fault.alert == 0) {
        fault = message_check_fields(
            &hello, &extensions,
            facts->best >= message_tls13 && extensions.versions.data &&
                message_has_number(extensions.versions, message_tls13));
    }
    if (fault.alert == 0 && extensions.shares.data) {
        fault = message_check_shares(extensions.shares);
    }
    if (fault.alert == 0) {
        fault = message_check_groups(facts, extensions.groups);
    }
    facts->first = body;
    facts->owes_hello = true;
    return fault;
}

/* Compares with the random value of a HelloRetryRequest (RFC 8446, 4.1.3). */
static bool message_asks_again(struct wr_bytes random)
{
    static const uint8_t number[MESSAGE_RANDOM] = {
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
        0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
        0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

    wr_assert(random.size == sizeof(number));
    return memcmp(random.data, number, sizeof(number)) == 0;
}

/* Returns the bit of a suite that weir's clients offer with any library, else
 * 0. */
static uint16_t message_suite_bit(uint16_t suite)
{
    static const uint16_t suites[] = {
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9,
    };

    for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
        if (suites[i] == suite) {
            return (uint16_t)(1u << i);
        }
    }
    return 0;
}

static void message_note_client(struct wr_tls_message_facts *facts,
                                const struct message_hello *hello,
                                const struct message_extensions *extensions)
{
    struct wr_bytes suites = hello->suites;
    uint16_t suite;

    wr_assert(!facts->is_server && facts->suites == 0);
    facts->types = extensions->seen;
    facts->groups = message_bits_of(extensions->groups);
    facts->shares = message_bits_of_shares(extensions->shares);
    while (wr_bytes_take_u16(&suites, &suite)) {
        facts->suites |= message_suite_bit(suite);
        if (suite == MESSAGE_RENEGOTIATION_SUITE) {
            facts->types |= message_bit_of(MESSAGE_RENEGOTIATION);
        }
    }
}

/* A HelloRetryRequest leaves ->first set for the second hello. */
static void message_note_server(struct wr_tls_message_facts *facts,
                                const struct message_hello *hello,
                                const struct message_extensions *extensions)
{
    struct wr_bytes share = extensions->shares;

    wr_assert(facts->is_server && facts->first.data);
    facts->is_newest = extensions->version == message_tls13;
    facts->was_asked_again = message_asks_again(hello->random);
    if (!facts->was_asked_again) {
        facts->first = (struct wr_bytes){.data = NULL};
        return;
    }
    facts->gave_cookie = message_has(extensions, MESSAGE_COOKIE);
    if (!share.data || !wr_bytes_take_u16(&share, &facts->asked_group)) {
        facts->asked_group = 0;
    }
}

void wr_tls_message_note_own(struct wr_tls_message_facts *facts,
                             const uint8_t *data, size_t size)
{
    const uint8_t change = 20; /* record types */
    const uint8_t handshake = 22;
    const size_t front = 5 + WR_TLS_MESSAGE_HEADER; /* with a record's header */
    const uint8_t type = facts->is_server ? WR_TLS_MESSAGE_SERVER_HELLO
                                          : WR_TLS_MESSAGE_CLIENT_HELLO;
    struct message_extensions extensions = {.seen = 0};
    struct message_hello hello;

    if (size > MESSAGE_CHANGE && data[0] == change) {
        data += MESSAGE_CHANGE; /* precedes a client's second hello */
        size -= MESSAGE_CHANGE;
    }
    const bool is_hello = size >= front && data[0] == handshake &&
                          data[5] == type &&
                          (!facts->is_server || facts->owes_hello);
    facts->owes_hello = false;
    if (!is_hello) {
        return;
    }
    facts->suites = 0;
    facts->types = 0;
    const size_t whole = wr_tls_message_size(data + 5);
    const struct wr_bytes body = {.data = data + front,
                                  .size = whole - WR_TLS_MESSAGE_HEADER};
    if (whole > size - 5 ||
        !message_take_hello(body, !facts->is_server, &hello) ||
        message_read_extensions(hello.extensions, !facts->is_server,
                                &extensions)
            .alert) {
        return;
    }
    facts->takes_compressed = extensions.has_compressed;
    if (facts->is_server) {
        message_note_server(facts, &hello, &extensions);
    } else {
        message_note_client(facts, &hello, &extensions);
    }
}

/* Checks the extensions of a server's hello. The client must have offered each
 * extension, except a cookie in a HelloRetryRequest. A TLS 1.3 hello may have
 * only a few extensions (RFC 8446, 4.2). */
static struct wr_tls_message_fault
message_check_answers(const struct wr_tls_message_facts *facts,
                      const struct message_extensions *extensions,
                      bool asks_again)
{
    const uint64_t cookie = message_bit_of(MESSAGE_COOKIE);
    const uint64_t of_13 =
        message_bit_of(MESSAGE_VERSION) | message_bit_of(MESSAGE_SHARES) |
        (asks_again ? cookie : message_bit_of(MESSAGE_SHARED_KEY));
    const uint64_t asked = facts->types | (asks_again ? cookie : 0);

    wr_assert(facts->types != 0);
    if (extensions->has_unknown || (extensions->seen & ~asked)) {
        return message_refuse(
            MESSAGE_UNSUPPORTED,
            "The server sent an extension that was not asked for");
    }
    return extensions->version == message_tls13 && (extensions->seen & ~of_13)
               ? message_illegal("The server sent an extension in a message in "
                                 "which it may not be")
               : message_good;
}

static struct wr_tls_message_fault message_check_choice(
    const struct wr_tls_message_facts *facts, const struct message_hello *hello,
    const struct message_extensions *extensions, bool asks_again)
{
    const bool is_13 = extensions->version == message_tls13;
    struct wr_bytes suites = hello->suites;
    uint16_t suite = 0;

    wr_assert(hello->methods.size == 1);
    if (hello->methods.data[0] != 0) {
        return message_illegal("The server chose a compression");
    }
    if (asks_again && !message_has(extensions, MESSAGE_VERSION)) {
        return message_refuse(MESSAGE_MISSING,
                              "The server asked for another hello without a "
                              "version");
    }
    if (message_has(extensions, MESSAGE_VERSION) && !is_13) {
        return message_illegal("The server chose a version that was not "
                               "offered");
    }
    if (facts->types == 0) {
        return message_good;
    }
    if (!wr_bytes_take_u16(&suites, &suite) ||
        !(facts->suites & message_suite_bit(suite)) ||
        (suite >> 8 == MESSAGE_SUITES_13) != is_13) {
        return message_illegal("The server chose a suite that was not offered");
    }
    return message_check_answers(facts, extensions, asks_again);
}

/* Checks a HelloRetryRequest, which must request a change (RFC 8446, 4.1.4 and
 * 4.2.8). */
static struct wr_tls_message_fault
message_check_request(struct wr_tls_message_facts *facts,
                      const struct message_hello *hello,
                      const struct message_extensions *extensions)
{
    struct wr_bytes suites = hello->suites;
    struct wr_bytes share = extensions->shares;
    uint16_t group = 0;

    if (facts->was_asked_again) {
        return message_refuse(MESSAGE_UNEXPECTED,
                              "The server asked for another hello twice");
    }
    if (share.data && (!wr_bytes_take_u16(&share, &group) || share.size > 0)) {
        return message_malformed;
    }
    const uint64_t bit = message_bit_of_group(group);
    if (share.data ? facts->types != 0 &&
                         (!(facts->groups & bit) || (facts->shares & bit))
                   : !message_has(extensions, MESSAGE_COOKIE)) {
        return message_illegal("The server asked for a hello that the client "
                               "cannot send, or has sent");
    }
    facts->was_asked_again = true;
    facts->is_newest = true;
    wr_ignore(wr_bytes_take_u16(&suites, &facts->asked_suite));
    return message_good;
}

/* Checks a hello of TLS 1.2. A TLS 1.3 server that chooses a lower version
 * marks its random value. The mark reveals an attacker that has removed
 * versions from our hello (RFC 8446, 4.1.3). */
static struct wr_tls_message_fault
message_check_older(const struct wr_tls_message_facts *facts,
                    const struct message_hello *hello,
                    const struct message_extensions *extensions)
{
    static const char mark[] = {'D', 'O', 'W', 'N', 'G', 'R', 'D'};
    const uint8_t *at = hello->random.data + MESSAGE_RANDOM - sizeof(mark) - 1;

    wr_assert(hello->random.size == MESSAGE_RANDOM);
    if (facts->best >= message_tls13 && memcmp(at, mark, sizeof(mark)) == 0 &&
        at[sizeof(mark)] <= 1) {
        return message_illegal("The server was asked for a lower version than "
                               "the client has offered");
    }
    return extensions->lacks_points
               ? message_illegal("The server takes no uncompressed points")
               : message_good;
}

/* Checks a ServerHello that is not a HelloRetryRequest. weir's clients resume
 * sessions only with a new key exchange, so a TLS 1.3 hello always has a
 * share. */
static struct wr_tls_message_fault
message_check_agreed(struct wr_tls_message_facts *facts,
                     const struct message_hello *hello,
                     const struct message_extensions *extensions)
{
    const bool is_13 = extensions->version == message_tls13;
    struct wr_bytes suites = hello->suites;
    uint16_t suite = 0;

    wr_ignore(wr_bytes_take_u16(&suites, &suite));
    if (facts->was_asked_again && (!is_13 || suite != facts->asked_suite)) {
        return message_illegal("The server has chosen another version or suite "
                               "than in its first hello");
    }
    if (!is_13) {
        return message_check_older(facts, hello, extensions);
    }
    facts->is_newest = true;
    return extensions->shares.data
               ? message_check_share(facts, extensions->shares)
               : message_refuse(MESSAGE_MISSING,
                                "The server sent no key share");
}

static struct wr_tls_message_fault
message_check_server(struct wr_tls_message_facts *facts, struct wr_bytes body)
{
    struct message_extensions extensions = {.seen = 0};
    struct message_hello hello;

    wr_assert(!facts->is_server);
    if (!message_take_hello(body, false, &hello)) {
        return message_malformed;
    }
    const bool asks_again = message_asks_again(hello.random);
    struct wr_tls_message_fault fault =
        message_read_extensions(hello.extensions, false, &extensions);
    if (fault.alert == 0) {
        fault = message_check_choice(facts, &hello, &extensions, asks_again);
    }
    if (fault.alert) {
        return fault;
    }
    return asks_again ? message_check_request(facts, &hello, &extensions)
                      : message_check_agreed(facts, &hello, &extensions);
}

bool wr_tls_message_is_checked(const struct wr_tls_message_facts *facts,
                               uint8_t type)
{
    switch (type) {
    case WR_TLS_MESSAGE_CLIENT_HELLO:
    case WR_TLS_MESSAGE_CLIENT_KEY:
    case WR_TLS_MESSAGE_VERIFY:
        return facts->is_server;
    case WR_TLS_MESSAGE_SERVER_HELLO:
    case WR_TLS_MESSAGE_SERVER_KEY:
        return !facts->is_server;
    default:
        return false;
    }
}

size_t wr_tls_message_size(const uint8_t *header)
{
    return WR_TLS_MESSAGE_HEADER +
           ((size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3]);
}

struct wr_tls_message_fault
wr_tls_message_check(struct wr_tls_message_facts *facts, const uint8_t *data,
                     size_t size)
{
    const struct wr_bytes body = {.data = data + WR_TLS_MESSAGE_HEADER,
                                  .size = size - WR_TLS_MESSAGE_HEADER};

    wr_assert(size >= WR_TLS_MESSAGE_HEADER);
    wr_assert(size == wr_tls_message_size(data));
    wr_assert(wr_tls_message_is_checked(facts, data[0]));
    switch (data[0]) {
    case WR_TLS_MESSAGE_CLIENT_HELLO:
        return message_check_client(facts, body);
    case WR_TLS_MESSAGE_SERVER_HELLO:
        return message_check_server(facts, body);
    case WR_TLS_MESSAGE_SERVER_KEY:
        return wr_tls_message_check_server_key(facts, body);
    case WR_TLS_MESSAGE_CLIENT_KEY:
        return wr_tls_message_check_client_key(facts, body);
    default:
        return wr_tls_message_check_verify(facts, body);
    }
}
