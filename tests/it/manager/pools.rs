//! Pools: the rows E2 to E16 of the controller, D1, and what a pool owes its clients.

use std::collections::HashSet;
use std::fs;

use serde_json::{Value, json};

use super::harness::{Client, Server, script};
use crate::sandbox::{Sandbox, wait_for};

/// A command that lasts until there is a file of the job's name.
const UNTIL: [&str; 6] = ["--", "sh", "-c", "while [ ! -e $1 ]; do sleep 0.01; done; echo $1", "sh", "{}"];

/// Creates a pool whose jobs last until there is a file of the job's name.
#[track_caller]
fn waiting_pool(client: &mut Client, name: &str, workers: &str) {
    let words: Vec<&str> = ["create", "pool", name, "-w", workers].into_iter().chain(UNTIL).collect();
    client.tell(&words).exited(0);
}

/// The values of results, or their errors, each behind batch and job.
fn told(results: &[&Value]) -> Vec<(u64, u64, String)> {
    let text = |it: &Value| it["value"].as_str().or(it["error"].as_str()).unwrap_or_default().trim_end().to_owned();
    results.iter().map(|it| (it["batch"].as_u64().unwrap(), it["job"].as_u64().unwrap(), text(it))).collect()
}

fn row(batch: u64, job: u64, text: &str) -> (u64, u64, String) {
    (batch, job, text.to_owned())
}

#[test]
fn e2_create_pool_starts_workers_and_resize_changes_their_number() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let done = server.client.ask("create pool sums -w 2 --task sum").exited(0);
    assert_eq!(done.only("done")["note"], "2 workers: sum");
    let crew = |client: &mut Client| client.show("sums")["crew"].as_array().unwrap().len();
    assert_eq!(crew(&mut server.client), 2);
    let taken = server.client.ask("create pool sums --task div").exited(1);
    assert_eq!(taken.refused("name-taken"), "the name sums is taken (it is a pool)");
    assert_eq!(server.client.ask("resize sums 3").exited(0).only("done")["note"], "3 workers");
    wait_for("three workers", || (crew(&mut server.client) == 3).then_some(()));
    server.client.ask("resize sums 1").exited(0);
    wait_for("one worker", || (crew(&mut server.client) == 1).then_some(()));
    for (target, found) in [("#1", 1), ("s*", 1), ("pool all", 1), ("sums", 1)] {
        assert_eq!(server.client.ask(&format!("show {target}")).exited(0).all("pool").len(), found, "{target}");
    }
    server.client.ask("terminate sums").exited(0);
    server.client.ask("create pool sums --task div -w 1").exited(0);
    server.exit();
}

#[test]
fn e3_submit_does_not_block() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    waiting_pool(&mut server.client, "w", "1");
    let reply = server.client.ask("submit w a b").exited(0);
    let batch = reply.only("batch");
    assert_eq!((&batch["batch"], &batch["state"], &batch["jobs"]), (&json!(0), &json!("submitted"), &json!(2)));
    let run = sandbox.run("manager submit w c").exited(0);
    assert_eq!(run.stdout, "batch 1 submitted: 1 job\n");
    // Whoever waits for results holds up nobody else.
    let mut second = Client::connect(&sandbox);
    second.send(&["results", "w"]);
    assert_eq!(server.client.show("w")["pending"], 3);
    ["a", "b", "c"].iter().for_each(|name| fs::write(sandbox.path(name), "").unwrap());
    assert_eq!(second.reply().exited(0).all("result").len(), 3);
    server.exit();
}

