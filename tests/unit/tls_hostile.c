/*
 * First messages of hostile peers that RFC 8446, 5246 or an extension's RFC
 * forbids: the side that gets one ends the connection with the alert that the
 * RFC requires, which is read from its wire.
 *
 * A valid peer's hello is parsed, changed, and built again. Both libraries send
 * the same alert.
 */
#include "lib/tls/engine/message.h"
#include "tests/tls/rig.h"

enum {
    UNEXPECTED = 10, /* alerts */
    BAD_MAC = 20,
    HANDSHAKE = 40,
    ILLEGAL = 47,
    DECODE = 50,
    VERSION = 70,
    MISSING = 109,
    UNSUPPORTED = 110,
    UNRECOGNIZED = 112,

    RECORD = 5, /* bytes of a header */
    PARTS_MAX = 32,
    PART_SIZE = 2048,
};

static struct tls_pair pair;

struct part {
    uint16_t type;
    uint16_t size;
    uint8_t body[PART_SIZE];
};

/* A parsed hello. The part before its extensions stays as it was written,
 * including lengths. */
struct hello {
    uint8_t type; /* of the message */
    uint8_t version[2];
    uint8_t random[32];
    struct part session;
    struct part suites;  /* for a server's hello: its suite */
    struct part methods; /* compression methods, or a server's method */
    struct part parts[PARTS_MAX];
    uint32_t count;
    uint32_t extra; /* bytes after the message's end */
    bool has_none;  /* no extensions, not even their length */
};

static size_t number_of(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

static const uint8_t *take(struct part *to, const uint8_t *from, size_t size)
{
    cr_assert_leq(size, sizeof(to->body));
    to->size = (uint16_t)size;
    memcpy(to->body, from, size);
    return from + size;
}

/* Parses the hello at the start of a wire. Returns the position after it. */
static const uint8_t *hello_read(struct hello *hello, const uint8_t *wire)
{
    const uint8_t *at = wire + RECORD;
    const uint8_t *end = at + 4 + number_of(at + 2);
    memset(hello, 0, sizeof(*hello));
    hello->type = at[0];
    memcpy(hello->version, at + 4, 2);
    memcpy(hello->random, at + 6, 32);
    at += 38;
    at = take(&hello->session, at + 1, at[0]);
    if (hello->type == WR_TLS_MESSAGE_CLIENT_HELLO) {
        at = take(&hello->suites, at + 2, number_of(at));
        at = take(&hello->methods, at + 1, at[0]);
    } else {
        at = take(&hello->suites, at, 2);
        at = take(&hello->methods, at, 1);
    }
    for (at += 2; at < end;) {
        struct part *part = &hello->parts[hello->count++];
        cr_assert_lt(hello->count, PARTS_MAX);
        part->type = (uint16_t)number_of(at);
        at = take(part, at + 4, number_of(at + 2));
    }
    return wire + RECORD + number_of(wire + 3);
}

static uint8_t *put(uint8_t *to, size_t number, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; number >>= 8) {
        to[i] = (uint8_t)number;
    }
    return to + bytes;
}

static uint8_t *put_part(uint8_t *to, const struct part *part, size_t bytes)
{
    to = put(to, part->size, bytes);
    memcpy(to, part->body, part->size);
    return to + part->size;
}

/* Writes a record with the hello. Returns its size. */
static size_t hello_write(const struct hello *hello, uint8_t *wire)
{
    const bool is_client = hello->type == WR_TLS_MESSAGE_CLIENT_HELLO;
    uint8_t *at = wire + RECORD + 4;
    memcpy(at, hello->version, 2);
    memcpy(at + 2, hello->random, 32);
    at = put_part(at + 34, &hello->session, 1);
    at = put_part(at, &hello->suites, is_client ? 2 : 0);
    at = put_part(at, &hello->methods, is_client ? 1 : 0);
    uint8_t *extensions = at;
    at += hello->has_none ? 0 : 2;
    for (uint32_t i = 0; i < hello->count && !hello->has_none; i++) {
        at = put_part(put(at, hello->parts[i].type, 2), &hello->parts[i], 2);
    }
    if (!hello->has_none) {
        put(extensions, (size_t)(at - extensions) - 2, 2);
    }
    memset(at, 0, hello->extra);
    at += hello->extra;
    put(wire + RECORD + 1, (size_t)(at - wire) - RECORD - 4, 3);
    wire[RECORD] = hello->type;
    wire[0] = 22;
    wire[1] = 3;
    wire[2] = 3;
    put(wire + 3, (size_t)(at - wire) - RECORD, 2);
    return (size_t)(at - wire);
}

