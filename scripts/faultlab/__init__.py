"""The laboratory of `scripts/fault-matrix` and `scripts/chaos`: it hurts ipcpipe and judges what is left.

From the bottom up:

  program      what is known of the program under test: its backends, its stages, the seed of every run
  failure      the one exception that says that the program broke its promise
  deadline     waiting for a condition; no wait is a bare sleep
  kernel       subreaper, parent-death signal, namespaces, limits: the calls that Python does not wrap
  processes    children and their states from /proc; signals through pidfds; reaping
  names        a snapshot of every kind of name that a run could leave behind
  logs         the seeded reference sequence, and logs compared with it
  launch       one launcher that was started: watched, waited for with a deadline, killed
  sandbox      the private ground of one case; nothing may be left when it is closed
  checks       the judge of what a launcher said and logged
  tracer       strace: slowing down, failing or killing at a chosen system call
  needs        what a machine must offer before a case can run on it
  workspace    the directory of one invocation
  runner       one process per task, `--jobs` at a time
  command_line what the two programs' command lines share

  registry, cases/, matrix     the fault matrix: its rows, by topic, and the program that runs them
  chaos/                       the random runs: what is drawn, done, judged and printed

What a run must keep, by the letter that the rows use for it:

  T   it ends before its deadline
  X   its exit status is the one that the README's table gives for what happened
  P   nothing panics; whoever is refused is told the cause in one line that starts with `ipcpipe: `
  K   no process is left
  L   no name is left: no file, queue, segment, socket or directory
  C   nothing is lost: produced, logged, counted and reported agree, and the log is the seeded sequence
  C'  where a death costs samples: the log is a whole-line prefix of the sequence, and every loss is declared

Every case runs in a process of its own that is a subreaper: a stage whose launcher was killed becomes *its* child,
and K is simply `waitpid` saying ECHILD.
"""
