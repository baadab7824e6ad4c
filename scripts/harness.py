"""What `compare-peers` uses of faultlab, under the names by which it imports it."""
from faultlab.command_line import stop_on_terminate
from faultlab.failure import Failure as Fault
from faultlab.kernel import become_subreaper
from faultlab.logs import count_lines, sum_lines
from faultlab.processes import kill_children
from faultlab.program import BACKENDS, DEFAULT_BINARY, SEED

__all__ = ["BACKENDS", "DEFAULT_BINARY", "SEED", "Fault", "become_subreaper", "count_lines", "kill_children",
           "stop_on_terminate", "sum_lines"]