enum type {
    NAME = 0,
    LENGTH = 1,
    STATUS = 5,
    GROUPS = 10,
    POINTS = 11,
    SCHEMES = 13,
    PROTOCOLS = 16,
    STAMPS = 18,
    PADDING = 21,
    ETM = 22,
    MASTER = 23,
    TICKET = 35,
    PSK = 41,
    EARLY = 42,
    VERSIONS = 43,
    COOKIE = 44,
    MODES = 45,
    LATER = 49,
    SHARES = 51,
    UNKNOWN = 0x7a7a,
    RENEGOTIATION = 0xff01,
};

enum change {
    REMOVE, /* an extension */
    SET,    /* its body; appends the extension if it does not exist */
    SUITES, /* also the fields before the extensions */
    METHODS,
    LEGACY,
    SESSION,
    RANDOM_END, /* the last 8 bytes */
    EXTRA,
    NONE,  /* no extensions */
    TURN,  /* the first extension becomes the last one */
    SHARE, /* one more share in the list */
};

struct row {
    const char *name;
    int version;   /* of the other side, 12 or 13; 0 means any */
    uint8_t alert; /* 0 if it is valid */
    struct {
        enum change change;
        uint16_t type;
        uint16_t size;
        const char *body;
    } changes[3];
};

#define BYTES(text) sizeof(text) - 1, text
/* The generator of P-256. */
#define P256_SHARE                                                             \
    "\x00\x17\x00\x41\x04"                                                     \
    "\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2"         \
    "\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96"         \
    "\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16"         \
    "\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5"
#define OF_64                                                                  \
    "0123456789abcdef0123456789abcdef"                                         \
    "0123456789abcdef0123456789abcdef"
#define X25519_SHARE                                                           \
    "\x00\x1d\x00\x20"                                                         \
    "0123456789abcdef0123456789abcdef"

static struct part *hello_part(struct hello *hello, uint16_t type)
{
    for (uint32_t i = 0; i < hello->count; i++) {
        if (hello->parts[i].type == type) {
            return &hello->parts[i];
        }
    }
    return NULL;
}

static void hello_change(struct hello *hello, const struct row *row, size_t i)
{
    const uint16_t type = row->changes[i].type;
    const uint16_t size = row->changes[i].size;
    const uint8_t *body = (const uint8_t *)row->changes[i].body;
    struct part *part = hello_part(hello, type);
    if (!body) {
        body = (const uint8_t *)"";
    }
    switch (row->changes[i].change) {
    case REMOVE:
        cr_assert_not_null(part, "%s", row->name);
        memmove(part, part + 1,
                (size_t)(&hello->parts[--hello->count] - part) * sizeof(*part));
        break;
    case SET:
        if (!part) {
            part = &hello->parts[hello->count++];
            part->type = type;
        }
        take(part, body, size);
        break;
    case SUITES:
        take(&hello->suites, body, size);
        break;
    case METHODS:
        take(&hello->methods, body, size);
        break;
    case LEGACY:
        memcpy(hello->version, body, 2);
        break;
    case SESSION:
        take(&hello->session, body, size);
        break;
    case RANDOM_END:
        memcpy(hello->random + 24, body, 8);
        break;
    case EXTRA:
        hello->extra = size;
        break;
    case NONE:
        hello->has_none = true;
        break;
    case TURN:
        hello->parts[hello->count] = hello->parts[0];
        memmove(hello->parts, hello->parts + 1,
                hello->count * sizeof(*hello->parts));
        break;
    case SHARE:
        cr_assert_not_null(part, "%s", row->name);
        memcpy(part->body + part->size, body, size);
        part->size = (uint16_t)(part->size + size);
        put(part->body, part->size - 2u, 2);
        break;
    }
}

