/*
 * asyncio's "Get HTTP headers": requests a page and prints the status line and
 * the headers of the response, within ten seconds. -s uses HTTPS with the
 * system's certificate authorities, -a uses HTTPS with the authorities in a
 * file.
 * Usage: http_headers [-s | -a FILE] HOST PORT PATH
 */
#include "http_talk.h"
#include "tls_run.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE           "usage: http_headers [-s | -a FILE] HOST PORT PATH"
#define HOST_MAX        256
#define PATH_LENGTH_MAX 999

static int get_headers(weir_loop *loop, void *argv)
{
    char **words = argv;
    weir_reader *reader;
    weir_writer *writer;
    struct weir_timeout limit;
    const struct weir_open_options options = {
        .size = sizeof(options), .connect.tls = tls.context ? &tls : NULL};
    weir_timeout_begin(loop, &limit, WEIR_SECONDS(10));
    int error = weir_open_connection(loop, words[0], (uint16_t)atoi(words[1]),
                                     &options, &reader, &writer);
    if (error == 0) {
        error = talk(reader, writer, words[0], words[2]);
        weir_writer_unref(writer); /* the last reference closes the stream */
    }
    return (int)weir_timeout_end(&limit, error);
}

int main(int argc, char **argv)
{
    struct weir_tls_options options = {.size = sizeof(options)};
    bool has_tls = false;
    int flag = getopt(argc, argv, "sa:");

    while (flag != -1) {
        if (flag == '?') {
            errx(2, USAGE);
        }
        has_tls = true;
        options.authorities.file = flag == 'a' ? optarg : NULL;
        flag = getopt(argc, argv, "sa:");
    }
    char **words = argv + optind;
    if (argc - optind != 3 || strlen(words[0]) > HOST_MAX ||
        strlen(words[2]) > PATH_LENGTH_MAX) {
        errx(2, USAGE);
    }
    if (has_tls) {
        tls.context = make_context(&options);
    }
    return run_task(get_headers, words);
}
