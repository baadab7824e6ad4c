//! What a pool owes its clients when workers die, clients go, or what they ask for makes no sense.

use std::collections::HashSet;
use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::json;

use super::harness::{Client, Server, is_gone, script, state};
use crate::sandbox::{Running, Sandbox, process, send, wait_for};

/// CPU time of a process, in ticks of the kernel.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap()).sum()
}

/// A worker that is killed is replaced; its job is reported, or tried again if the pool retries.
#[test]
fn a_killed_worker_costs_one_job_at_most() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    for (pool, retries, exit) in [("once", "0", 1), ("again", "1", 0)] {
        server.client.tell(&["create", "pool", pool, "-w", "1", "--task", "sum", "--retries", retries]).exited(0);
        let pid = server.client.show(pool)["crew"][0]["pid"].as_u64().unwrap() as u32;
        let idle = wait_for("a worker that waits", || process(pid).filter(|it| it.state == 'S').map(|_| ticks(pid)));
        // Long enough to be met at it, and short enough to be waited for.
        server.client.tell(&["submit", pool, "200000000", "3"]).exited(0);
        wait_for("work", || (ticks(pid) > idle + 1).then_some(()));
        send(pid, Signal::SIGKILL);
        let reply = server.client.tell(&["results", pool]).exited(exit);
        let results = reply.all("result");
        assert_eq!(results[1]["value"], "6");
        if exit == 1 {
            assert_eq!((&results[0]["reason"], &results[0]["pid"]), (&json!("signalled"), &json!(pid)));
            assert_eq!(results[0]["error"], "was ended by SIGKILL");
        } else {
            assert_eq!(results[0]["value"], "20000000100000000");
        }
        assert_eq!(server.client.show(pool)["replaced"], 1);
        assert!(is_gone(pid));
    }
    let reply = server.client.ask("events").exited(0);
    let ended = reply.all("event").into_iter().filter(|it| it["event"] == "worker-ended");
    assert!(ended.clone().count() == 2 && ended.clone().all(|it| it["level"] == "warning"), "{reply:?}");
    server.exit();
}

/// What changes among the workers is told with its cause, and an end that was asked for is no crash.
#[test]
fn why_and_events_tell_of_resizes_and_replaced_workers() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create pool s -w 2 --task sum --max-jobs 3").exited(0);
    let crew = |client: &mut Client| {
        let crew = client.show("s")["crew"].as_array().unwrap().clone();
        crew.iter().map(|it| it["pid"].as_u64().unwrap() as u32).collect::<Vec<_>>()
    };
    let ends = |client: &mut Client, number: usize| {
        let ended = |client: &mut Client| {
            let reply = client.ask("events").exited(0);
            let ended = reply.all("event").into_iter().filter(|it| it["event"] == "worker-ended");
            ended.map(|it| format!("{} {}", it["level"].as_str().unwrap(), it["msg"].as_str().unwrap())).collect()
        };
        wait_for("the end of workers", || Some(ended(client)).filter(|ended: &Vec<String>| ended.len() == number))
    };
    server.client.ask("resize s 1").exited(0);
    let left = ends(&mut server.client, 1);
    assert!(left[0].starts_with("info pool s worker-ended: s-"), "{left:?}");
    assert!(left[0].ends_with(" left: the pool has 1 worker now"), "{left:?}");
    let [first] = crew(&mut server.client)[..] else { panic!("one is left") };
    send(first, Signal::SIGKILL);
    let killed = ends(&mut server.client, 2);
    assert!(killed[1].starts_with("warning ") && killed[1].ends_with(" was ended by SIGKILL"), "{killed:?}");
    server.client.ask("submit s 1 2 3").exited(0);
    server.client.ask("results s --pop").exited(0);
    let spent = ends(&mut server.client, 3);
    assert!(spent[2].ends_with(" left: it has done as many jobs as one worker may"), "{spent:?}");
    server.client.ask("submit s 18446744073709551615").exited(0);
    server.client.ask("cancel s").exited(0);
    let called_off = ends(&mut server.client, 4);
    assert!(called_off[3].ends_with(" was killed, because its job was cancelled"), "{called_off:?}");
    let why = server.client.why("s");
    let changes: Vec<&str> = why.lines().skip(2).collect();
    assert!(changes[0].starts_with("running: resized from 2 workers to 1 by a client, pid "), "{why}");
    let by = [
        "was ended by SIGKILL",
        "left: it has done as many jobs as one worker may",
        "was killed, because its job was cancelled",
    ];
    for (change, by) in changes[1..].iter().zip(by) {
        assert!(change.starts_with("running: worker s-") && change.contains(" (pid "), "{change}");
        assert!(change.ends_with(&format!(") {by}; another one takes its place")), "{change}");
    }
    assert_eq!((changes.len(), &server.client.show("s")["replaced"]), (4, &json!(2)));
    // An end with the pool is no crash either.
    wait_for("a new worker", || (crew(&mut server.client).len() == 1).then_some(()));
    server.client.ask("terminate s").exited(0);
    assert_eq!(ends(&mut server.client, 5)[4].split(' ').next(), Some("info"));
    server.exit();
}