static const struct row to_server[] = {
#define ROW(name, version, alert, ...)                                         \
    {                                                                          \
        name, version, alert,                                                  \
        {                                                                      \
            __VA_ARGS__                                                        \
        }                                                                      \
    }
    ROW("no suite in common", 0, HANDSHAKE, {SUITES, 0, BYTES("\x13\x77")}),
    ROW("no suite", 0, DECODE, {SUITES, 0, 0, ""}),
    ROW("half a suite", 0, DECODE, {SUITES, 0, BYTES("\x13\x01\x13")}),
    ROW("no method", 0, DECODE, {METHODS, 0, 0, ""}),
    ROW("method 1 alone", 0, ILLEGAL, {METHODS, 0, BYTES("\1")}),
    ROW("two methods", 13, ILLEGAL, {METHODS, 0, BYTES("\0\1")}),
    ROW("session of 33", 0, DECODE,
        {SESSION, 0, BYTES("0123456789abcdef0123456789abcdefx")}),
    ROW("bytes behind the message", 0, DECODE, {EXTRA, 0, 3, ""}),
    ROW("only SSL 3", 0, VERSION, {SET, VERSIONS, BYTES("\2\3\0")}),
    ROW("only TLS 1.1", 0, VERSION, {SET, VERSIONS, BYTES("\2\3\2")}),
    ROW("only TLS 1.3", 12, VERSION, {SET, VERSIONS, BYTES("\2\3\4")}),
    ROW("TLS 1.1 of old", 0, VERSION, {REMOVE, VERSIONS, 0, ""},
        {LEGACY, 0, BYTES("\3\2")}),
    ROW("version 2.0", 0, VERSION, {REMOVE, VERSIONS, 0, ""},
        {LEGACY, 0, BYTES("\2\0")}),
    ROW("no schemes", 13, MISSING, {REMOVE, SCHEMES, 0, ""}),
    ROW("another version of a hello", 13, VERSION, {LEGACY, 0, BYTES("\3\4")}),
    ROW("a share of a group that is not named", 13, ILLEGAL,
        {SET, GROUPS, BYTES("\0\2\0\x17")}),
    ROW("half a request for a status", 0, DECODE,
        {SET, STATUS, BYTES("\1\0\0")}),
    ROW("a certificate after the handshake, with a body", 0, DECODE,
        {SET, LATER, BYTES("x")}),
    ROW("time stamps of certificates", 0, DECODE, {SET, STAMPS, BYTES("x")}),
    ROW("no length of fragments", 0, DECODE, {SET, LENGTH, 0, ""}),
    ROW("encrypt then MAC with a body", 0, DECODE, {SET, ETM, BYTES("x")}),
    ROW("empty schemes", 0, DECODE, {SET, SCHEMES, BYTES("\0\0")}),
    ROW("schemes of an odd length", 0, DECODE,
        {SET, SCHEMES, BYTES("\0\3\4\3\4")}),
    ROW("no scheme in common", 13, HANDSHAKE,
        {SET, SCHEMES, BYTES("\0\2\2\3")}),
    ROW("no groups beside shares", 13, MISSING, {REMOVE, GROUPS, 0, ""}),
    ROW("no shares beside groups", 13, MISSING, {REMOVE, SHARES, 0, ""}),
    ROW("neither groups nor shares", 13, MISSING, {REMOVE, SHARES, 0, ""},
        {REMOVE, GROUPS, 0, ""}),
    ROW("empty groups", 0, DECODE, {SET, GROUPS, BYTES("\0\0")}),
    ROW("groups of an odd length", 0, DECODE,
        {SET, GROUPS, BYTES("\0\3\0\x17\0")}),
    ROW("no group in common", 13, HANDSHAKE, {SET, GROUPS, BYTES("\0\2\0\x16")},
        {SET, SHARES, BYTES("\0\0")}),
    ROW("no group in common", 12, HANDSHAKE,
        {SET, GROUPS, BYTES("\0\2\0\x16")}),
    ROW("points, not uncompressed", 12, ILLEGAL, {SET, POINTS, BYTES("\1\1")}),
    ROW("empty points", 12, DECODE, {SET, POINTS, BYTES("\0")}),
    ROW("PSK without modes", 13, MISSING, {REMOVE, MODES, 0, ""},
        {SET, PSK,
         BYTES("\0\x07\0\1x\0\0\0\0\0\x21\x20"
               "0123456789abcdef0123456789abcdef")}),
    ROW("PSK not last", 13, ILLEGAL,
        {SET, PSK,
         BYTES("\0\x07\0\1x\0\0\0\0\0\x21\x20"
               "0123456789abcdef0123456789abcdef")},
        {SET, UNKNOWN, 0, ""}),
    ROW("PSK with a binder too few", 13, ILLEGAL, {SET, MODES, 2, "\1\1"},
        {SET, PSK,
         BYTES("\0\x0e\0\1x\0\0\0\0\0\1y\0\0\0\0\0\x21\x20"
               "0123456789abcdef0123456789abcdef")}),
    ROW("empty modes", 13, DECODE, {SET, MODES, BYTES("\0")}),
    ROW("renegotiation in the first hello", 12, HANDSHAKE,
        {SET, RENEGOTIATION, BYTES("\1x")}),
    ROW("renegotiation that is cut", 12, DECODE,
        {SET, RENEGOTIATION, BYTES("\2x")}),
    ROW("a name without a type", 0, DECODE, {SET, NAME, BYTES("\0\1\0")}),
    ROW("an empty name", 0, DECODE, {SET, NAME, BYTES("\0\3\0\0\0")}),
    ROW("a name with a NUL", 0, UNRECOGNIZED,
        {SET, NAME, BYTES("\0\6\0\0\3a\0b")}),
    ROW("a name of 256 bytes", 0, UNRECOGNIZED,
        {SET, NAME, BYTES("\1\3\0\1\0" OF_64 OF_64 OF_64 OF_64)}),
    ROW("two names", 0, DECODE, {SET, NAME, BYTES("\0\x08\0\0\1a\0\0\1b")}),
    ROW("extended master secret with a body", 12, DECODE,
        {SET, MASTER, BYTES("x")}),
    ROW("early data with a body", 13, DECODE, {SET, EARLY, BYTES("xy")}),
    ROW("an empty cookie", 13, DECODE, {SET, COOKIE, BYTES("\0\0")}),
    ROW("protocols, the last one cut", 0, DECODE,
        {SET, PROTOCOLS, BYTES("\0\4\2h2\3")}),
    ROW("no extensions, of TLS 1.3", 13, VERSION, {NONE, 0, 0, ""}),
};

