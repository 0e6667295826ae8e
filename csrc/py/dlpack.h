/* The structures of DLPack, by which array libraries hand each other memory: those of version 0 (capsules "dltensor")
 * and of version 1 ("dltensor_versioned"). Their layout is a contract with other libraries, not ours to change:
 * https://dmlc.github.io/dlpack/latest/c_api.html */
#ifndef TG_PY_DLPACK_H
#define TG_PY_DLPACK_H

#include <stdint.h>

enum { DL_CPU = 1 };                                                        /* device types */
enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2, DL_BFLOAT = 4, DL_BOOL = 6 }; /* codes of dtypes */
enum { DL_READ_ONLY = 1, DL_IS_COPIED = 2 };                                /* flags; copied: the consumer's alone */

typedef struct dl_tensor {
  void *data;
  struct {
    int32_t type, id;
  } device;
  int32_t ndim;
  struct {
    uint8_t code, bits;
    uint16_t lanes;
  } dtype;
  int64_t *shape, *strides; /* in elements; NULL in version 0: in C order */
  uint64_t byte_offset;
} dl_tensor;

typedef struct dl_managed {
  dl_tensor tensor;
  void *manager;
  void (*deleter)(struct dl_managed *self); /* called once by whoever owns it; NULL: nothing to do */
} dl_managed;

typedef struct dl_managed_versioned {
  struct {
    uint32_t major, minor;
  } version;
  void *manager;
  void (*deleter)(struct dl_managed_versioned *self);
  uint64_t flags;
  dl_tensor tensor;
} dl_managed_versioned;

#endif
