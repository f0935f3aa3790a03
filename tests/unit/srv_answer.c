/*
 * SRV records parsed from untrusted bytes: names in every form, records in
 * every order, wrong lengths, and endless counts.
 *
 * Each test writes the bytes of a response, and checks what was parsed.
 */
#include "tests/unit.h"

#include "lib/names/srv_answer.h"

#include <weir/error.h>

static uint8_t bytes[65536];
static size_t len;
static struct wr_srv_answer answer;

static void put(const void *data, size_t size)
{
    cr_assert_leq(len + size, sizeof(bytes));
    memcpy(bytes + len, data, size);
    len += size;
}

static void put16(unsigned value)
{
    const uint8_t two[] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(two, 2);
}

/* Writes labels separated by dots; "" is the root. */
static void put_name(const char *name)
{
    while (*name) {
        const size_t size = strcspn(name, ".");
        const uint8_t byte = (uint8_t)size;
        put(&byte, 1);
        put(name, size);
        name += size + (name[size] == '.');
    }
    put("", 1);
}

/* Starts a response with this many records, to a question for "s.test". */
static void begin(unsigned count)
{
    len = 0;
    put16(1);
    put16(0x8180);
    put16(1);
    put16(count);
    put16(0);
    put16(0);
    put_name("s.test");
    put16(WR_SRV_TYPE);
    put16(1);
}

/* Writes the header of a record, for the question's name if @owner is NULL;
 * end_record() sets its length. */
static size_t begin_record(const char *owner, unsigned type, unsigned ttl_s)
{
    if (owner) {
        put_name(owner);
    } else {
        put16(0xc00c);
    }
    put16(type);
    put16(1);
    put16(ttl_s >> 16);
    put16(ttl_s);
    put16(0);
    return len;
}

static void end_record(size_t data)
{
    bytes[data - 2] = (uint8_t)((len - data) >> 8);
    bytes[data - 1] = (uint8_t)(len - data);
}

static void put_srv(const char *owner, unsigned priority, unsigned weight,
                    unsigned port, const char *host)
{
    const size_t data = begin_record(owner, WR_SRV_TYPE, 60);
    put16(priority);
    put16(weight);
    put16(port);
    put_name(host);
    end_record(data);
}

static int read_answer(void)
{
    return wr_srv_read(bytes, len, "s.test", &answer);
}

/* Returns the hosts with priorities, weights and ports; static. */
static const char *text(void)
{
    static char all[8192];
    size_t used = 0;
    all[0] = '\0';
    for (size_t i = 0; i < answer.count; i++) {
        const struct weir_srv *one = &answer.records[i];
        used +=
            (size_t)snprintf(all + used, sizeof(all) - used, "%u %u %u %s,",
                             one->priority, one->weight, one->port, one->host);
    }
    return all;
}

UNIT(srv_answer, is_in_the_order_of_priority_and_weight)
{
    begin(4);
    put_srv(NULL, 20, 9, 1, "d.test");
    put_srv(NULL, 10, 1, 2, "b.test");
    put_srv("S.Test", 10, 65535, 3, "a.test");
    put_srv(NULL, 10, 0, 65535, "c.test");
    expect_eq(read_answer(), 0);
    expect_str_eq(text(), "10 65535 3 a.test,10 1 2 b.test,"
                          "10 0 65535 c.test,20 9 1 d.test,");
    expect_eq(answer.ttl_s, 60);
}

UNIT(srv_answer, says_of_the_root_that_there_is_no_service)
{
    begin(1);
    put_srv(NULL, 0, 0, 0, "");
    expect_eq(read_answer(), WEIR_EDNSNOSERVICE);
    begin(0);
    expect_eq(read_answer(), WEIR_EDNSNODATA);
}

UNIT(srv_answer, leaves_out_what_is_no_host)
{
    begin(5);
    put_srv(NULL, 1, 1, 0, "a.test");
    put_srv(NULL, 1, 1, 1, "a b.test");
    put_srv(NULL, 1, 1, 1, "127.1");
    put_srv("other.test", 1, 1, 1, "a.test");
    put_srv(NULL, 2, 2, 2, "b.test");
    expect_eq(read_answer(), 0);
    expect_str_eq(text(), "2 2 2 b.test,");
}

UNIT(srv_answer, follows_aliases_and_is_good_for_the_least_time)
{
    begin(3);
    size_t data = begin_record(NULL, 5, 7);
    put_name("alias.test");
    end_record(data);
    put_srv("alias.test", 1, 1, 1, "a.test");
    put_srv(NULL, 1, 1, 1, "b.test");
    expect_eq(read_answer(), 0);
    expect_str_eq(text(), "1 1 1 a.test,", "not of the name before");
    expect_eq(answer.ttl_s, 7);
    begin(1);
    data = begin_record(NULL, WR_SRV_TYPE, 0x80000001u);
    put16(1);
    put16(1);
    put16(1);
    put_name("a.test");
    end_record(data);
    expect_eq(read_answer(), 0);
    expect_eq(answer.ttl_s, 0, "a time below 0");
}

UNIT(srv_answer, follows_no_alias_for_ever)
{
    begin(100);
    for (int i = 0; i < 100; i++) {
        const size_t data = begin_record(NULL, 5, 1);
        put16(0xc00c);
        end_record(data);
    }
    expect_eq(read_answer(), WEIR_EDNSBADANSWER);
}