#[test]
fn e5_list_batch_tells_what_is_pending() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    waiting_pool(&mut server.client, "w", "2");
    server.client.ask("submit w a").exited(0);
    server.client.ask("submit w b c").exited(0);
    fs::write(sandbox.path("b"), "").unwrap();
    wait_for("one job", || (server.client.show("w")["done"] == 1).then_some(()));
    let reply = server.client.ask("list batch").exited(0);
    let rows: Vec<_> =
        reply.all("batch").iter().map(|it| [&it["batch"], &it["jobs"], &it["done"]].map(Clone::clone)).collect();
    assert_eq!(rows, [[json!(0), json!(1), json!(0)], [json!(1), json!(2), json!(1)]]);
    let table = sandbox.run("manager list batch").exited(0).stdout;
    assert!(table.contains("\nw/1    Pending     2     1       0"), "{table}");
    let table = sandbox.run("manager list pool").exited(0).stdout;
    assert!(table.starts_with("ID  NAME  STATUS") && table.contains("w     Running"), "{table}");
    assert!(sandbox.run("manager list").exited(0).stdout.contains("(2 workers, 2 pending, 1 done)"));
    let reply = server.client.ask("cancel w/0").exited(0);
    assert_eq!((&reply.only("batch")["state"], &reply.only("batch")["cancelled"]), (&json!("cancelled"), &json!(1)));
    let refused = server.client.ask("cancel w/0").exited(3);
    assert_eq!(refused.refused("not-running"), "batch 0 of w is done already");
    assert_eq!(server.client.ask("cancel batch w").exited(0).only("batch")["cancelled"], 1);
    // Who was called off did not fail.
    let reply = server.client.ask("list batch").exited(0);
    assert!(reply.all("batch").iter().all(|it| it["failed"] == 0 && it["cancelled"] == 1), "{reply:?}");
    let shown = server.client.show("w");
    assert_eq!((&shown["done"], &shown["failed"], &shown["cancelled"]), (&json!(3), &json!(0), &json!(2)));
    let table = sandbox.run("manager list batch").exited(0).stdout;
    assert!(table.starts_with("BATCH  STATUS  JOBS  DONE  FAILED  CANCELLED"), "{table}");
    assert!(table.contains("\nw/1    Done       2     2       0          1"), "{table}");
    let titles = sandbox.run("manager results w").exited(1).stdout;
    assert!(titles.contains("batch 1 done: 2 jobs, 1 cancelled\n"), "{titles}");
    let run = sandbox.run("manager wait w").exited(1);
    assert_eq!(run.stdout, "pool w has no pending jobs (3 jobs done, 2 cancelled)\n");
    server.exit();
}

#[test]
fn e6_results_come_batch_by_batch_as_they_are_done_and_stay_until_they_are_popped() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    waiting_pool(&mut server.client, "w", "4");
    server.client.ask("submit w a b").exited(0);
    server.client.ask("submit w c d").exited(0);
    fs::write(sandbox.path("d"), "").unwrap();
    wait_for("one job", || (server.client.show("w")["done"] == 1).then_some(()));
    let mut second = Client::connect(&sandbox);
    second.send(&["results", "w", "--order", "done"]);
    for name in ["c", "b", "a"] {
        let done = server.client.show("w")["done"].as_u64().unwrap();
        fs::write(sandbox.path(name), "").unwrap();
        wait_for("one more", || (server.client.show("w")["done"] == done + 1).then_some(()));
    }
    let expected = [row(1, 1, "d"), row(1, 0, "c"), row(0, 1, "b"), row(0, 0, "a")];
    assert_eq!(told(&second.reply().exited(0).all("result")), expected);
    let reply = server.client.ask("results w").exited(0);
    assert_eq!(told(&reply.all("result")), [row(1, 0, "c"), row(1, 1, "d"), row(0, 0, "a"), row(0, 1, "b")]);
    for line in ["results w --batch 0 --pop", "results w/1"] {
        assert_eq!(server.client.ask(line).exited(0).all("result").len(), 2, "{line}");
    }
    let reply = server.client.ask("results w --pop").exited(0);
    assert_eq!(reply.only("batch")["batch"], 1);
    assert!(server.client.ask("results w").exited(0).answers.is_empty());
    let refused = server.client.ask("results w --batch 0").exited(3);
    assert_eq!(refused.refused("not-found"), "w has no batch 0; 'list batch' shows those that are kept");
    server.exit();
}

