/*
 * Rules for HTTP/2 responses above frames: the order of blocks, valid bytes in
 * fields, and correct lengths.
 *
 * Each byte is tested at each position of names and values, compared with the
 * RFC's table.
 */
#include "tools/weir-load/http2/h2_message.c"

#include "tests/unit.h"

static const char *field(struct h2_message *message, const char *name,
                         const char *value)
{
    const struct h2_field one = {(const uint8_t *)name, strlen(name),
                                 (const uint8_t *)value, strlen(value)};

    return h2_message_field(message, &one);
}

static struct h2_message begun(void)
{
    struct h2_message message;

    h2_message_begin(&message);
    h2_message_begin_block(&message);
    return message;
}

static struct h2_message answered(const char *length)
{
    struct h2_message message = begun();

    cr_assert_null(field(&message, ":status", "200"));
    if (length) {
        cr_assert_null(field(&message, "content-length", length));
    }
    cr_assert_null(h2_message_end_block(&message, false, false));
    return message;
}

UNIT(load_h2_message, an_answer_is_a_block_a_body_and_trailers)
{
    struct h2_message message = answered("5");

    cr_assert_null(h2_message_body(&message, 3, false));
    cr_assert_null(h2_message_body(&message, 5, false));
    h2_message_begin_block(&message);
    cr_assert_null(field(&message, "grpc-status", "0"));
    cr_assert_null(h2_message_end_block(&message, true, false));
    cr_assert_null(h2_message_body(&message, 5, true));
}

UNIT(load_h2_message, interim_answers_come_before_the_last)
{
    struct h2_message message = begun();

    cr_assert_null(field(&message, ":status", "103"));
    cr_assert_null(h2_message_end_block(&message, false, false));
    cr_assert_not_null(h2_message_body(&message, 1, false));
    h2_message_begin_block(&message);
    cr_assert_null(field(&message, ":status", "200"));
    cr_assert_null(h2_message_end_block(&message, true, false));
    expect_eq(message.status, 200);
    cr_assert_null(h2_message_body(&message, 0, true));
}

UNIT(load_h2_message, a_length_that_lies_is_an_error)
{
    struct h2_message message = answered("5");

    cr_assert_not_null(h2_message_body(&message, 4, true));
    cr_assert_not_null(h2_message_body(&message, 6, false));
    message = answered(NULL);
    cr_assert_null(h2_message_body(&message, 6, true));
}

UNIT(load_h2_message, an_answer_without_a_body_may_say_its_length)
{
    static const char *const lengths[][2] = {
        {"204", "0"}, {"304", "5"}, {"200", "5"}};

    for (size_t i = 0; i < 3; i++) {
        struct h2_message message = begun();
        cr_assert_null(field(&message, ":status", lengths[i][0]));
        cr_assert_null(field(&message, "content-length", lengths[i][1]));
        cr_assert_null(h2_message_end_block(&message, true, i == 2));
        cr_assert_null(h2_message_body(&message, 0, true));
        cr_assert_not_null(h2_message_body(&message, 1, true));
    }
}

/* RFC 9110, 8.6. */
UNIT(load_h2_message, some_statuses_allow_no_length)
{
    static const char *const lengths[][2] = {
        {"204", "5"}, {"100", "0"}, {"103", "7"}};

    for (size_t i = 0; i < 3; i++) {
        struct h2_message message = begun();
        cr_assert_null(field(&message, ":status", lengths[i][0]));
        cr_assert_not_null(field(&message, "content-length", lengths[i][1]));
    }
}

UNIT(load_h2_message, trailers_have_no_length)
{
    struct h2_message message = answered("0");

    h2_message_begin_block(&message);
    cr_assert_not_null(field(&message, "content-length", "0"));
    message = answered(NULL);
    h2_message_begin_block(&message);
    cr_assert_not_null(field(&message, "content-length", "77"));
}