#[test]
fn thousands_of_jobs_come_from_standard_input_as_one_batch() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create pool s -w 2 --task sum").exited(0);
    let numbers: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    fs::write(sandbox.path("numbers"), numbers).unwrap();
    let mut command = sandbox.command(["manager", "submit", "s", "-"]);
    let run = Running::of(command.stdin(Stdio::from(fs::File::open(sandbox.path("numbers")).unwrap()))).finish();
    assert_eq!(run.exited(0).stdout, "batch 0 submitted: 10000 jobs\n");
    let reply = server.client.ask("results s").exited(0);
    assert_eq!(reply.all("result").len(), 10_000);
    for (place, it) in reply.all("result").into_iter().enumerate() {
        assert_eq!((&it["job"], &it["value"]), (&json!(place), &json!((place * (place + 1) / 2).to_string())));
    }
    let empty = sandbox.run("manager submit s -").exited(2);
    assert_eq!(empty.stderr, "ipcpipe: submit: standard input has no lines, so there is nothing to do\n");
    let mut command = sandbox.command(["manager", "submit", "s", "-"]);
    let directory = Running::of(command.stdin(Stdio::from(fs::File::open("/").unwrap()))).finish().exited(1);
    assert_eq!(directory.stderr, "ipcpipe: submit: cannot read standard input: Is a directory\n");
    let taken = script(&sandbox, "", "create pool s --task sum\nsubmit s -\n").exited(2);
    assert!(taken.stderr.contains("standard input holds the commands here"), "{}", taken.stderr);
    server.client.ask("submit s -").exited(2).refused("usage");
    server.exit();
}

/// A client that goes away in the middle of a batch leaves what it has given.
#[test]
fn a_batch_ends_with_the_client_that_has_more_for_it() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create pool s -w 1 --task sum").exited(0);
    let mut second = Client::connect(&sandbox);
    second.ask("submit s 1 2 --more").exited(0);
    wait_for("the jobs", || (server.client.show("s")["done"] == 2).then_some(()));
    let refused = server.client.ask("submit s 3 --batch 0").exited(1);
    assert_eq!(refused.refused("failed"), "batch 0 of s takes no more jobs");
    second.ask("submit s 3 --batch 0 --more").exited(0);
    let mut third = Client::connect(&sandbox);
    third.send(&["results", "s"]);
    drop(second);
    assert_eq!(third.reply().exited(0).all("result").len(), 3);
    server.exit();
}

/// Two clients, each with its pool, at once: nothing of one is with the other.
#[test]
fn pools_of_two_clients_do_not_mix() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox);
    std::thread::scope(|scope| {
        for pool in ["one", "two"] {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let mut client = Client::connect(sandbox);
                client.ask(&format!("create pool {pool} -w 2 -- echo {pool}-{{}}")).exited(0);
                for round in 0..10 {
                    client.ask(&format!("submit {pool} a{round} b{round}")).exited(0);
                }
                let reply = client.ask(&format!("results {pool} --pop")).exited(0);
                assert_eq!(reply.all("result").len(), 20);
                for it in reply.all("result") {
                    let letter = if it["job"] == 0 { "a" } else { "b" };
                    assert_eq!(it["value"], format!("{pool}-{letter}{}\n", it["batch"]), "{it}");
                    assert_eq!(it["pool"], pool);
                }
            });
        }
    });
    server.exit();
}

#[test]
fn a_paused_pool_stands_still_as_a_whole() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    // The sleeper leaves the group of its job.
    let words = ["create", "pool", "w", "-w", "2", "--", "sh", "-c", "setsid sh -c 'sleep 1000' & wait", "sh"];
    server.client.tell(&words).exited(0);
    server.client.ask("submit w a").exited(0);
    server.client.ask("create pool s -w 2 --task sum").exited(0);
    server.client.ask("submit s 18446744073709551615").exited(0);
    server.client.ask("submit s 18446744073709551615 --single").exited(0);
    let jobs = || sandbox.inhabitants().into_iter().filter(|it| it.name == "sleep").collect::<Vec<_>>();
    wait_for("the job", || (jobs().len() == 1).then_some(()));
    let reply = server.client.ask("pause w s").exited(0);
    assert!(reply.all("done").iter().all(|it| it["status"] == "paused"), "{reply:?}");
    assert!(jobs().iter().all(|it| it.state == 'T'));
    let crew = server.client.show("s")["crew"].as_array().unwrap().clone();
    let pids: Vec<u32> = crew.iter().map(|it| it["pid"].as_u64().unwrap() as u32).collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|&pid| state(pid) == Some('T')));
    let saved = server.client.ask("save").exited(0);
    let saved: Vec<_> =
        saved.all("command").iter().map(|it| [&it["words"][0], &it["words"][2]].map(Clone::clone)).collect();
    assert_eq!(
        saved,
        [["create", "w"], ["pause", "w"], ["create", "s"], ["pause", "s"]].map(|it| it.map(|word| json!(word)))
    );
    server.client.ask("resume all").exited(0);
    assert!(jobs().iter().all(|it| it.state != 'T'));
    wait_for("everybody", || pids.iter().all(|&pid| state(pid) != Some('T')).then_some(()));
    server.client.ask("pause w").exited(0);
    server.client.ask("kill all").exited(0);
    assert!(jobs().is_empty() && pids.iter().all(|&pid| is_gone(pid)));
    server.exit();
}