#[test]
fn e7_errors_are_results_with_worker_and_reason() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create pool d -w 1 --task div").exited(0);
    server.client.ask("submit d 4,2 1,0 x").exited(0);
    let reply = server.client.ask("results d").exited(1);
    let results = reply.all("result");
    assert_eq!((&results[0]["ok"], &results[0]["value"]), (&json!(true), &json!("Quotient is 2.")));
    assert_eq!((&results[1]["reason"], &results[1]["error"]), (&json!("error"), &json!("division by zero")));
    assert!(results[2]["error"].as_str().unwrap().starts_with("expected two numbers such as 4,2 and got 'x'"));
    assert_eq!(results[1]["worker"], "d-1");
    assert_eq!(results[1]["pid"], server.client.show("d")["crew"][0]["pid"]);
    server.client.ask("wait d").exited(1);

    let shell =
        ["create", "pool", "c", "-w", "1", "--timeout", "100ms", "--", "sh", "-c", "echo out; eval $1", "sh", "{}"];
    server.client.tell(&shell).exited(0);
    server.client.tell(&["submit", "c", "exit 3", "kill -9 $$", "sleep 1000", "echo fine >&2"]).exited(0);
    let reply = server.client.ask("results c").exited(1);
    let reasons: Vec<_> = reply.all("result").iter().map(|it| it["reason"].clone()).collect();
    assert_eq!(reasons, [json!("exited"), json!("signalled"), json!("timed-out"), Value::Null]);
    let errors = told(&reply.all("result")[..1]);
    assert_eq!((errors, &reply.all("result")[0]["error"]), (vec![row(0, 0, "out")], &json!("exited with 3")));
    assert_eq!(reply.all("result")[3]["stderr"], "fine\n");
    let text = sandbox.run("manager results c").exited(1).stdout;
    assert!(text.starts_with("batch 0 done: 4 jobs, 3 failed\nexit 3: failed: exited with 3 (c-1, pid "), "{text}");
    assert!(text.contains("was ended by SIGKILL") && text.contains("took too long"), "{text}");
    server.exit();
}

#[test]
fn e8_submit_single_has_a_process_of_its_own() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create pool d -w 1 --task div").exited(0);
    server.client.ask("submit d 4,2 --single").exited(0);
    server.client.ask("submit d 1,0 --single").exited(0);
    let reply = server.client.ask("results d").exited(1);
    let workers: HashSet<(&str, &str)> =
        reply.all("result").iter().map(|it| (it["arg"].as_str().unwrap(), it["worker"].as_str().unwrap())).collect();
    assert_eq!(workers, HashSet::from([("4,2", "Process-1"), ("1,0", "Process-2")]));
    assert!(reply.all("batch").iter().all(|it| it["single"] == true));
    // It does not wait for a worker to be free.
    waiting_pool(&mut server.client, "w", "1");
    server.client.ask("submit w never").exited(0);
    fs::write(sandbox.path("now"), "").unwrap();
    server.client.ask("submit w now --single").exited(0);
    let reply = server.client.ask("results w --batch 1").exited(0);
    assert_eq!(told(&reply.all("result")), [row(1, 0, "now")]);
    let two = server.client.ask("submit w a b --single").exited(2);
    assert_eq!(two.refused("usage"), "submit: --single is for one job; see 'help submit'");
    server.exit();
}

#[test]
fn e10_the_list_keeps_pools_that_have_ended() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    waiting_pool(&mut server.client, "w", "1");
    server.client.ask("submit w a b c").exited(0);
    fs::write(sandbox.path("a"), "").unwrap();
    wait_for("one job", || (server.client.show("w")["done"] == 1).then_some(()));
    let mut second = Client::connect(&sandbox);
    second.send(&["results", "w"]);
    let ended = server.client.ask("terminate w").exited(0);
    assert_eq!(ended.only("done")["status"], "stopped");
    assert!(ended.only("done")["note"].as_str().unwrap().ends_with(", 2 jobs cancelled"), "{ended:?}");
    // Whoever waited for results of a pool that was ended meanwhile has them.
    let expected = [row(0, 0, "a"), row(0, 1, "was cancelled"), row(0, 2, "was cancelled")];
    assert_eq!(told(&second.reply().exited(1).all("result")), expected);
    assert_eq!(server.client.ask("list pool").exited(0).only("pool")["status"], "stopped");
    assert_eq!(server.client.ask("results w").exited(1).all("result").len(), 3);
    assert_eq!(server.client.ask("submit w x").exited(3).refused("not-running"), "w is not running: it was stopped");
    assert!(server.client.why("w").contains("stopping: terminated by a client"));
    server.client.ask("forget w").exited(0);
    server.client.ask("results w").exited(3).refused("not-found");
    server.exit();
}

