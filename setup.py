"""Builds the extension teenygrad._engine; everything else about the distribution is in pyproject.toml.

TEENYGRAD_BUILD chooses the flags: release (the default), debug, asan, ubsan or tsan.
"""
import concurrent.futures, glob, os, shutil

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("TEENYGRAD_BUILD") or "release"

# Never -ffast-math: linking with it changes how the whole process treats denormals. Contraction is off and FMA
# explicit, so that every compiler rounds alike.
COMMON = ["-std=c11", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-pthread",
          "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes"]
# Python's own flags may contain -fwrapv, which would hide overflow from the sanitizer.
DEBUG = ["-O1", "-g", "-UNDEBUG", "-DTG_DEBUG", "-fno-omit-frame-pointer", "-fno-wrapv"]
SANITIZERS = {"asan": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
              "ubsan": ["-fsanitize=undefined", "-fno-sanitize-recover=all"], "tsan": ["-fsanitize=thread"]}
FLAGS = {"release": ["-O3", "-g0"], "debug": DEBUG, **{name: DEBUG + flags for name, flags in SANITIZERS.items()}}
if BUILD not in FLAGS: raise SystemExit(f"TEENYGRAD_BUILD must be one of {', '.join(FLAGS)}, not {BUILD!r}")

def sources(*endings):
  return sorted(path for end in endings for path in glob.glob(f"csrc/**/*{end}", root_dir=HERE, recursive=True))

class BuildEngine(build_ext):
  def finalize_options(self):
    super().finalize_options()
    self.force = True  # time stamps don't tell what the last build's flags were

  def build_extensions(self):
    """Compiles the C files side by side: the compiler object is asked for one file at a time, from several threads."""
    compile_list = self.compiler.compile
    def compile_parallel(files, *args, **kwargs):
      with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        return [obj for objs in threads.map(lambda file: compile_list([file], *args, **kwargs), files) for obj in objs]
    self.compiler.compile = compile_parallel
    super().build_extensions()

  def run(self):
    """Also puts a copy of the extension into the source tree's teenygrad/.

    In the root of a checkout that folder comes first on sys.path and hides the installed package. After `pip install .`,
    which builds in the tree, `python mnist.py` must find the extension there as well. A sanitizer's build stays out of
    the tree, because it can only be loaded along with the sanitizer's own library.
    """
    super().run()
    if self.inplace or BUILD in SANITIZERS: return
    for ext in self.extensions:
      built, in_tree = self.get_ext_fullpath(ext.name), os.path.join(HERE, *self.get_ext_filename(ext.name).split("/"))
      if not os.path.exists(built) or os.path.abspath(built) == in_tree: continue
      # Written beside it and moved there: a process that has the old file mapped keeps it whole.
      shutil.copyfile(built, in_tree + ".new")
      os.replace(in_tree + ".new", in_tree)

engine = Extension(
  "teenygrad._engine",
  sources=sources(".c"),
  depends=sources(".h", ".inc", ".def"),
  include_dirs=["csrc", numpy.get_include()],
  # Built with the headers of NumPy 2, it runs with 1.26 as well.
  define_macros=[("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION")],
  extra_compile_args=FLAGS[BUILD] + COMMON,
  extra_link_args=["-pthread"] + SANITIZERS.get(BUILD, []))

setup(ext_modules=[engine], cmdclass={"build_ext": BuildEngine})
