/*
 * The form that readers agree on: testsuites, testsuite, its properties, its
 * test cases, each with at most one of failure, error and skipped, and the
 * figures as its output.
 */
#include "junit.h"

#include "markup.h"
#include "tools/common/units.h"

#include <string.h>

static const char *const elements[] = {
    [FINDING_PASSED] = NULL,
    [FINDING_FAILED] = "failure",
    [FINDING_BROKEN] = "error",
    [FINDING_SKIPPED] = "skipped",
};

static size_t count(const struct findings *findings, enum finding_state state)
{
    size_t found = 0;

    for (size_t i = 0; i < findings->check_count; i++) {
        found += findings->checks[i].state == state;
    }
    return found;
}

static void write_counts(const struct findings *findings, FILE *out)
{
    fprintf(out,
            " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" "
            "time=\"%.3f\">\n",
            findings->check_count, count(findings, FINDING_FAILED),
            count(findings, FINDING_BROKEN), count(findings, FINDING_SKIPPED),
            findings->seconds);
}

static void write_property(const char *name, size_t name_len, const char *value,
                           FILE *out)
{
    fputs("      <property name=\"", out);
    markup_write_part(name, name_len, out);
    fputs("\" value=\"", out);
    markup_write(value, out);
    fputs("\"/>\n", out);
}

static void write_properties(const struct findings *findings, FILE *out)
{
    static const char *const names[] = {"A", "B"};

    fputs("    <properties>\n", out);
    for (size_t side = 0; side < findings->side_count; side++) {
        const char *name = findings->side_count == 1 ? "target" : names[side];
        write_property(name, strlen(name), findings->sides[side], out);
    }
    write_property("verdict", strlen("verdict"), findings->verdict, out);
    for (size_t i = 0; i < findings->label_count; i++) {
        const char *label = findings->labels[i];
        const size_t len = strcspn(label, "=");
        write_property(label, len, label + len + 1, out);
    }
    fputs("    </properties>\n", out);
}

static void write_check(const struct findings *findings,
                        const struct finding_check *check, FILE *out)
{
    const char *element = elements[check->state];

    fprintf(out, "    <testcase classname=\"weir-load.%s\" name=\"",
            findings->command);
    markup_write(check->name, out);
    fprintf(out, "\" time=\"%.3f\"", findings->seconds);
    if (!element) {
        fputs("/>\n", out);
        return;
    }
    fprintf(out, ">\n      <%s message=\"", element);
    markup_write(check->text, out);
    fputs("\"/>\n    </testcase>\n", out);
}

static void write_output(const struct findings *findings, FILE *out)
{
    char text[UNITS_TEXT_SIZE];

    fputs("    <system-out>", out);
    for (size_t i = 0; i < findings->figure_count; i++) {
        const struct finding *figure = &findings->figures[i];
        fprintf(out, "%s %s", figure->name, finding_format(figure, 0, text));
        if (findings->side_count == 2) {
            fprintf(out, " %s %s", finding_format(figure, 1, text),
                    figure->verdict);
        }
        fputc('\n', out);
    }
    for (size_t i = 0; i < findings->note_count; i++) {
        markup_write(findings->notes[i], out);
        fputc('\n', out);
    }
    fputs("</system-out>\n", out);
}

void junit_write(const struct findings *findings, FILE *out)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<testsuites name=\"weir-load\"",
          out);
    write_counts(findings, out);
    fprintf(out, "  <testsuite name=\"weir-load %s\"", findings->command);
    write_counts(findings, out);
    write_properties(findings, out);
    for (size_t i = 0; i < findings->check_count; i++) {
        write_check(findings, &findings->checks[i], out);
    }
    write_output(findings, out);
    fputs("  </testsuite>\n</testsuites>\n", out);
}
