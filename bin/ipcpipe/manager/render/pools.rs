//! Pools, batches and results of jobs, for a person.

use ipcpipe::manager::protocol::{BatchRow, BatchState, JobResult, PoolRow};

use super::show::{block, status};
use super::table::{grid, joined};
use super::{bytes, command, one, units, word};

/// The table of `list pool`.
pub(crate) fn pools(rows: &[PoolRow]) -> String {
    let titles =
        ["ID", "NAME", "STATUS", "UPTIME", "WORKERS", "PENDING", "DONE", "FAILED", "CANCELLED", "BATCHES", "COMMAND"];
    let right = [true, false, false, true, true, true, true, true, true, true, false];
    let cells = |row: &PoolRow| {
        [
            row.id.to_string(),
            joined(&row.name),
            word(&row.status),
            units::uptime(row.uptime_s).replace(' ', ""),
            row.workers.to_string(),
            row.pending.to_string(),
            row.done.to_string(),
            row.failed.to_string(),
            row.cancelled.to_string(),
            row.batches.to_string(),
            command(&row.command),
        ]
    };
    grid(titles, right, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// The table of `list batch`.
pub(crate) fn batches(rows: &[BatchRow]) -> String {
    let titles = ["BATCH", "STATUS", "JOBS", "DONE", "FAILED", "CANCELLED", "AGE"];
    let right = [false, false, true, true, true, true, true];
    let cells = |row: &BatchRow| {
        [
            format!("{}/{}", joined(&row.pool), row.batch),
            if row.state == BatchState::Pending { "Pending" } else { "Done" }.to_owned(),
            row.jobs.to_string(),
            row.done.to_string(),
            row.failed.to_string(),
            row.cancelled.to_string(),
            units::uptime(row.age_s).replace(' ', ""),
        ]
    };
    grid(titles, right, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// What `list` has of a pool behind its command.
pub(super) fn work(row: &PoolRow) -> String {
    let workers = if row.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", row.workers) };
    format!("{} ({workers}, {} pending, {} done)", command(&row.command), row.pending, row.done)
}

/// What `show` prints for a pool.
pub(crate) fn show(row: &PoolRow) -> String {
    let crew = row.crew.iter().flatten().map(|worker| format!("{} (pid {})", one(&worker.name), worker.pid));
    let crew = crew.collect::<Vec<_>>().join(", ");
    block(&[
        ("pool", Some(format!("{} (#{})", one(&row.name), row.id))),
        ("status", Some(status(&row.status))),
        ("command", Some(command(&row.command))),
        ("workers", Some(row.workers.to_string())),
        ("at work", Some(crew).filter(|crew| !crew.is_empty())),
        ("replaced", Some(row.replaced.to_string())),
        ("pending", Some(row.pending.to_string())),
        ("done", Some(format!("{}, {} failed, {} cancelled", row.done, row.failed, row.cancelled))),
        ("batches", Some(row.batches.to_string())),
        ("uptime", Some(units::uptime(row.uptime_s))),
    ])
}

/// What is said about a batch: that it was submitted or cancelled, or what stands before its results.
pub(super) fn batch(row: &BatchRow) -> String {
    let jobs = |number: u64| format!("{number} {}", if number == 1 { "job" } else { "jobs" });
    let BatchRow { pool, batch, .. } = row;
    match row.state {
        BatchState::Submitted => format!("batch {batch} submitted: {}", jobs(row.jobs)),
        BatchState::Cancelled => {
            format!("batch {batch} of {} cancelled: {} of {}", one(pool), row.cancelled, jobs(row.jobs))
        }
        BatchState::Pending => format!("batch {batch} pending: {} of {} done", row.done, jobs(row.jobs)),
        BatchState::Done => {
            let bad = [(row.failed, "failed"), (row.cancelled, "cancelled")];
            let bad = bad.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!(", {number} {what}"));
            format!("batch {batch} done: {}{}", jobs(row.jobs), bad.collect::<String>())
        }
    }
}

/// The result of a job: behind its argument if it is one line, below it if it is more.
pub(super) fn result(result: &JobResult) -> Vec<u8> {
    let end = &result.end;
    let mut out = format!("{}:", one(&String::from_utf8_lossy(bytes(&result.arg)))).into_bytes();
    if let Some(error) = &end.error {
        let worker = end.worker.as_deref().map(one);
        let who = worker.zip(end.pid).map_or_else(String::new, |(worker, pid)| format!(" ({worker}, pid {pid})"));
        out.extend(format!(" failed: {}{who}\n", one(error)).bytes());
    }
    for (place, output) in [&end.value, &end.stderr].into_iter().enumerate() {
        let Some(output) = output else { continue };
        let text = bytes(output);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let is_alone = end.ok && place == 0 && end.stderr.is_none() && !text.contains(&b'\n');
        if is_alone {
            out.push(b' ');
            out.extend(text);
            out.push(b'\n');
        } else {
            if out.last() == Some(&b':') {
                out.push(b'\n');
            }
            text.split(|byte| *byte == b'\n').for_each(|line| out.extend([b"  ", line, b"\n"].concat()));
        }
    }
    if out.last() == Some(&b':') {
        out.push(b'\n');
    }
    if end.dropped > 0 {
        out.extend(format!("  ({} bytes more are not kept)\n", end.dropped).bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use ipcpipe::manager::protocol::{JobEnd, Reason};
    use ipcpipe::manager::word::Word;

    use super::*;

    fn read(end: JobEnd) -> String {
        let it = JobResult { pool: "p".into(), batch: 0, job: 0, arg: Word::Text("4,2".into()), end };
        String::from_utf8(result(&it)).unwrap()
    }

    #[test]
    fn a_result_stands_behind_its_argument_or_below_it() {
        let good = |value: &str| JobEnd { ok: true, value: Some(value.into()), ..JobEnd::default() };
        assert_eq!(read(good("Quotient is 2.")), "4,2: Quotient is 2.\n");
        assert_eq!(read(good("a\nb\n")), "4,2:\n  a\n  b\n");
        assert_eq!(read(JobEnd { ok: true, ..JobEnd::default() }), "4,2:\n");
        let stderr = Some("warned\n".into());
        assert_eq!(read(JobEnd { stderr: stderr.clone(), ..good("a\n") }), "4,2:\n  a\n  warned\n");
        let failed = JobEnd {
            reason: Some(Reason::Exited),
            error: Some("exited with 3".into()),
            worker: Some("p-1".into()),
            pid: Some(7),
            stderr,
            dropped: 5,
            ..JobEnd::default()
        };
        assert_eq!(read(failed), "4,2: failed: exited with 3 (p-1, pid 7)\n  warned\n  (5 bytes more are not kept)\n");
    }

    #[test]
    fn batches_are_told_by_what_became_of_them() {
        let row = BatchRow {
            pool: "sums".into(),
            batch: 3,
            state: BatchState::Submitted,
            jobs: 2,
            done: 2,
            failed: 1,
            cancelled: 1,
            single: false,
            age_s: 1.0,
        };
        let said = |state| batch(&BatchRow { state, ..row.clone() });
        assert_eq!(said(BatchState::Submitted), "batch 3 submitted: 2 jobs");
        assert_eq!(said(BatchState::Cancelled), "batch 3 of sums cancelled: 1 of 2 jobs");
        assert_eq!(said(BatchState::Done), "batch 3 done: 2 jobs, 1 failed, 1 cancelled");
        let table = batches(&[BatchRow { state: BatchState::Pending, ..row.clone() }]);
        assert_eq!(
            table,
            "BATCH   STATUS   JOBS  DONE  FAILED  CANCELLED   AGE\nsums/3  Pending     2     2       1          1  0:01\n"
        );
    }
}
