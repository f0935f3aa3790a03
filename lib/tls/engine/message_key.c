/*
 * Checks the key exchange messages of TLS 1.2 (RFC 8422, 5.4 and 5.7) and the
 * algorithm of a client's signature (RFC 5246, 7.4.8).
 *
 * message.c checks the hellos.
 */
#include "message.h"
#include "point.h"

enum {
    KEY_UNEXPECTED = 10, /* alerts */
    KEY_ILLEGAL = 47,
    KEY_MALFORMED = 50,

    KEY_NAMED_CURVE = 3,
};

static const struct wr_tls_message_fault message_key_good = {0, NULL, 0};
static const struct wr_tls_message_fault message_key_malformed = {
    KEY_MALFORMED, "A message of the peer is malformed", 0};
static const struct wr_tls_message_fault message_key_no_point = {
    KEY_ILLEGAL, "The peer's key share is not one of its group", 0};

/* A compressed point is valid only if our own hello lists that form. */
static struct wr_tls_message_fault
message_key_check_point(const struct wr_tls_message_facts *facts,
                        uint16_t group, struct wr_bytes point)
{
    wr_assert(point.data != NULL);
    return wr_tls_point_is_good(group, point.data, point.size) ||
                   (facts->takes_compressed &&
                    wr_tls_point_is_compressed(group, point.data, point.size))
               ? message_key_good
               : message_key_no_point;
}

struct wr_tls_message_fault
wr_tls_message_check_server_key(const struct wr_tls_message_facts *facts,
                                struct wr_bytes body)
{
    struct wr_bytes point;
    size_t type;
    uint16_t group;

    if (!wr_bytes_take_number(&body, 1, &type) || type != KEY_NAMED_CURVE ||
        !wr_bytes_take_u16(&body, &group) ||
        !wr_bytes_take_vector(&body, 1, &point)) {
        return message_key_malformed;
    }
    return message_key_check_point(facts, group, point);
}

/* wolfSSL does not check that the point is on the curve of the server's group,
 * and computes with it anyway. */
struct wr_tls_message_fault
wr_tls_message_check_client_key(const struct wr_tls_message_facts *facts,
                                struct wr_bytes body)
{
    struct wr_bytes point;

    if (facts->group == 0) {
        return (struct wr_tls_message_fault){
            KEY_UNEXPECTED, "The client sent a key share before the server", 0};
    }
    if (!wr_bytes_take_vector(&body, 1, &point) || body.size > 0) {
        return message_key_malformed;
    }
    return message_key_check_point(facts, facts->group, point);
}

/* Stores the scheme. When the signature is verified, the engine compares the
 * scheme with the certificate's key. */
struct wr_tls_message_fault
wr_tls_message_check_verify(struct wr_tls_message_facts *facts,
                            struct wr_bytes body)
{
    if (!wr_bytes_take_u16(&body, &facts->scheme)) {
        return message_key_malformed;
    }
    return wr_tls_message_key_of(facts->scheme) != WR_X509_KEY_OTHER
               ? message_key_good
               : (struct wr_tls_message_fault){
                     KEY_ILLEGAL,
                     "The client signed by an algorithm that is not accepted",
                     0};
}

enum wr_x509_key_kind wr_tls_message_key_of(uint16_t scheme)
{
    const uint8_t first = (uint8_t)(scheme >> 8);
    const uint8_t second = (uint8_t)scheme;

    if (first >= 4 && first <= 6) { /* SHA-256, SHA-384, SHA-512 */
        return second == 1   ? WR_X509_KEY_RSA
               : second == 3 ? WR_X509_KEY_CURVE
                             : WR_X509_KEY_OTHER;
    }
    if (first != 8) {
        return WR_X509_KEY_OTHER;
    }
    return second == 7 ? WR_X509_KEY_EDWARDS
           : (second >= 4 && second <= 6) || (second >= 9 && second <= 11)
               ? WR_X509_KEY_RSA /* RSASSA-PSS */
               : WR_X509_KEY_OTHER;
}
