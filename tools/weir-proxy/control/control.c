/*
 * The first worker executes the commands. A command about targets locks the
 * setup and runs a callback on each thread. Once its response is sent, the
 * command applies to every later choice of a target.
 */
#include "control.h"

#include "askers.h"
#include "command.h"
#include "reload.h"
#include "status.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/confine/confine.h"
#include "tools/weir-proxy/runtime/cuts.h"
#include "tools/weir-proxy/runtime/setup.h"
#include "tools/weir-proxy/runtime/targets.h"
#include "tools/weir-proxy/runtime/worker.h"

#include "weir/error.h"
#include "weir/unix.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct doing;

typedef void target_fn(struct doing *doing, struct route *route, size_t target);

struct doing {
    struct worker *worker;
    struct command command;
    const char *who; /* the sender, for the log */
    weir_transport *transport;
    FILE *out;
    size_t match_count;
    size_t cut_count;
};

/* Calls @call for each target that the command is about. */
static void each_of(struct doing *doing, const struct services *services,
                    target_fn *call)
{
    for (size_t i = 0; services && i < services->route_count; i++) {
        struct route *route = &services->routes[i];
        for (size_t j = 0; route->upstreams && j < route->config->target_count;
             j++) {
            if (command_is_about(&doing->command, route->config->service->name,
                                 route->config->targets[j].at.text)) {
                call(doing, route, j);
            }
        }
    }
}

/* Stores the command as the target's order. */
static void give_order(struct doing *doing, struct route *route, size_t index)
{
    const struct config_target *target = &route->config->targets[index];
    const enum command_kind kind = doing->command.kind;
    struct order *order = route->orders[index];

    doing->match_count++;
    if (kind == COMMAND_WEIGHT) {
        atomic_store(&order->weight, doing->command.weight);
    } else if (kind == COMMAND_UP || kind == COMMAND_CUT) {
        return; /* no order is stored */
    } else {
        atomic_store(&order->mode, kind == COMMAND_DRAIN     ? ORDER_DRAIN
                                   : kind == COMMAND_DISABLE ? ORDER_DISABLE
                                                             : ORDER_READY);
    }
    if (kind == COMMAND_READY) {
        atomic_store(&order->weight, ORDER_NO_WEIGHT);
    }
    const char *word = orders_word(order, target);
    fprintf(doing->out, "%s/%s: %s, weight %u\n", route->config->service->name,
            command_short_name(target->at.text), word ? word : "ready",
            (unsigned)orders_weight(order, target));
}

static void apply(struct doing *doing, struct route *route, size_t index)
{
    weir_upstream *upstream = route->targets[index].added;

    if (doing->command.kind == COMMAND_CUT) {
        doing->cut_count += cuts_do(route, &route->config->targets[index]);
    } else if (doing->command.kind != COMMAND_UP) {
        targets_obey(route, index);
    } else if (upstream) {
        weir_upstream_lift(upstream);
    }
}

static void visit_targets(void *arg, weir_thread *thread)
{
    struct doing *doing = arg;

    for (const struct link *link =
             worker_at(doing->worker->proxy, thread)->all.oldest;
         link; link = link->younger) {
        each_of(doing, (const struct services *)(const void *)link, apply);
    }
}

static char fail(struct doing *doing, int err)
{
    fprintf(doing->out, "%s\n", weir_strerror(err));
    return CONTROL_FAILED;
}

/* Suggests the target whose name is most similar to the command's argument. */
static char refuse_target(const struct doing *doing)
{
    const struct config *config = doing->worker->proxy->setup->config;
    const char *wanted = doing->command.target;
    size_t least = strlen(wanted) / 3 + 2;
    char like[COMMAND_WORD_MAX] = "";

    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = config->routes[i];
        for (size_t j = 0; j < route->target_count; j++) {
            char name[COMMAND_WORD_MAX];
            snprintf(name, sizeof(name), "%s/%s", route->service->name,
                     command_short_name(route->targets[j].at.text));
            const size_t distance = option_distance(wanted, name);
            if (distance < least) {
                least = distance;
                memcpy(like, name, sizeof(like));
            }
        }
    }
    const bool has_like = like[0] != '\0';
    fprintf(doing->out, "there is no target '%s'%s%s%s\n", wanted,
            has_like ? "; did you mean '" : "; 'status' lists them", like,
            has_like ? "'?" : "");
    return CONTROL_FAILED;
}

