"""Random faults: seeded, so every run can be repeated alone.

A run's draw (backend, length, pace, victim, action, delay) depends only on the seed, the run's number and the list of
backends. The judgement does not depend on what was drawn where that can be helped: an exit status 0 is right exactly
when all samples arrived, whoever was hit and when.

  draw      what one run does
  strike    doing it to a running pipeline
  play      one run from start to judgement
  report    the figures
  command   the command line of `scripts/chaos`
"""
