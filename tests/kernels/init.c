/*
 * The first process of a booted kernel: runs test programs and reports how each
 * ended.
 *
 * It mounts the file systems that the programs need, enables the loopback
 * interface, and runs the programs listed in /programs one after another, each
 * in its own session and with a time limit. Their output goes to the console,
 * between marker lines for boot.py. If SIGKILL does not end a program, its last
 * marker is never printed, and boot.py boots again for the remaining programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 16
#define LINE_SIZE 4096

static void mount_one(const char *type, const char *where)
{
    mkdir(where, 0755);
    if (mount(type, where, type, 0, NULL) < 0) {
        printf("kernels: no %s: %s\n", where, strerror(errno));
    }
}

static void prepare(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    const struct rlimit files = {.rlim_cur = 65536, .rlim_max = 65536};
    const struct rlimit no_core = {0};

    mount_one("proc", "/proc");
    mount_one("sysfs", "/sys");
    mount_one("devtmpfs", "/dev");
    mount_one("devpts", "/dev/pts");
    mount_one("tmpfs", "/dev/shm");
    mkdir("/tmp", 01777); /* may be the parent of the programs' folder */
    chmod("/tmp", 01777);
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &no_core);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        request.ifr_flags |= IFF_UP;
        ioctl(fd, SIOCSIFFLAGS, &request);
    }
    close(fd);
}

/* The program writes to a pipe, because the console is a terminal. */
static pid_t start(char **words, int output)
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    setsid();
    int input = open("/dev/null", O_RDONLY);
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    close(input);
    close(output);
    execv(words[0], words);
    dprintf(2, "kernels: %s: %s\n", words[0], strerror(errno));
    _exit(127);
}

static bool copy_output(int from)
{
    char text[LINE_SIZE];
    const ssize_t len = read(from, text, sizeof(text));

    for (ssize_t i = 0; i < len; i++) {
        if (text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~')) {
            putchar(text[i]);
        }
    }
    fflush(stdout);
    return len > 0;
}

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* Returns the status from waitpid(), or -1 after @seconds. */
static int watch(pid_t pid, int from, long seconds)
{
    const time_t end = now() + seconds;
    const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
    int status = -1;

    fcntl(from, F_SETFL, O_NONBLOCK);
    while (now() < end) {
        while (copy_output(from)) {
        }
        pid_t ended = waitpid(-1, &status, WNOHANG);
        while (ended > 0 && ended != pid) { /* an orphan of the program */
            ended = waitpid(-1, &status, WNOHANG);
        }
        if (ended == pid) {
            while (copy_output(from)) {
            }
            return status;
        }
        nanosleep(&moment, NULL);
    }
    return -1;
}

static void run(char *line, long seconds)
{
    char *words[WORDS_MAX + 1] = {NULL};
    char *rest = NULL;
    int count = 0;
    int ends[2];

    for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS_MAX;
         word = strtok_r(NULL, " \n", &rest)) {
        words[count++] = word;
    }
    if (count < 2 || pipe(ends) < 0) {
        return;
    }
    printf("\n== begin %s\n", words[0]);
    fflush(stdout);
    const pid_t pid = start(words + 1, ends[1]);
    close(ends[1]);
    int status = watch(pid, ends[0], seconds);
    if (status < 0) {
        printf("\n== hung %s\n", words[0]);
        fflush(stdout);
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        status = -1;
    }
    close(ends[0]);
    printf("\n== end %s %d\n", words[0],
           status < 0          ? -1
           : WIFEXITED(status) ? WEXITSTATUS(status)
                               : 128 + WTERMSIG(status));
    fflush(stdout);
    while (waitpid(-1, NULL, WNOHANG) > 0) { /* orphans of the program */
    }
}

int main(int argc, char **argv)
{
    static char line[LINE_SIZE];
    struct utsname name;

    prepare();
    uname(&name);
    printf("\n== kernel %s\n", name.release);
    fflush(stdout);
    FILE *programs = fopen("/programs", "r");
    const long seconds =
        programs && fgets(line, sizeof(line), programs) ? atol(line) : 0;
    if (programs && fgets(line, sizeof(line), programs)) {
        line[strcspn(line, "\n")] = '\0';
        chdir(line);
    }
    while (programs && fgets(line, sizeof(line), programs)) {
        run(line, seconds);
    }
    printf("\n== all\n");
    fflush(stdout);
    (void)argc;
    (void)argv;
    sync();
    reboot(RB_POWER_OFF);
    return 0;
}
