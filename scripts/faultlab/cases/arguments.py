"""Numbers, rates and names on the command line."""
from __future__ import annotations

import re

from ..checks import check_conserved, check_done, check_status, check_usage_error
from ..failure import Failure
from ..program import BACKENDS
from ..registry import NONE, case
from ..sandbox import Sandbox
from .pace import FLAT


@case("D18", "no sample at all")
def no_sample(sandbox: Sandbox) -> None:
    """An empty log and a mean that is null, or n/a in text; never NaN."""
    ended = sandbox.run("--count", "0", *FLAT)
    check_status(ended, 0)
    summary = check_conserved(ended, 0)
    if summary.get("mean", 0) is not None:
        raise Failure(f"mean of nothing is {summary.get('mean')!r}, expected null")
    text = sandbox.run("--count", "0", *FLAT, form="text")
    check_status(text, 0)
    said = text.stdout.decode() + text.stderr
    if "n/a" not in said or re.search(r"\bnan\b", said, re.IGNORECASE):
        raise Failure(f"text summary of nothing should say n/a: {said!r}")


@case("D19", "one sample")
def one_sample(sandbox: Sandbox) -> None:
    """Exact."""
    check_done(sandbox.run("--count", "1", *FLAT), 1)


@case("D20", "counts that are none", backends=NONE)
def bad_counts(sandbox: Sandbox) -> None:
    """A usage error that names the option."""
    for count in ("-1", "abc", "1e9", str(2**64)):
        check_usage_error(sandbox.run(f"--count={count}"), "--count", count)


@case("D21", "unknown backend", backends=NONE)
def bad_backend(sandbox: Sandbox) -> None:
    """Lists the five."""
    check_usage_error(sandbox.run(backend="foo"), "foo", *BACKENDS)


@case("D50", "rates and intervals", backends=NONE)
def rates(sandbox: Sandbox) -> None:
    """0, negative and NaN are usage errors; a huge rate is as fast as it goes; --interval 0 is flat out."""
    for rate in ("0", "nan", "-1"):
        check_usage_error(sandbox.run(f"--rate={rate}", "--count", "10"), "--rate")
    for number, pace in enumerate((("--rate", "1000000000000"), FLAT)):
        check_done(sandbox.run(*pace, "--count", "1000", log=sandbox.log(f"l{number}")), 1000)
