/* A bare TCP echo server: the floor that a loopback round trip has on this machine. */
#include "load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512))
        fail("cannot listen on port %d", port);
    return listener;
}

static void watch(int poller, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void answer(int fd) {
    static char bytes[256 * 1024];
    ssize_t size = recv(fd, bytes, sizeof bytes, 0);
    if (size <= 0 || send(fd, bytes, (size_t)size, MSG_NOSIGNAL) != size) close(fd);
}

_Noreturn void serve_echo(const Options *options) {
    int poller = epoll_create1(0), listener = listen_on(options->port), on = 1;
    watch(poller, listener);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(poller, &event, 1, -1) < 1) continue;
        if (event.data.fd != listener) {
            answer(event.data.fd);
            continue;
        }
        int peer = accept(listener, NULL, NULL);
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(poller, peer);
    }
}
