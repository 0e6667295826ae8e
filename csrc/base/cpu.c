/* Detection of the instruction set and of the number of CPUs this process may use.
 *
 * Everything is asked afresh on each call: the callers (kernels/dispatch.c and the pool) ask once at
 * load. On machines other than x86-64 there is one instruction set, the baseline (NEON on arm64).
 * Reads files under /proc and /sys on Linux; a file that can't be read or parsed sets no limit. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/cpu.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const tg_isa_name[TG_ISA_COUNT] = {"base", "avx2", "avx512"};

bool tg_cpu_supports(tg_isa isa) {
#ifdef __x86_64__
  /* The built-ins also check that the operating system saves the wide registers. */
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  unsigned eax, ebx, ecx, edx; /* not every clang knows f16c by name */
  avx2 = avx2 && __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
  if (isa == TG_ISA_AVX2) return avx2;
  if (isa == TG_ISA_AVX512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  return isa == TG_ISA_BASE;
}

bool tg_cpu_multiplies_bf16(void) {
#ifdef __x86_64__
  unsigned eax, ebx, ecx, edx;
  return tg_cpu_supports(TG_ISA_AVX512) && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1 << 5);
#else
  return false;
#endif
}

tg_isa tg_cpu_choose(const char **ignored) {
  tg_isa best = TG_ISA_BASE;
  for (int isa = TG_ISA_COUNT - 1; isa > TG_ISA_BASE; isa--) {
    if (tg_cpu_supports((tg_isa)isa)) {
      best = (tg_isa)isa;
      break;
    }
  }
  if (ignored) *ignored = NULL;
  const char *wish = getenv("TEENYGRAD_ISA");
  if (!wish || !*wish) return best;
  for (int isa = 0; isa < TG_ISA_COUNT; isa++)
    if (strcmp(wish, tg_isa_name[isa]) == 0 && tg_cpu_supports((tg_isa)isa)) return (tg_isa)isa;
  if (ignored) *ignored = wish;
  return best;
}

#ifdef __linux__

#define PATH_SIZE 4096

/* Up to two numbers at the start of a file; those that aren't there stay as they are. */
static void read_numbers(const char *directory, const char *name, long *first, long *second) {
  char path[PATH_SIZE + 32];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "re");
  if (!file) return;
  if (fscanf(file, "%ld %ld", first, second) < 1) *first = 0; /* the word "max" */
  fclose(file);
}

/* The CPU quota that the group `directory` sets, in CPUs rounded up; 0 if it sets none.
 * Version 2 keeps quota and period in one file, version 1 in two, a quota of -1 meaning none. */
static long group_quota(const char *directory) {
  long quota = 0, period = 0, none = 0;
  read_numbers(directory, "cpu.max", &quota, &period);
  read_numbers(directory, "cpu.cfs_quota_us", &quota, &none);
  read_numbers(directory, "cpu.cfs_period_us", &period, &none);
  return quota > 0 && period > 0 ? (quota - 1) / period + 1 : 0;
}

/* The tightest quota on the way from the group `path` under `mount` up to the root; 0 if there is none.
 * Every group on the way limits the process. Inside a container the path may be the host's and lie
 * outside the mount: then only the root is found, which is the container's own group. */
static long path_quota(const char *mount, const char *path) {
  char directory[PATH_SIZE];
  int length = snprintf(directory, sizeof directory, "%s%s", mount, path);
  if (length < 0 || (size_t)length >= sizeof directory) return 0;
  long tightest = 0;
  for (;;) {
    long quota = group_quota(directory);
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
    char *slash = strrchr(directory, '/');
    if (!slash || (size_t)(slash - directory) < strlen(mount)) return tightest;
    *slash = '\0';
  }
}

/* CPUs that the cgroup quota allows; 0 if it sets no limit. `membership` has a line "id:controllers:path" for
 * each hierarchy this process is in, version 2 naming no controllers. */
static long cgroup_quota(const char *membership, const char *mount) {
  FILE *file = fopen(membership, "re");
  if (!file) return 0;
  long tightest = 0;
  char line[PATH_SIZE];
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) continue;
    *controllers++ = '\0';
    *path++ = '\0';
    char root[PATH_SIZE];
    long quota = 0;
    if (!*controllers) quota = path_quota(mount, path);
    for (char *rest = NULL, *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
      if (strcmp(name, "cpu") != 0) continue; /* its mount is named cpu, or linked to from there */
      snprintf(root, sizeof root, "%s/cpu", mount);
      quota = path_quota(root, path);
    }
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
  }
  fclose(file);
  return tightest;
}

int tg_cpu_count(void) {
  cpu_set_t allowed[16]; /* 16,384 CPUs: one cpu_set_t is too small for the largest machines */
  long count = 0;
  if (sched_getaffinity(0, sizeof allowed, allowed) == 0) count = CPU_COUNT_S(sizeof allowed, allowed);
  else count = sysconf(_SC_NPROCESSORS_ONLN);
  long quota = cgroup_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota > 0 && quota < count) count = quota;
  return count < 1 ? 1 : (int)count;
}

#else

int tg_cpu_count(void) {
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : (int)count;
}

#endif
