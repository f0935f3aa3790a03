/*
 * The parts of a DNS message (RFC 1035) that a forwarder reads: its header and
 * its only question. Does no I/O. Names are compared byte by byte, including
 * case, because servers return them unchanged.
 */
#ifndef WEIR_EXAMPLES_DNS_MESSAGE_H
#define WEIR_EXAMPLES_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DNS_HEAD     12
#define DNS_QUESTION (255 + 4) /* a name, a type and a class */
#define DNS_SERVFAIL 2
#define DNS_RESPONSE 0x80 /* in the third byte */
#define DNS_OPCODE   0x78

static inline uint16_t dns_id(const uint8_t *message)
{
    return (uint16_t)(message[0] << 8 | message[1]);
}

static inline void dns_set_id(uint8_t *message, uint16_t id)
{
    message[0] = (uint8_t)(id >> 8);
    message[1] = (uint8_t)id;
}

/* Returns the size of the message's question, or 0 if it does not have exactly
 * one valid question. */
static inline size_t dns_question(const uint8_t *message, size_t len)
{
    static const uint8_t one[] = {0, 1};
    size_t at = DNS_HEAD;
    if (len < DNS_HEAD || memcmp(message + 4, one, 2) != 0) {
        return 0;
    }
    while (at < len && message[at] != 0) {
        if (message[at] > 63) { /* a pointer, but there is no earlier name */
            return 0;
        }
        at += 1u + message[at];
    }
    at += 1 + 4;
    return at > len || at - DNS_HEAD > DNS_QUESTION ? 0 : at - DNS_HEAD;
}

static inline bool dns_is_query(const uint8_t *message, size_t len)
{
    return dns_question(message, len) > 0 &&
           (message[2] & (DNS_RESPONSE | DNS_OPCODE)) == 0;
}

static inline bool dns_answers(const uint8_t *message, size_t len,
                               const uint8_t *question, size_t question_len)
{
    return dns_question(message, len) == question_len &&
           (message[2] & DNS_RESPONSE) &&
           memcmp(message + DNS_HEAD, question, question_len) == 0;
}

static inline void dns_fail(uint8_t *message)
{
    message[2] = (uint8_t)(message[2] | DNS_RESPONSE);
    message[3] = DNS_SERVFAIL;
    memset(message + 4, 0, DNS_HEAD - 4);
    message[5] = 1;
}

#endif
