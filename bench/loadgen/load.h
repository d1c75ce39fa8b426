/* The load generator's shared words. What lives here: types and the calls between its files.
 *
 * One thread, one epoll, pinned by the caller's wish: main.c reads the options and prints the
 * result, engine.c opens connections, keeps calls in flight and decides what counts, and
 * dialect.c turns calls into bytes and bytes into replies. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { WEBSOCKET, REDIS, ECHO } Dialect;
typedef enum { CALLS, CREATE, FANOUT } Work;
typedef enum { CLOSED, UPGRADING, OPEN } State;

typedef struct {
    Dialect dialect;
    Work work;
    const char *host, *path_prefix, *action, *arguments, *event;
    int port, core;
    uint32_t connections, actors, depth, create_max, first_key;
    double warmup_s, duration_s;
} Options;

typedef struct {
    uint8_t *bytes;
    size_t start, end, capacity;
} Buffer;

typedef struct {
    int fd;
    State state;
    bool waits_to_write;
    uint32_t index, actor;
    uint32_t next_id, in_flight;
    uint64_t opened_at;
    uint64_t *sent_at; /* by id & slot_mask; 0: nothing in flight under it */
    int64_t last_event;
    Buffer in, out;
} Connection;

/* What an answer said. `value` is meaningful only with `has_value` (an integer result). */
typedef struct {
    uint32_t id;
    bool failed, has_value;
    int64_t value;
} Reply;

enum { HISTOGRAM_BUCKETS = 64 * 40 };
typedef struct {
    uint64_t count, max_ns, buckets[HISTOGRAM_BUCKETS];
} Histogram;

/* Per actor: integer results must be `count` distinct ones in a row, or a call was lost or
 * answered twice. */
typedef struct {
    uint64_t count;
    int64_t min, max;
    __int128 sum;
} Ledger;

typedef struct {
    uint64_t replies, events, errors, gaps, unanswered, all_replies;
    int64_t last_value; /* the highest result of the first actor */
    double seconds, cpu_s;
    bool exact;
    Histogram latency;
} Result;

_Noreturn void fail(const char *format, ...);
uint64_t now_ns(void);

void histogram_add(Histogram *histogram, uint64_t ns);
double histogram_percentile_us(const Histogram *histogram, double share);

void buffer_reserve(Buffer *buffer, size_t more);
void buffer_append(Buffer *buffer, const void *bytes, size_t size);

/* dialect.c: bytes for one request; `false` from a reader means "needs more bytes". */
void write_upgrade(const Options *options, Connection *connection);
bool read_upgrade(Connection *connection);
void write_call(const Options *options, Connection *connection, uint32_t id, const char *action);
void write_subscription(const Options *options, Connection *connection);
void read_messages(const Options *options, Connection *connection);

/* engine.c: what the dialects report, and the whole run. */
void on_reply(Connection *connection, Reply reply);
void on_event(Connection *connection, int64_t value);
void on_wire_error(Connection *connection, const char *what);
void run_load(const Options *options, Result *result);
_Noreturn void serve_echo(const Options *options);
