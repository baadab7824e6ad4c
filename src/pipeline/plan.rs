//! Which processes there are and how they are linked: data, and nothing happens here.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use crate::channel::{Backend, Geometry};

/// A pipeline to run.
#[derive(Debug)]
pub struct Plan {
    /// The program that every stage executes.
    pub program: PathBuf,
    /// What carries the links.
    pub backend: Backend,
    /// The stages, each before those that it sends to.
    pub stages: Vec<StagePlan>,
    /// The links between them.
    pub links: Vec<LinkPlan>,
    /// How long a drain may take before the stages are killed.
    pub drain_timeout: Duration,
    /// Keep the names of kernel objects visible until the end, for people who want to look.
    pub keep_names: bool,
}

/// One process.
#[derive(Debug)]
pub struct StagePlan {
    /// The name that ps(1) shows; at most 15 bytes count.
    pub name: &'static str,
    /// Its arguments; [`Wiring`](super::Wiring) is appended to them.
    pub args: Vec<OsString>,
    /// What it reads from.
    pub stdin: Stdin,
    /// What it writes to.
    pub stdout: Stdout,
    /// True if it is asked to stop: its end ends everything downstream.
    pub is_source: bool,
}

/// A stage's standard input.
#[derive(Debug)]
pub enum Stdin {
    /// `/dev/null`.
    Nothing,
    /// The launcher's own.
    Inherit,
    /// An open file.
    File(File),
}

/// A stage's standard output.
#[derive(Debug)]
pub enum Stdout {
    /// `/dev/null`.
    Nothing,
    /// The launcher's own.
    Inherit,
    /// An open file.
    File(File),
}

/// A link from one stage to another, by their places in [`Plan::stages`].
#[derive(Clone, Copy, Debug)]
pub struct LinkPlan {
    /// The stage that sends.
    pub from: usize,
    /// The stage that receives.
    pub to: usize,
    /// How much it holds.
    pub geometry: Geometry,
}

impl Plan {
    /// The name of a link: `conv-log`.
    pub(super) fn link_name(&self, link: &LinkPlan) -> String {
        format!("{}-{}", self.stages[link.from].name, self.stages[link.to].name)
    }
}
