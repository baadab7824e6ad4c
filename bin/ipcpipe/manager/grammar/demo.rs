//! `demo`, which is done by the client: no manager has to run for it.

use clap::builder::PossibleValuesParser;

use crate::manager::demo;

/// What stands under the options.
pub(super) const NOTES: &str = "\
A demo runs in a process of its own; each line bears the name and pid of who says it, or the name and tid of a thread, and
comes when it is said. Pauses of a second in the lessons that the demos come from are some milliseconds here.
Forms: --format text or json. JSON is an object for each demo, {\"v\":1,\"type\":\"demo\",...}. Exit status: 0, or 1 if a demo
failed. Ctrl-C ends a demo with all its processes.";

/// Which demos, and what to do with them.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Demos, or all.
    #[arg(value_name = "NAME", required_unless_present = "list", value_parser = names(), hide_possible_values = true)]
    names: Vec<String>,
    /// Name all demos, with what each shows.
    #[arg(short, long, conflicts_with_all = ["names", "show"])]
    pub(crate) list: bool,
    /// Print the source of the demos instead of running them.
    #[arg(long)]
    pub(crate) show: bool,
}

/// What means every demo.
const ALL: &str = "all";

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(demo::DEMOS.iter().map(|demo| demo.name).chain([ALL]))
}

impl DemoArgs {
    /// The demos that are meant, in the order in which they were named.
    pub(crate) fn demos(&self) -> Vec<&'static demo::Demo> {
        let is_meant = |name: &String, demo: &demo::Demo| name == ALL || name == demo.name;
        self.names.iter().flat_map(|name| demo::DEMOS.iter().filter(move |demo| is_meant(name, demo))).collect()
    }
}
