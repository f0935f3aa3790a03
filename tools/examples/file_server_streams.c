/*
 * A server of files over HTTP/1.0: GET sends a file of the present folder from
 * the page cache, without a copy through the program.
 * Usage: file_server_streams [PORT]
 */
#include "serve.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int say(weir_writer *writer, const char *status)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "HTTP/1.0 %s\r\n\r\n", status);
    return weir_writer_write(writer, text, (size_t)len);
}

static int send_file(weir_writer *writer, int fd)
{
    char text[80];
    struct stat stat;
    uint64_t offset = 0;
    if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
        return say(writer, "404 Not Found");
    }
    const uint64_t size = (uint64_t)stat.st_size;
    snprintf(text, 80, "200 OK\r\nContent-Length: %zu", (size_t)size);
    say(writer, text); /* if it is refused so is the file */
    int64_t sent = weir_writer_sendfile(writer, fd, &offset, size);
    return sent < 0 ? (int)sent : 0;
}

static int answer(void *arg, weir_reader *reader, weir_writer *writer)
{
    static const struct weir_separator end = {"\r\n\r\n", 4};
    char text[1024];
    char path[1024];
    ssize_t len = weir_reader_readuntil(reader, &end, 1, text, 1023);
    (void)arg;
    text[len > 0 ? len : 0] = '\0';
    if (sscanf(text, "GET /%1000s HTTP/1.", path) != 1) {
        return say(writer, "400 Bad Request");
    }
    if (path[0] == '/' || strstr(path, "..")) {
        return say(writer, "403 Forbidden");
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error = send_file(writer, fd);
    close(fd);
    return error;
}

int main(int argc, char **argv)
{
    return serve(answer, argc > 1 ? argv[1] : NULL);
}