static const struct row to_client[] = {
    ROW("a suite that was not offered", 13, ILLEGAL,
        {SUITES, 0, BYTES("\x13\x77")}),
    ROW("a suite that was not offered", 12, ILLEGAL,
        {SUITES, 0, BYTES("\xc0\x77")}),
    ROW("a suite of TLS 1.2", 13, ILLEGAL, {SUITES, 0, BYTES("\xc0\x2b")}),
    ROW("a suite of TLS 1.3", 12, ILLEGAL, {SUITES, 0, BYTES("\x13\x01")}),
    ROW("another session", 13, ILLEGAL, {SESSION, 0, BYTES("another")}),
    ROW("a session of 33", 0, DECODE,
        {SESSION, 0, BYTES("0123456789abcdef0123456789abcdefx")}),
    ROW("method 1", 0, ILLEGAL, {METHODS, 0, BYTES("\1")}),
    ROW("TLS 1.1", 12, VERSION, {LEGACY, 0, BYTES("\3\2")}),
    ROW("SSL 3", 12, VERSION, {LEGACY, 0, BYTES("\3\0")}),
    ROW("selected version 3.3", 13, ILLEGAL, {SET, VERSIONS, BYTES("\3\3")}),
    ROW("selected version 3.5", 13, ILLEGAL, {SET, VERSIONS, BYTES("\3\5")}),
    ROW("no share", 13, MISSING, {REMOVE, SHARES, 0, ""}),
    ROW("an extension that was not asked for", 13, UNSUPPORTED,
        {SET, UNKNOWN, 0, ""}),
    ROW("an extension that was not asked for", 12, UNSUPPORTED,
        {SET, UNKNOWN, 0, ""}),
    ROW("a cookie in a hello", 13, UNSUPPORTED, {SET, COOKIE, BYTES("\0\1x")}),
    ROW("protocols in the hello of 1.3", 13, UNSUPPORTED,
        {SET, PROTOCOLS, BYTES("\0\3\2h2")}),
    ROW("protocols that were not asked for", 12, UNSUPPORTED,
        {SET, PROTOCOLS, BYTES("\0\3\2h2")}),
    ROW("a session that was not offered", 13, UNSUPPORTED,
        {SET, PSK, BYTES("\0\0")}),
    ROW("downgrade to 1.2, as its random says", 12, ILLEGAL,
        {RANDOM_END, 0, BYTES("DOWNGRD\1")}),
    ROW("downgrade to 1.1, as its random says", 12, ILLEGAL,
        {RANDOM_END, 0, BYTES("DOWNGRD\0")}),
    ROW("bytes behind the message", 0, DECODE, {EXTRA, 0, 3, ""}),
    ROW("a share of another group", 13, ILLEGAL,
        {SET, SHARES,
         BYTES("\x01\x00\x00\x20"
               "0123456789abcdef0123456789abcdef")}),
    ROW("a share cut", 13, DECODE, {SET, SHARES, BYTES("\0\x1d\0\x20x")}),
    ROW("points, not uncompressed", 12, ILLEGAL, {SET, POINTS, BYTES("\1\1")}),
    ROW("a share of a group without a share", 13, ILLEGAL,
        {SET, SHARES, BYTES(P256_SHARE)}),
    ROW("renegotiation with a body", 12, HANDSHAKE,
        {SET, RENEGOTIATION, BYTES("\1x")}),
    ROW("extended master secret with a body", 12, DECODE,
        {SET, MASTER, BYTES("x")}),
};

