/*
 * Text that each request fills in: placeholders, braces that are plain
 * characters, rendered values, errors with their positions, and failing
 * allocations.
 *
 * Rendered text is compared as a whole; files are temporary.
 */
#include "tools/weir-load/request/template.c"

#include "tests/unit.h"

static struct template template;
static char why[WHY_SIZE];
static char out[1024];

static const char *render(const char *text, uint64_t seq, uint64_t seed)
{
    const struct template_values values = {.seq = seq, .conn = 7, .seed = seed};

    expect_eq(template_parse(text, strlen(text), &template, why), 0, "%s: %s",
              text, why);
    expect_leq(template.size_max, sizeof(out) - 1);
    const size_t len = template_render(&template, &values, out);
    expect_leq(len, template.size_max);
    out[len] = '\0';
    template_fini(&template);
    return out;
}

static void refuses(const char *text, const char *reason)
{
    expect_eq(template_parse(text, strlen(text), &template, why), -EINVAL, "%s",
              text);
    cr_assert_not_null(strstr(why, reason), "'%s' said: %s", text, why);
}

UNIT(load_template, text_without_places_is_itself)
{
    static const char *const texts[] = {
        "",       "/index.html", "{\"a\":{\"b\":[1]}}",
        "{",      "}}",          "{{",
        "{ seq}", "{Seq}",       "{1}",
        "{seq",   "{a b:c}",     "{}",
        "\\{x"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_str_eq(render(texts[i], 1, 2), texts[i]);
    }
}

UNIT(load_template, places_become_what_they_name)
{
    expect_str_eq(render("/a?n={seq}&c={conn}", 42, 1), "/a?n=42&c=7");
    expect_str_eq(render("{seq}{seq}", UINT64_MAX, 1),
                  "1844674407370955161518446744073709551615");
    expect_str_eq(render("{{seq}}", 5, 1), "{5}");
    expect_str_eq(render("{\"id\":{seq}}", 5, 1), "{\"id\":5}");
    expect_str_eq(render("{rand:3:3}", 5, 1), "3");
}

static struct data data;

/* Returns the text rendered with the row of a number, or the reason why it
 * cannot be bound. */
static const char *fill(const char *text, enum template_place place,
                        const struct data *from, uint64_t seq)
{
    const struct template_values values = {.seq = seq, .conn = 7, .seed = 1};

    expect_eq(template_parse(text, strlen(text), &template, why), 0, "%s", why);
    const int err = template_bind(&template, from, place, why);
    if (err == 0) {
        expect_leq(template.size_max, sizeof(out) - 1);
        const size_t len = template_render(&template, &values, out);
        expect_leq(len, template.size_max);
        out[len] = '\0';
    }
    template_fini(&template);
    return err < 0 ? why : out;
}

UNIT(load_template, fields_of_data_are_those_of_the_requests_row)
{
    static const char text[] = "user,a b\nada,x\n\"b c\",\"1\r\n2\"\n";
    char *bytes = malloc(sizeof(text));

    cr_assert_not_null(bytes);
    memcpy(bytes, text, sizeof(text));
    expect_eq(data_parse(bytes, sizeof(text) - 1, &data, why), 0, "%s", why);
    expect_str_eq(fill("{csv:user}={csv:a b}{seq}", TEMPLATE_IN_BODY, &data, 2),
                  "ada=x2");
    expect_str_eq(fill("{csv:user}{csv:a b}", TEMPLATE_IN_BODY, &data, 3),
                  "b c1\r\n2");
    expect_str_eq(fill("GET /{csv:user}?{csv:a b} HTTP/1.1\r\nA: {csv:user}",
                       TEMPLATE_IN_HEAD, &data, 1),
                  "GET /b%20c?1%0D%0A2 HTTP/1.1\r\nA: b c");
    expect_str_eq(fill("A: {csv:user}", TEMPLATE_IN_HEADER, &data, 1),
                  "A: b c");
    expect_str_eq(fill("A: {csv:a b}", TEMPLATE_IN_HEADER, &data, 1),
                  "{csv:a b}: line 3 of the data has a control character "
                  "there, which a header cannot have");
    expect_str_eq(fill("{csv:b}", TEMPLATE_IN_BODY, &data, 1),
                  "{csv:b} is not a column; the columns are user, a b");
    expect_str_eq(fill("x{csv:b}", TEMPLATE_IN_BODY, NULL, 1),
                  "{csv:b} needs --data FILE");
    data_fini(&data);
}

