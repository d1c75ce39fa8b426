/* Protocol v1 in JSON over WebSocket, Redis's RESP, and a plain echo: calls into bytes, bytes
 * into replies. Nothing here keeps time or decides what counts. */
#define _GNU_SOURCE
#include "load.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ECHO_BYTES = 100, CLOSE = 8, PING = 9, PONG = 10, TEXT = 1 };

/* The first refusal is shown; all are counted. */
static void show_refusal(const char *text, size_t size) {
    static bool shown;
    if (!shown) fprintf(stderr, "load: refused: %.*s\n", (int)size, text);
    shown = true;
}

static void write_frame(Connection *connection, uint8_t opcode, const char *text, size_t size) {
    static uint32_t mask_state = 0x9e3779b9u;
    mask_state = mask_state * 1664525u + 1013904223u;
    uint8_t head[8] = {(uint8_t)(0x80 | opcode)}, mask[4];
    size_t head_size = 2;
    memcpy(mask, &mask_state, 4);
    if (size < 126) {
        head[1] = (uint8_t)(0x80 | size);
    } else if (size < 65536) {
        uint16_t wire = htobe16((uint16_t)size);
        head[1] = 0x80 | 126;
        memcpy(head + 2, &wire, 2);
        head_size = 4;
    } else {
        fail("a call of %zu bytes is more than one v1 frame may have", size);
    }
    memcpy(head + head_size, mask, 4);
    buffer_append(&connection->out, head, head_size + 4);
    buffer_reserve(&connection->out, size);
    uint8_t *to = connection->out.bytes + connection->out.end;
    for (size_t i = 0; i < size; i++) to[i] = (uint8_t)text[i] ^ mask[i & 3];
    connection->out.end += size;
}

void write_upgrade(const Options *options, Connection *connection) {
    char head[1024];
    int size = snprintf(head, sizeof head,
                        "GET %s%u/connect?version=1&format=json HTTP/1.1\r\nHost: %s:%d\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                        options->path_prefix, connection->actor, options->host, options->port);
    if (size < 0 || (size_t)size >= sizeof head) fail("the path is too long");
    buffer_append(&connection->out, head, (size_t)size);
}

bool read_upgrade(Connection *connection) {
    Buffer *in = &connection->in;
    char *start = (char *)in->bytes + in->start;
    char *end = memmem(start, in->end - in->start, "\r\n\r\n", 4);
    if (!end) return false;
    if (strncmp(start, "HTTP/1.1 101", 12)) fail("not upgraded: %.*s", (int)(end - start), start);
    in->start += (size_t)(end + 4 - start);
    return true;
}

void write_call(const Options *options, Connection *connection, uint32_t id, const char *action) {
    static uint64_t value;
    char text[4096];
    int size;
    switch (options->dialect) {
    case WEBSOCKET:
        size = snprintf(text, sizeof text, "{\"body\":{\"rr\":{\"i\":%u,\"n\":\"%s\",\"a\":%s}}}", id,
                        action, options->arguments);
        if (size < 0 || (size_t)size >= sizeof text) fail("the arguments are too long");
        write_frame(connection, TEXT, text, (size_t)size);
        return;
    case REDIS: { /* every value new: an identical one might be free */
        char key[32];
        int key_size = snprintf(key, sizeof key, "k%u", connection->actor);
        size = snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$16\r\n%016llx\r\n",
                        key_size, key, (unsigned long long)++value);
        break;
    }
    default:
        memset(text, 'e', ECHO_BYTES);
        size = ECHO_BYTES;
    }
    buffer_append(&connection->out, text, (size_t)size);
}

void write_subscription(const Options *options, Connection *connection) {
    char text[256];
    int size = snprintf(text, sizeof text, "{\"body\":{\"sr\":{\"e\":\"%s\",\"s\":true}}}",
                        options->event);
    write_frame(connection, TEXT, text, (size_t)size);
}

/* Where the value of `name` begins in one of our own small frames, or null. */
static const char *find_value(const char *text, const char *end, const char *name) {
    const char *found = memmem(text, (size_t)(end - text), name, strlen(name));
    if (!found) return NULL;
    for (found += strlen(name); found < end && (*found == ' ' || *found == ':'); found++) continue;
    return found < end ? found : NULL;
}