UNIT(srv_answer, keeps_the_best_of_too_many)
{
    begin(300);
    for (unsigned i = 0; i < 300; i++) {
        char host[32];
        snprintf(host, sizeof(host), "h%u.test", i);
        put_srv(NULL, 300 - i, 1, 1, host);
    }
    expect_eq(read_answer(), 0);
    expect_eq(answer.count, WEIR_SRV_MAX);
    expect_str_eq(answer.records[0].host, "h299.test");
    expect_str_eq(answer.records[WEIR_SRV_MAX - 1].host, "h236.test");
}

UNIT(srv_answer, looks_at_a_number_of_records_alone)
{
    begin(WR_SRV_LOOKED_AT + 1);
    for (unsigned i = 0; i < WR_SRV_LOOKED_AT; i++) {
        put_srv("x.test", 1, 1, 1, "a.test");
    }
    put_srv(NULL, 1, 1, 1, "a.test");
    expect_eq(read_answer(), WEIR_EDNSNODATA);
}

/* Parses one record, whose host is these bytes. */
static int read_host(const void *host, size_t size)
{
    begin(1);
    const size_t data = begin_record(NULL, WR_SRV_TYPE, 60);
    put16(1);
    put16(1);
    put16(1);
    put(host, size);
    end_record(data);
    return read_answer();
}

UNIT(srv_answer, reads_pointers_that_lead_backwards_alone)
{
    expect_eq(read_host("\x01h\xc0\x0c", 4), 0);
    expect_str_eq(text(), "1 1 1 h.s.test,");
    const unsigned here = 12 + 8 + 4 + 2 + 10 + 6;
    const uint8_t self[] = {0xc0, (uint8_t)here};
    expect_eq(read_host(self, 2), WEIR_EDNSBADANSWER, "itself");
    const uint8_t behind[] = {0xc0, (uint8_t)(here + 2), 0};
    expect_eq(read_host(behind, 3), WEIR_EDNSBADANSWER, "forwards");
    const uint8_t label[] = {1, 'h', 0xc0, (uint8_t)here};
    expect_eq(read_host(label, 4), WEIR_EDNSBADANSWER, "in a circle");
    expect_eq(read_host("\xc0\x00", 2), WEIR_EDNSBADANSWER, "into the head");
    expect_eq(read_host("\x40x", 2), WEIR_EDNSBADANSWER, "another kind");
}

/* Parses a response whose host is after a chain of this many pointers, which
 * are in a record of another type. */
static int read_chain(unsigned count)
{
    begin(2);
    const size_t data = begin_record(NULL, 16, 60);
    size_t last = 12; /* the name of the question */
    for (unsigned i = 1; i < count; i++) {
        const size_t at = len;
        put16(0xc000u | (unsigned)last);
        last = at;
    }
    end_record(data);
    const size_t srv = begin_record(NULL, WR_SRV_TYPE, 60);
    put16(1);
    put16(1);
    put16(1);
    put16(0xc000u | (unsigned)last);
    end_record(srv);
    return read_answer();
}

UNIT(srv_answer, follows_a_number_of_pointers_alone)
{
    expect_eq(read_chain(1), 0);
    expect_eq(read_chain(127), 0);
    expect_str_eq(text(), "1 1 1 s.test,");
    expect_eq(read_chain(128), WEIR_EDNSBADANSWER);
    expect_eq(read_chain(8000), WEIR_EDNSBADANSWER);
}

UNIT(srv_answer, reads_no_name_that_is_too_long)
{
    uint8_t host[260] = {0};
    for (size_t i = 0; i < 254; i += 2) {
        host[i] = 1;
        host[i + 1] = 'x';
    }
    expect_eq(read_host(host, 255), 0, "253 bytes with their dots");
    expect_eq(strlen(answer.records[0].host), 253);
    memset(host + 254, 0, 3);
    host[254] = 1;
    host[255] = 'x';
    expect_eq(read_host(host, 257), WEIR_EDNSBADANSWER);
    expect_eq(read_host("\x03h.x\0", 5), WEIR_EDNSBADANSWER, "a dot");
    expect_eq(read_host("\x03h\0x\0", 5), WEIR_EDNSBADANSWER, "a NUL");
}

UNIT(srv_answer, believes_no_length)
{
    expect_eq(read_host("\x01h\0x", 4), WEIR_EDNSBADANSWER, "more than a name");
    expect_eq(read_host("", 0), WEIR_EDNSBADANSWER, "no name");
    expect_eq(read_host("\x09h", 2), WEIR_EDNSBADANSWER, "a label");
    begin(1);
    put_srv(NULL, 1, 1, 1, "a.test");
    bytes[len - 15] = 0xff;
    expect_eq(read_answer(), WEIR_EDNSBADANSWER, "a record");
    begin(1);
    put_srv(NULL, 1, 1, 1, "a.test");
    const size_t whole = len;
    expect_eq(read_answer(), 0);
    for (len = 0; len < whole; len++) {
        expect_eq(read_answer(), WEIR_EDNSBADANSWER, "%zu bytes", len);
    }
}

UNIT(srv_answer, has_one_question)
{
    begin(0);
    bytes[5] = 2;
    expect_eq(read_answer(), WEIR_EDNSBADANSWER);
    bytes[5] = 0;
    len = 12;
    expect_eq(read_answer(), WEIR_EDNSNODATA);
}