/// What makes no sense is refused with a reason, and starts nothing.
#[test]
fn what_makes_no_sense_is_refused() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let number = "expected a number from 1 to 256, for each worker is a process";
    for (line, says) in [
        ("create pool p -w 0 --task sum", number),
        ("create pool p -w 10000 --task sum", number),
        ("create pool p -w x --task sum", number),
        ("create pool p --task fly", "fly"),
        ("create pool p", "Say --task and its name, or '--' and a command"),
        ("create pool p ls -l", "put '--' before the command: create pool p -- ls -l"),
        ("create pool a/0 --task sum", "a name of a pool has no '/'"),
        ("create pool 42 --task sum", "looks like a process id"),
        ("create pool p --task sum -- true", "cannot be used with"),
        ("create pool p --max-jobs 3 -- true", "cannot be used with"),
        ("create pool p --task sum --timeout 0", "expected a duration above 0"),
        ("submit p", "is missing"),
        ("results", "is missing"),
        ("results p/0 --batch 1", "say the batch once"),
        ("results p --order up", "up"),
        ("resize p 0", number),
        ("cancel", "is missing"),
    ] {
        let reply = server.client.ask(line).exited(2);
        assert!(reply.refused("usage").contains(says), "{line}: {reply:?}");
    }
    for line in ["submit nobody 1", "results nobody", "cancel nobody/1", "resize nobody 2"] {
        assert_eq!(server.client.ask(line).exited(3).refused("not-found"), "there is no pool nobody", "{line}");
    }
    server.client.ask("submit p* 1").exited(3).refused("not-found");
    server.client.ask("submit all 1").exited(3).refused("not-found");
    let refused = server.client.ask("create pool p -- no-such-program").exited(1);
    assert!(refused.refused("failed").contains("no-such-program"), "{refused:?}");
    server.client.ask("create pool p -w 1 --task sum").exited(0);
    for line in ["signal HUP p", "restart p"] {
        assert!(server.client.ask(line).exited(1).refused("failed").contains("p is a pool; "), "{line}");
    }
    server.client.ask("results p --batch 0").exited(3).refused("not-found");
    assert_eq!(server.client.ask("list").exited(0).answers.len(), 1);
    server.exit();
}

/// Requests that are no requests do no harm.
#[test]
fn malformed_requests_are_refused() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create pool p -w 1 --task sum").exited(0);
    for bad in [
        r#"{"v":1,"cmd":["submit","p",7]}"#,
        r#"{"v":1,"cmd":["submit","p",{"a":1}]}"#,
        r#"{"v":1,"cmd":["results",null]}"#,
        r#"{"v":1,"cmd":["create","pool","q","--task","sum"],"cwd":7}"#,
        r#"{"v":1,"cmd":["cancel","p/99999999999999999999","--batch"]}"#,
        r#"{"v":1,"cmd":["resize","p"]}"#,
    ] {
        server.client.write(format!("{bad}\n").as_bytes()).unwrap();
        server.client.reply().exited(2).refused("usage");
    }
    server.client.write(b"{\"v\":1,\"cmd\":[\"submit\",\"p\",[255]]}\n").unwrap();
    assert!(server.client.reply().exited(1).refused("failed").ends_with("is no text, and the arguments of a task are"));
    assert_eq!(server.client.ask("list batch").exited(0).answers.len(), 0);
    server.exit();
}

/// Workers are replaced after so many jobs, and that is no failure.
#[test]
fn workers_are_replaced_after_so_many_jobs() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create pool s -w 1 --task sum --max-jobs 2").exited(0);
    server.client.ask("submit s 1 2 3 4 5").exited(0);
    let reply = server.client.ask("results s").exited(0);
    let workers: HashSet<_> = reply.all("result").iter().map(|it| it["worker"].to_string()).collect();
    assert_eq!(workers.len(), 3, "{reply:?}");
    assert_eq!(server.client.show("s")["replaced"], 0);
    server.exit();
}