static bool read_integer(const char *text, const char *end, int64_t *value) {
    bool negative = text < end && *text == '-';
    const char *digit = text + negative;
    int64_t sum = 0;
    for (; digit < end && *digit >= '0' && *digit <= '9'; digit++) sum = sum * 10 + (*digit - '0');
    *value = negative ? -sum : sum;
    return digit > text + negative;
}

static void read_text(Connection *connection, const char *text, size_t size) {
    const char *end = text + size, *at;
    int64_t number = 0;
    if ((at = find_value(text, end, "\"ro\"")) || (at = find_value(text, end, "\"re\""))) {
        Reply reply = {.failed = !find_value(text, end, "\"ro\"")};
        const char *id = find_value(at, end, "\"i\""), *output = find_value(at, end, "\"o\"");
        if (!id || !read_integer(id, end, &number)) on_wire_error(connection, "a reply without an id");
        reply.id = (uint32_t)number;
        if (reply.failed) show_refusal(text, size);
        else if (!output) on_wire_error(connection, "a reply without an output");
        else reply.has_value = read_integer(output, end, &reply.value);
        on_reply(connection, reply);
    } else if ((at = find_value(text, end, "\"ev\""))) {
        const char *arguments = find_value(at, end, "\"a\"");
        if (!arguments || !read_integer(arguments + 1, end, &number))
            on_wire_error(connection, "an event without a number");
        on_event(connection, number);
    } else {
        fail("unexpected frame: %.*s", (int)size, text);
    }
}

/* One frame from the front of the buffer; false when it isn't whole yet. */
static bool read_frame(Connection *connection) {
    Buffer *in = &connection->in;
    uint8_t *head = in->bytes + in->start;
    size_t available = in->end - in->start, head_size = 2, size;
    if (available < 2) return false;
    size = head[1];
    if (size & 0x80) on_wire_error(connection, "a masked frame from a server");
    if (size >= 126) {
        uint64_t wide = 0;
        size_t width = size == 126 ? 2 : 8;
        head_size = 2 + width;
        if (available < head_size) return false;
        for (size_t i = 0; i < width; i++) wide = wide << 8 | head[2 + i];
        size = wide;
    }
    if (available < head_size + size) {
        buffer_reserve(in, head_size + size - available);
        return false;
    }
    uint8_t opcode = head[0] & 15;
    in->start += head_size + size;
    if (!(head[0] & 0x80)) on_wire_error(connection, "a fragmented frame");
    if (opcode == TEXT) read_text(connection, (char *)head + head_size, size);
    else if (opcode == PING) write_frame(connection, PONG, (char *)head + head_size, size);
    else if (opcode == CLOSE) on_wire_error(connection, "the server closed the connection");
    return connection->state == OPEN;
}

static bool read_redis(Connection *connection) {
    Buffer *in = &connection->in;
    char *start = (char *)in->bytes + in->start;
    char *end = memchr(start, '\n', in->end - in->start);
    if (!end) return false;
    if (*start != '+') show_refusal(start, (size_t)(end - start));
    in->start += (size_t)(end + 1 - start);
    on_reply(connection, (Reply){.id = connection->next_id - connection->in_flight,
                                 .failed = *start != '+'});
    return true;
}

static bool read_echo(Connection *connection) {
    Buffer *in = &connection->in;
    if (in->end - in->start < ECHO_BYTES) return false;
    in->start += ECHO_BYTES;
    on_reply(connection, (Reply){.id = connection->next_id - connection->in_flight});
    return true;
}

void read_messages(const Options *options, Connection *connection) {
    bool (*read_one)(Connection *) = options->dialect == WEBSOCKET ? read_frame
                                     : options->dialect == REDIS   ? read_redis
                                                                   : read_echo;
    while (connection->in.start < connection->in.end && read_one(connection)) continue;
    if (connection->in.start == connection->in.end) connection->in.start = connection->in.end = 0;
}
