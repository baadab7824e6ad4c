"""The rows of the fault matrix, a module for each topic. Importing this package registers them all.

  arguments    numbers, rates and names on the command line
  endings      every way to ask a run to end
  deaths       a stage or the launcher is killed while samples flow
  startup      a stage or the launcher is killed before they flow, and what `clean` makes of it
  log_file     what the log may turn out to be
  output       standard descriptors and messages
  limits       too little of everything that the kernel rations
  directories  where names are made, and what others may have planted there
  injection    system calls that fail, by strace
  load         many runs, long runs, full buffers

D52 and D53 are unit tests of the library.
"""
from ..registry import CASES
from . import arguments, deaths, directories, endings, injection, limits, load, log_file, output, startup

__all__ = ["CASES", "arguments", "deaths", "directories", "endings", "injection", "limits", "load", "log_file",
           "output", "startup"]
