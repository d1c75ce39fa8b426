/* Clock, buffers, histogram: what every file of the generator needs and nothing else. */
#include "load.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void buffer_reserve(Buffer *buffer, size_t more) {
    if (buffer->end + more <= buffer->capacity) return;
    if (buffer->start) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->end - buffer->start);
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    while (buffer->end + more > buffer->capacity)
        buffer->capacity = buffer->capacity ? buffer->capacity * 2 : 4096;
    buffer->bytes = realloc(buffer->bytes, buffer->capacity);
    if (!buffer->bytes) fail("out of memory");
}

void buffer_append(Buffer *buffer, const void *bytes, size_t size) {
    buffer_reserve(buffer, size);
    memcpy(buffer->bytes + buffer->end, bytes, size);
    buffer->end += size;
}

/* 64 buckets an octave: a percentile is at most 1.6 % too high. */
void histogram_add(Histogram *histogram, uint64_t ns) {
    uint32_t bucket;
    if (ns < 64) {
        bucket = (uint32_t)ns;
    } else {
        uint32_t octave = 63u - (uint32_t)__builtin_clzll(ns) - 6u;
        bucket = (octave + 1) * 64 + (uint32_t)((ns >> octave) & 63);
    }
    if (bucket >= HISTOGRAM_BUCKETS) bucket = HISTOGRAM_BUCKETS - 1;
    histogram->buckets[bucket]++;
    histogram->count++;
    if (ns > histogram->max_ns) histogram->max_ns = ns;
}

double histogram_percentile_us(const Histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count), seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen < wanted || !seen) continue;
        if (bucket < 64) return bucket / 1e3;
        uint32_t octave = bucket / 64 - 1;
        return (double)((uint64_t)(64 + bucket % 64 + 1) << octave) / 1e3;
    }
    return 0;
}
