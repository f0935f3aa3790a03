/*
 * Parsing the records of a service. An alias (CNAME) of the name must precede
 * its target, as all servers send them. Records of other names are ignored, and
 * so are records without a usable host, and addresses in the additional
 * records.
 */
#include "srv_answer.h"

#include "name.h"

#include <string.h>
#include <weir/error.h>

#define HEADER_SIZE  12u
#define RECORD_SIZE  10u /* type, class, TTL and length */
#define SRV_SIZE     6u  /* priority, weight and port */
#define CNAME_TYPE   5u
#define CLASS_IN     1u
#define POINTER      0xc0u
#define LABEL_MAX    63u
#define NAME_MAX_LEN 253u
#define POINTERS_MAX 127u /* no name has more labels */
#define ALIASES_MAX  16u
/* A larger TTL counts as 0 (RFC 2181, 8). */
#define TTL_MAX_S UINT32_C(0x7fffffff)

struct reading {
    const uint8_t *bytes;
    size_t len;
    size_t at;
    uint32_t aliases;
    char name[WR_NAME_SIZE];
    struct wr_srv_answer *ret;
    bool is_none; /* a record declares that the service does not exist */
};

struct srv_record {
    char owner[WR_NAME_SIZE];
    uint32_t type;
    uint32_t class;
    uint32_t ttl_s;
    size_t data; /* offset */
    size_t size;
};

static uint32_t srv_answer_read16(const struct reading *reading, size_t at)
{
    wr_assert(at + 2 <= reading->len);
    return (uint32_t)reading->bytes[at] << 8 | reading->bytes[at + 1];
}

/* Appends a label. Returns false if it is too long or not text. */
static bool srv_answer_add_label(char ret[WR_NAME_SIZE], size_t *used,
                                 const uint8_t *label, size_t len)
{
    if (len > LABEL_MAX || *used + (*used > 0) + len > NAME_MAX_LEN ||
        memchr(label, '\0', len) || memchr(label, '.', len)) {
        return false;
    }
    if (*used > 0) {
        ret[(*used)++] = '.';
    }
    memcpy(ret + *used, label, len);
    *used += len;
    wr_assert(*used <= NAME_MAX_LEN);
    return true;
}

/* Reads a name; "" is the root. Returns the offset of its end, or 0 if
 * malformed. A pointer must lead to bytes before the name read so far, and at
 * most POINTERS_MAX are followed: a chain of pointers would cost much time for
 * few bytes. */
static size_t srv_answer_read_name(const struct reading *reading, size_t at,
                                   char ret[WR_NAME_SIZE])
{
    size_t least = at;
    size_t used = 0;
    size_t end = 0;
    size_t pointers = 0;

    wr_assert(at >= HEADER_SIZE);
    while (at < reading->len && reading->bytes[at] != 0) {
        const size_t len = reading->bytes[at];
        if ((len & POINTER) == POINTER && at + 2 <= reading->len) {
            const size_t to = srv_answer_read16(reading, at) & 0x3fffu;
            end = end > 0 ? end : at + 2;
            if (to >= least || to < HEADER_SIZE || ++pointers > POINTERS_MAX) {
                return 0;
            }
            least = at = to;
            continue;
        }
        if (at + 1 + len > reading->len ||
            !srv_answer_add_label(ret, &used, reading->bytes + at + 1, len)) {
            return 0;
        }
        at += 1 + len;
    }
    if (at >= reading->len) {
        return 0;
    }
    ret[used] = '\0';
    return end > 0 ? end : at + 1;
}

static bool srv_answer_skip_question(struct reading *reading)
{
    char name[WR_NAME_SIZE];
    const size_t end = srv_answer_read_name(reading, reading->at, name);

    wr_assert(reading->at <= reading->len);
    if (end == 0 || end + 4 > reading->len) {
        return false;
    }
    reading->at = end + 4;
    return true;
}

/* Reads the start of a record, and advances past the record. */
static bool srv_answer_read_record(struct reading *reading,
                                   struct srv_record *ret)
{
    const size_t at = srv_answer_read_name(reading, reading->at, ret->owner);

    if (at == 0 || at + RECORD_SIZE > reading->len) {
        return false;
    }
    ret->type = srv_answer_read16(reading, at);
    ret->class = srv_answer_read16(reading, at + 2);
    ret->ttl_s = srv_answer_read16(reading, at + 4) << 16 |
                 srv_answer_read16(reading, at + 6);
    ret->ttl_s = ret->ttl_s > TTL_MAX_S ? 0 : ret->ttl_s;
    ret->size = srv_answer_read16(reading, at + 8);
    ret->data = at + RECORD_SIZE;
    if (ret->size > reading->len - ret->data) {
        return false;
    }
    reading->at = ret->data + ret->size;
    wr_assert(reading->at <= reading->len);
    return true;
}