#define FOREIGN_TICKET                                                         \
    BYTES("\0\x07\0\1x\0\0\0\0\0\x21\x20"                                      \
          "0123456789abcdef0123456789abcdef")

static const struct row second_to_server[] = {
    ROW("the same", 13, 0, {EXTRA, 0, 0, ""}),
    ROW("padding", 13, 0, {SET, PADDING, BYTES("\0\0\0")}),
    ROW("another name", 13, ILLEGAL,
        {SET, NAME, BYTES("\0\x0e\0\0\x0bnobody.test")}),
    ROW("no name", 13, ILLEGAL, {REMOVE, NAME, 0, ""}),
    ROW("other suites", 13, ILLEGAL, {SUITES, 0, BYTES("\x13\x02")}),
    ROW("other methods", 13, ILLEGAL, {METHODS, 0, BYTES("\0\1")}),
    ROW("another session", 13, ILLEGAL, {SESSION, 0, BYTES("another")}),
    ROW("another random", 13, ILLEGAL, {RANDOM_END, 0, BYTES("another!")}),
    ROW("another version", 13, ILLEGAL, {LEGACY, 0, BYTES("\3\4")}),
    ROW("other groups", 13, ILLEGAL, {SET, GROUPS, BYTES("\0\4\0\x18\0\x1d")}),
    ROW("other schemes", 13, ILLEGAL, {SET, SCHEMES, BYTES("\0\2\4\3")}),
    ROW("protocols", 13, ILLEGAL, {SET, PROTOCOLS, BYTES("\0\3\2h2")}),
    ROW("other versions", 13, ILLEGAL,
        {SET, VERSIONS, BYTES("\6\3\4\3\3\x7a\x7a")}),
    ROW("only TLS 1.2", 13, ILLEGAL, {SET, VERSIONS, BYTES("\2\3\3")}),
    ROW("early data", 13, ILLEGAL, {SET, EARLY, 0, ""}),
    ROW("a cookie", 13, ILLEGAL, {SET, COOKIE, BYTES("\0\1x")}),
    ROW("an extension more", 13, ILLEGAL, {SET, UNKNOWN, 0, ""}),
    ROW("a ticket", 13, ILLEGAL, {SET, MODES, BYTES("\1\1")},
        {SET, PSK, FOREIGN_TICKET}),
    ROW("another order", 13, 0, {TURN, 0, 0, ""}),
    ROW("the first share", 13, ILLEGAL,
        {SET, SHARES, BYTES("\0\x24" X25519_SHARE)}),
    ROW("a share more", 13, ILLEGAL, {SHARE, SHARES, BYTES(X25519_SHARE)}),
    ROW("no share", 13, ILLEGAL, {SET, SHARES, BYTES("\0\0")}),
    ROW("no list of shares", 13, ILLEGAL, {REMOVE, SHARES, 0, ""}),
};