UNIT(load_template, what_a_path_does_not_have_is_encoded)
{
    static const char text[] =
        "p\n\"\x01 !\"\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\x7f\xff\"\n";
    char *bytes = malloc(sizeof(text));

    cr_assert_not_null(bytes);
    memcpy(bytes, text, sizeof(text));
    expect_eq(data_parse(bytes, sizeof(text) - 1, &data, why), 0, "%s", why);
    expect_str_eq(fill("/{csv:p}", TEMPLATE_IN_HEAD, &data, 0),
                  "/%01%20!%22%23$%&'()*+,-./09:;%3C=%3E?@AZ[%5C]%5E_%60az%7B"
                  "%7C%7D~%7F%FF");
    data_fini(&data);
}

UNIT(load_template, a_value_is_encoded_in_the_first_line_alone)
{
    static char bytes[TEMPLATE_VALUE_MAX];
    static char written[8 * TEMPLATE_VALUE_MAX];
    static const char text[] = "/{v}?{v} HTTP/1.1\r\nA: {v}";
    const int number = template_add_name("v", 1);
    struct template_value named[TEMPLATE_NAMES_MAX] = {{NULL, 0}};
    const struct template_values values = {.named = named};

    cr_assert_geq(number, 0);
    named[number] = (struct template_value){bytes, sizeof("a#b?c %20") - 1};
    memcpy(bytes, "a#b?c %20", sizeof("a#b?c %20"));
    expect_eq(template_parse(text, strlen(text), &template, why), 0, "%s", why);
    expect_eq(template_bind(&template, NULL, TEMPLATE_IN_HEAD, why), 0);
    expect_leq(template.size_max, sizeof(written) - 1);
    size_t len = template_render(&template, &values, written);
    written[len] = '\0';
    expect_str_eq(written, "/a%23b?c%20%20?a%23b?c%20%20 HTTP/1.1\r\n"
                           "A: a#b?c %20");
    memset(bytes, '#', sizeof(bytes));
    named[number].len = sizeof(bytes);
    len = template_render(&template, &values, written);
    expect_eq(len, 7 * sizeof(bytes) + strlen("/? HTTP/1.1\r\nA: "));
    expect_leq(len, template.size_max);
    template_fini(&template);
}

UNIT(load_template, random_numbers_are_in_their_range_and_reach_its_ends)
{
    bool seen[10] = {false};

    for (uint64_t seq = 0; seq < 1000; seq++) {
        const unsigned long number =
            strtoul(render("{rand:5:9}", seq, 1), NULL, 10);
        cr_assert(number >= 5 && number <= 9);
        seen[number] = true;
    }
    cr_assert(seen[5] && seen[6] && seen[7] && seen[8] && seen[9]);
    render("{rand:0:18446744073709551615}", 1, 1);
}

UNIT(load_template, values_depend_on_the_seed_and_the_number_alone)
{
    char first[64];

    snprintf(first, sizeof(first), "%s", render("{letters:20}", 3, 1));
    expect_eq(strlen(first), 20);
    expect_eq(strspn(first, "abcdefghijklmnopqrstuvwxyz"), 20);
    expect_str_eq(render("{letters:20}", 3, 1), first);
    cr_assert_neq(strcmp(render("{letters:20}", 4, 1), first), 0);
    cr_assert_neq(strcmp(render("{letters:20}", 3, 2), first), 0);
    snprintf(first, sizeof(first), "%s",
             render("{letters:20}{letters:20}", 3, 1));
    cr_assert_neq(memcmp(first, first + 20, 20), 0);
}

