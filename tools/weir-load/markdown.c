/*
 * Texts that come from elsewhere (targets, objectives, what went wrong) are
 * shown as they are and make no markup or link: a character that could is
 * written with a backslash, one that ends a line is a blank, and a byte that is
 * none is a question mark.
 */
#include "markdown.h"

#include "markup.h"
#include "tools/common/units.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Would what begins here be read as markup, or is it what makes a link of a
 * URL ("://") or a name ("www.") that stands by itself? */
static bool is_markup(const char *begin, const char *at)
{
    return strchr("\\`*_{}[]<>()#|~&$@", *at) ||
           (*at == ':' && at[1] == '/' && at[2] == '/') ||
           (*at == '.' && at - begin >= 3 &&
            strncasecmp(at - 3, "www", 3) == 0);
}

static void write_text(const char *text, FILE *out)
{
    const char *begin = text;

    for (size_t len = strlen(text); len > 0;) {
        const size_t size = markup_length(text, len);
        if (size == 0) {
            fputc('?', out);
        } else if (size == 1 && (*text < ' ' || *text == 0x7F)) {
            fputc(' ', out);
        } else {
            fprintf(out, "%s%.*s", is_markup(begin, text) ? "\\" : "",
                    (int)size, text);
        }
        text += size > 0 ? size : 1;
        len -= size > 0 ? size : 1;
    }
}

static void write_title(const struct findings *findings, FILE *out)
{
    fprintf(out, "### weir-load %s: ", findings->command);
    write_text(findings->verdict, out);
    fputs("\n\n", out);
    if (findings->side_count == 1) {
        write_text(findings->sides[0], out);
        fprintf(out, ", measured for %.3g s\n\n", findings->seconds);
        return;
    }
    for (size_t side = 0; side < 2; side++) {
        fprintf(out, "- %c: ", "AB"[side]);
        write_text(findings->sides[side], out);
        fprintf(out, ", %zu runs\n", findings->run_counts[side]);
    }
    fputc('\n', out);
    if (findings->figure_count > 0) {
        fprintf(out, "Changes up to %.3g %% are no difference.\n\n",
                findings->margin * 100);
    }
}

/* A name as people write it: "p99_9" is p99.9. */
static void write_name(const char *name, FILE *out)
{
    const bool is_percentile =
        name[0] == 'p' && name[1] >= '0' && name[1] <= '9';

    for (const char *at = name; *at; at++) {
        fputc(*at != '_' ? *at : is_percentile ? '.' : ' ', out);
    }
}

static void write_change(const struct finding *figure, FILE *out)
{
    if (!figure->is_known) {
        fprintf(out, " - | - | %s |", figure->verdict);
        return;
    }
    fprintf(out, " %+.1f %% |", figure->change * 100);
    if (figure->has_interval) {
        fprintf(out, " %+.1f %% to %+.1f %% |", figure->low * 100,
                figure->high * 100);
    } else {
        fputs(" - |", out);
    }
    fprintf(out, " %s |", figure->verdict);
}

static void write_figures(const struct findings *findings, FILE *out)
{
    char text[UNITS_TEXT_SIZE];

    if (findings->figure_count == 0) {
        return;
    }
    if (findings->side_count == 1) {
        fputs("| figure | value |\n| --- | ---: |\n", out);
    } else {
        fprintf(out,
                "| figure | A | B | B to A | %.3g %% interval | |\n"
                "| --- | ---: | ---: | ---: | --- | --- |\n",
                findings->level * 100);
    }
    for (size_t i = 0; i < findings->figure_count; i++) {
        const struct finding *figure = &findings->figures[i];
        fputs("| ", out);
        write_name(figure->name, out);
        fputs(" |", out);
        for (size_t side = 0; side < findings->side_count; side++) {
            fprintf(out, " %s |", finding_format(figure, side, text));
        }
        if (findings->side_count == 2) {
            write_change(figure, out);
        }
        fputc('\n', out);
    }
    fputc('\n', out);
}

/* A latency, or "-" from too few values. */
static void write_latency(const struct histogram *h, uint32_t share, FILE *out)
{
    char text[UNITS_TEXT_SIZE];

    fprintf(out, " %s |",
            histogram_can_tell(h, share)
                ? units_format_time(histogram_quantile(h, share), text)
                : "-");
}

static void write_kinds(const struct findings *findings, FILE *out)
{
    if (!findings->kinds) {
        return;
    }
    fputs("| requests | ok | errors | p50 | p95 | p99 |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: |\n",
          out);
    for (size_t i = 0; i < findings->groups->count; i++) {
        const struct kind_record *kind = &findings->kinds[i];
        fputs("| ", out);
        write_text(findings->groups->names[i], out);
        fprintf(
            out, " | %llu | %llu |", (unsigned long long)kind->counts.ok,
            (unsigned long long)(kind->counts.failed + kind->counts.timeout));
        write_latency(&kind->latency, 50000, out);
        write_latency(&kind->latency, 95000, out);
        write_latency(&kind->latency, 99000, out);
        fputc('\n', out);
    }
    fputc('\n', out);
}

static void write_checks(const struct findings *findings, FILE *out)
{
    static const char *const words[] = {
        [FINDING_PASSED] = "passed",
        [FINDING_FAILED] = "**failed**",
        [FINDING_BROKEN] = "**not known**",
        [FINDING_SKIPPED] = "not known",
    };

    fputs("| check | | |\n| --- | --- | --- |\n", out);
    for (size_t i = 0; i < findings->check_count; i++) {
        const struct finding_check *check = &findings->checks[i];
        fputs("| ", out);
        write_text(check->name, out);
        fprintf(out, " | %s | ", words[check->state]);
        write_text(check->text, out);
        fputs(" |\n", out);
    }
}

void markdown_write(const struct findings *findings, FILE *out)
{
    write_title(findings, out);
    write_figures(findings, out);
    write_kinds(findings, out);
    write_checks(findings, out);
    for (size_t i = 0; i < findings->note_count; i++) {
        fputs(i == 0 ? "\n- " : "- ", out);
        write_text(findings->notes[i], out);
        fputc('\n', out);
    }
}