/* Must be called with the setup locked. */
static char do_to_target(struct doing *doing)
{
    each_of(doing, doing->worker->services, give_order);
    if (doing->match_count == 0) {
        return refuse_target(doing);
    }
    const int count = worker_visit(doing->worker, visit_targets, doing);
    if (count < 0) {
        return fail(doing, count);
    }
    if (doing->command.kind == COMMAND_CUT) {
        fprintf(doing->out, "%zu connections were reset\n", doing->cut_count);
    }
    if (doing->command.kind == COMMAND_WEIGHT) {
        say("by an operator (%s): weight %s %u", doing->who,
            doing->command.target, (unsigned)doing->command.weight);
    } else {
        say("by an operator (%s): %s %s", doing->who,
            command_rows[doing->command.kind].name, doing->command.target);
    }
    return CONTROL_DONE;
}

static char do_status(struct doing *doing)
{
    struct metrics metrics;
    const int err =
        metrics_take(&metrics, doing->worker, metrics_gather, &metrics);

    if (err == 0) {
        status_answer(&metrics, doing->out);
    }
    metrics_free(&metrics);
    return err < 0 ? fail(doing, err) : CONTROL_DONE;
}

static char do_help(const struct doing *doing)
{
    for (int i = 0; i < COMMANDS; i++) {
        const struct command_row *row = &command_rows[i];
        fprintf(doing->out, "%s %-*s  %s\n", row->name,
                16 - (int)strlen(row->name), row->words, row->help);
    }
    fputs("TARGET is SERVICE/ADDRESS, as 'status' has it, or */ADDRESS\n",
          doing->out);
    return CONTROL_DONE;
}

/* Returns true if the sender has closed both directions of its connection. */
static bool has_gone(weir_transport *sender)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    struct pollfd look = {.fd = -1};

    if (weir_transport_get_extra_info(sender, "socket", &info) < 0) {
        return true;
    }
    look.fd = info.fd;
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

/* Refuses a command because a successor serves. The successor has not received
 * the command. */
static char refuse_late(const struct doing *doing)
{
    fputs("another proxy serves now, which has to be sent the command\n",
          doing->out);
    return CONTROL_FAILED;
}

static char do_reload(struct doing *doing)
{
    char why[OPTION_WHY_SIZE];

    say("by an operator (%s): reload", doing->who);
    if (reload_run(doing->worker->proxy, why)) {
        return CONTROL_DONE;
    }
    if (doing->worker->is_replaced) {
        return refuse_late(doing);
    }
    fprintf(doing->out, "%s; the previous configuration stays in force\n", why);
    return CONTROL_FAILED;
}

static char do_command(struct doing *doing)
{
    const struct config_texts *said =
        &doing->worker->proxy->setup->config->said;

    switch (doing->command.kind) {
    case COMMAND_HELP:
        return do_help(doing);
    case COMMAND_STATUS:
        return do_status(doing);
    case COMMAND_FACTS:
        for (size_t i = 0; i < said->count; i++) {
            fprintf(doing->out, "%s\n", said->texts[i]);
        }
        return CONTROL_DONE;
    case COMMAND_RELOAD:
        return do_reload(doing);
    default:
        break;
    }
    const int err = reload_begin(doing->worker->proxy);
    if (err < 0) {
        return fail(doing, err);
    }
    /* While the task waited for the lock, a successor may have taken over, or
     * the sender may have disconnected. */
    char result = CONTROL_FAILED;
    if (doing->worker->is_replaced) {
        result = refuse_late(doing);
    } else if (has_gone(doing->transport)) {
        say("an operator (%s) has disconnected: %s %s is dropped", doing->who,
            command_rows[doing->command.kind].name, doing->command.target);
    } else {
        result = do_to_target(doing);
    }
    reload_end(doing->worker->proxy);
    return result;
}

/* Returns true if the sender runs as this user or as root. */
static bool is_operator(struct worker *worker, weir_writer *writer,
                        uid_t *ret_uid)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    const bool is_known =
        weir_writer_get_extra_info(writer, "peercred", &info) == 0;

    if (is_known &&
        (info.peercred.uid == geteuid() || info.peercred.uid == 0)) {
        *ret_uid = info.peercred.uid;
        return true;
    }
    if (is_to_tell(&worker->proxy->told_refused_ns,
                   weir_loop_get_time(worker->loop), UINT64_C(1000000000))) {
        say("ctl: a process of another user was refused");
    }
    return false;
}

