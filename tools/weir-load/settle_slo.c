/*
 * An objective about what a run cannot have would never hold: it is refused
 * before anything is sent. Which kinds there are is decided here, whether there
 * are objectives or not, as results have them, too.
 */
#include "settle_slo.h"

#include "tools/common/console.h"

#define WHOLE_MILLIONTHS 1000000U

/* Errors that an objective speaks of are its affair, unless --max-errors says
 * how many there may be. */
static void settle_errors(struct run_options *options)
{
    for (size_t i = 0; i < options->slo.count && !options->has_max_errors;
         i++) {
        if (options->slo.terms[i].figure == SLO_ERRORS &&
            options->slo.terms[i].kind[0] == '\0') {
            options->max_errors = WHOLE_MILLIONTHS;
            options->max_errors_is_share = true;
        }
    }
}

_Static_assert(SLO_KIND_SIZE == KINDS_NAME_SIZE, "a name of a kind fits");

/* Lines of files are of kinds that objectives can name. */
static bool settle_kinds(struct run_options *options)
{
    static struct kinds kinds;

    if (!options->kinds) {
        return true;
    }
    if (kinds_init(&kinds, options->kinds, options->kind_count) < 0) {
        say("no memory for requests");
        return false;
    }
    options->groups = &kinds;
    return true;
}

static bool has_kind(const struct run_options *options,
                     const struct slo_term *term)
{
    char names[400];

    if (term->kind[0] == '\0') {
        return true;
    }
    if (!options->groups) {
        say("--slo: %s: kinds of requests are those of the lines of --mix "
            "or --urls",
            term->text);
        return false;
    }
    if (kinds_find(options->groups, term->kind) == options->groups->count) {
        say("--slo: %s: no request is of this kind; there are %s", term->text,
            kinds_list(options->groups, names, sizeof(names)));
        return false;
    }
    return true;
}

/* Objectives about what the mode does not have. */
static bool settle_objectives(const struct run_options *options)
{
    for (size_t i = 0; i < options->slo.count; i++) {
        const struct slo_term *term = &options->slo.terms[i];
        if (term->figure == SLO_STATUS && options->mode != RUN_MODE_HTTP) {
            say("--slo: %s: HTTP alone has statuses", term->text);
            return false;
        }
        if (!has_kind(options, term)) {
            return false;
        }
    }
    return true;
}

bool settle_slo(struct run_options *options)
{
    settle_errors(options);
    return settle_kinds(options) && settle_objectives(options);
}
