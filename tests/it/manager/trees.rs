//! Process trees that do not want to end, or that fork faster than they are looked at.

use super::harness::{Server, is_gone, pid_of, state, zombies};
use crate::sandbox::{Sandbox, process, wait_for};

/// Ignores TERM, has children and grandchildren in its group, one in a session of its own, and an orphan in another.
const STUBBORN: &str = "trap '' TERM HUP INT; sleep 1000 & setsid sh -c 'sleep 1000 & exec sleep 1000' & \
    setsid sh -c '(setsid sleep 1000 &) ; exec true'; echo up; while :; do sleep 1000; done";

/// The processes that STUBBORN comes to: its shell, three sleeps of the sessions, two of its own.
const STUBBORN_TREE: usize = 6;

/// Its pids, once everybody is what he is to be.
fn stubborn_tree(server: &mut Server) -> Vec<u32> {
    wait_for("the tree", || {
        let pids = server.client.wait_for_tree("p1", STUBBORN_TREE);
        let sleeps = pids.iter().filter(|&&pid| process(pid).is_some_and(|it| it.name == "sleep")).count();
        (sleeps == STUBBORN_TREE - 1).then_some(pids)
    })
}

#[test]
fn a_stubborn_tree_is_gone_after_terminate() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1 --grace 20ms", STUBBORN);
    let pids = stubborn_tree(&mut server);
    let reply = server.client.ask("terminate p1").exited(0);
    assert_eq!(reply.only("done")["processes"], STUBBORN_TREE);
    assert_eq!(reply.only("done")["signal"], "SIGKILL");
    assert!(pids.iter().all(|&pid| is_gone(pid)), "{pids:?}");
    wait_for("no zombie", || (zombies(server.pid()) == 0).then_some(()));
    // Whoever is not in the list that show gave is found by what he has inherited.
    let manager = server.pid();
    assert!(sandbox.inhabitants().iter().all(|it| it.pid == manager), "{:?}", sandbox.inhabitants());
    server.exit();
}

#[test]
fn kill_does_not_wait_for_a_grace() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1 --grace 1000s", STUBBORN);
    let pids = stubborn_tree(&mut server);
    assert_eq!(server.client.ask("kill p1").exited(0).only("done")["processes"], STUBBORN_TREE);
    assert!(pids.iter().all(|&pid| is_gone(pid)));
    server.exit();
}

#[test]
fn a_pause_covers_everybody_and_says_how_many() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1 --grace 20ms", STUBBORN);
    let pids = stubborn_tree(&mut server);
    assert_eq!(server.client.ask("pause p1").exited(0).only("done")["processes"], STUBBORN_TREE);
    let states: Vec<_> = pids.iter().map(|&pid| state(pid)).collect();
    assert_eq!(states, [Some('T'); STUBBORN_TREE]);
    server.client.ask("resume p1").exited(0);
    assert!(pids.iter().all(|&pid| state(pid) != Some('T')));
    // A paused one ends as well.
    server.client.ask("pause p1").exited(0);
    server.client.ask("terminate p1").exited(0);
    assert!(pids.iter().all(|&pid| is_gone(pid)));
    server.exit();
}

#[test]
fn a_paused_process_hears_a_terminate_at_once() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1 --grace 1000s", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done");
    server.client.wait_for_line("p1", "up");
    server.client.ask("pause p1").exited(0);
    let reply = server.client.ask("terminate p1").exited(0);
    assert_eq!((&reply.only("done")["status"], &reply.only("done")["code"]), (&"exited".into(), &7.into()));
    server.exit();
}

#[test]
fn a_tree_of_many_threads_is_paused_too() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let program = "import threading, time\nfor _ in range(20): threading.Thread(target=time.sleep, args=(1000,)).start()\n\
        print('up', flush=True)";
    let words = ["create", "process", "p1", "--", "python3", "-c", program];
    let pid = pid_of(server.client.tell(&words).exited(0).only("done"));
    server.client.wait_for_line("p1", "up");
    assert_eq!(server.client.ask("pause p1").exited(0).only("done")["processes"], 1);
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let stats: Vec<_> = tasks.map(|task| std::fs::read_to_string(task.path().join("stat")).unwrap()).collect();
    assert_eq!(stats.len(), 21);
    assert!(stats.iter().all(|stat| stat.rsplit_once(')').unwrap().1.starts_with(" T ")), "{stats:?}");
    server.exit();
}

