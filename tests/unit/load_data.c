/*
 * Rows of a CSV file: what a field is, what is refused and with which line, and
 * which row a request gets.
 *
 * Random fields are written with quotes and compared with what is parsed.
 */
#include "tools/weir-load/request/data.c"

#include "tests/unit.h"
#include "tests/unit/random.h"

static struct data data;
static char why[WHY_SIZE];
static char out[256];

static int parse_bytes(const char *text, size_t len)
{
    char *bytes = malloc(len + 1);

    cr_assert_not_null(bytes);
    memcpy(bytes, text, len);
    return data_parse(bytes, len, &data, why);
}

static int parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static const char *field(size_t column, uint64_t number)
{
    const size_t len = data_write(&data, column, number, out);

    expect_leq(len, data.columns[column].size_max);
    out[len] = '\0';
    return out;
}

static void refuses(const char *text, const char *reason)
{
    expect_lt(parse(text), 0, "%s", text);
    expect_str_eq(why, reason);
}

UNIT(load_data, fields_are_those_of_rfc_4180)
{
    expect_eq(parse("name,\"a \"\"b\"\"\",\r\n"
                    "ada,\"1,2\",x\r\n\r\n"
                    "\"\",\"line\r\nnext\",\n"
                    "\"q\"\"\",,last"),
              0, "%s", why);

    expect_eq(data.column_count, 3);
    expect_eq(data.row_count, 3);
    expect_eq(data_find(&data, "a \"b\""), 1);
    expect_eq(data_find(&data, ""), 2);
    expect_eq(data_find(&data, "Name"), -1);
    expect_str_eq(field(0, 0), "ada");
    expect_str_eq(field(1, 0), "1,2");
    expect_str_eq(field(2, 0), "x");
    expect_str_eq(field(0, 1), "");
    expect_str_eq(field(1, 1), "line\r\nnext");
    expect_str_eq(field(2, 1), "");
    expect_str_eq(field(0, 2), "q\"");
    expect_str_eq(field(1, 2), "");
    expect_str_eq(field(2, 2), "last");
    expect_eq(data.columns[0].control_line, 0);
    expect_eq(data.columns[1].control_line, 4);
    data_fini(&data);
}

UNIT(load_data, a_mark_of_utf_8_and_a_last_line_end_are_no_fields)
{
    expect_eq(parse("\xef\xbb\xbfid\n7\r"), 0, "%s", why);
    expect_eq(data_find(&data, "id"), 0);
    expect_eq(data.row_count, 1);
    expect_str_eq(field(0, 5), "7");
    data_fini(&data);
}

UNIT(load_data, mistakes_are_told_with_their_line)
{
    static const char none[] = "there is no row in it; the first line names "
                               "the columns (a body is sent by -b @FILE)";

    refuses("", none);
    refuses("a,b\n\n", none);
    refuses("a\nx\n1,2\n", "line 3: 2 fields, and not 1");
    refuses("a,b\n\"x\ny\",1\n1\n", "line 4: 1 fields, and not 2");
    refuses("a,a\n", "line 1: two columns 'a'");
    refuses("a\nb\"c\n",
            "line 2: a quote within a field; write \"...\"\"...\"");
    refuses("a\n\"b\"c\n", "line 2: a comma is missing after the quotes");
    refuses("a\n\"b\n\n", "line 2: the quotes are not closed");
}

UNIT(load_data, more_columns_than_there_is_room_for_are_refused)
{
    char text[8 * (DATA_COLUMNS_MAX + 1)] = "";
    size_t len = 0;

    for (unsigned i = 0; i <= DATA_COLUMNS_MAX; i++) {
        len += (size_t)sprintf(text + len, "%sc%u", i > 0 ? "," : "", i);
    }
    expect_eq(parse(text), -E2BIG);
    expect_str_eq(why, "more than 256 columns");
}

UNIT(load_data, rows_come_in_turn_or_at_random_by_the_seed)
{
    unsigned counts[3] = {0};
    unsigned differ = 0;

    expect_eq(parse("n\n0\n1\n2\n"), 0);
    for (uint64_t number = 0; number < 9; number++) {
        expect_eq(atoi(field(0, number)), (int)(number % 3));
    }
    data.order = DATA_RANDOM;
    for (uint64_t number = 0; number < 3000; number++) {
        data.seed = 1;
        const int row = atoi(field(0, number));
        expect_eq(row, atoi(field(0, number)));
        counts[row]++;
        data.seed = 2;
        differ += atoi(field(0, number)) != row;
    }
    for (size_t i = 0; i < 3; i++) {
        cr_assert(counts[i] > 850 && counts[i] < 1150, "%u", counts[i]);
    }
    cr_assert(differ > 1800 && differ < 2200, "%u", differ);
    data_fini(&data);
}

UNIT(load_data, names_are_listed_as_far_as_there_is_room)
{
    expect_eq(parse("one,two,three\n,,\n"), 0);
    expect_str_eq(data_list(&data, out, sizeof(out)), "one, two, three");
    expect_str_eq(data_list(&data, out, 12), "one, two");
    data_fini(&data);
}

UNIT(load_data, other_bytes_have_another_hash)
{
    uint64_t hashes[3];
    static const char *const texts[] = {"a\nb", "a\nc", "a\nb\n"};

    for (size_t i = 0; i < 3; i++) {
        expect_eq(parse(texts[i]), 0);
        hashes[i] = data_hash(&data);
        data_fini(&data);
    }
    cr_assert(hashes[0] != hashes[1] && hashes[0] != hashes[2]);
}

/* Makes a random field, and appends it with quotes to a text. Returns the
 * length of the text. */
static size_t add_field(struct unit_random *random, char *text, size_t len,
                        char *ret_field)
{
    static const char bytes[] = "a,\"\n\r;";
    const size_t size = unit_random_below(random, 8);

    text[len++] = '"';
    for (size_t i = 0; i < size; i++) {
        ret_field[i] = bytes[unit_random_below(random, 6)];
        text[len++] = ret_field[i];
        if (ret_field[i] == '"') {
            text[len++] = '"';
        }
    }
    ret_field[size] = '\0';
    text[len++] = '"';
    return len;
}

UNIT(load_data, what_is_written_with_quotes_is_read_again)
{
    struct unit_random random = unit_random_new();

    for (unsigned round = 0; round < 2000; round++) {
        char text[512] = "c0,c1\n";
        char fields[8][16];
        size_t len = strlen(text);
        for (size_t i = 0; i < 8; i++) {
            len = add_field(&random, text, len, fields[i]);
            text[len++] = i % 2 == 0 ? ',' : '\n';
        }
        expect_eq(parse_bytes(text, len), 0, "%s", why);
        for (size_t i = 0; i < 8; i++) {
            expect_str_eq(field(i % 2, i / 2), fields[i]);
        }
        data_fini(&data);
    }
}
