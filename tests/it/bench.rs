//! `ipcpipe bench`: whatever the figures are, they are there, and nothing is left.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{Running, Sandbox, wait_for};

#[test]
fn every_measurement_of_every_backend_gives_a_row() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("bench --duration 100ms --format json").exited(0);
    let rows: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().all(|row| row["v"] == 1), "{}", run.stdout);
    for backend in crate::sandbox::BACKENDS {
        let of_backend = rows.iter().filter(|row| row["backend"] == backend).count();
        assert_eq!(of_backend, 6, "{backend}:\n{}", run.stdout);
    }
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let sandbox = Sandbox::new();
    let run = sandbox.start("bench --backend pipe --duration 10s");
    wait_for("a stage of it", || crate::sandbox::processes().into_iter().find(|it| it.parent == run.pid()));
    run.signal(Signal::SIGINT);
    run.finish().died_of(Signal::SIGINT);
}

#[test]
fn text_names_the_machine() {
    let sandbox = Sandbox::new();
    let run = Running::of(&mut sandbox.command("bench --backend shm --duration 100ms".split(' '))).finish().exited(0);
    for word in ["xRTT", "kernel", "Fan-out", "raw pipe"] {
        assert!(run.stdout.contains(word), "{word} is missing:\n{}", run.stdout);
    }
}