#[test]
fn a_process_that_forks_all_the_time_is_paused_and_ended() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let forks = "while :; do sleep 1000 & [ $(jobs -p | wc -l) -lt 30 ] || { kill $!; wait $!; }; done";
    let words = ["create", "process", "p1", "--grace", "20ms", "--", "bash", "-c", forks];
    server.client.tell(&words).exited(0);
    let manager = server.pid();
    for _ in 0..5 {
        let paused = server.client.ask("pause p1").exited(0);
        let covered = paused.only("done")["processes"].as_u64().unwrap() as usize;
        let others: Vec<_> = sandbox.inhabitants().into_iter().filter(|it| it.pid != manager).collect();
        assert!(others.iter().all(|it| it.state == 'T'), "{others:?}");
        assert_eq!(covered, others.len());
        server.client.ask("resume p1").exited(0);
    }
    server.client.ask("terminate p1").exited(0);
    assert_eq!(sandbox.inhabitants().len(), 1, "the manager alone");
    server.exit();
}

/// A shell starts its programs by vfork(2), during which it cannot stop before its child has come to its exec.
#[test]
fn a_shell_that_starts_programs_all_the_time_is_paused_each_time() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.shell("p1", "while :; do /bin/true; done");
    for _ in 0..200 {
        server.client.ask("pause p1").exited(0);
        assert_eq!(state(pid), Some('T'));
        server.client.ask("resume p1").exited(0);
    }
    server.client.ask("terminate p1").exited(0);
    server.exit();
}

#[test]
fn a_leader_that_ends_by_itself_leaves_a_tree_that_terminate_still_ends() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1", "sleep 1000 >&- 2>&- & setsid sleep 1000 >&- 2>&- & exit 3");
    server.client.ask("wait p1").exited(3);
    assert_eq!(server.client.show("p1")["processes"], 2);
    // Its name is not free as long as they live.
    assert!(server.client.ask("create process p1").exited(1).refused("name-taken").contains("2 of its processes"));
    assert_eq!(server.client.ask("terminate p1").exited(0).only("done")["processes"], 2);
    assert_eq!(sandbox.inhabitants().len(), 1, "the manager alone");
    server.client.ask("create process p1").exited(0);
    server.exit();
}

/// A pid that the kernel has given to somebody else, or that was never managed, is never signalled.
#[test]
fn a_stranger_is_never_signalled() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let mut stranger = sandbox.shell("exec sleep 1000").spawn().unwrap();
    let pid = stranger.id();
    let start = process(pid).unwrap().start;
    let dead = server.client.shell("dead", "exit 0");
    server.client.ask("wait dead").exited(0);
    for verb in ["terminate", "kill", "pause", "restart", "signal TERM", "terminate process"] {
        for number in [pid, dead, 1, std::process::id()] {
            let reply = server.client.ask(&format!("{verb} {number}")).exited(3);
            reply.refused("not-found");
        }
    }
    assert_eq!(stranger.try_wait().unwrap(), None);
    assert_eq!(process(pid).map(|it| (it.start, it.state == 'T')), Some((start, false)));
    server.exit();
    // Not even by a manager that ends.
    assert_eq!(stranger.try_wait().unwrap(), None);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// What other people do to a process with kill(1) is seen.
#[test]
fn what_others_do_is_noticed() {
    use nix::sys::signal::Signal;

    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    crate::sandbox::send(pid, Signal::SIGSTOP);
    wait_for("the stop", || (state(pid) == Some('T')).then_some(()));
    assert_eq!(server.client.show("p1")["status"], "paused");
    crate::sandbox::send(pid, Signal::SIGCONT);
    wait_for("the end of the stop", || (state(pid) != Some('T')).then_some(()));
    assert_eq!(server.client.show("p1")["status"], "running");
    assert!(server.client.why("p1").contains("paused: somebody else stopped it"));
    crate::sandbox::send(pid, Signal::SIGKILL);
    server.client.ask("wait p1").exited(137);
    assert_eq!(server.client.show("p1")["signal"], "SIGKILL");
    server.exit();
}
