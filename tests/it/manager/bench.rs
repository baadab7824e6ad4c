//! `bench`: what processes cost here, in figures.

use serde_json::Value;

use crate::sandbox::Sandbox;

#[test]
fn b35_what_processes_cost_is_measured_and_when_to_use_them_is_written() {
    let sandbox = Sandbox::new();
    let names = "thread spawn pool-map pool-chunk-1 pool-apply queue joinable-queue pipe lock value dict list extend shared-list";
    let run = sandbox.run(&format!("manager bench --format json -n 20 {names}")).exited(0);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(found, names.split(' ').collect::<Vec<_>>());
    for line in &lines {
        assert_eq!((&line["v"], &line["type"], &line["count"]), (&1.into(), &"bench".into(), &20.into()), "{line}");
        assert!(line["elapsed_s"].as_f64().is_some_and(|elapsed| elapsed > 0.0), "{line}");
    }
    let table = sandbox.run("manager bench -n 10 spawn").exited(0).stdout;
    assert!(table.starts_with("NAME ") && table.contains("\nspawn ") && table.lines().count() == 2, "{table}");
    sandbox.run("manager bench tea").exited(2).said("bench");
    let page = include_str!("../../../docs/coming-from-python.md");
    assert!(page.contains("# When to use processes, and when not"));
}
