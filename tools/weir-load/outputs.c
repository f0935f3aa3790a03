/*
 * Files are written by stdio, which keeps an error until the end: it is looked
 * at once, when a file is closed.
 *
 * Lines of --json-stream are flushed one by one, since a reader waits for them.
 */
#include "outputs.h"

#include "hgrm.h"
#include "hlog.h"
#include "json.h"
#include "live.h"
#include "report.h"
#include "tools/common/console.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const char csv_header[] =
    "begin_ns,end_ns,offered,ok,failed,timeout,dropped,p50_ns,p99_ns,max_ns,"
    "in_flight,open,bytes_in,bytes_out\n";

#define LLU(value) ((unsigned long long)(value))

/* A file that was asked for; true where none was. */
static bool open_file(const char *flag, const char *path, FILE **ret)
{
    if (!path) {
        return true;
    }
    *ret = fopen(path, "we");
    if (!*ret) {
        say("%s: %s: %s", flag, path, strerror(errno));
    }
    return *ret != NULL;
}

static bool close_file(const char *flag, const char *path, FILE **file)
{
    bool failed = *file && (ferror(*file) | (fclose(*file) != 0)) != 0;

    if (failed) {
        say("%s: %s could not be written", flag, path);
    }
    *file = NULL;
    return !failed;
}

bool outputs_open(struct outputs *outputs, const struct run_options *options)
{
    const struct options_files *files = &options->files;

    *outputs = (struct outputs){
        .options = options,
        .is_live = isatty(STDERR_FILENO) && !options->quiet,
    };
    return open_file("--json", options->json_path, &outputs->json) &&
           open_file("--hgrm", files->hgrm, &outputs->hgrm) &&
           open_file("--hdr-log", files->hdr_log, &outputs->hdr_log) &&
           open_file("--csv", files->csv, &outputs->csv);
}

static void write_csv_row(const struct result_row *row, FILE *out)
{
    fprintf(out,
            "%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,"
            "%llu\n",
            LLU(row->begin_ns), LLU(row->end_ns), LLU(row->offered),
            LLU(row->ok), LLU(row->failed), LLU(row->timeout),
            LLU(row->dropped), LLU(row->p50_ns), LLU(row->p99_ns),
            LLU(row->max_ns), LLU(row->in_flight), LLU(row->open),
            LLU(row->received_bytes), LLU(row->sent_bytes));
}

static void write_log_row(const struct result_row *row,
                          const struct outputs_times *times, FILE *out)
{
    bool has_both = times->response->count > 0;
    const struct histogram *first = has_both ? times->response : times->service;

    int err = hlog_write(row->begin_ns, row->end_ns, NULL, first, out);
    if (err == 0 && has_both) {
        err = hlog_write(row->begin_ns, row->end_ns, "service", times->service,
                         out);
    }
    if (err < 0) {
        say("--hdr-log: no memory; an interval is missing");
    }
}

void outputs_add_row(struct outputs *outputs, const struct result *result,
                     const struct result_row *row,
                     const struct outputs_times *times)
{
    bool is_first = outputs->row_count == 0;

    if (outputs->is_live) {
        live_print(
            row, times->response->count > 0 ? times->response : times->service,
            outputs->row_count);
    }
    outputs->row_count++;
    if (outputs->hdr_log) {
        if (is_first) {
            hlog_write_header(result->wall_begin_ns, outputs->hdr_log);
        }
        write_log_row(row, times, outputs->hdr_log);
    }
    if (outputs->csv) {
        fputs(is_first ? csv_header : "", outputs->csv);
        write_csv_row(row, outputs->csv);
    }
    if (outputs->options->files.streams) {
        if (is_first) {
            json_write_event("start", json_begin(result), stdout);
        }
        json_write_event("interval", json_row(row), stdout);
    }
}

/* The result itself, as text or as JSON. */
static int write_result(const struct outputs *outputs,
                        const struct result *result)
{
    const struct run_options *options = outputs->options;
    bool has_stdout =
        options->files.streams || (options->json && !options->json_path);

    if (!options->quiet && !has_stdout) {
        report_print(result, stdout);
    }
    if (options->files.streams) {
        json_write_event("end", json_result(result), stdout);
    }
    int err = options->json
                  ? json_write(result, outputs->json ? outputs->json : stdout)
                  : 0;
    return fflush(stdout) != 0 && err == 0 ? -errno : err;
}

enum load_exit outputs_finish(struct outputs *outputs,
                              const struct result *result)
{
    enum load_exit exit_code = result->exit;

    int err = write_result(outputs, result);
    if (outputs->hgrm) {
        hgrm_write(result->response.count > 0 ? &result->response
                                              : &result->service,
                   outputs->hgrm);
    }
    if (err < 0) {
        say("the result could not be written: %s", strerror(-err));
        exit_code = LOAD_INTERNAL;
        /* It is told only once. */
        if (outputs->json) {
            (void)fclose(outputs->json);
            outputs->json = NULL;
        }
    }
    report_complain(result);
    return exit_code;
}

bool outputs_close(struct outputs *outputs)
{
    const struct run_options *options = outputs->options;
    const struct options_files *files = &options->files;

    bool good = close_file("--json", options->json_path, &outputs->json);
    good &= close_file("--hgrm", files->hgrm, &outputs->hgrm);
    good &= close_file("--hdr-log", files->hdr_log, &outputs->hdr_log);
    good &= close_file("--csv", files->csv, &outputs->csv);
    return good;
}
