//! `save`: the live state as a script that rebuilds it.

use serde_json::Value;

use super::harness::{Client, Server, script};
use crate::sandbox::{Sandbox, wait_for};

/// What a list says that a new manager has to have as well.
fn state(client: &mut Client) -> Vec<Value> {
    let mut rows = client.ask("show all").exited(0).answers;
    for row in &mut rows {
        let details = row["details"].as_object_mut();
        if let Some(details) = details {
            for volatile in ["pids", "started_ns", "timeout_left_s", "output_bytes"] {
                details.remove(volatile);
            }
        }
        let row = row.as_object_mut().unwrap();
        for volatile in ["id", "pid", "tid", "uptime_s", "cpu_percent", "rss_kib", "processes"] {
            row.remove(volatile);
        }
    }
    rows
}

#[test]
fn a_saved_state_is_rebuilt_by_its_script() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let odd = "sleep 1000 # a 'quoted' \"word\", a\nline break, a \\ and\ttab; $HOME `x` ü \u{1b}";
    let words = ["create", "process", "odd one", "--env", "A=it's; \"b\"\nc", "--", "sh", "-c", odd, "", "last "];
    server.client.tell(&words).exited(0);
    server
        .client
        .write(b"{\"v\":1,\"cmd\":[\"create\",\"process\",\"bytes\",\"--\",\"sleep\",\"1000\"],\"cwd\":\"/\"}\n")
        .unwrap();
    server.client.reply().exited(0);
    let options = "--restart on-failure:3/10s --backoff 5ms..7s --timeout 999s --grace 3s --stop-signal INT \
        --ok-codes 0,7 --ready exec:true --log-file out --daemon";
    server.client.sleeper(&format!("full {options}"));
    server.client.wait_for_status("full", "running");
    server.client.ask("create process later --after full:ready --after nobody:ok -- sleep 1000").exited(0);
    server.client.ask("create process job --every 250ms").exited(0);
    server.client.ask("create thread t1 --every 2s").exited(0);
    server.client.ask("create thread big --task sum 1000000000000000").exited(0);
    server.client.shell("over", "exit 0");
    server.client.ask("wait over").exited(0);
    server.client.ask("forget over").exited(0);
    server.client.ask("pause job t1").exited(0);
    let before = state(&mut server.client);
    assert_eq!(before.len(), 7);

    sandbox.run("manager save state").exited(0);
    let printed = sandbox.run("manager save").exited(0).stdout;
    assert_eq!(sandbox.read("state"), printed);
    assert_eq!(printed.lines().count(), 9, "{printed}");
    server.exit();

    let mut server = Server::start(&sandbox);
    let fed = sandbox.run("manager source state").exited(0);
    assert_eq!(fed.stderr, "");
    server.client.wait_for_status("full", "running");
    assert_eq!(state(&mut server.client), before);
    assert_eq!(sandbox.run("manager save").exited(0).stdout, printed);
    server.exit();
}

/// A state that is saved and fed by hand, as a script of its own.
#[test]
fn a_saved_state_is_a_script() {
    let sandbox = Sandbox::new();
    let text = "create process 'a b' -- sh -c 'echo \"x  y\"; exec sleep 1000'\npause 'a b'\nsave state\nexit\n";
    script(&sandbox, "", text).exited(0);
    let run = script(&sandbox, "", format!("{}show 'a b'\nexit\n", sandbox.read("state"))).exited(0);
    assert!(run.stdout.contains("status        Paused\n"), "{}", run.stdout);
    assert!(run.stdout.contains(r#"command       sh -c 'echo "x  y"; exec sleep 1000'"#), "{}", run.stdout);
}

#[test]
fn a_state_that_cannot_be_written_is_an_error() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox);
    sandbox.run("manager save nowhere/state").exited(1).said("cannot write nowhere/state");
    wait_for("nothing", || (!sandbox.path("nowhere").exists()).then_some(()));
    server.exit();
}
