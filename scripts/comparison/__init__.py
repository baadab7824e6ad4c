"""The parts of `scripts/compare-peers`: what is done, by whom, and how it is shown.

  job        a job: its runners, the figures that they give, the goals
  table      rounds, ratios and tables
  pipeline   the job `pipeline`, whose Python peer is peers/queues.py
  manager    the job `manager`, whose Python peer is peers/manager.py
  contender  how each kind of process manager is started and told what to do
  supervisor supervisord: finding or installing it, its configuration, its XML-RPC
  count      the job `count`, whose peers are peers/count.py, peers/touch.py and peers/touch.rs
  mp         the job `mp`, whose Python peer is peers/mp.py
  texts      the texts that are counted, and what is in them
  measured   one process from its start to its end: time, CPU time, peak memory
"""
