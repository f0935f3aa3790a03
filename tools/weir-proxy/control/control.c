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

struct control {
    struct worker *worker;
    weir_server *server;
    struct askers askers;
    uint64_t refused_ns; /* time of the last log line about a refused
                          * process, or 0 */
};

struct doing;

typedef void target_fn(struct doing *doing, struct route *route, size_t target);

struct doing {
    struct worker *worker;
    struct command command;
    target_fn *call; /* for each target that the command is about */
    const char *who; /* the sender, for the log */
    weir_transport *transport;
    FILE *out;
    size_t match_count;
    size_t cut_count;
    size_t least; /* edit distance of the most similar name so far */
    char like[COMMAND_WORD_MAX];
};

/* Calls @call for each target that the command is about or, with @is_any, for
 * each target. */
static void each_of(struct doing *doing, const struct services *services,
                    target_fn *call, bool is_any)
{
    for (size_t i = 0; services && i < services->route_count; i++) {
        struct route *route = &services->routes[i];
        for (size_t j = 0; route->upstreams && j < route->config->target_count;
             j++) {
            if (is_any ||
                command_is_about(&doing->command, route->config->service->name,
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

/* Remembers the target whose name is most similar to the command's argument. */
static void find_like(struct doing *doing, struct route *route, size_t index)
{
    char name[COMMAND_WORD_MAX];

    snprintf(name, sizeof(name), "%s/%s", route->config->service->name,
             command_short_name(route->config->targets[index].at.text));
    const size_t distance = option_distance(doing->command.target, name);
    if (distance < doing->least) {
        doing->least = distance;
        snprintf(doing->like, sizeof(doing->like), "%s", name);
    }
}

static void obey(struct doing *doing, struct route *route, size_t target)
{
    (void)doing;
    targets_obey(route, target);
}

static void lift(struct doing *doing, struct route *route, size_t target)
{
    (void)doing;
    if (route->targets[target].added) {
        weir_upstream_lift(route->targets[target].added);
    }
}

static void cut(struct doing *doing, struct route *route, size_t target)
{
    doing->cut_count += cuts_do(route, &route->config->targets[target]);
}

static void visit_targets(void *arg, weir_thread *thread)
{
    struct doing *doing = arg;
    const struct worker *worker =
        &doing->worker->proxy->workers[weir_thread_get_index(thread)];

    for (const struct link *link = worker->all.oldest; link;
         link = link->younger) {
        each_of(doing, (const struct services *)(const void *)link, doing->call,
                false);
    }
}

static char fail(struct doing *doing, int err)
{
    fprintf(doing->out, "%s\n", weir_strerror(err));
    return CONTROL_FAILED;
}

static char refuse_target(struct doing *doing)
{
    doing->least = strlen(doing->command.target) / 3 + 2;
    each_of(doing, doing->worker->services, find_like, true);
    const bool has_like = doing->like[0] != '\0';
    fprintf(doing->out, "there is no target '%s'%s%s%s\n",
            doing->command.target,
            has_like ? "; did you mean '" : "; 'status' lists them",
            doing->like, has_like ? "'?" : "");
    return CONTROL_FAILED;
}

/* Must be called with the setup locked. */
static char do_to_target(struct doing *doing)
{
    const bool is_cut = doing->command.kind == COMMAND_CUT;

    each_of(doing, doing->worker->services, give_order, false);
    if (doing->match_count == 0) {
        return refuse_target(doing);
    }
    doing->call = is_cut                              ? cut
                  : doing->command.kind == COMMAND_UP ? lift
                                                      : obey;
    const int count = worker_visit(doing->worker, visit_targets, doing);
    if (count < 0) {
        return fail(doing, count);
    }
    if (is_cut) {
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

/* Must be called with the setup locked. While the task waited for the lock, a
 * successor may have taken over, or the sender may have disconnected. */
static char do_in_turn(struct doing *doing)
{
    if (doing->worker->is_replaced) {
        return refuse_late(doing);
    }
    if (has_gone(doing->transport)) {
        say("an operator (%s) has disconnected: %s %s is dropped", doing->who,
            command_rows[doing->command.kind].name, doing->command.target);
        return CONTROL_FAILED;
    }
    return do_to_target(doing);
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
    const char result = do_in_turn(doing);
    reload_end(doing->worker->proxy);
    return result;
}

/* Returns true if the sender runs as this user or as root. */
static bool is_operator(struct control *control, weir_writer *writer,
                        uid_t *ret_uid)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    const uint64_t now_ns = weir_loop_get_time(control->worker->loop);
    const bool is_known =
        weir_writer_get_extra_info(writer, "peercred", &info) == 0;

    if (is_known &&
        (info.peercred.uid == geteuid() || info.peercred.uid == 0)) {
        *ret_uid = info.peercred.uid;
        return true;
    }
    if (control->refused_ns == 0 ||
        now_ns > control->refused_ns + UINT64_C(1000000000)) {
        say("ctl: a process of another user was refused");
        control->refused_ns = now_ns;
    }
    return false;
}

static int answer(weir_writer *writer, char code, const char *text, size_t len)
{
    const char head[] = {code, '\n'};
    const int err = weir_writer_write(writer, head, sizeof(head));

    return err < 0 ? err : weir_writer_write(writer, text, len);
}

static int carry_out(const struct control *control, uid_t uid, const char *line,
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
    struct doing doing = {.worker = control->worker,
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
    struct control *control = arg;
    char line[COMMAND_LINE_MAX + 1];
    uid_t uid;

    if (!is_operator(control, writer, &uid)) {
        return 0;
    }
    weir_transport_set_busy(weir_writer_get_transport(writer), true);
    const ssize_t len =
        askers_read(&control->askers, reader, writer, &end, line, sizeof(line));
    if (len == WEIR_ELIMIT) {
        static const char text[] = "a command has 1024 bytes at most\n";
        return answer(writer, CONTROL_WRONG, text, sizeof(text) - 1);
    }
    return len <= 0 ? 0
                    : carry_out(control, uid, line, (size_t)len - 1, writer);
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
    struct control *control = path ? calloc(1, sizeof(*control)) : NULL;
    int err = path && !control ? -ENOMEM : 0;

    if (control) {
        const struct weir_start_server_options options = {
            .size = sizeof(options),
            .arg = control,
            .server = {.size = sizeof(options.server),
                       .connection_limit = ASKERS_MAX,
                       .socket_mode = 0600,
                       .connection = {
                           .size = sizeof(options.server.connection),
                           .timeouts = {.size = sizeof(
                                            options.server.connection.timeouts),
                                        .close_ns = REQUEST_NS}}}};
        control->worker = worker;
        worker->control = control; /* control_free() frees it */
        if (worker->proxy->predecessor >= 0 &&
            is_of_predecessor(worker->proxy, path)) {
            unlink(path);
        }
        err = weir_start_unix_server(worker->loop, serve, path, &options,
                                     &control->server);
    }
    if (err < 0) {
        say("ctl: %s: %s", path, weir_strerror(err));
    }
    return err;
}

void control_stop_listening(struct control *control)
{
    if (control && control->server) {
        weir_server_close(control->server);
    }
}

void control_end(struct control *control)
{
    if (control) {
        weir_server_free(control->server);
        control->server = NULL;
    }
}

void control_free(struct control *control)
{
    free(control);
}
