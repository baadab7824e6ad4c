//! Everything about one target, a line for each thing that there is to say.

use ipcpipe::manager::protocol::{Details, ProcessRow, Status, ThreadRow};

use super::{command, one, path, processes, units, word};

/// What `show` prints for a process.
pub(crate) fn process(row: &ProcessRow) -> String {
    let details = row.details.clone().unwrap_or_default();
    let mut lines = vec![
        ("process", Some(format!("{} (#{})", one(&row.name), row.id))),
        ("status", Some(status(&row.status))),
        ("pid", row.pid.map(|pid| pid.to_string())),
        ("command", Some(command(&row.command))),
        ("processes", Some(tree(row.processes, &details.pids))),
        ("uptime", row.uptime_s.map(units::uptime)),
        ("cpu", row.cpu_percent.map(|percent| format!("{percent:.1}%"))),
        ("memory", row.rss_kib.map(units::memory)),
        ("restarts", Some(row.restarts.to_string())),
        ("daemon", Some(if row.daemon { "yes" } else { "no" }.into())),
    ];
    if row.details.is_some() {
        lines.extend(more(&details));
    }
    block(&lines)
}

fn more(details: &Details) -> Vec<(&'static str, Option<String>)> {
    let seconds = |seconds: f64| format!("{seconds:.1}s");
    let Details { restart, after, output_bytes, grace_s, stop_signal, .. } = details;
    vec![
        ("started", details.started_ns.map(units::date)),
        ("directory", details.cwd.as_ref().map(path)),
        ("restart", Some(one(restart)).filter(|text| !text.is_empty())),
        ("next restart", details.restart_in_s.map(|s| format!("in {}", seconds(s)))),
        ("after", Some(after.join(", ")).filter(|text| !text.is_empty()).as_deref().map(one)),
        ("ready", details.ready.as_deref().map(one)),
        ("time left", details.timeout_left_s.map(seconds)),
        ("stopped by", Some(format!("{}, SIGKILL after {}", one(stop_signal), seconds(*grace_s)))),
        ("says", details.says.as_deref().map(one)),
        ("output kept", Some(format!("{output_bytes} bytes"))),
        ("log file", details.log_file.as_ref().map(path)),
    ]
}

/// What `show` prints for a thread.
pub(crate) fn thread(row: &ThreadRow) -> String {
    block(&[
        ("thread", Some(format!("{} (#{})", one(&row.name), row.id))),
        ("status", Some(status(&row.status))),
        ("tid", row.tid.map(|tid| tid.to_string())),
        ("task", Some(command(&row.command))),
        ("uptime", row.uptime_s.map(units::uptime)),
        ("cpu", row.cpu_percent.map(|percent| format!("{percent:.1}%"))),
        ("result", row.result.as_deref().map(one)),
    ])
}

pub(super) fn status(status: &Status) -> String {
    match status {
        Status::Failed { reason } => format!("Failed: {}", one(reason)),
        other => word(other),
    }
}

fn tree(number: u32, pids: &[u32]) -> String {
    let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
    if pids.is_empty() { number.to_string() } else { format!("{} ({})", processes(number), pids.join(" ")) }
}

pub(super) fn block(lines: &[(&str, Option<String>)]) -> String {
    lines.iter().filter_map(|(title, text)| Some(format!("{title:12}  {}\n", text.as_ref()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_thing_there_is_to_say() {
        let row = ThreadRow {
            id: 3,
            name: "t1".into(),
            tid: Some(9),
            status: Status::Failed { reason: "x".into() },
            uptime_s: Some(2.0),
            cpu_percent: None,
            command: Vec::new(),
            result: None,
        };
        let text = thread(&row);
        assert!(text.starts_with("thread        t1 (#3)\nstatus        Failed: x\ntid           9\n"), "{text}");
        assert!(!text.contains("cpu") && !text.contains("result"), "{text}");
    }
}
