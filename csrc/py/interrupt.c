/* Signals while the engine works: what base/interrupt.h is told by Python.
 *
 * Python's own handler of a signal only notes it; the function that the program gave runs later, on the main thread,
 * once the interpreter looks. While a schedule runs without the GIL nobody looks. So the main thread takes the GIL
 * every few milliseconds and lets the functions run. If one raises, the computation ends and that exception is its
 * outcome.
 * A function may compute, too: realize.c lets it, within the schedule that it came upon.
 *
 * While a schedule is built, no function can run, as it would see half of it: the main thread then only looks for a
 * Ctrl-C, gives up what it has built, lets the function run and, unless that raised, starts again.
 *
 * Owns: which thread is the main one, and when to look again. Callers: module.c, realize.c, convert.c. */
#include "py/engine.h"

#include "base/clock.h"

#define INTERVAL 0.01 /* seconds between two looks */
#define LONGEST 0.1   /* if another thread holds the GIL for long: no more than a tenth of the time is spent waiting */

static unsigned long main_thread;
static double due;

int interrupt_init(void) {
  PyObject *threading = PyImport_ImportModule("threading");
  PyObject *thread = threading ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
  PyObject *ident = thread ? PyObject_GetAttrString(thread, "ident") : NULL;
  main_thread = ident ? PyLong_AsUnsignedLong(ident) : 0;
  Py_XDECREF(ident);
  Py_XDECREF(thread);
  Py_XDECREF(threading);
  return PyErr_Occurred() ? -1 : 0;
}

void interrupt_after_fork(void) { main_thread = PyThread_get_thread_ident(); } /* whichever forked */

bool interrupt_start(void) {
  if (PyThread_get_thread_ident() != main_thread) return false; /* that one may read `due` without the GIL */
  due = tg_clock_coarse() + INTERVAL;
  return true;
}

bool interrupt_ask(void) {
  double now = tg_clock_coarse();
  if (now < due) return false;
  PyGILState_STATE state = PyGILState_Ensure();
  bool raised = PyErr_CheckSignals() != 0;
  PyGILState_Release(state);
  double end = tg_clock_coarse(), pause = 10 * (end - now);
  due = end + (pause < INTERVAL ? INTERVAL : pause > LONGEST ? LONGEST : pause);
  return raised;
}

bool interrupt_ask_for_sigint(void) {
  double now = tg_clock_coarse();
  if (now < due) return false;
  due = now + INTERVAL;
  if (!PyOS_InterruptOccurred()) return false;
  PyErr_SetInterrupt(); /* it was taken off the list by looking */
  return true;
}
