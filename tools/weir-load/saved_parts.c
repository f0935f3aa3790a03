/*
 * A sum of anything can be made, and looks like a result. So results of other
 * options, of another time, of a part that is there twice or without one that
 * is missing are refused; --force adds them all the same.
 */
#include "saved_parts.h"

#include "exits.h"
#include "json_part.h"
#include "part.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* So much of the longer one have the measured windows of two parts together. */
#define SHARED_PERCENT 95U

/* So many missing parts are named. */
#define NAMED_MAX 8U

__attribute__((format(printf, 2, 3))) static int refuse(char *why,
                                                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, SAVED_WHY_SIZE, format, args);
    va_end(args);
    return -EINVAL;
}

/* ---- what parts are ---- */

json_t *saved_parts_list(const struct saved *saved)
{
    const json_t *parts = json_object_get(saved->object, "parts");
    json_t *env = json_object_get(saved->object, "env");

    if (json_is_array(parts)) {
        return json_deep_copy(parts);
    }
    json_t *part = json_object_get(saved->object, "part");
    return json_pack("[{s:o, s:O*, s:O*, s:o, s:s}]", "file",
                     json_text(saved->name, strlen(saved->name)), "host",
                     json_object_get(env, "host"), "start",
                     json_object_get(saved->object, "start"), "part",
                     part ? json_incref(part) : json_null(), "config_hash",
                     saved->config_hash);
}

static json_int_t number_of(const json_t *item, const char *name)
{
    return json_integer_value(
        json_object_get(json_object_get(item, "part"), name));
}

/* Of how many parts one is; 1: it says of none, or of a number that no run has.
 */
static json_int_t count_of(const json_t *item)
{
    const json_int_t count = number_of(item, "count");

    return count > 0 && count <= PARTS_MAX ? count : 1;
}

/* ---- whether they are parts of one run ---- */

static const json_t *find_part(const json_t *list, json_int_t index)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (number_of(json_array_get(list, i), "index") == index) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

static int check_place(const json_t *list, const json_t *item, const char *name,
                       char *why)
{
    const json_int_t count = count_of(item);
    const json_int_t index = number_of(item, "index");
    const json_int_t others = count_of(json_array_get(list, 0));

    if (count != others) {
        return refuse(why,
                      "%.120s: one of %lld parts, and those before are of "
                      "%lld; --force merges all the same",
                      name, (long long)count, (long long)others);
    }
    if (count > 1 && find_part(list, index)) {
        return refuse(why, "%.120s: part %lld of %lld is there twice", name,
                      (long long)index, (long long)count);
    }
    return 0;
}

static int check_places(const struct saved *whole, const struct saved *part,
                        char *why)
{
    json_t *list = saved_parts_list(whole);
    json_t *items = saved_parts_list(part);
    int err = 0;

    for (size_t i = 0; i < json_array_size(items) && err == 0; i++) {
        err = check_place(list, json_array_get(items, i), part->name, why);
    }
    json_decref(list);
    json_decref(items);
    return err;
}

/* A run that ends by its count ends when its last request has: each part by
 * itself. What it was measured for is what it has in common with others then.
 */
static bool ends_by_count(const struct saved *saved)
{
    const json_t *config = json_object_get(saved->object, "config");

    return json_integer_value(json_object_get(config, "requests")) > 0 &&
           json_integer_value(json_object_get(config, "duration_ns")) == 0;
}

