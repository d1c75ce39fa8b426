/* Options in, one JSON line out. */
#define _GNU_SOURCE
#include "load.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char USAGE[] =
    "usage: load calls|create|fanout|redis|echo|serve-echo --port PORT [options]\n"
    "  --host ADDRESS (127.0.0.1)  --path PREFIX (/actors/counter/k; the actor's number follows)\n"
    "  --action NAME --args JSON --event NAME\n"
    "  --connections N --depth D (calls in flight on each) --actors N --first-key N\n"
    "  --create N (at most so many new actors)  --warmup S --seconds S --core N (pin; -1: don't)\n";

static const struct option LONG[] = {
    {"port", 1, 0, 'p'},  {"host", 1, 0, 'h'},    {"path", 1, 0, 'P'},   {"action", 1, 0, 'a'},
    {"args", 1, 0, 'A'},  {"event", 1, 0, 'e'},   {"connections", 1, 0, 'c'}, {"depth", 1, 0, 'd'},
    {"actors", 1, 0, 'n'}, {"create", 1, 0, 'm'}, {"first-key", 1, 0, 'f'},
    {"warmup", 1, 0, 'w'}, {"seconds", 1, 0, 's'}, {"core", 1, 0, 'k'}, {0, 0, 0, 0}};

static void read_option(Options *options, int option) {
    switch (option) {
    case 'p': options->port = atoi(optarg); break;
    case 'h': options->host = optarg; break;
    case 'P': options->path_prefix = optarg; break;
    case 'a': options->action = optarg; break;
    case 'A': options->arguments = optarg; break;
    case 'e': options->event = optarg; break;
    case 'c': options->connections = (uint32_t)atoi(optarg); break;
    case 'd': options->depth = (uint32_t)atoi(optarg); break;
    case 'n': options->actors = (uint32_t)atoi(optarg); break;
    case 'm': options->create_max = (uint32_t)atoi(optarg); break;
    case 'f': options->first_key = (uint32_t)atoi(optarg); break;
    case 'w': options->warmup_s = atof(optarg); break;
    case 's': options->duration_s = atof(optarg); break;
    case 'k': options->core = atoi(optarg); break;
    default: fail("%s", USAGE);
    }
}

static void read_mode(Options *options, const char *mode) {
    if (!strcmp(mode, "create")) options->work = CREATE;
    else if (!strcmp(mode, "fanout")) options->work = FANOUT;
    else if (!strcmp(mode, "redis")) options->dialect = REDIS;
    else if (!strcmp(mode, "echo") || !strcmp(mode, "serve-echo")) options->dialect = ECHO;
    else if (strcmp(mode, "calls")) fail("%s", USAGE);
}

static void pin(int core) {
    if (core < 0) return;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores)) fail("cannot pin to core %d", core);
}

static void print_result(const Options *options, const Result *result) {
    double seconds = result->seconds > 0 ? result->seconds : 1;
    const Histogram *latency = &result->latency;
    printf("{\"replies\":%llu,\"events\":%llu,\"errors\":%llu,\"gaps\":%llu,\"unanswered\":%llu,",
           (unsigned long long)result->replies, (unsigned long long)result->events,
           (unsigned long long)result->errors, (unsigned long long)result->gaps,
           (unsigned long long)result->unanswered);
    printf("\"all_replies\":%llu,\"last_value\":%lld,\"exact\":%s,",
           (unsigned long long)result->all_replies, (long long)result->last_value,
           result->exact ? "true" : "false");
    printf("\"seconds\":%.4f,\"rate\":%.1f,\"event_rate\":%.1f,", seconds,
           (double)result->replies / seconds, (double)result->events / seconds);
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,",
           histogram_percentile_us(latency, 0.50), histogram_percentile_us(latency, 0.99),
           histogram_percentile_us(latency, 0.999), (double)latency->max_ns / 1e3);
    printf("\"generator_cpu_share\":%.3f,\"connections\":%u,\"depth\":%u,\"actors\":%u}\n",
           result->cpu_s / seconds, options->connections, options->depth, options->actors);
}

int main(int count, char **words) {
    Options options = {.host = "127.0.0.1", .path_prefix = "/actors/counter/k", .action = "increment",
                       .arguments = "[]", .event = "tick", .core = -1, .connections = 1, .actors = 1,
                       .depth = 1, .create_max = UINT32_MAX, .warmup_s = 0.3, .duration_s = 2};
    if (count < 2) fail("%s", USAGE);
    read_mode(&options, words[1]);
    for (int option; (option = getopt_long(count - 1, words + 1, "", LONG, NULL)) != -1;)
        read_option(&options, option);
    if (options.port <= 0 || !options.connections || !options.actors || !options.depth) fail("%s", USAGE);
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    pin(options.core);
    if (!strcmp(words[1], "serve-echo")) serve_echo(&options);
    static Result result;
    run_load(&options, &result);
    print_result(&options, &result);
    return result.errors || result.gaps || result.unanswered ? 1 : 0;
}