#[test]
fn e12_quit_waits_for_pending_jobs() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    waiting_pool(&mut server.client, "w", "1");
    server.client.ask("create pool idle -w 1 --task sum").exited(0);
    server.client.ask("submit w a b").exited(0);
    let mut second = Client::connect(&sandbox);
    second.send(&["quit"]);
    assert_eq!(second.next().unwrap()["names"], json!(["w"]));
    assert_eq!(server.client.show("w")["status"], "closing");
    server.client.ask("submit w c").exited(1).refused("ending");
    server.client.ask("create pool late --task sum").exited(1).refused("ending");
    server.client.send(&["results", "w"]);
    ["a", "b"].iter().for_each(|name| fs::write(sandbox.path(name), "").unwrap());
    assert_eq!(server.client.reply().exited(0).all("result").len(), 2);
    assert_eq!(second.reply().exited(0).only("ended")["jobs"], Value::Null);
    server.finish();
}

#[test]
fn e13_clear_waits_as_quit_does() {
    let sandbox = Sandbox::new();
    let text = "create pool d -w 1 --task div\nsubmit d 4,2\nclear\n";
    let run = script(&sandbox, "", text).exited(0);
    assert!(run.stdout.ends_with("manager ended\n"), "{}", run.stdout);
}

#[test]
fn e14_exit_loses_pending_jobs_and_says_how_many() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    waiting_pool(&mut server.client, "w", "2");
    server.client.ask("submit w a b c").exited(0);
    server.client.ask("create pool s -w 2 --task sum").exited(0);
    server.client.ask("submit s 18446744073709551615").exited(0);
    // Jobs of a pool that ended before were told of then.
    waiting_pool(&mut server.client, "before", "1");
    server.client.ask("submit before a b").exited(0);
    server.client.ask("terminate before").exited(0);
    let mut second = Client::connect(&sandbox);
    second.send(&["results", "s"]);
    let reply = server.client.ask("exit").exited(0);
    assert_eq!(reply.only("ended")["jobs"], 4);
    assert_eq!(second.reply().end["exit"], 1);
    server.finish();
}

#[test]
fn e14_a_manager_that_is_killed_leaves_no_worker() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    // One that leaves its group, and one that is paused.
    let words = ["create", "pool", "w", "-w", "2", "--", "sh", "-c", "setsid sleep 1000 & echo >$1; wait", "sh", "{}"];
    server.client.tell(&words).exited(0);
    server.client.ask("submit w a").exited(0);
    wait_for("the job", || sandbox.path("a").exists().then_some(()));
    server.client.ask("create pool s -w 2 --task sum").exited(0);
    server.client.ask("submit s 18446744073709551615 --single").exited(0);
    server.client.ask("pause s").exited(0);
    server.kill();
    wait_for("the end of all", || sandbox.inhabitants().is_empty().then_some(()));
    Server::start(&sandbox).exit();
}

#[test]
fn d1_primes_counts_and_computes() {
    let sandbox = Sandbox::new();
    let text = "create pool p -w 2 --task primes\nsubmit p 10 1000\nresults p\n";
    let run = script(&sandbox, "", text).exited(0);
    let lines: Vec<&str> = run.stdout.lines().skip(2).take(3).collect();
    assert_eq!(lines[..2], ["batch 0 done: 2 jobs", "10: 4 primes up to 10, largest 7; sum 1.313405"]);
    assert!(lines[2].starts_with("1000: 168 primes up to 1000, largest 997; sum "), "{}", run.stdout);
}

#[test]
fn e16_div_and_sum_are_those_of_the_lesson() {
    let sandbox = Sandbox::new();
    let text = "create pool d -w 1 --task div\nsubmit d 4,2\nresults d\n\
        create pool s -w 1 --task sum\nsubmit s 10000 10001\nresults s\nwait s\n";
    let run = script(&sandbox, "", text).exited(0);
    assert!(run.stdout.contains("\n4,2: Quotient is 2.\n"), "{}", run.stdout);
    assert!(run.stdout.contains("\n10000: 50005000\n10001: 50015001\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("pool s has no pending jobs (2 jobs done)\n"), "{}", run.stdout);
}
