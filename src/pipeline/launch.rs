//! From a plan to running processes.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::control::Inbox;
use super::plan::{LinkPlan, Plan, StagePlan, Stdin, Stdout};
use super::wiring::Wiring;
use crate::Error;
use crate::channel::{Endpoint, Link, Run};
use crate::sys::child::Child;
use crate::sys::fd::pipe;
use crate::sys::signal::{Blocked, REQUESTS};

/// A stage that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) inbox: Inbox,
}

/// Everything that was started, and what the launcher holds of it.
#[derive(Debug)]
pub(super) struct Launched {
    /// In the plan's order.
    pub(super) stages: Vec<Started>,
    /// The write end of the stop line; closing it asks the source to stop.
    pub(super) stop: Option<OwnedFd>,
    /// Both ends of every link, held until all stages have attached theirs.
    pub(super) links: Vec<Link>,
}

/// Makes the links in `run` and starts the stages, consumers first. When anything fails, what was started is
/// killed and reaped before the error is returned.
pub(super) fn launch(plan: &mut Plan, run: &mut Run) -> Result<Launched, Error> {
    let links = make_links(plan, run)?;
    let (stop_read, stop_write) = pipe()?;
    let _waiting = Blocked::new(&REQUESTS).map_err(|error| Error::os("cannot block", "signals", error))?;
    let mut started: Vec<Started> = Vec::with_capacity(plan.stages.len());
    for index in (0..plan.stages.len()).rev() {
        let ends = Ends {
            from: select(plan, &links, |link| link.to == index).map(|link| &link.receiver).collect(),
            to: select(plan, &links, |link| link.from == index).map(|link| &link.sender).collect(),
            stop: plan.stages[index].is_source.then_some(&stop_read),
        };
        started.push(start(plan, index, &ends)?);
    }
    started.reverse();
    Ok(Launched { stages: started, stop: Some(stop_write), links })
}

fn make_links(plan: &Plan, run: &mut Run) -> Result<Vec<Link>, Error> {
    plan.links.iter().map(|link| run.link(plan.backend, &plan.link_name(link), link.geometry)).collect()
}

fn select<'a>(plan: &Plan, links: &'a [Link], is_wanted: impl Fn(&LinkPlan) -> bool) -> impl Iterator<Item = &'a Link> {
    let wanted: Vec<bool> = plan.links.iter().map(is_wanted).collect();
    links.iter().zip(wanted).filter_map(|(link, wanted)| wanted.then_some(link))
}

/// What one stage is connected to, besides its launcher.
struct Ends<'a> {
    from: Vec<&'a Endpoint>,
    to: Vec<&'a Endpoint>,
    stop: Option<&'a OwnedFd>,
}

impl Ends<'_> {
    fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let links = self.from.iter().chain(&self.to).flat_map(|end| end.fds());
        links.chain(self.stop.map(AsFd::as_fd))
    }
}

fn start(plan: &mut Plan, index: usize, ends: &Ends<'_>) -> Result<Started, Error> {
    let (control_read, control_write) = pipe()?;
    let texts = |ends: &[&Endpoint]| -> Vec<OsString> { ends.iter().map(|end| end.to_text()).collect() };
    let wiring = Wiring {
        launcher: std::process::id(),
        grace: plan.drain_timeout,
        control: control_write.as_raw_fd(),
        stop: ends.stop.map(AsRawFd::as_raw_fd),
        from: texts(&ends.from),
        to: texts(&ends.to),
    };
    let fds: Vec<BorrowedFd<'_>> = ends.fds().chain([control_write.as_fd()]).collect();
    let mut command = command(&plan.program, &mut plan.stages[index], &wiring);
    let child = Child::spawn(&mut command, fds)?;
    Ok(Started { child, inbox: Inbox::new(control_read)? })
}

/// The command of a stage. Its files are taken out of the plan: the launcher keeps no copy open.
fn command(program: &std::path::Path, stage: &mut StagePlan, wiring: &Wiring) -> Command {
    let mut command = Command::new(program);
    command.arg0(stage.name).args(&stage.args).args(wiring.to_args());
    command.stdin(match std::mem::replace(&mut stage.stdin, Stdin::Nothing) {
        Stdin::Nothing => Stdio::null(),
        Stdin::Inherit => Stdio::inherit(),
        Stdin::File(file) => file.into(),
    });
    command.stdout(match std::mem::replace(&mut stage.stdout, Stdout::Nothing) {
        Stdout::Nothing => Stdio::null(),
        Stdout::Inherit => Stdio::inherit(),
        Stdout::File(file) => file.into(),
    });
    command
}
