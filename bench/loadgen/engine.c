/* The run: opens the connections, keeps `depth` calls in flight on each, and counts.
 *
 * Phases: opening, warming, measuring, draining. Only replies that arrive while measuring
 * count for the rate; every reply counts for the ledgers, which are checked after draining. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

typedef enum { OPENING, WARMING, MEASURING, DRAINING } Phase;
enum { READ_BYTES = 64 * 1024, EVENTS_MAX = 256 };
static const double STALL_S = 20.0;

static const Options *options;
static Result *result;
static Connection *connections;
static Ledger *ledgers;
static Phase phase;
static int poller;
static uint32_t slot_mask, ready_count, keys_given;
static uint64_t in_flight, now, phase_ends_at, measure_started_at, last_progress_at;

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

void on_wire_error(Connection *connection, const char *what) {
    fail("connection %u (actor %u): %s", connection->index, connection->actor, what);
}

static bool is_publisher(const Connection *connection) {
    return options->work != FANOUT || connection->index == 0;
}

static void flush_out(Connection *connection) {
    Buffer *out = &connection->out;
    while (out->start < out->end) {
        ssize_t sent = send(connection->fd, out->bytes + out->start, out->end - out->start,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) on_wire_error(connection, strerror(errno));
        out->start += (size_t)sent;
    }
    bool waits = out->start < out->end;
    if (!waits) out->start = out->end = 0;
    if (waits == connection->waits_to_write) return;
    connection->waits_to_write = waits;
    struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
}

static void start_call(Connection *connection, const char *action) {
    uint32_t id = connection->next_id++;
    uint64_t *slot = &connection->sent_at[id & slot_mask];
    if (*slot) on_wire_error(connection, "a call stayed unanswered while its successors were");
    *slot = options->work == CREATE ? connection->opened_at : now;
    connection->in_flight++;
    in_flight++;
    write_call(options, connection, id, action);
}

static void fill(Connection *connection) {
    if (phase == DRAINING || connection->state != OPEN || !is_publisher(connection)) return;
    uint32_t depth = options->work == CREATE ? connection->next_id == 0 : options->depth;
    while (connection->in_flight < depth) start_call(connection, options->action);
}

static void open_connection(Connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->port)};
    if (inet_pton(AF_INET, options->host, &address.sin_addr) != 1) fail("--host takes an IPv4 address");
    connection->opened_at = now_ns();
    connection->next_id = connection->in_flight = 0;
    connection->in.start = connection->in.end = connection->out.start = connection->out.end = 0;
    connection->waits_to_write = false;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0) fail("socket: %s", strerror(errno));
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address))
        fail("connect to %s:%d: %s", options->host, options->port, strerror(errno));
    int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event);
    connection->state = options->dialect == WEBSOCKET ? UPGRADING : OPEN;
    if (connection->state == UPGRADING) write_upgrade(options, connection);
    else ready_count++;
    flush_out(connection);
}

static void on_open(Connection *connection) {
    connection->state = OPEN;
    if (options->work == CREATE) {
        fill(connection);
    } else if (!is_publisher(connection)) {
        write_subscription(options, connection);
        start_call(connection, "ready"); /* its reply says that the subscription is in force */
    } else {
        ready_count++;
    }
}

/* A fresh actor for each connection: hang up and come back for the next key. */
static void next_actor(Connection *connection) {
    close(connection->fd);
    connection->state = CLOSED;
    if (phase == DRAINING || keys_given >= options->create_max) return;
    connection->actor = options->first_key + keys_given++;
    open_connection(connection);
}

static void enter_in_ledger(Connection *connection, int64_t value) {
    if (options->work == CREATE) {
        if (value != 1) on_wire_error(connection, "a new actor's first result was not 1");
        return;
    }
    Ledger *ledger = &ledgers[connection->actor - options->first_key];
    if (!ledger->count || value < ledger->min) ledger->min = value;
    if (!ledger->count || value > ledger->max) ledger->max = value;
    ledger->count++;
    ledger->sum += value;
}

void on_reply(Connection *connection, Reply reply) {
    uint64_t *sent_at = &connection->sent_at[reply.id & slot_mask];
    if (!*sent_at || reply.id >= connection->next_id)
        on_wire_error(connection, "a reply to a call that is not in flight");
    uint64_t latency = now - *sent_at;
    *sent_at = 0;
    connection->in_flight--;
    in_flight--;
    if (!is_publisher(connection)) {
        ready_count++;
        return;
    }
    result->all_replies++;
    if (reply.failed) result->errors++;
    else if (reply.has_value) enter_in_ledger(connection, reply.value);
    if (phase == MEASURING && !reply.failed) {
        result->replies++;
        histogram_add(&result->latency, latency);
    }
    if (options->work == CREATE) next_actor(connection);
}

