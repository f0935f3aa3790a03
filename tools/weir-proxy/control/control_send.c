/*
 * The operator's side of the control socket: sends a line, and prints the
 * response, or an error to standard error. It uses plain system calls, without
 * a loop.
 */
#include "control.h"

#include "command.h"
#include "tools/common/console.h"

#include "weir/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_S 60
#define FACTS_S  10 /* for -t, and for a successor before it starts */

enum { EXIT_FAILED = 1, EXIT_WRONG = 2 };

int control_connect(const char *path, unsigned limit_s)
{
    const struct timeval limit = {.tv_sec = limit_s};
    struct weir_address address;

    if (weir_address_parse_unix(path, &address) < 0) {
        return -ENAMETOOLONG;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &address.storage.any, address.len) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0) {
        return fd;
    }
    const int err = -errno;
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

/* Joins the arguments with tabs. Returns false if they are too long or contain
 * a tab or a newline. */
static bool join(int word_count, char **words, char *ret, size_t size)
{
    size_t len = 0;

    for (int i = 0; i < word_count; i++) {
        const size_t word_len = strlen(words[i]);
        if (strpbrk(words[i], "\t\n") || len + word_len + 2 > size) {
            return false;
        }
        memcpy(ret + len, words[i], word_len);
        len += word_len;
        ret[len++] = i + 1 < word_count ? '\t' : '\n';
    }
    ret[len] = '\0';
    return true;
}

static int print_answer(int fd)
{
    char text[4096];
    char code = '\0';
    size_t skipped = 0; /* bytes read of the line with the result */
    ssize_t n;

    while ((n = recv(fd, text, sizeof(text), 0)) > 0) {
        const char *from = text;
        for (; skipped < 2 && from < text + n; from++, skipped++) {
            code = skipped == 0 ? *from : code;
        }
        fwrite(from, 1, (size_t)(text + n - from),
               code == CONTROL_DONE ? stdout : stderr);
    }
    if (n < 0 || skipped < 2 || code < CONTROL_DONE || code > CONTROL_WRONG) {
        say("no answer: %s", n < 0 ? strerror(errno)
                                   : "the proxy has closed the connection, "
                                     "which it does for other users");
        return EXIT_FAILED;
    }
    return code - CONTROL_DONE;
}

int control_send(const char *path, int word_count, char **words)
{
    char line[COMMAND_LINE_MAX + 2];

    if (word_count == 0 || !join(word_count, words, line, sizeof(line))) {
        say("write: weir-proxy --ctl PATH COMMAND; the command 'help' lists "
            "them");
        return EXIT_WRONG;
    }
    const int fd = control_connect(path, ANSWER_S);
    if (fd < 0) {
        say("%s: %s", path, strerror(-fd));
        return EXIT_FAILED;
    }
    int code = EXIT_FAILED;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        say("%s: %s", path, strerror(errno));
    } else {
        code = print_answer(fd);
    }
    close(fd);
    return code;
}

bool control_get_facts(const char *path, struct arena *arena,
                       struct config_texts *ret)
{
    static const char line[] = "facts\n";
    const int fd = control_connect(path, FACTS_S);
    FILE *in = fd >= 0 ? fdopen(fd, "r") : NULL;
    char *text = NULL;
    size_t room = 0;
    ssize_t len;

    if (!in) {
        if (fd >= 0) {
            close(fd);
        } else if (fd != -ENOENT && fd != -ECONNREFUSED) {
            say("%s: %s; the changes are not known", path, strerror(-fd));
        }
        return false;
    }
    bool is_good = send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) > 0 &&
                   getline(&text, &room, in) == 2 && text[0] == CONTROL_DONE;
    while (is_good && (len = getline(&text, &room, in)) > 0) {
        text[len - 1] = '\0';
        is_good = config_add_text(arena, ret, text);
    }
    is_good = is_good && feof(in);
    if (!is_good) {
        say("%s: no answer; the changes are not known", path);
    }
    free(text);
    fclose(in);
    return is_good;
}
