//! The worker processes of a count: killed, orphaned, limited, and the names that connect them.

use super::*;

#[test]
fn a_killed_worker_is_named_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    for backend in BACKENDS {
        // The text does not end before the worker is dead.
        let mut command = sandbox.command(["manager", "count", "--mode", "process", "-w", "2", "-b", backend, "-"]);
        let mut run = Running::of(command.stdin(Stdio::piped()));
        let pids = workers(run.pid(), 2);
        send(pids[1], Signal::SIGKILL);
        wait_for("its death", || process(pids[1]).is_none_or(|it| it.state == 'Z').then_some(()));
        // A worker is missed when it gets work: whoever is alive takes the rest.
        let input = run.input();
        let _ = (0..64).try_for_each(|_| input.write_all(&[b'x'; 64 << 10]));
        run.close_input();
        let said = format!("cannot count with worker count-1 (pid {}): it died: killed by SIGKILL", pids[1]);
        let run = run.finish().exited(1).said(&said);
        assert_eq!(run.stdout, "", "{backend}");
        sandbox.assert_tidy();
    }
}

/// It would be waited for until somebody sends it SIGCONT.
#[test]
fn a_stopped_worker_is_not_waited_for_once_the_end_is_asked_for() {
    let sandbox = Sandbox::new();
    for backend in BACKENDS {
        for number in [1, 2] {
            let workers_of = number.to_string();
            let args = ["manager", "count", "-q", "--mode", "process", "-w", &workers_of, "-b", backend, "-"];
            let mut run = Running::of(sandbox.command(args).stdin(Stdio::piped()));
            let pids = workers(run.pid(), number);
            let stopped = pids[number - 1];
            // Until all are there, nobody reads.
            run.input().write_all(b"x").unwrap();
            wait_for("a reader", || (rustix::io::ioctl_fionread(run.input()) == Ok(0)).then_some(()));
            send(stopped, Signal::SIGSTOP);
            wait_for("its stop", || process(stopped).filter(|it| it.state == 'T').map(drop));
            // A piece, which most links do not hold: the lead waits to write, and the rest stays in the pipe.
            run.input().write_all(&[b'x'; 300 << 10]).unwrap();
            run.signal(Signal::SIGINT);
            let run = run.finish().died_of(Signal::SIGINT);
            // A worker that had nothing to do yet, and was not waited for, is not missed.
            assert!(run.stderr.contains("it did not answer when it was to stop, and was killed"), "{backend}: {run:?}");
            assert!(run.stderr.contains("partial count: SIGINT came after 0 bytes"), "{backend}: {run:?}");
            assert_eq!(run.stdout, "", "{backend}");
            assert!(process(stopped).is_none(), "{backend}");
            sandbox.assert_tidy();
        }
    }
}

#[test]
fn workers_do_not_outlive_their_lead() {
    let sandbox = Sandbox::new();
    for backend in BACKENDS {
        let mut command =
            sandbox.command(["manager", "count", "-q", "--mode", "process", "-w", "3", "-b", backend, "-"]);
        let run = Running::of(command.stdin(Stdio::piped()));
        workers(run.pid(), 3);
        // From here on nothing has a name.
        let base = sandbox.path("run/ipcpipe");
        wait_for("no names", || fs::read_dir(&base).map_or(true, |mut it| it.next().is_none()).then_some(()));
        run.signal(Signal::SIGKILL);
        run.finish().died_of(Signal::SIGKILL);
        sandbox.assert_tidy();
    }
}

#[test]
fn limits_are_named() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("t"), "abc".repeat(10_000)).unwrap();
    let run = |limit: &str, backend: &str| {
        let line = format!("{limit}; $IPCPIPE manager count -q --mode process -w 30 -b {backend} t; exit $?");
        Running::of(&mut sandbox.shell(&line)).finish().exited(1)
    };
    // Not over queues: their limit is the user's, so what other tests hold would decide which of the two is reached.
    run("ulimit -n 30", "fifo").said("raise the limit on open files");
    // What else lacks a descriptor is not blamed on queues.
    for limit in ["ulimit -n 26", "ulimit -n 28", "ulimit -n 30"] {
        let said = run(limit, "mq").stderr;
        assert!(said.contains("message queue") || said.contains("raise the limit on open files"), "{limit}: {said}");
    }
    run("ulimit -q 10000", "mq").said("RLIMIT_MSGQUEUE").said("use fewer workers, raise it with 'ulimit -q'");
    sandbox.assert_tidy();
}

#[test]
fn names_are_gone_as_soon_as_all_workers_are_there() {
    let sandbox = Sandbox::new();
    for backend in BACKENDS {
        let mut command =
            sandbox.command(["manager", "count", "-q", "--mode", "process", "-w", "2", "-b", backend, "-"]);
        let mut run = Running::of(command.stdin(Stdio::piped()));
        run.input().write_all(b"abc").unwrap();
        let pids = workers(run.pid(), 2);
        let arguments = fs::read(format!("/proc/{}/cmdline", pids[0])).unwrap();
        let arguments = String::from_utf8(arguments).unwrap().replace('\0', " ");
        assert!(arguments.starts_with("count-0 manager counter --letters letter"), "{arguments}");
        wait_for("no names", || {
            fs::read_dir(sandbox.path("run/ipcpipe")).map_or(true, |mut it| it.next().is_none()).then_some(())
        });
        run.close_input();
        assert!(run.finish().exited(0).stdout.starts_with("standard input: 3 letters"));
    }
}

/// Threads have nothing between them.
#[test]
fn a_mechanism_asks_for_processes() {
    let sandbox = Sandbox::new();
    // What fits a page is read at once, and travels like what comes from a pipe.
    fs::write(sandbox.path("t"), "text\n".repeat(2000)).unwrap();
    for (option, backend, feed) in [("-b mq", "mq", "path"), ("--feed stream", "pipe", "stream")] {
        let metrics = &counted(&sandbox, &format!("{option} t"))["metrics"];
        let found = ["mode", "backend", "feed"].map(|key| metrics[key].as_str().unwrap());
        assert_eq!(found, ["process", backend, feed]);
        let run = Running::of(&mut sandbox.shell(&format!("cat t | $IPCPIPE manager count --format json {option} -")))
            .finish();
        let found: Value = serde_json::from_str(&run.exited(0).stdout).unwrap();
        assert_eq!(found["metrics"]["feed"], "stream");
        let refused = sandbox.run(&format!("manager count --mode thread {option} t")).exited(2);
        refused.said("threads share their memory; leave out --mode thread");
        sandbox.run(&format!("manager count --merge {option} t")).exited(2);
    }
    sandbox.run("manager count --compare -b mq t").exited(2).said("cannot be used with");
}