UNIT(load_h2_message, a_status_is_first_alone_and_of_three_digits)
{
    static const char *const wrong[] = {"", "20", "2000", "2x0", "099", "-20"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct h2_message message = begun();
        cr_assert_not_null(field(&message, ":status", wrong[i]));
    }
    struct h2_message message = begun();
    cr_assert_not_null(h2_message_end_block(&message, true, false));
    message = begun();
    cr_assert_not_null(field(&message, ":path", "/"));
    cr_assert_null(field(&message, ":status", "200"));
    cr_assert_not_null(field(&message, ":status", "200"));
    message = begun();
    cr_assert_null(field(&message, "server", "x"));
    cr_assert_not_null(field(&message, ":status", "200"));
    message = begun();
    h2_message_known_field(&message);
    cr_assert_not_null(field(&message, ":status", "200"));
    message = answered(NULL);
    h2_message_begin_block(&message);
    cr_assert_not_null(field(&message, ":status", "200"));
}

UNIT(load_h2_message, blocks_that_end_wrongly_are_errors)
{
    struct h2_message message = answered(NULL);

    h2_message_begin_block(&message);
    cr_assert_not_null(h2_message_end_block(&message, false, false));
    message = begun();
    cr_assert_null(field(&message, ":status", "100"));
    cr_assert_not_null(h2_message_end_block(&message, true, false));
    message = begun();
    cr_assert_null(field(&message, ":status", "101"));
    cr_assert_not_null(h2_message_end_block(&message, false, false));
}

UNIT(load_h2_message, a_length_is_a_number_and_there_is_one)
{
    static const char *const wrong[] = {"", "-1", "1x", "0x10",
                                        "1234567890123456789"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct h2_message message = begun();
        cr_assert_not_null(field(&message, "content-length", wrong[i]));
    }
    struct h2_message message = begun();
    cr_assert_null(field(&message, "content-length", "123456789012345678"));
    cr_assert_not_null(field(&message, "content-length", "5"));
}

/* Tests each byte at each position of names and values of some lengths,
 * compared with the RFC. */
UNIT(load_h2_message, each_byte_is_judged_wherever_it_stands)
{
    static const char tokens[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyz";

    for (size_t len = 1; len < 20; len++) {
        for (size_t i = 0; i < len * 256; i++) {
            const uint8_t byte = (uint8_t)(i % 256);
            const size_t place = i / 256;
            const bool is_end = place == 0 || place == len - 1;
            uint8_t bytes[20];
            memset(bytes, 'a', sizeof(bytes));
            bytes[place] = byte;
            expect_eq(is_name(bytes, len),
                      byte > 0 && strchr(tokens, byte) != NULL);
            expect_eq(is_value(bytes, len), byte == '\t' || byte == ' '
                                                ? !is_end
                                                : byte > 0x20 && byte != 0x7f);
        }
    }
    expect_eq(is_name((const uint8_t *)"", 0), false);
    expect_eq(is_value((const uint8_t *)"", 0), true);
}

UNIT(load_h2_message, fields_of_http_1_are_errors)
{
    static const char *const names[] = {"connection",
                                        "keep-alive",
                                        "proxy-connection",
                                        "transfer-encoding",
                                        "upgrade",
                                        "Server",
                                        "a b",
                                        ""};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct h2_message message = begun();
        cr_assert_not_null(field(&message, names[i], "x"));
    }
    struct h2_message message = begun();
    cr_assert_not_null(field(&message, "server", "x\r\ny"));
    cr_assert_null(field(&message, "server", "x\ty \xff"));
}

/* RFC 9113, 8.2.2. */
UNIT(load_h2_message, a_te_is_trailers_or_an_error)
{
    static const char *const wrong[] = {"", "gzip", "trailer", "trailers, gzip",
                                        "trailers;q=1"};
    struct h2_message message = begun();

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_not_null(field(&message, "te", wrong[i]));
    }
    cr_assert_null(field(&message, "te", "trailers"));
    cr_assert_null(field(&message, "te", "Trailers"));
    cr_assert_null(field(&message, "tf", "gzip"));
}
