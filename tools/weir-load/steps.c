/*
 * A run that is invalid does not pass, whatever its latencies are: one that did
 * not keep its schedule has not carried this load. The run has the objectives,
 * so that it leaves to them the errors that they speak of.
 */
#include "steps.h"

#include "exits.h"
#include "json_part.h"
#include "redis_url.h"
#include "tools/common/console.h"
#include "tools/common/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The words of the run that are a step's own. */
struct step_words {
    struct words all;
    char load[24];
    char duration[24];
};

static bool make_words(const struct steps *steps, uint64_t load,
                       uint64_t duration_ns, struct step_words *ret)
{
    const char *slo = steps->command->slo_text;

    ret->all = steps->command->words;
    snprintf(ret->load, sizeof(ret->load), "%llu", (unsigned long long)load);
    snprintf(ret->duration, sizeof(ret->duration), "%lluns",
             (unsigned long long)duration_ns);
    return words_append(&ret->all, steps->flag) &&
           words_append(&ret->all, ret->load) &&
           (!slo || (words_append(&ret->all, "--slo") &&
                     words_append(&ret->all, slo))) &&
           (duration_ns == 0 || (words_append(&ret->all, "-d") &&
                                 words_append(&ret->all, ret->duration)));
}

static uint64_t quantile(const struct histogram *h, uint32_t share)
{
    return histogram_can_tell(h, share) ? histogram_quantile(h, share) : 0;
}

/* "" where it has none. */
static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

void steps_tell_failure(const struct saved *saved, char *why)
{
    const json_t *errors = json_object_get(saved->object, "errors");
    const json_t *most = json_array_get(errors, 0);
    char what[48] = "not one request was sent";

    for (size_t i = 1; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        if (json_integer_value(json_object_get(error, "requests")) >
            json_integer_value(json_object_get(most, "requests"))) {
            most = error;
        }
    }
    if (saved->requests.scheduled > 0) {
        snprintf(what, sizeof(what), "%llu of %llu requests failed",
                 (unsigned long long)(saved->requests.failed +
                                      saved->requests.timeout),
                 (unsigned long long)saved->requests.scheduled);
    }
    snprintf(why, STEPS_WHY_SIZE, "%s%s%.80s", what, most ? "; " : "",
             text_of(most, "text"));
}

void steps_say_none(const struct words *words, const char *failure)
{
    char target[STEPS_WHY_SIZE];

    redis_url_show(words->list[words->count - 1], target, sizeof(target));
    say("%s: not one request succeeded: %s", target, failure);
}

bool steps_have_answers(const struct steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        if (steps->list[i].ok > 0) {
            return true;
        }
    }
    return false;
}

static const char *find_objection(const struct saved *saved)
{
    const json_t *reasons = json_object_get(saved->object, "invalid_reasons");

    return json_string_value(json_array_get(reasons, 0));
}

/* A reason without its advice, which is for a single run: the first part, and
 * that all connections were busy. */
static void shorten(const char *reason, char *why)
{
    const char *busy = strstr(reason, "; all ");

    snprintf(why, STEPS_WHY_SIZE, "%.*s%.*s", (int)strcspn(reason, ";"), reason,
             busy ? (int)strcspn(busy, ":,") : 0, busy ? busy : "");
}

/* The run's own verdict, in which objectives have no part. */
static bool is_sound(const struct saved *saved, char *why)
{
    const char *reason = find_objection(saved);

    /* A late client made responses longer, never shorter: what holds in spite
     * of that holds. Where the rate itself was not carried it does not. */
    bool was_only_late = saved->exit_code == LOAD_INVALID && saved->is_open &&
                         saved->achieved_rate >= saved->offered_rate * 0.99;

    if (saved->exit_code == LOAD_OK || saved->exit_code == LOAD_SLO ||
        was_only_late) {
        return true;
    }
    if (reason && saved->exit_code == LOAD_INVALID) {
        shorten(reason, why);
    } else {
        steps_tell_failure(saved, why);
    }
    return false;
}

static bool judge(const struct steps *steps, const struct saved *saved,
                  char *why)
{
    struct slo_facts facts;
    char text[SLO_TEXT_SIZE];

    if (!is_sound(saved, why)) {
        return false;
    }
    saved_get_facts(saved, &facts);
    for (size_t i = 0; i < steps->command->slo.count; i++) {
        const struct slo_term *term = &steps->command->slo.terms[i];
        struct slo_outcome outcome = slo_judge(term, &facts);
        if (!outcome.passed) {
            snprintf(why, STEPS_WHY_SIZE, "%.40s: %.50s", term->text,
                     slo_format(term, &outcome, text));
            return false;
        }
    }
    return true;
}