static const struct row again_to_client[] = {
    ROW("the same", 13, 0, {EXTRA, 0, 0, ""}),
    ROW("a cookie", 13, 0, {SET, COOKIE, BYTES("\0\1x")}),
    ROW("only a cookie", 13, 0, {REMOVE, SHARES, 0, ""},
        {SET, COOKIE, BYTES("\0\1x")}),
    ROW("for nothing", 13, ILLEGAL, {REMOVE, SHARES, 0, ""}),
    ROW("for the share that is there", 13, ILLEGAL,
        {SET, SHARES, BYTES("\0\x1d")}),
    ROW("for a group that was not offered", 13, ILLEGAL,
        {SET, SHARES, BYTES("\0\x19")}),
    ROW("for an unknown group", 13, ILLEGAL, {SET, SHARES, BYTES("\x7a\x7a")}),
    ROW("with a share", 13, DECODE, {SET, SHARES, BYTES(X25519_SHARE)}),
    ROW("an empty cookie", 13, DECODE, {SET, COOKIE, BYTES("\0\0")}),
    ROW("without a version", 13, MISSING, {REMOVE, VERSIONS, 0, ""}),
    ROW("version 3.3", 13, ILLEGAL, {SET, VERSIONS, BYTES("\3\3")}),
    ROW("a suite that was not offered", 13, ILLEGAL,
        {SUITES, 0, BYTES("\x13\x77")}),
    ROW("a suite of TLS 1.2", 13, ILLEGAL, {SUITES, 0, BYTES("\xc0\x2b")}),
    ROW("another session", 13, ILLEGAL, {SESSION, 0, BYTES("another")}),
    ROW("method 1", 13, ILLEGAL, {METHODS, 0, BYTES("\1")}),
    ROW("an extension that was not asked for", 13, UNSUPPORTED,
        {SET, UNKNOWN, 0, ""}),
    ROW("a ticket", 13, UNSUPPORTED, {SET, PSK, BYTES("\0\0")}),
    ROW("bytes behind the message", 13, DECODE, {EXTRA, 0, 3, ""}),
};

static const struct row second_to_client[] = {
    ROW("the same", 13, 0, {EXTRA, 0, 0, ""}),
    ROW("TLS 1.2", 13, ILLEGAL, {REMOVE, VERSIONS, 0, ""},
        {REMOVE, SHARES, 0, ""}, {SUITES, 0, BYTES("\xc0\x2b")}),
    ROW("another suite", 13, ILLEGAL, {SUITES, 0, BYTES("\x13\x02")}),
    ROW("the share of another group", 13, ILLEGAL,
        {SET, SHARES, BYTES(X25519_SHARE)}),
    ROW("another session", 13, ILLEGAL, {SESSION, 0, BYTES("another")}),
    ROW("a cookie", 13, UNSUPPORTED, {SET, COOKIE, BYTES("\0\1x")}),
};

/* Returns the first fatal alert in the unencrypted records of a wire, or -1. */
static int alert_on(const struct tls_side *side)
{
    size_t at = 0;
    while (at + RECORD + 2 <= side->wire_len) {
        const uint8_t *record = side->wire + at;
        if (record[0] == 21 && number_of(record + 3) == 2 && record[5] == 2) {
            return record[6];
        }
        at += RECORD + number_of(record + 3);
    }
    return -1;
}

static void expect_refused(struct tls_side *reader, const char *name,
                           int version, uint8_t alert)
{
    const int sent = reader->engine.alert_sent;
    const int seen = alert_on(reader);
    expect_lt(reader->engine.err, 0, "%s, %d", name, version);
    expect_eq(sent, seen, "%s, %d", name, version);
    cr_assert(seen == alert, "%s, %d: alert %d (%s)", name, version, seen,
              wr_tls_engine_get_error_text(&reader->engine));
}