void on_event(Connection *connection, int64_t value) {
    if (connection->last_event >= 0 && value != connection->last_event + 1) result->gaps++;
    connection->last_event = value;
    if (phase == MEASURING) result->events++;
}

static void on_readable(Connection *connection) {
    Buffer *in = &connection->in;
    buffer_reserve(in, READ_BYTES);
    ssize_t size = recv(connection->fd, in->bytes + in->end, in->capacity - in->end, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) on_wire_error(connection, size ? strerror(errno) : "the server hung up");
    in->end += (size_t)size;
    last_progress_at = now = now_ns();
    if (connection->state == UPGRADING && read_upgrade(connection)) on_open(connection);
    if (connection->state == OPEN) read_messages(options, connection);
    if (connection->state != OPEN) return;
    now = now_ns();
    if (phase != OPENING) fill(connection);
    flush_out(connection);
}

static void begin_phase(Phase next, double lasts_s) {
    phase = next;
    now = now_ns();
    phase_ends_at = now + (uint64_t)(lasts_s * 1e9);
}

static void advance_phase(void) {
    if (phase == OPENING && (options->work == CREATE || ready_count == options->connections)) {
        begin_phase(WARMING, options->warmup_s);
        for (uint32_t i = 0; i < options->connections; i++) {
            fill(&connections[i]);
            flush_out(&connections[i]);
        }
    }
    if (phase == WARMING && now >= phase_ends_at) {
        begin_phase(MEASURING, options->duration_s);
        measure_started_at = now;
        result->cpu_s = cpu_seconds();
    }
    bool created_all = options->work == CREATE && keys_given >= options->create_max && !in_flight;
    if (phase == MEASURING && (now >= phase_ends_at || created_all)) {
        result->seconds = (double)(now - measure_started_at) / 1e9;
        result->cpu_s = cpu_seconds() - result->cpu_s;
        begin_phase(DRAINING, STALL_S);
    }
    if (now > last_progress_at + (uint64_t)(STALL_S * 1e9))
        fail("nothing was answered for %.0f s with %llu calls in flight", STALL_S,
             (unsigned long long)in_flight);
}

static bool check_ledgers(void) {
    uint64_t entered = 0;
    for (uint32_t i = 0; i < options->actors; i++) {
        const Ledger *ledger = &ledgers[i];
        if (!ledger->count) continue;
        entered += ledger->count;
        if ((uint64_t)(ledger->max - ledger->min) + 1 != ledger->count) return false;
        if (ledger->sum * 2 != ((__int128)ledger->min + ledger->max) * (__int128)ledger->count) return false;
    }
    return entered > 0;
}

static void open_all(void) {
    uint32_t slots = 1024;
    while (slots < options->depth * 8) slots *= 2;
    slot_mask = slots - 1;
    connections = calloc(options->connections, sizeof *connections);
    ledgers = calloc(options->actors, sizeof *ledgers);
    if (!connections || !ledgers) fail("out of memory");
    for (uint32_t i = 0; i < options->connections; i++) {
        Connection *connection = &connections[i];
        connection->index = i;
        uint32_t offset = options->work == CREATE ? keys_given++ : i % options->actors;
        connection->actor = options->first_key + offset;
        connection->last_event = -1;
        connection->sent_at = calloc(slots, sizeof *connection->sent_at);
        if (!connection->sent_at) fail("out of memory");
        open_connection(connection);
    }
}

void run_load(const Options *run_options, Result *run_result) {
    options = run_options;
    result = run_result;
    poller = epoll_create1(0);
    last_progress_at = now = now_ns();
    open_all();
    struct epoll_event events[EVENTS_MAX];
    for (advance_phase(); phase != DRAINING || in_flight; advance_phase()) {
        int64_t left_ms = ((int64_t)phase_ends_at - (int64_t)now) / 1000000;
        if (phase == OPENING || left_ms > 100) left_ms = 100;
        int count = epoll_wait(poller, events, EVENTS_MAX, left_ms < 1 ? 1 : (int)left_ms);
        now = now_ns();
        for (int i = 0; i < count; i++) {
            Connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush_out(connection);
            if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) on_readable(connection);
        }
    }
    result->unanswered = in_flight;
    result->exact = check_ledgers();
    result->last_value = ledgers[0].max;
}