UNIT(load_template, it_is_fixed_without_places)
{
    expect_eq(template_parse("a{b", 3, &template, why), 0);
    cr_assert(template_is_fixed(&template));
    expect_eq(template.part_count, 1, "pieces are joined");
    template_fini(&template);
    expect_eq(template_parse("a{seq}b", 7, &template, why), 0);
    cr_assert_not(template_is_fixed(&template));
    template_fini(&template);
    expect_eq(template_take("{seq}", 5, &template), 0);
    cr_assert(template_is_fixed(&template));
    template_fini(&template);
}

UNIT(load_template, mistakes_are_told_with_their_place)
{
    refuses("ab{sec}", "at byte 3, '{sec}'");
    refuses("{x:1}", "write {seq}");
    refuses("{seq:1}", "at byte 1");
    refuses("{conn:}", "at byte 1");
    refuses("{rand}", "{rand:LOW:HIGH}");
    refuses("{rand:}", "at byte 1");
    refuses("{rand:1}", "at byte 1");
    refuses("{rand:1:}", "at byte 1");
    refuses("{rand:2:1}", "at byte 1");
    refuses("{rand:-1:1}", "at byte 1");
    refuses("{rand:1:18446744073709551616}", "at byte 1");
    refuses("{rand:1:2", "at byte 1");
    refuses("{letters:0}", "at byte 1");
    refuses("{letters:65537}", "at byte 1");
    refuses("{letters:x}", "at byte 1");
    refuses("{re}", "at byte 1, '{re}': it was removed; use {letters:COUNT}");
    refuses("ab{re:c(d}",
            "at byte 3, '{re:c(d}': it was removed; use {letters");
    refuses("{file:}", "at byte 1");
    refuses("{file:/nonexistent/x}", "/nonexistent/x: No such file");
    refuses("{file:/}", "Is a directory");
}

UNIT(load_template, too_much_is_refused)
{
    static char text[20 * 1025 + 1];

    for (size_t i = 0; i < 1025; i++) {
        memcpy(text + i * 15, "{letters:65536}", 15);
    }
    expect_eq(template_parse(text, 1025 * 15, &template, why), -EINVAL);
}

UNIT(load_template, a_file_is_read_once_and_is_not_looked_into)
{
    char path[] = "/tmp/weir-template-XXXXXX";
    char text[64];
    const int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    expect_eq(write(fd, "{seq}\n", 6), 6);
    close(fd);
    snprintf(text, sizeof(text), "<{file:%s}>{seq}", path);
    expect_str_eq(render(text, 9, 1), "<{seq}\n>9");
    unlink(path);
}

UNIT(load_template, it_is_known_whether_it_may_become_nothing)
{
    static const char *const filled[] = {"a", "{seq}", "{conn}", "{rand:0:9}",
                                         "{letters:1}"};
    static const char *const empty[] = {"", "{file:/dev/null}"};

    for (size_t i = 0; i < sizeof(filled) / sizeof(filled[0]); i++) {
        expect_eq(template_parse(filled[i], strlen(filled[i]), &template, why),
                  0, "%s", why);
        expect_eq(template_may_be_empty(&template), false, "%s", filled[i]);
        template_fini(&template);
    }
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        expect_eq(template_parse(empty[i], strlen(empty[i]), &template, why), 0,
                  "%s", why);
        expect_eq(template_may_be_empty(&template), true, "%s", empty[i]);
        template_fini(&template);
    }
}

/* Number of the allocation that fails; 0 is none. */
static size_t fail_at;
static size_t calls;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
    calls++;
    return calls == fail_at ? NULL : __real_realloc(memory, size);
}

UNIT(load_template, without_memory_it_fails_and_leaves_nothing)
{
    static const char text[] = "a{seq}b{file:/dev/null}{rand:1:2}c{letters:3}";
    int err = -ENOMEM;

    for (fail_at = 1; err == -ENOMEM; fail_at++) {
        calls = 0;
        err = template_parse(text, sizeof(text) - 1, &template, why);
        if (err == -ENOMEM) {
            cr_assert_not_null(strstr(why, "no memory"), "%s", why);
        }
    }
    expect_eq(err, 0, "%s", why);
    expect_gt(fail_at, 9);
    fail_at = 0;
    template_fini(&template);
}