static void fill(const struct steps *steps, const struct saved *saved,
                 struct step *ret)
{
    const struct histogram *h = saved_latency(saved);

    ret->duration_ns = saved->duration_ns;
    ret->achieved_rate = saved->achieved_rate;
    ret->p50_ns = quantile(h, 50000);
    ret->p99_ns = quantile(h, 99000);
    ret->max_ns = h->max;
    ret->offered = saved->requests.scheduled;
    ret->ok = saved->requests.ok;
    ret->passed = judge(steps, saved, ret->why);
    /* What holds in spite of a late client holds; where nothing has to hold,
     * the figures are not what they seem to be. */
    if (ret->passed && saved->exit_code == LOAD_INVALID &&
        steps->command->slo.count == 0) {
        const char *reason = find_objection(saved);
        snprintf(ret->why, STEPS_WHY_SIZE, "invalid: %.80s",
                 reason ? reason : "");
    }
}

static const char *format_time(uint64_t ns, char *buf)
{
    return ns ? units_format_time(ns, buf) : "-";
}

void steps_print_header(const struct steps *steps)
{
    if (command_prints(steps->command)) {
        printf("%10s %10s %7s %8s %8s %8s  \n",
               strcmp(steps->flag, "-R") == 0 ? "rate/s" : "conns", "achieved",
               "ok%", "p50", "p99", "max");
    }
}

static void print_step(const struct steps *steps, const struct step *step)
{
    char texts[3][UNITS_TEXT_SIZE];

    if (!command_prints(steps->command)) {
        return;
    }
    printf("%10llu %10.1f %7.2f %8s %8s %8s  %s\n",
           (unsigned long long)step->load, step->achieved_rate,
           step->offered ? 100.0 * (double)step->ok / (double)step->offered : 0,
           format_time(step->p50_ns, texts[0]),
           format_time(step->p99_ns, texts[1]),
           format_time(step->max_ns, texts[2]),
           step->passed && steps->command->slo.count > 0 ? "holds" : step->why);
    fflush(stdout);
}

/* 0 or a negative error after a line. */
static int save(const struct steps *steps, const struct saved *saved)
{
    char why[SAVED_WHY_SIZE];
    char name[48];

    if (!steps->command->save) {
        return 0;
    }
    snprintf(name, sizeof(name), "step-%03zu", steps->count + 1);
    int err = saved_write(saved, steps->command->save, name, why);
    if (err < 0) {
        say("--save: %s", why);
    }
    return err;
}

const struct step *steps_measure(struct steps *steps, uint64_t load,
                                 uint64_t duration_ns, int *ret_err)
{
    char why[SAVED_WHY_SIZE] = "";
    struct step_words words;
    struct saved saved;

    *ret_err = -EINVAL;
    if (steps->count == STEPS_MAX) {
        say("more than %u steps", STEPS_MAX);
        return NULL;
    }
    if (!make_words(steps, load, duration_ns, &words)) {
        return NULL;
    }
    child_show_progress("%s %llu ...", steps->flag, (unsigned long long)load);
    *ret_err = child_measure(steps->loop, &words.all, &saved, why);
    child_show_progress(" \r");
    if (*ret_err < 0) {
        if (*ret_err != -ECANCELED) {
            say("%s", why);
        }
        return NULL;
    }
    struct step *step = &steps->list[steps->count];
    *step = (struct step){.load = load};
    fill(steps, &saved, step);
    *ret_err = save(steps, &saved);
    saved_fini(&saved);
    if (*ret_err < 0) {
        return NULL;
    }
    steps->count++;
    print_step(steps, step);
    return step;
}

static json_t *latency_or_null(uint64_t ns)
{
    return ns ? json_integer(json_integer_of(ns)) : json_null();
}

json_t *steps_json(const struct steps *steps)
{
    json_t *list = json_array();

    for (size_t i = 0; i < steps->count; i++) {
        const struct step *step = &steps->list[i];
        list = json_appended(
            list,
            json_pack("{s:I, s:I, s:f, s:I, s:I, s:o, s:o, s:o, s:b, s:o}",
                      strcmp(steps->flag, "-R") == 0 ? "rate" : "connections",
                      json_integer_of(step->load), "duration_ns",
                      json_integer_of(step->duration_ns), "achieved",
                      step->achieved_rate, "offered",
                      json_integer_of(step->offered), "ok",
                      json_integer_of(step->ok), "p50",
                      latency_or_null(step->p50_ns), "p99",
                      latency_or_null(step->p99_ns), "max",
                      latency_or_null(step->max_ns), "passed", step->passed,
                      "why", json_text(step->why, strlen(step->why))));
    }
    return list;
}