/* The hellos of a handshake, in order. */
enum flight { CLIENT_FIRST, SERVER_FIRST, CLIENT_SECOND, SERVER_SECOND };

/* Opens a pair with these versions; with @asks the server requests another
 * share than the client's. */
static void run_open(const struct row *row, enum flight flight, bool asks,
                     int version)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    struct weir_tls_options options[2] = {tls_options(false),
                                          tls_options(true)};
    const bool is_down = row->changes[0].change == RANDOM_END;
    options[1].min_version = options[1].max_version =
        version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    if (flight == CLIENT_FIRST ? version == 13 : version == 12 && !is_down) {
        options[0].min_version = options[0].max_version =
            options[1].max_version;
    }
    if (asks) {
        options[0].groups = "X25519:P-384";
        options[1].groups = "P-384";
    }
    weir_tls_context *client = tls_context(&options[0]);
    weir_tls_context *server = tls_context(&options[1]);
    tls_pair_open(&pair, client, server, &how);
    tls_contexts_unref(client, server);
}

static void run(const struct row *row, enum flight flight, bool asks,
                int version)
{
    static struct hello hello;
    static uint8_t wire[1 << 16];
    struct tls_side *from = &pair.client;
    struct tls_side *to = &pair.server;
    run_open(row, flight, asks, version);
    tls_side_step(from);
    for (int i = CLIENT_FIRST; i < (int)flight; i++) {
        struct tls_side *other = from;
        tls_pair_move(from, to, 0);
        from = to;
        to = other;
    }
    const uint8_t *at = from->wire;
    while (at[0] == 20) { /* change_cipher_spec */
        at += RECORD + number_of(at + 3);
    }
    const size_t front = (size_t)(at - from->wire);
    memcpy(wire, from->wire, front);
    const uint8_t *rest = hello_read(&hello, at);
    const size_t left = from->wire_len - (size_t)(rest - from->wire);
    for (size_t i = 0; i < 3; i++) {
        if (row->changes[i].body) {
            hello_change(&hello, row, i);
        }
    }
    const size_t size = front + hello_write(&hello, wire + front);
    memcpy(wire + size, rest, left);
    from->wire_len = 0;
    tls_side_feed(to, wire, size + left, size + left);
    if (row->alert > 0) {
        expect_refused(to, row->name, version, row->alert);
    } else {
        expect_lt(alert_on(to), 0, "%s", row->name);
    }
    tls_pair_disconnect(&pair);
}

static void run_all(const struct row *rows, size_t count, enum flight flight)
{
    for (size_t i = 0; i < count; i++) {
        for (int version = 12; version <= 13; version++) {
            if (rows[i].version == 0 || rows[i].version == version) {
                run(&rows[i], flight, false, version);
            }
        }
    }
}

/* Runs rows in a handshake in which the server requests another hello. */
static void run_again(const struct row *rows, size_t count, enum flight flight)
{
    for (size_t i = 0; i < count; i++) {
        run(&rows[i], flight, true, 13);
    }
}

UNIT(tls_hostile, a_server_refuses_a_hello)
{
    run_all(to_server, sizeof(to_server) / sizeof(*to_server), CLIENT_FIRST);
}

UNIT(tls_hostile, a_client_refuses_a_hello)
{
    run_all(to_client, sizeof(to_client) / sizeof(*to_client), SERVER_FIRST);
}

/* RFC 8446, 4.1.2. */
UNIT(tls_hostile, a_second_hello_differs_where_it_may)
{
    run_again(second_to_server,
              sizeof(second_to_server) / sizeof(*second_to_server),
              CLIENT_SECOND);
}

/* RFC 8446, 4.1.4. */
UNIT(tls_hostile, a_client_refuses_to_be_asked_again)
{
    run_again(again_to_client,
              sizeof(again_to_client) / sizeof(*again_to_client), SERVER_FIRST);
}

UNIT(tls_hostile, a_server_keeps_to_what_it_asked_for)
{
    run_again(second_to_client,
              sizeof(second_to_client) / sizeof(*second_to_client),
              SERVER_SECOND);
}

/* Replaces the share of the first record, a client's, by its compressed form.
 * Returns the end of the old record. */
