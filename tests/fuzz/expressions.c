/*
 * libFuzzer's entry to the expressions of weir-load's command line that say
 * what is asked for and expected: templates, rules of answers, statuses, sizes,
 * methods, headers, paths, URLs, mixes, lists, freezes and request lines. The
 * first byte chooses which. What is read is used once; what is refused has a
 * reason.
 *
 *     ninja tests/fuzz/fuzz-expressions
 *     tests/fuzz/fuzz-expressions CORPUS
 */
#include "tools/weir-load/request/request.h"
#include "tools/weir-load/serve/modes.h"
#include "tools/weir-load/serve/serve_answers.h"
#include "tools/weir-load/target/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_why(int err, const char *why)
{
    check(err <= 0);
    check(err == 0 || why[0] != '\0');
}

/* Files are not read: the fuzzer would find those of the machine. */
static bool names_file(const char *text)
{
    return text[0] == '@' || strstr(text, "{file") != NULL;
}

static void try_template(const char *text)
{
    const struct template_values values = {.seq = 1, .conn = 2, .seed = 3};
    char why[WHY_SIZE];
    struct template template;

    const int err = template_parse(text, strlen(text), &template, why);
    check(err <= 0 && (err == 0 || why[0] != '\0'));
    if (err == 0) {
        char *out = malloc(template.size_max + 1);
        check(template_render(&template, &values, out) <= template.size_max);
        free(out);
        template_fini(&template);
    }
}

static void try_request(const char *text)
{
    const struct template_values values = {.seq = 1, .conn = 2, .seed = 3};
    char why[WHY_SIZE];
    struct http_options options = {.fields = {text},
                                   .field_count = 1,
                                   .body = text,
                                   .is_chunked = strlen(text) % 2};
    struct http_request request;

    http_check_method(text, why);
    http_check_path(text, why);
    if (http_check_field(text, why) < 0 || http_check_body(text, why) < 0) {
        return;
    }
    check(http_request_init(&request, &options, "h", "/", 2, why) == 0);
    char *out = malloc(request.size_max);
    const size_t len = http_request_render(&request, &values, out);
    check(len <= request.size_max);
    const char *end = memmem(out, len, "\r\n\r\n", 4);
    check(end != NULL);
    /* Neither fewer nor more lines than there are. */
    size_t lines = 0;
    for (const char *at = out; at < end; at++) {
        lines += *at == '\n';
    }
    check(lines == 3 || lines == 4 || lines == 5);
    free(out);
    http_request_fini(&request);
}

static void try_rule(const char *text)
{
    static const uint8_t bytes[] = "abc\r\n\r\n\0\0\0\1\2\3\4";
    char why[WHY_SIZE];
    struct script_rule rule;
    struct script_reader reader = {.size_bytes = 0};
    bool is_complete = false;

    const int err = script_parse_rule(text, &rule, why);
    check(err <= 0 && (err == 0 || why[0] != '\0'));
    if (err < 0) {
        return;
    }
    (void)script_parse_begin(text, &rule, why);
    const ssize_t used =
        script_read(&rule, &reader, bytes, sizeof(bytes), &is_complete);
    check(used == -EMSGSIZE || (used > 0 && used <= (ssize_t)sizeof(bytes)));
    script_is_good(&rule, &reader);
}

static void try_mix(const char *text)
{
    static struct mix mix;

    for (int is_http = 0; is_http < 2 && !strchr(text, '@'); is_http++) {
        char why[WHY_SIZE] = "";
        const int err = mix_parse(text, strlen(text), is_http == 1, &mix, why);
        check_why(err, why);
        if (err == 0) {
            check(mix_choose(&mix, 0) == 0);
            check(mix_choose(&mix, mix.ends[mix.kind_count - 1] - 1) ==
                  mix.kind_count - 1);
            mix_fini(&mix);
        }
    }
}

static void try_urls(const char *text)
{
    for (int is_http = 0; is_http < 2 && !strchr(text, '@'); is_http++) {
        char why[WHY_SIZE] = "";
        struct urls urls;
        const int err = urls_parse(text, strlen(text), is_http == 1, "http://h",
                                   &urls, why);
        check_why(err, why);
        if (err == 0) {
            check(urls.kind_count > 0 && urls.kind_count <= urls.count);
            for (size_t i = 0; i < urls.count; i++) {
                check(urls_kind(&urls, i) < urls.kind_count);
            }
            urls_fini(&urls);
        }
    }
}

static void try_others(const char *text)
{
    struct http_options options = {.method = NULL};
    struct pace_options pace = {.delay_ns = 0};
    struct serve_http_wish wish = {.status = 200};
    struct target target;
    char why[TARGET_WHY_SIZE];
    size_t at = 0;

    if (http_parse_expected(text, &options, &at) < 0) {
        check(at <= strlen(text));
    }
    if (pace_parse_freeze(text, &pace) == 0) {
        check(pace.freeze_ns > 0 && pace.freeze_ns < pace.period_ns);
    }
    if (serve_http_parse_line(text, strlen(text), &wish) == 0) {
        check(wish.status >= 200 && wish.status < 600);
    }
    struct sizes sizes = {.least = 0};
    why[0] = '\0';
    check_why(sizes_parse(text, 1, &sizes, why), why);
    if (sizes.most > 0) {
        for (uint64_t i = 0; i < 64; i++) {
            const uint64_t size = sizes_draw(&sizes, UINT64_MAX / 63 * i);
            check(size >= sizes.least && size <= sizes.most);
        }
        check(sizes.least >= 1 && sizes.most <= SIZES_MAX);
    }
    why[0] = '\0';
    check_why(url_parse(text, false, &target, why), why);
    char *out = malloc(strlen(text) + 1);
    check(script_unescape(text, out, &at) <= (ssize_t)strlen(text));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const char *text) = {
        try_template, try_request, try_rule, try_mix, try_others, try_urls};

    if (size < 1) {
        return 0;
    }
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (!names_file(text)) {
        tries[data[0] % 6](text);
    }
    free(text);
    return 0;
}
