//! A process as `list` and `show` tell of it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Process;
use crate::manager::protocol::{Details, ProcessRow};
use crate::manager::spec::Ready;
use crate::sys::proc::Stat;
use crate::sys::signal;

impl Process {
    /// The row of this process at `now`, with `details` if asked for.
    pub(crate) fn row(&self, leaders: &HashSet<u32>, now: Instant, details: bool) -> ProcessRow {
        let members = self.members(leaders);
        let run = self.run.as_ref();
        let uptime = run.map(|run| self.ended_at().unwrap_or(now).saturating_duration_since(run.started));
        let lives = !members.is_empty();
        let cpu: Duration = members.iter().map(|member| member.cpu).sum();
        ProcessRow {
            id: self.id,
            name: self.name().to_owned(),
            pid: self.pid(),
            status: self.status().clone(),
            processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
            uptime_s: uptime.map(|uptime| uptime.as_secs_f64()),
            cpu_percent: uptime.filter(|_| lives).map(|uptime| percent(cpu, uptime)),
            rss_kib: lives.then(|| members.iter().map(|member| member.rss_kib).sum()),
            restarts: self.restarts.total(),
            daemon: self.spec.daemon,
            command: self.spec.program.words().iter().map(|word| word.as_os_str().into()).collect(),
            details: details.then(|| self.details(&members, now)),
        }
    }

    fn details(&self, members: &[Stat], now: Instant) -> Details {
        let run = self.run.as_ref();
        let seconds = |left: Duration| left.as_secs_f64();
        let after = self.spec.after.iter();
        Details {
            pids: members.iter().map(|member| member.pid).collect(),
            cwd: self.spec.cwd.as_ref().map(|cwd| cwd.as_os_str().into()),
            started_ns: run.map(|run| run.started_ns),
            restart: self.spec.restart.text(),
            ready: self.spec.ready.as_ref().map(Ready::text),
            after: after.map(|after| format!("{}:{}", after.name, after.condition.name())).collect(),
            timeout_left_s: run.and_then(|run| run.timeout).map(|timeout| seconds(timeout.left(now))),
            restart_in_s: self.backoff.map(|backoff| seconds(backoff.left(now))),
            grace_s: self.spec.grace.as_secs_f64(),
            stop_signal: signal::name(self.spec.stop_signal),
            says: self.says.clone(),
            output_bytes: self.output.bytes(),
            log_file: self.spec.log_file.as_ref().map(|path| path.as_os_str().into()),
        }
    }
}

/// CPU time in percent of one CPU, to a tenth.
pub(crate) fn percent(cpu: Duration, uptime: Duration) -> f64 {
    let share = cpu.as_secs_f64() / uptime.as_secs_f64().max(0.001);
    (share * 1000.0).round() / 10.0
}