static const uint8_t *compress_share(const uint8_t *wire, uint8_t *ret)
{
    static const uint8_t front[] = {22, 3, 3, 0, 38, 16, 0, 0, 34, 33};
    const uint8_t *point = wire + sizeof(front);
    cr_assert_eq(point[0], 4);
    memcpy(ret, front, sizeof(front));
    ret[sizeof(front)] = (uint8_t)(2 | (point[64] & 1));
    memcpy(ret + sizeof(front) + 1, point + 1, 32);
    return point + 65;
}

/* The client's proof of the handshake is then wrong, which is an error of its
 * record. */
UNIT(tls_hostile, a_client_may_send_the_forms_of_points_that_the_server_names)
{
    static struct hello hello;
    static uint8_t wire[1 << 16];
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    struct weir_tls_options options = tls_options(false);
    options.groups = "P-256";
    options.max_version = WEIR_TLS_1_2;
    weir_tls_context *client = tls_context(&options);
    weir_tls_context *server = tls_context_of(true, 12);
    tls_pair_open(&pair, client, server, &how);
    tls_side_step(&pair.client);
    tls_pair_move(&pair.client, &pair.server, 0);
    wr_ignore(hello_read(&hello, pair.server.wire) == NULL);
    const struct part *forms = hello_part(&hello, POINTS);
    const bool names = forms && memchr(forms->body + 1, 1, forms->body[0]);
    tls_pair_move(&pair.server, &pair.client, 0);
    const uint8_t *rest = compress_share(pair.client.wire, wire);
    const size_t left =
        pair.client.wire_len - (size_t)(rest - pair.client.wire);
    memcpy(wire + 43, rest, left);
    pair.client.wire_len = 0;
    tls_side_feed(&pair.server, wire, 43 + left, 43 + left);
    expect_lt(pair.server.engine.err, 0);
    expect_eq(alert_on(&pair.server), names ? BAD_MAC : ILLEGAL);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

enum { EARLY_MAX = 16 << 10, EARLY_SEAL = 17, EARLY_SHORT = 100 };

/* Puts @count records of undecryptable data on a wire. */
static size_t early_put(uint8_t *wire, size_t count, size_t size)
{
    uint8_t *at = wire;
    for (size_t i = 0; i < count; i++) {
        const uint8_t header[] = {23, 3, 3, (uint8_t)(size >> 8),
                                  (uint8_t)size};
        memcpy(at, header, sizeof(header));
        memset(at + sizeof(header), (int)(i + 1), size);
        at += sizeof(header) + size;
    }
    return (size_t)(at - wire);
}

/* Feeds a hello, with or without the offer of early data, and records after it.
 */
static int early_feed(bool is_offered, size_t count, size_t size)
{
    static const struct row offer = {
        "early data", 13, 0, {{SET, EARLY, BYTES("")}}};
    static struct hello hello;
    static uint8_t wire[1 << 16];
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = tls_context_of(false, 13);
    weir_tls_context *server = tls_context_of(true, 13);
    tls_pair_open(&pair, client, server, &how);
    tls_side_step(&pair.client);
    wr_ignore(hello_read(&hello, pair.client.wire) == NULL);
    if (is_offered) {
        hello_change(&hello, &offer, 0);
    }
    size_t len = hello_write(&hello, wire);
    len += early_put(wire + len, count, size);
    tls_side_feed(&pair.server, wire, len, len);
    const int err = pair.server.engine.err;
    const int alert = pair.server.engine.alert_sent;
    cr_assert(err == 0 || alert == UNEXPECTED || alert == BAD_MAC, "%d", alert);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
    return err;
}

UNIT(tls_hostile, early_data_is_skipped_up_to_16_kib_if_it_was_offered)
{
    expect_eq(early_feed(true, 0, 0), 0);
    expect_eq(early_feed(true, 1, EARLY_MAX + EARLY_SEAL), 0);
    expect_eq(early_feed(true, 100, EARLY_SHORT + EARLY_SEAL), 0);
    expect_lt(early_feed(true, 2, EARLY_MAX + EARLY_SEAL), 0);
    expect_lt(early_feed(true, 200, EARLY_SHORT + EARLY_SEAL), 0);
    expect_lt(early_feed(false, 1, EARLY_SHORT + EARLY_SEAL), 0);
}
