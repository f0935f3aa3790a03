/*
 * Opens, writes and closes the outputs. stdio keeps the error of a write until
 * the file is closed, where it is checked. Each line of --json-stream and --csv
 * is flushed for readers that follow. A dry run does not open files, because
 * that would truncate an earlier result.
 */
#include "output.h"

#include "tools/common/console.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/result/result.h"
#include "writers.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Prints one character of a file's name, or its replacement: %h is the host
 * name and %p the number of this part. Returns how many characters of the name
 * were used. */
static size_t print_piece(const struct part *part, const char *name, FILE *out)
{
    char host[HOST_NAME_MAX + 1] = "";

    switch (name[0] == '%' ? name[1] : '\0') {
    case 'h':
        gethostname(host, sizeof(host) - 1);
        fputs(host, out);
        return 2;
    case 'p':
        fprintf(out, "%u", part->index + 1);
        return 2;
    case '%':
        fputc('%', out);
        return 2;
    default:
        fputc(name[0], out);
        return 1;
    }
}

static char *make_path(const void *part, const char *name)
{
    char *path = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&path, &size);

    if (!out) {
        return NULL;
    }
    while (*name) {
        name += print_piece(part, name, out);
    }
    if (fclose(out) != 0) {
        free(path);
        return NULL;
    }
    return path;
}

struct asked {
    const char *flag;
    const char *name; /* as on the command line, or NULL */
    bool is_whole;    /* created or replaced at the end of the run */
};

#define ASKED_COUNT (4 + PUBLISH_FORMATS)

static void list_asked(const struct run_options *options,
                       struct asked ret[ASKED_COUNT])
{
    const struct options_files *files = &options->files;

    ret[0] = (struct asked){"--hgrm", files->hgrm, true};
    ret[1] = (struct asked){"--csv", files->csv, false};
    ret[2] = (struct asked){"--log", files->log, false};
    ret[3] = (struct asked){"--json", options->json_path, true};
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        struct asked *asked = &ret[4 + i];
        publish_list(&files->publish, i, &asked->flag, &asked->name);
        asked->is_whole = true;
    }
}

/* Returns the last option whose file is standard output, or NULL. Such a file
 * replaces the report. Sets *ret_before to another such option, or to NULL. */
static const char *find_stdout(const struct run_options *options,
                               const char **ret_before)
{
    struct asked asked[ASKED_COUNT];
    const char *has_it = options->files.streams ? "--json-stream"
                         : options->json && !options->json_path ? "--json"
                                                                : NULL;

    *ret_before = NULL;
    list_asked(options, asked);
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        if (whole_file_is_stdout(asked[i].name)) {
            *ret_before = has_it;
            has_it = asked[i].flag;
        }
    }
    return has_it;
}

bool outputs_check(const struct run_options *options)
{
    const char *before = NULL;
    const char *flag = find_stdout(options, &before);

    if (before) {
        say("%s: %s already uses standard output", flag, before);
    }
    return !before;
}

static int check_file(const char *path, bool is_whole)
{
    if (!is_whole && access(path, F_OK) == 0 && access(path, W_OK) == 0) {
        struct stat status;
        return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? -EISDIR
                                                                   : 0;
    }
    return whole_file_check(path);
}

bool outputs_check_files(const struct run_options *options)
{
    struct asked asked[ASKED_COUNT];
    int err = 0;

    list_asked(options, asked);
    for (size_t i = 0; i < ASKED_COUNT && err == 0; i++) {
        if (!asked[i].name || whole_file_is_stdout(asked[i].name)) {
            continue;
        }
        char *path = make_path(&options->part, asked[i].name);
        err = path ? check_file(path, asked[i].is_whole) : -ENOMEM;
        if (err < 0) {
            say("%s: %s: %s", asked[i].flag, path ? path : asked[i].name,
                strerror(-err));
        }
        free(path);
    }
    return err == 0;
}

void outputs_print(const struct run_options *options, FILE *out)
{
    struct asked asked[ASKED_COUNT];

    list_asked(options, asked);
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        char *path =
            asked[i].name ? make_path(&options->part, asked[i].name) : NULL;
        if (path) {
            fprintf(out, "Output      %s %s\n", asked[i].flag, path);
        }
        free(path);
    }
}

/* Opens the file of an option, if it was requested. Returns false after
 * printing an error. */
static bool open_file(const struct run_options *options, const char *flag,
                      const char *name, FILE **ret)
{
    if (!name) {
        return true;
    }
    if (whole_file_is_stdout(name)) {
        *ret = stdout;
        return true;
    }
    char *path = make_path(&options->part, name);
    *ret = path ? fifo_open(path) : NULL;
    if (!*ret) {
        say("%s: %s: %s", flag, path ? path : name, fifo_error_text(errno));
    }
    free(path);
    return *ret != NULL;
}

/* Like open_file(), for a file that is written at the end. */
static bool open_whole(const struct run_options *options, const char *flag,
                       const char *name, struct whole_file *ret)
{
    char *path = name ? make_path(&options->part, name) : NULL;

    if (name && !path) {
        return say("%s: no memory", flag);
    }
    const bool is_open = whole_file_open(ret, flag, path);
    free(path);
    return is_open;
}

/* The heading is written now, so that a run without intervals has it. */
/* The heading is written now, so that a run without intervals has it. */
static bool open_csv(struct outputs *outputs, const struct run_options *options)
{
    FILE *out = NULL;
    const char *name = options->files.csv;

    const bool is_open = open_file(options, "--csv", name, &out);
    line_file_start(&outputs->csv, "--csv", name, out);
    out = out ? line_file_begin(&outputs->csv) : NULL;
    if (out) {
        for (const struct field *field = fields_interval; field->name;
             field++) {
            fprintf(out, "%s%s", field == fields_interval ? "" : ",",
                    field->column ? field->column : field->name);
        }
        fputs(",kind\n", out);
        line_file_end(&outputs->csv);
    }
    return is_open;
}