/* Results of earlier versions do not say to the nanosecond when they began. */
static int check_window(const struct saved *whole, const struct saved *part,
                        char *why)
{
    const uint64_t begin_ns =
        whole->start_ns > part->start_ns ? whole->start_ns : part->start_ns;
    const uint64_t one_end_ns = whole->start_ns + whole->duration_ns;
    const uint64_t other_end_ns = part->start_ns + part->duration_ns;
    const uint64_t end_ns =
        one_end_ns < other_end_ns ? one_end_ns : other_end_ns;
    const bool is_shorter = whole->duration_ns < part->duration_ns;
    /* The longer one, or where it had to end by itself the shorter. */
    const double longer_ns =
        (double)(is_shorter != ends_by_count(part) ? part->duration_ns
                                                   : whole->duration_ns);
    const double shared_ns =
        end_ns > begin_ns ? (double)(end_ns - begin_ns) : 0;

    if (whole->start_ns == 0 || part->start_ns == 0 ||
        shared_ns * 100 >= longer_ns * SHARED_PERCENT) {
        return 0;
    }
    return refuse(why,
                  "%.120s: it was measured together with those before for only "
                  "%.1f %% of the time; parts of one run begin together "
                  "(--start-at), --force merges all the same",
                  part->name, shared_ns / longer_ns * 100);
}

int saved_parts_check(const struct saved *whole, const struct saved *part,
                      char *why)
{
    if (strcmp(whole->config_hash, part->config_hash) != 0) {
        return refuse(why,
                      "%.120s: a run with other options than those before is "
                      "no part of it; --force merges all the same",
                      part->name);
    }
    int err = check_places(whole, part, why);
    return err < 0 ? err : check_window(whole, part, why);
}

int saved_parts_check_all(const struct saved *whole, char *why)
{
    json_t *list = saved_parts_list(whole);
    const json_int_t count = count_of(json_array_get(list, 0));
    char missing[NAMED_MAX * 8] = "";
    size_t len = 0;
    unsigned missing_count = 0;

    /* One part alone is looked at as what it is. */
    for (json_int_t i = 1; i <= count && json_array_size(list) > 1; i++) {
        if (find_part(list, i) || ++missing_count > NAMED_MAX) {
            continue;
        }
        len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%lld",
                                len > 0 ? ", " : "", (long long)i);
    }
    json_decref(list);
    if (count == 1 || missing_count == 0) {
        return 0;
    }
    return refuse(why,
                  "of the %lld parts of the run these are missing: %s%s; "
                  "--force merges those that are there",
                  (long long)count, missing,
                  missing_count > NAMED_MAX ? " and more" : "");
}

/* ---- how the run came out ---- */

/* Write how an objective came out of all parts. What is none is left as it is:
 * it may be a file's. True if it holds. */
static bool judge_objective(json_t *objective, const struct slo_facts *facts)
{
    const char *expr = json_string_value(json_object_get(objective, "expr"));
    struct slo_error error;
    struct slo slo;

    if (!expr || slo_parse(expr, &slo, &error) < 0 || slo.count != 1) {
        return json_is_true(json_object_get(objective, "pass"));
    }
    const struct slo_outcome outcome = slo_judge(&slo.terms[0], facts);
    json_object_set_new(objective, "value",
                        outcome.known ? json_real(outcome.value) : json_null());
    json_object_set_new(objective, "pass", json_boolean(outcome.passed));
    return outcome.passed;
}

static void set_verdict(struct saved *whole, enum load_exit exit,
                        const char *verdict)
{
    json_object_set_new(whole->object, "exit_code", json_integer(exit));
    json_object_set_new(whole->object, "verdict", json_string(verdict));
    json_object_set_new(whole->object, "valid", json_boolean(exit == LOAD_OK));
    whole->exit_code = (int)exit;
    whole->verdict =
        json_string_value(json_object_get(whole->object, "verdict"));
}

void saved_parts_judge(struct saved *whole)
{
    json_t *list = json_object_get(whole->object, "slo");
    struct slo_facts facts;
    bool all_hold = true;

    saved_get_facts(whole, &facts);
    for (size_t i = 0; i < json_array_size(list); i++) {
        all_hold &= judge_objective(json_array_get(list, i), &facts);
    }
    if (whole->exit_code == LOAD_OK || whole->exit_code == LOAD_SLO) {
        set_verdict(whole, all_hold ? LOAD_OK : LOAD_SLO,
                    all_hold ? "VALID" : "FAILED");
    }
}