static void srv_answer_note_ttl(struct reading *reading, uint32_t ttl_s)
{
    struct wr_srv_answer *answer = reading->ret;

    wr_assert(ttl_s <= TTL_MAX_S);
    answer->ttl_s = ttl_s < answer->ttl_s ? ttl_s : answer->ttl_s;
}

bool wr_srv_is_usable(const struct weir_srv *record)
{
    return record->port > 0 &&
           memchr(record->host, '\0', sizeof(record->host)) &&
           wr_name_is_valid(record->host);
}

static bool srv_answer_is_before(const struct weir_srv *one,
                                 const struct weir_srv *other)
{
    return one->priority != other->priority ? one->priority < other->priority
                                            : one->weight > other->weight;
}

void wr_srv_insert(struct wr_srv_answer *answer, const struct weir_srv *record)
{
    size_t at = answer->count;

    wr_assert(answer->count <= WEIR_SRV_MAX);
    while (at > 0 && srv_answer_is_before(record, &answer->records[at - 1])) {
        at--;
    }
    if (at == WEIR_SRV_MAX) {
        return;
    }
    answer->count -= answer->count == WEIR_SRV_MAX;
    memmove(&answer->records[at + 1], &answer->records[at],
            (answer->count - at) * sizeof(*record));
    answer->records[at] = *record;
    answer->count++;
}

/* Returns false if the record is malformed. */
static bool srv_answer_take(struct reading *reading,
                            const struct srv_record *record)
{
    struct weir_srv srv;

    wr_assert(record->type == WR_SRV_TYPE);
    if (record->size <= SRV_SIZE ||
        srv_answer_read_name(reading, record->data + SRV_SIZE, srv.host) !=
            record->data + record->size) {
        return false;
    }
    srv.priority = (uint16_t)srv_answer_read16(reading, record->data);
    srv.weight = (uint16_t)srv_answer_read16(reading, record->data + 2);
    srv.port = (uint16_t)srv_answer_read16(reading, record->data + 4);
    const bool is_none = srv.host[0] == '\0';
    const bool is_usable = !is_none && wr_srv_is_usable(&srv);
    if (is_none || is_usable) {
        srv_answer_note_ttl(reading, record->ttl_s);
    }
    if (is_usable) {
        wr_srv_insert(reading->ret, &srv);
    }
    reading->is_none |= is_none;
    return true;
}

static bool srv_answer_follow(struct reading *reading,
                              const struct srv_record *record)
{
    char name[WR_NAME_SIZE];

    wr_assert(record->type == CNAME_TYPE);
    if (++reading->aliases > ALIASES_MAX ||
        srv_answer_read_name(reading, record->data, name) !=
            record->data + record->size) {
        return false;
    }
    srv_answer_note_ttl(reading, record->ttl_s);
    memcpy(reading->name, name, sizeof(name));
    return true;
}

static bool srv_answer_read_records(struct reading *reading, uint32_t count)
{
    struct srv_record record;
    bool is_whole = true;

    wr_assert(reading->at <= reading->len);
    for (uint32_t i = 0; i < count && i < WR_SRV_LOOKED_AT && is_whole; i++) {
        is_whole = srv_answer_read_record(reading, &record);
        if (!is_whole || record.class != CLASS_IN ||
            !wr_name_is_equal(record.owner, reading->name)) {
            continue;
        }
        if (record.type == CNAME_TYPE) {
            is_whole = srv_answer_follow(reading, &record);
        } else if (record.type == WR_SRV_TYPE) {
            is_whole = srv_answer_take(reading, &record);
        }
    }
    return is_whole;
}

int wr_srv_read(const uint8_t *bytes, size_t len, const char *name,
                struct wr_srv_answer *ret)
{
    struct reading reading = {
        .bytes = bytes, .len = len, .at = HEADER_SIZE, .ret = ret};

    ret->count = 0;
    ret->ttl_s = TTL_MAX_S;
    wr_require(len >= HEADER_SIZE && strlen(name) < WR_NAME_SIZE,
               WEIR_EDNSBADANSWER);
    memcpy(reading.name, name, strlen(name) + 1);
    const uint32_t questions = srv_answer_read16(&reading, 4);
    wr_require(questions <= 1, WEIR_EDNSBADANSWER);
    wr_require(questions == 0 || srv_answer_skip_question(&reading),
               WEIR_EDNSBADANSWER);
    wr_require(
        srv_answer_read_records(&reading, srv_answer_read16(&reading, 6)),
        WEIR_EDNSBADANSWER);
    wr_assert(ret->count <= WEIR_SRV_MAX);
    if (ret->count > 0) {
        return 0;
    }
    return reading.is_none ? WEIR_EDNSNOSERVICE : WEIR_EDNSNODATA;
}