static bool open_publish(struct outputs *outputs,
                         const struct run_options *options)
{
    const char *flag = NULL;
    const char *path = NULL;

    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        publish_list(&options->files.publish, i, &flag, &path);
        if ((path && !publish_can_start(flag)) ||
            !open_whole(options, flag, path, &outputs->publish.files[i])) {
            publish_drop(&outputs->publish);
            return false;
        }
    }
    return true;
}

bool outputs_open(struct outputs *outputs, const struct run_options *options)
{
    const struct options_files *files = &options->files;

    *outputs = (struct outputs){
        .options = options,
        .is_live = isatty(STDERR_FILENO) && !options->quiet,
    };
    return open_whole(options, "--json", options->json_path, &outputs->json) &&
           open_whole(options, "--hgrm", files->hgrm, &outputs->hgrm) &&
           open_csv(outputs, options) &&
           open_file(options, "--log", files->log, &outputs->log.file) &&
           open_publish(outputs, options);
}

/* Writes the row of a kind, or of all requests if @kind is NULL. In a kind's
 * row, fields that are not counted by kind are empty. */
static void write_csv_row(const struct interval *counts, const char *kind,
                          FILE *out)
{
    for (const struct field *field = fields_interval; field->name; field++) {
        const uint64_t value = fields_get(field, counts);
        fputs(field == fields_interval ? "" : ",", out);
        if ((!kind || field->has_kinds) &&
            (field->unit != FIELD_LATENCY || value > 0)) {
            fprintf(out, "%llu", LLU(value));
        }
    }
    fputc(',', out);
    if (kind) {
        kind_name_write_cell(kind, out);
    }
    fputc('\n', out);
}

static void add_to_csv(struct outputs *outputs, const struct interval *whole,
                       const struct kind_record *kinds)
{
    const struct kinds *groups = outputs->options->groups;
    FILE *out = outputs->csv.file ? line_file_begin(&outputs->csv) : NULL;

    if (!out) {
        return;
    }
    write_csv_row(whole, NULL, out);
    for (size_t i = 0; kinds && i < groups->count; i++) {
        const struct histogram *times = &kinds[i].latency;
        const struct interval counts = {
            .begin_ns = whole->begin_ns,
            .end_ns = whole->end_ns,
            .ok = kinds[i].counts.completed,
            .failed = kinds[i].counts.failed,
            .timeout = kinds[i].counts.timeout,
            .p50_ns = histogram_quantile(times, HISTOGRAM_WHOLE / 2),
            .p99_ns = histogram_quantile(times, 99 * HISTOGRAM_WHOLE / 100),
            .max_ns = times->max,
        };
        write_csv_row(&counts, groups->names[i], out);
    }
    line_file_end(&outputs->csv);
}

void outputs_add_row(struct outputs *outputs, const struct result *result,
                     const struct result_row *row,
                     const struct histogram *times,
                     const struct kind_record *kinds)
{
    if (outputs->is_live) {
        live_print(&row->counts, times, outputs->row_count);
    }
    add_to_csv(outputs, &row->counts, kinds);
    if (outputs->options->files.streams) {
        if (outputs->row_count == 0) {
            json_write_event("start", json_begin(result), stdout);
        }
        json_write_event("interval", json_row(row), stdout);
    }
    outputs->row_count++;
}

static int write_result(const struct outputs *outputs,
                        const struct result *result)
{
    const struct run_options *options = outputs->options;
    const char *before = NULL;

    if (!options->quiet && !find_stdout(options, &before)) {
        report_print(result, stdout);
    }
    if (options->files.streams) {
        json_write_event("end", json_result(result), stdout);
    }
    int err = options->json
                  ? json_write(result,
                               outputs->json.file ? outputs->json.file : stdout)
                  : 0;
    return fflush(stdout) != 0 && err == 0 ? -errno : err;
}

enum load_exit outputs_finish(struct outputs *outputs,
                              const struct result *result)
{
    enum load_exit exit_code = result->exit;

    int err = write_result(outputs, result);
    if (outputs->hgrm.file) {
        hgrm_write(record_times(&result->times), outputs->hgrm.file);
    }
    if (err < 0) {
        say("%s: the result could not be written: %s",
            outputs->json.file ? outputs->options->json_path
                               : "standard output",
            strerror(-err));
        exit_code = LOAD_INTERNAL;
        whole_file_drop(&outputs->json);
    }
    bool is_written = whole_file_keep(&outputs->json);
    is_written &= whole_file_keep(&outputs->hgrm);
    is_written &= publish_write(&outputs->publish, result);
    if (!is_written) {
        exit_code = LOAD_INTERNAL;
    }
    report_complain(result);
    return exit_code;
}

bool outputs_close(struct outputs *outputs)
{
    struct output *log = &outputs->log;
    const char *path = outputs->options->files.log;
    bool good = line_file_close(&outputs->csv);
    if (log->file) {
        const int err = fifo_close(log->file);
        log->err = log->err ? log->err : err;
        good &= log->err == 0 ||
                say("--log: %s could not be written: %s",
                    whole_file_is_stdout(path) ? "standard output" : path,
                    strerror(log->err));
    }
    whole_file_drop(&outputs->json);
    whole_file_drop(&outputs->hgrm);
    publish_drop(&outputs->publish);
    return good;
}
