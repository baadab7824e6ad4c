"""How fast the runs of the matrix go."""

FLAT = ("--interval", "0")
PACED = ("--interval", "1ms")
