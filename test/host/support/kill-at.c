// Preloaded into a process: kills it right before its Nth change of names or flush below a folder, as a power cut would.
//   KILL_BELOW=DIR  counts what happens below this folder only      KILL_AT=N      0 counts, and kills nothing
//   KILL_COUNT=FILE where the number of steps is written at the end
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int steps;

static void step(const char *path) {
  const char *below = getenv("KILL_BELOW"), *at = getenv("KILL_AT");
  if (below == NULL || at == NULL || strncmp(path, below, strlen(below)) != 0) return;
  if (atomic_fetch_add(&steps, 1) + 1 == atoi(at)) kill(getpid(), SIGKILL);
}

static void step_file(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = 0;
  step(path);
}

// A path in an open folder, as of a data folder, is resolved first.
static void step_path(const char *path) {
  char folder[4096], resolved[8192];
  const char *slash = strrchr(path, '/');
  if (strncmp(path, "/proc/self/fd/", 14) != 0 || slash == NULL) {
    step(path);
    return;
  }
  snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
  if (realpath(folder, resolved) != NULL) step(resolved);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

int rename(const char *from, const char *to) { step_path(to); return REAL(int, rename, const char *, const char *)(from, to); }
int symlink(const char *to, const char *path) { step_path(path); return REAL(int, symlink, const char *, const char *)(to, path); }
int link(const char *from, const char *to) { step_path(to); return REAL(int, link, const char *, const char *)(from, to); }
int unlink(const char *path) { step_path(path); return REAL(int, unlink, const char *)(path); }
int rmdir(const char *path) { step_path(path); return REAL(int, rmdir, const char *)(path); }
int mkdir(const char *path, mode_t mode) { step_path(path); return REAL(int, mkdir, const char *, mode_t)(path, mode); }
int fsync(int file) { step_file(file); return REAL(int, fsync, int)(file); }
int fdatasync(int file) { step_file(file); return REAL(int, fdatasync, int)(file); }

__attribute__((destructor)) static void tell(void) {
  const char *name = getenv("KILL_COUNT");
  FILE *file = name == NULL ? NULL : fopen(name, "w");
  if (file == NULL) return;
  fprintf(file, "%d\n", atomic_load(&steps));
  fclose(file);
}