static int answer(weir_writer *writer, char code, const char *text, size_t len)
{
    const char head[] = {code, '\n'};
    const int err = weir_writer_write(writer, head, sizeof(head));

    return err < 0 ? err : weir_writer_write(writer, text, len);
}

static int carry_out(struct worker *worker, uid_t uid, const char *line,
                     size_t len, weir_writer *writer)
{
    char who[32];
    char why[OPTION_WHY_SIZE];
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);

    if (!out) {
        return -ENOMEM;
    }
    snprintf(who, sizeof(who), "uid %u", (unsigned)uid);
    struct doing doing = {.worker = worker,
                          .who = who,
                          .transport = weir_writer_get_transport(writer),
                          .out = out};
    const bool is_command = command_read(line, len, &doing.command, why);
    if (!is_command) {
        fprintf(out, "%s\n", why);
    }
    const char code = is_command ? do_command(&doing) : CONTROL_WRONG;
    int err = fclose(out) == 0 ? 0 : -ENOMEM;
    if (err == 0) {
        err = answer(writer, code, text, text_len);
    }
    free(text);
    return err;
}

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    static const struct weir_separator end = {"\n", 1};
    struct worker *worker = arg;
    char line[COMMAND_LINE_MAX + 1];
    uid_t uid;

    if (!is_operator(worker, writer, &uid)) {
        return 0;
    }
    weir_transport_set_busy(weir_writer_get_transport(writer), true);
    const ssize_t len = askers_read(&worker->control_askers, reader, writer,
                                    &end, line, sizeof(line));
    if (len == WEIR_ELIMIT) {
        static const char text[] = "a command has 1024 bytes at most\n";
        return answer(writer, CONTROL_WRONG, text, sizeof(text) - 1);
    }
    return len <= 0 ? 0 : carry_out(worker, uid, line, (size_t)len - 1, writer);
}

bool control_get_peer(int fd, struct ucred *ret)
{
    socklen_t len = sizeof(*ret);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) == 0;
}

/* Returns true if the predecessor listens at the path. Does not block. */
static bool is_of_predecessor(const struct proxy *proxy, const char *path)
{
    struct weir_address address;
    struct ucred predecessor;
    struct ucred process;
    const int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool is_same = fd >= 0 &&
                         weir_address_parse_unix(path, &address) == 0 &&
                         connect(fd, &address.storage.any, address.len) == 0 &&
                         control_get_peer(fd, &process) &&
                         control_get_peer(proxy->predecessor, &predecessor) &&
                         process.pid == predecessor.pid;

    if (fd >= 0) {
        close(fd);
    }
    return is_same;
}

/* Checks that a socket can be created at the path. Abstract names are not
 * checked. */
static bool check_path(const struct config *config, const char *word,
                       const char *path, char *why)
{
    char whole[PATH_MAX];
    char folder[PATH_MAX];
    struct stat status;

    if (!path || path[0] == '@') {
        return true;
    }
    confine_path_outside(config, path, whole);
    if (lstat(whole, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        return option_refuse(why, "%s: '%.200s' already exists as a file", word,
                             path);
    }
    const char *last = strrchr(whole, '/');
    snprintf(folder, sizeof(folder), "%.*s", last ? (int)(last - whole) + 1 : 1,
             last ? whole : ".");
    return access(folder, W_OK | X_OK) == 0 ||
           option_refuse(why, "%s: the folder of '%.200s': %s", word, path,
                         strerror(errno));
}

bool control_check(const struct config *config, char *why)
{
    return check_path(config, "ctl", config->control_path, why) &&
           check_path(config, "handover", config->handover_path, why);
}

int control_begin(struct worker *worker)
{
    const char *path = worker->proxy->setup->config->control_path;
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .arg = worker,
        .server = {
            .size = sizeof(options.server),
            .connection_limit = ASKERS_MAX,
            .socket_mode = 0600,
            .connection = {
                .size = sizeof(options.server.connection),
                .timeouts = {.size = sizeof(options.server.connection.timeouts),
                             .close_ns = REQUEST_NS}}}};

    if (!path) {
        return 0;
    }
    if (worker->proxy->predecessor >= 0 &&
        is_of_predecessor(worker->proxy, path)) {
        unlink(path);
    }
    const int err = weir_start_unix_server(worker->loop, serve, path, &options,
                                           &worker->control);
    if (err < 0) {
        say("ctl: %s: %s", path, weir_strerror(err));
    }
    return err;
}
