//! The launcher: stages as processes, links between them, and an orderly end.
//!
//! ```text
//! Plan -> Link::create -> a child for each stage -> ready -> names removed -> ... -> End -> reaped -> Ending
//! ```
//!
//! [`run`] is the launcher's side and knows no particular stage: a [`Plan`] says which processes there are and
//! how they are linked. [`Station`] is the child's side. Between them run a control pipe for each stage, on
//! which it says ready, relays a signal and hands in its outcome, and one stop line to the source. Stop is
//! data: the launcher closes the stop line, the source ends its links, and the end travels through them. The
//! kernel closes the stop line too when the launcher dies, so an orphaned pipeline drains in the same way.
//!
//! [`Summary`] is about the pipeline of conv, log, stat and report in particular: what their outcomes add up
//! to, and whether every sample is accounted for.

mod control;
mod launch;
mod logfile;
mod plan;
mod shutdown;
mod station;
mod summary;
mod supervise;
mod wiring;
mod world;

pub use logfile::OpenLog;
pub use plan::{LinkPlan, Plan, StagePlan, Stdin, Stdout};
pub use station::Station;
pub use summary::{Latencies, LogFile, Recovery, StageUse, StoppedBy, Summary};
pub use supervise::{Ending, Event, StageEnd, run};
pub use wiring::Wiring;
pub use world::{StopLine, StoppableInput, SystemClock};
