/* What the machine can do: one thread, one epoll, that parses a head and writes. It keeps nothing.
 *
 *     reference each PORT      one write a stream a message
 *     reference gather PORT    one write a stream for all that came in one turn
 *
 * GET /events is a stream; POST /send goes to all of them; any other POST is only answered. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 8192, EVENTS = 512 };

struct bytes { char *at; size_t length, room; };
struct peer { int fd, stream, index; size_t got; char *in; struct bytes left; };

static struct peer **streams;
static int count, room, gather, epoll;
static struct bytes turn;

static void add(struct bytes *to, const char *from, size_t length) {
    if (to->length + length > to->room) {
        to->room = (to->length + length) * 2;
        to->at = realloc(to->at, to->room);
        if (!to->at) abort();
    }
    memcpy(to->at + to->length, from, length);
    to->length += length;
}

static void watch(struct peer *peer, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = peer};
    epoll_ctl(epoll, operation, peer->fd, &event);
}

static void send_to(struct peer *peer, const char *from, size_t length) {
    ssize_t sent = 0;
    if (!peer->left.length) {
        sent = write(peer->fd, from, length);
        if (sent < 0) sent = 0;
        if ((size_t)sent == length) return;
        watch(peer, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    add(&peer->left, from + sent, length - sent);
}

static void flush_left(struct peer *peer) {
    ssize_t sent = write(peer->fd, peer->left.at, peer->left.length);
    if (sent < 0) return;
    peer->left.length -= sent;
    memmove(peer->left.at, peer->left.at + sent, peer->left.length);
    if (!peer->left.length) watch(peer, EPOLL_CTL_MOD, EPOLLIN);
}

static void to_streams(const char *from, size_t length) {
    for (int i = 0; i < count; i++) send_to(streams[i], from, length);
}

static void told(const char *text, size_t length) {
    static struct bytes frame;
    struct bytes *to = gather ? &turn : &frame;
    if (!gather) frame.length = 0;
    add(to, "data: ", 6);
    add(to, text, length);
    add(to, "\n\n", 2);
    if (!gather) to_streams(frame.at, frame.length);
}

static void ended(struct peer *peer) {
    if (peer->stream) {
        streams[peer->index] = streams[--count];
        streams[peer->index]->index = peer->index;
    }
    close(peer->fd);
    free(peer->in);
    free(peer->left.at);
    free(peer);
}

static void stream(struct peer *peer) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    if (count == room) {
        room = room ? room * 2 : 1024;
        streams = realloc(streams, room * sizeof *streams);
        if (!streams) abort();
    }
    peer->stream = 1;
    peer->index = count;
    streams[count++] = peer;
    send_to(peer, head, sizeof head - 1);
    free(peer->in);
    peer->in = NULL;
}

/* Takes the requests that are whole; 0 where the peer is to go. */
static int requests(struct peer *peer) {
    static const char done[] = "HTTP/1.1 204 No Content\r\n\r\n";
    for (;;) {
        peer->in[peer->got] = 0;
        char *end = strstr(peer->in, "\r\n\r\n");
        if (!end) return peer->got < HEAD;
        end += 4;
        if (!strncmp(peer->in, "GET /events ", 12)) return stream(peer), 1;
        if (strncmp(peer->in, "POST /", 6)) return 0;
        char *field = strcasestr(peer->in, "\r\ncontent-length:");
        size_t length = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
        size_t whole = end - peer->in + length;
        if (whole > HEAD) return 0;
        if (peer->got < whole) return 1;
        if (!strncmp(peer->in, "POST /send ", 11)) told(end, length);
        send_to(peer, done, sizeof done - 1);
        peer->got -= whole;
        memmove(peer->in, peer->in + whole, peer->got);
    }
}

/* 0 where the peer is gone. */
static int readable(struct peer *peer) {
    char none[64];
    char *to = peer->stream ? none : peer->in + peer->got;
    ssize_t got = read(peer->fd, to, peer->stream ? sizeof none : HEAD - peer->got);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return 0;
    if (peer->stream) return 1;
    peer->got += got;
    return requests(peer);
}

static void accepted(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer *peer = calloc(1, sizeof *peer);
        if (!peer || !(peer->in = malloc(HEAD + 1))) abort();
        peer->fd = fd;
        watch(peer, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(int arguments, char **argument) {
    if (arguments != 3) return fprintf(stderr, "reference each|gather PORT\n"), 2;
    gather = !strcmp(argument[1], "gather");
    signal(SIGPIPE, SIG_IGN);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argument[2])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1024))
        return perror("reference"), 1;
    epoll = epoll_create1(0);
    struct epoll_event first = {.events = EPOLLIN}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &first);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer) { accepted(listener); continue; }
            if (peer->left.length && events[i].events & EPOLLOUT) flush_left(peer);
            if (events[i].events & ~EPOLLOUT && !readable(peer)) ended(peer);
        }
        if (turn.length) to_streams(turn.at, turn.length);
        turn.length = 0;
    }
}
