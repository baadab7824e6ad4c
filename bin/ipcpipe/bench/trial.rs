//! One run of processes for a measurement, and whether its figures may be believed.

use std::time::Duration;

use ipcpipe::Error;
use ipcpipe::channel::{Backend, Geometry};
use ipcpipe::pipeline::{self, Ending, LinkPlan, Plan, StagePlan, Stdin, Stdout};
use serde::de::DeserializeOwned;

use crate::Exit;
use crate::run::THIS_PROGRAM;

/// Why there is no figure.
#[derive(Debug)]
pub(super) enum Failure {
    /// This signal asked for the end.
    Request(i32),
    /// The run failed or lost something.
    Broken { exit: Exit, text: String },
}

impl Failure {
    /// What arrived is not what was sent.
    pub(super) fn loss(text: impl Into<String>) -> Self {
        Self::Broken { exit: Exit::Unconserved, text: text.into() }
    }

    /// The system or a stage failed.
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self::Broken { exit: Exit::Failed, text: text.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// Stages that only stop for good reasons have half of this to do so.
const DRAIN: Duration = Duration::from_secs(2);

/// A plan of parts of this program; the first stage is the source.
pub(super) fn plan(backend: Backend, stages: Vec<StagePlan>, links: &[(usize, usize)]) -> Plan {
    let link = |&(from, to)| LinkPlan { from, to, geometry: Geometry::default() };
    Plan {
        program: THIS_PROGRAM.into(),
        backend,
        stages,
        links: links.iter().map(link).collect(),
        drain_timeout: DRAIN,
        keep_names: false,
    }
}

/// A stage that neither reads nor writes anything but links.
pub(super) fn stage(name: &'static str, args: Vec<std::ffi::OsString>, is_source: bool) -> StagePlan {
    StagePlan { name, args, stdin: Stdin::Nothing, stdout: Stdout::Nothing, is_source }
}

/// A run whose stages all did their work.
#[derive(Debug)]
pub(super) struct Trial(Ending);

impl Trial {
    /// Runs `plan` to its end.
    pub(super) fn run(plan: Plan) -> Result<Self, Failure> {
        let ending = pipeline::run(plan, &mut |_| {})?;
        if let Some(request) = ending.request {
            return Err(Failure::Request(request as i32));
        }
        for stage in &ending.stages {
            if let Some(fault) = &stage.fault {
                return Err(Failure::failed(format!("{}: {fault}", stage.name)));
            }
            if stage.outcome.is_none() {
                return Err(Failure::failed(format!("{} {}", stage.name, stage.ended.status)));
            }
        }
        Ok(Self(ending))
    }

    /// What the stage at this place of the plan handed in.
    pub(super) fn outcome<T: DeserializeOwned>(&self, place: usize) -> Result<T, Failure> {
        let outcome = self.0.stages.get(place).and_then(|stage| stage.outcome.clone()).unwrap_or_default();
        serde_json::from_value(outcome)
            .map_err(|error| Failure::failed(format!("an outcome that says nothing: {error}")))
    }

    /// CPU time of all stages together, in nanoseconds.
    pub(super) fn cpu_ns(&self) -> f64 {
        let time = |stage: &pipeline::StageEnd| stage.ended.usage.user + stage.ended.usage.sys;
        self.0.stages.iter().map(time).sum::<Duration>().as_nanos() as f64
    }

    /// How often a stage gave up its CPU to wait.
    pub(super) fn voluntary_switches(&self) -> f64 {
        self.0.stages.iter().map(|stage| stage.ended.usage.voluntary_switches).sum::<u64>() as f64
    }
}
