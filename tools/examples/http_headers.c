/*
 * asyncio's "Get HTTP headers": asks a server about a page and prints the
 * status line and the headers. All of that may take ten seconds.
 * Usage: http_headers HOST PORT PATH
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

static int talk(weir_reader *reader, weir_writer *writer, char **argv)
{
    char text[2048];
    struct weir_buf line;
    ssize_t len = snprintf(text, 2048, "HEAD %s HTTP/1.0\r\nHost: %s\r\n\r\n",
                           argv[3], argv[1]);
    int error = weir_writer_write(writer, text, (size_t)len);
    if (error < 0) {
        return error;
    }
    while ((len = weir_reader_readline_view(reader, &line)) > 0) {
        if (line.data[0] == '\r' || line.data[0] == '\n') {
            return 0; /* an empty line ends the headers */
        }
        fwrite(line.data, 1, line.len, stdout);
    }
    return len < 0 ? (int)len : WEIR_EINCOMPLETE;
}

static int get_headers(weir_loop *loop, void *argv)
{
    char **words = argv;
    weir_reader *reader;
    weir_writer *writer;
    struct weir_timeout limit;
    weir_timeout_begin(loop, &limit, UINT64_C(10000000000));
    int error = weir_open_connection(loop, words[1], (uint16_t)atoi(words[2]),
                                     NULL, &reader, &writer);
    if (error == 0) {
        error = talk(reader, writer, words);
        weir_writer_unref(writer); /* the last reference closes the stream */
    }
    return (int)weir_timeout_end(&limit, error);
}

int main(int argc, char **argv)
{
    if (argc != 4 || strlen(argv[3]) > 1024 || strlen(argv[1]) > 256) {
        errx(2, "usage: http_headers HOST PORT PATH");
    }
    int error = weir_run(NULL, get_headers, argv);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
