/*
 * libFuzzer's entry to the objectives of weir-load: bytes as the value of
 * --slo.
 *
 *     ninja tests/fuzz/fuzz-slo
 *     tests/fuzz/fuzz-slo CORPUS
 */
#include "tests/fuzz/check.h"
#include "tools/weir-load/measure/measure.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct histogram h;

/* Of kinds whose names begin with an a. */
static bool find_kind(const void *owner, const char *name,
                      struct slo_facts *ret)
{
    const struct slo_facts *facts = owner;

    check(name[0] != '\0' && strlen(name) < SLO_KIND_SIZE);
    *ret = (struct slo_facts){.times = {&h}, .offered = facts->offered};
    return name[0] == 'a';
}

static void judge(const struct slo *slo)
{
    struct slo_facts facts = {.times = {&h},
                              .offered = 1,
                              .rate = 1,
                              .find_kind = find_kind,
                              .owner = &facts};
    char text[SLO_TEXT_SIZE];

    histogram_clear(&h);
    histogram_record(&h, UINT64_MAX);
    check(slo->count > 0 && slo->count <= SLO_TERMS_MAX);
    for (size_t i = 0; i < slo->count; i++) {
        struct slo_outcome outcome = slo_judge(&slo->terms[i], &facts);
        check(outcome.known || !outcome.passed);
        check(strlen(slo_format(&slo->terms[i], &outcome, text)) > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slo slo;
    struct slo_error error;
    char *text = malloc(size + 1);

    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (slo_parse(text, &slo, &error) == 0) {
        judge(&slo);
    } else {
        check(error.position >= 1 && error.position <= strlen(text) + 1);
        check(error.why[0] != '\0');
    }
    free(text);
    return 0;
}
