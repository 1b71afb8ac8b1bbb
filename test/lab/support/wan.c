/*
 * A long line between two network namespaces, for kernels without netem: two TUN devices with this process between.
 *
 *   wan NS_A IF_A NS_B IF_B DELAY_US RATE_BIT_S LOSS_PPM QUEUE_MS
 *
 * Each direction has the delay, a rate, a tail-drop queue of QUEUE_MS at that rate, and random loss (a fixed seed, so
 * that a run can be repeated). Commands come as lines on standard input; one line on standard output answers each:
 *
 *   cut | heal                                  -> ok
 *   cut forward | cut backward                  -> ok   (A to B, B to A: half a cut)
 *   shape DELAY_US RATE_BIT_S LOSS_PPM QUEUE_MS -> ok
 *   count                                       -> BYTES_A_TO_B BYTES_B_TO_A DROPPED_A_TO_B DROPPED_B_TO_A
 *
 * End of input ends the process, and with it the devices: a driver that was killed leaves nothing behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_MAX = 1600, SLOTS = 16384, BURST = 64 };
#define SECOND 1000000000ull

struct shape {
  uint64_t delay_ns, rate_bytes, queue_ns;
  uint32_t loss_ppm;
};

struct packet {
  uint64_t due;
  int length;
  unsigned char bytes[PACKET_MAX];
};

/* One direction: a ring of packets in order of their due time, and when the line will be free again. */
struct direction {
  struct packet *ring;
  unsigned head, tail;
  uint64_t free_at, carried, dropped;
  int cut;
};

static struct shape shape;
static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint32_t chance_ppm(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed % 1000000);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_tun(const char *namespace, const char *name) {
  char path[300];
  snprintf(path, sizeof path, "/run/netns/%s", namespace);
  int ns = open(path, O_RDONLY | O_CLOEXEC);
  if (ns < 0 || setns(ns, CLONE_NEWNET)) fail(path);
  close(ns);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq request;
  memset(&request, 0, sizeof request);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request)) fail("/dev/net/tun");
  return fd;
}

static void set_shape(const char *delay_us, const char *rate_bit, const char *loss_ppm, const char *queue_ms) {
  shape.delay_ns = strtoull(delay_us, NULL, 10) * 1000;
  shape.rate_bytes = strtoull(rate_bit, NULL, 10) / 8;
  shape.loss_ppm = (uint32_t)strtoul(loss_ppm, NULL, 10);
  shape.queue_ns = strtoull(queue_ms, NULL, 10) * 1000000;
}

/* Reads the sender's device, and gives each packet its due time or drops it. */
static void take(struct direction *direction, int from) {
  for (int i = 0; i < BURST && direction->tail - direction->head < SLOTS; i++) {
    struct packet *p = &direction->ring[direction->tail % SLOTS];
    p->length = (int)read(from, p->bytes, PACKET_MAX);
    if (p->length <= 0) return;
    uint64_t t = now(), start = direction->free_at > t ? direction->free_at : t;
    if (direction->cut || (shape.loss_ppm && chance_ppm() < shape.loss_ppm) || (shape.rate_bytes && start - t > shape.queue_ns)) {
      direction->dropped++;
      continue;
    }
    direction->free_at = shape.rate_bytes ? start + (uint64_t)p->length * SECOND / shape.rate_bytes : t;
    p->due = direction->free_at + shape.delay_ns;
    direction->tail++;
  }
}

/* Delivers what is due; returns when the next packet is due. */
static uint64_t deliver(struct direction *direction, int to, uint64_t t) {
  for (; direction->head != direction->tail; direction->head++) {
    struct packet *p = &direction->ring[direction->head % SLOTS];
    if (p->due > t) return p->due;
    if (direction->cut || write(to, p->bytes, (size_t)p->length) != p->length) direction->dropped++;
    else direction->carried += (uint64_t)p->length;
  }
  return UINT64_MAX;
}

static void obey(char *line, struct direction *directions) {
  char *save = NULL, *word[5] = {0};
  int words = 0;
  for (char *w = strtok_r(line, " \n", &save); w && words < 5; w = strtok_r(NULL, " \n", &save)) word[words++] = w;
  if (words == 0) return;
  if (!strcmp(word[0], "count")) {
    printf("%llu %llu %llu %llu\n", (unsigned long long)directions[0].carried, (unsigned long long)directions[1].carried,
           (unsigned long long)directions[0].dropped, (unsigned long long)directions[1].dropped);
  } else {
    int forward = words == 1 || !strcmp(word[1], "forward"), backward = words == 1 || !strcmp(word[1], "backward");
    if (!strcmp(word[0], "cut") && forward + backward > 0) directions[0].cut |= forward, directions[1].cut |= backward;
    else if (!strcmp(word[0], "heal")) directions[0].cut = directions[1].cut = 0;
    else if (!strcmp(word[0], "shape") && words == 5) set_shape(word[1], word[2], word[3], word[4]);
    else { puts("unknown"); fflush(stdout); return; }
    puts("ok");
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 9) {
    fprintf(stderr, "usage: wan NS_A IF_A NS_B IF_B DELAY_US RATE_BIT_S LOSS_PPM QUEUE_MS\n");
    return 2;
  }
  int end[2] = {open_tun(argv[1], argv[2]), open_tun(argv[3], argv[4])};
  set_shape(argv[5], argv[6], argv[7], argv[8]);
  struct direction directions[2];
  memset(directions, 0, sizeof directions);
  for (int i = 0; i < 2; i++)
    if (!(directions[i].ring = malloc(sizeof(struct packet) * SLOTS))) fail("malloc");
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  char line[256];
  size_t filled = 0;
  puts("up");
  fflush(stdout);
  for (;;) {
    uint64_t wake = UINT64_MAX, t = now();
    for (int i = 0; i < 2; i++) {
      uint64_t due = deliver(&directions[i], end[!i], t);
      if (due < wake) wake = due;
    }
    struct itimerspec at = {.it_value = {0, 0}};
    if (wake != UINT64_MAX) at.it_value = (struct timespec){(time_t)(wake / SECOND), (long)(wake % SECOND)};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    struct pollfd ready[4] = {{end[0], POLLIN, 0}, {end[1], POLLIN, 0}, {timer, POLLIN, 0}, {0, POLLIN, 0}};
    if (poll(ready, 4, -1) < 0 && errno != EINTR) fail("poll");
    for (int i = 0; i < 2; i++)
      if (ready[i].revents) take(&directions[i], end[i]);
    uint64_t expirations;
    if (ready[2].revents && read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) fail("timer");
    if (!ready[3].revents) continue;
    ssize_t n = read(0, line + filled, sizeof line - 1 - filled);
    if (n <= 0) return 0;
    filled += (size_t)n;
    line[filled] = 0;
    for (char *newline; (newline = memchr(line, '\n', filled)) != NULL;) {
      char one[256];
      size_t length = (size_t)(newline - line) + 1;
      memcpy(one, line, length);
      one[length] = 0;
      memmove(line, line + length, filled - length + 1);
      filled -= length;
      obey(one, directions);
    }
    if (filled == sizeof line - 1) return 1;
  }
}
